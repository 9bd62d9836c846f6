"""The installation, over a project of one tiny package and without a network."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local import bootstrap

# A build backend of our own, so that installing the project needs nothing from outside.
BACKEND = """
import zipfile
def build_editable(folder, config_settings=None, metadata_directory=None):
    name = "tiny-1.0-py3-none-any.whl"
    info = "tiny-1.0.dist-info"
    with zipfile.ZipFile(folder + "/" + name, "w") as wheel:
        wheel.writestr(info + "/METADATA", "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1.0\\n")
        wheel.writestr(info + "/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(info + "/entry_points.txt", "[console_scripts]\\ntradewind = leaf:main\\n")
        wheel.writestr(info + "/RECORD", "")
    return name
def build_wheel(*arguments):
    raise NotImplementedError
"""
PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "tiny"
version = "1.0"
"""


class Checkout:
    """A checkout whose lock names one package, ``leaf``, found in ``wheels``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "deploy" / "local").mkdir(parents=True)
        (root / "requirements").mkdir()
        (root / "wheels").mkdir()
        shutil.copy(bootstrap.__file__, root / "deploy" / "local" / "bootstrap.py")
        (root / "backend.py").write_text(BACKEND)
        (root / "pyproject.toml").write_text(PYPROJECT)
        self.lock(self.wheel("1.0"))

    def wheel(self, version: str) -> str:
        """Make ``leaf`` in a version; the line of the lock for it."""
        path = self.root / "wheels" / f"leaf-{version}-py3-none-any.whl"
        info = f"leaf-{version}.dist-info"
        files = {
            "leaf.py": f"def main():\n    print('leaf {version}')\n",
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: leaf\nVersion: {version}\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        record = ""
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
                digest = (
                    base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
                )
                record += f"{name},sha256={digest},{len(text)}\n"
            archive.writestr(f"{info}/RECORD", record + f"{info}/RECORD,,\n")
        return f"leaf=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"

    def lock(self, line: str) -> None:
        (self.root / "requirements" / "run.lock").write_text(line + "\n")

    def command(self) -> list[str]:
        return [sys.executable, "-I", str(self.root / "deploy" / "local" / "bootstrap.py"), "run"]

    def environ(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PIP_")}
        return {
            **kept,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.root / "wheels"),
            "PIP_CONFIG_FILE": os.devnull,
        }

    def bootstrap(self, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(),
            env={**self.environ(), **environ},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    def says(self) -> str:
        """What the installed command prints: it works, and which version it found."""
        done = subprocess.run([self.root / ".venv/bin/tradewind"], capture_output=True, text=True, check=True)
        return done.stdout.strip()


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    made = Checkout(tmp_path_factory.mktemp("checkout") / "project")
    done = made.bootstrap()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "installing run.lock: 1 of 1, leaf" in done.stdout
    yield made


def test_the_installed_command_runs(checkout: Checkout) -> None:
    assert checkout.says() == "leaf 1.0"


def test_nothing_is_done_when_nothing_changed(checkout: Checkout) -> None:
    log = checkout.root / ".venv" / "install.log"
    before = log.stat().st_size
    done = checkout.bootstrap()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert log.stat().st_size == before


def test_a_changed_lock_is_installed_into_the_same_environment(checkout: Checkout) -> None:
    made = (checkout.root / ".venv" / "pyvenv.cfg").stat().st_mtime_ns
    checkout.lock(checkout.wheel("2.0"))
    assert checkout.bootstrap().returncode == 0
    assert checkout.says() == "leaf 2.0"
    assert (checkout.root / ".venv" / "pyvenv.cfg").stat().st_mtime_ns == made


def test_a_package_that_is_not_the_one_of_the_lock_is_refused(checkout: Checkout) -> None:
    good = checkout.wheel("3.0")
    checkout.lock("leaf==3.0 --hash=sha256:" + "0" * 64)
    done = checkout.bootstrap()
    assert done.returncode == bootstrap.EXIT_REFUSED
    assert done.stderr.startswith("tradewind: a downloaded package is not the one of the lock")
    assert len(done.stderr.splitlines()) == 1
    checkout.lock(good)
    again = checkout.bootstrap()
    assert again.returncode == 0
    assert "making" not in again.stdout
    assert checkout.says() == "leaf 3.0"


def test_an_index_out_of_reach_is_said_with_the_remedy(checkout: Checkout) -> None:
    good = checkout.wheel("4.0")
    (checkout.root / "wheels" / "leaf-4.0-py3-none-any.whl").rename(checkout.root / "elsewhere.whl")
    checkout.lock(good)
    offline = {"PIP_NO_INDEX": "0", "PIP_INDEX_URL": "http://127.0.0.1:1/simple", "PIP_RETRIES": "1"}
    done = checkout.bootstrap(**offline)
    assert done.returncode == bootstrap.EXIT_REFUSED
    assert done.stderr.startswith("tradewind: the package index can't be reached: check the network")
    (checkout.root / "elsewhere.whl").rename(checkout.root / "wheels" / "leaf-4.0-py3-none-any.whl")


def test_a_killed_installation_and_a_moved_checkout_are_begun_anew(checkout: Checkout) -> None:
    checkout.lock(checkout.wheel("5.0"))
    with subprocess.Popen(checkout.command(), env=checkout.environ(), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    assert (checkout.root / ".venv" / "unfinished").exists()
    moved = checkout.root.with_name("moved")
    checkout.root.rename(moved)
    checkout.root = moved
    done = checkout.bootstrap()
    assert done.returncode == 0, done.stderr
    assert f"making {moved / '.venv'}" in done.stdout
    assert checkout.says() == "leaf 5.0"
    assert not (moved / ".venv" / "unfinished").exists()
