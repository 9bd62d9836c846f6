"""A machine that never saw the project: clone, ``make run``, look, Ctrl-C; then ``make test``.

Installs from the package index (or pip's cache) into the clone, as an ordinary user where we are root. What
is committed is what is tested.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.ports import choose_ports
from deploy.local.processes import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
ROOT = Path(__file__).resolve().parents[3]
INSTALL_S = 600.0
NOBODY = 65_534


class Clone:
    """A clone of the last commit in a folder of its own, and its owner's shell."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "tradewind"
        self._home = folder
        subprocess.run(["git", "clone", "-q", str(ROOT), str(self.folder)], check=True)
        self._user = NOBODY if os.geteuid() == 0 else None
        if self._user is not None:
            folder.chmod(0o700)
            for path in (folder, *folder.rglob("*")):
                os.chown(path, self._user, self._user, follow_symlinks=False)

    def make(self, *arguments: str, output: Path) -> subprocess.Popen[bytes]:
        """``make …`` as its owner, in a process group of its own."""
        kept = ("LANG", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "SSL_CERT_FILE", "PIP_CERT")
        with output.open("wb") as file:
            return subprocess.Popen(
                ["make", *arguments],
                cwd=self.folder,
                env={
                    "HOME": str(self._home),
                    "PATH": "/usr/local/bin:/usr/bin:/bin",
                    **{name: value for name, value in os.environ.items() if name in kept},
                },
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=self._user,
                group=self._user,
                extra_groups=[] if self._user is not None else None,
            )


@pytest.fixture(scope="module")
def clone() -> Iterator[Clone]:
    # Not below pytest's own folder: its parents are closed to other users.
    folder = Path("/var/tmp") / f"tradewind-clone-{os.getpid()}"
    folder.mkdir(mode=0o755)
    try:
        yield Clone(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_make_run_installs_and_starts_everything(clone: Clone, tmp_path: Path) -> None:
    port = choose_ports(["http"], seed=str(clone.folder))["http"]
    output = tmp_path / "run.txt"
    process = clone.make("run", f"TRADEWIND_HTTP_PORT={port}", output=output)

    def ready() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
                return bool(json.load(answer)["ready"])
        except (OSError, urllib.error.HTTPError):
            return process.poll() is not None

    try:
        assert wait_until(ready, seconds=INSTALL_S), output.read_text()
        assert wait_until(lambda: "Ctrl-C stops" in output.read_text(), seconds=30), output.read_text()
        text = output.read_text()
        assert "installing run.lock: 1 of " in text
        assert f"curl -s http://127.0.0.1:{port}/sign/up" in text
        assert "Staff login 1 (admin)" in text
    finally:
        os.killpg(process.pid, signal.SIGINT)  # what a terminal does on Ctrl-C: make gets it too
        process.wait(timeout=60)
    stops = [line for line in output.read_text().splitlines() if line.startswith("stopping")]
    assert stops[0] == "stopping gateway"
    assert stops[-2:] == ["stopping nats", "stopping postgres"]
    assert "everything is stopped" in output.read_text()


def test_make_test_sets_itself_up(clone: Clone, tmp_path: Path) -> None:
    """Its set-up and a part of the suite that needs both servers; the whole suite is what called us."""
    output = tmp_path / "test.txt"
    process = clone.make("test", "ARGS=tests/unit/local tests/integration/common", output=output)
    assert process.wait(timeout=INSTALL_S) == 0, output.read_text()
    assert " passed" in output.read_text()
