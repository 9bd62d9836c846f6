"""What a person is told when the installation fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local import bootstrap

BOOTSTRAP = Path(bootstrap.__file__)

PIP_SAYS = {
    "network": (
        "Collecting aiohttp==3.14.5 (from -r run.lock (line 7))\n"
        "WARNING: Retrying after connection broken by 'NewConnectionError(': Failed to establish "
        "a new connection: [Errno -3] Temporary failure in name resolution')'\n"
        "ERROR: Could not find a version that satisfies the requirement aiohttp==3.14.5\n"
        "ERROR: No matching distribution found for aiohttp==3.14.5\n"
    ),
    "platform": (
        "ERROR: Could not find a version that satisfies the requirement uvloop==0.23.0\n"
        "ERROR: No matching distribution found for uvloop==0.23.0\n"
    ),
    "hash": "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.\n",
    "disk": "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n",
    "unknown": "something\nERROR: it broke in a new way\nnoise\n",
}
PERSON_READS = {
    "network": "the package index can't be reached",
    "platform": "the package index in use has no uvloop==0.23.0 for Python",
    "hash": "is not the one of the lock",
    "disk": "the disk is full",
    "unknown": "ERROR: it broke in a new way",
}


@pytest.mark.parametrize("case", PIP_SAYS)
def test_a_failure_of_pip_becomes_one_line_that_helps(case: str) -> None:
    line = bootstrap.remedy(PIP_SAYS[case])
    assert PERSON_READS[case] in line
    assert "\n" not in line


def test_a_missing_compiler_is_named_with_the_package_and_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    line = bootstrap.remedy(
        "Collecting yarl==1.25.1\n"
        "  Building wheel for yarl (pyproject.toml): finished with status 'error'\n"
        "  error: subprocess-exited-with-error\n"
        "      error: command 'gcc' failed: No such file or directory\n"
        "ERROR: Failed building wheel for yarl\n"
    )
    assert line.startswith("yarl has no ready-made package for Python 3.")
    assert "apt install build-essential python3-dev" in line


@pytest.mark.parametrize(
    ("line", "package"),
    [
        ("Collecting argon2-cffi-bindings==26.2.0 (from -r /x/dev.lock (line 9))", "argon2-cffi-bindings"),
        ("Processing /a/idna-3.20-py3-none-any.whl (from -r /x/dev.lock (line 2))", "idna"),
        ("Requirement already satisfied: nats-py==2.16.0 in ./x", "nats-py"),
    ],
)
def test_the_package_of_a_line_is_found(line: str, package: str) -> None:
    found = bootstrap.PACKAGE_LINE.match(line)
    assert found is not None
    assert found.group(1) == package


def test_an_incomplete_venv_is_said_in_one_line(tmp_path: Path) -> None:
    """A Python without ensurepip, as Debian ships it without python3-venv."""
    script = (
        "import importlib.util, runpy, sys\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name: None if name == 'ensurepip' else find(name)\n"
        f"sys.argv = ['bootstrap', 'run']\n"
        f"module = runpy.run_path({str(BOOTSTRAP)!r})\n"
        "try:\n"
        "    module['make_venv']()\n"
        "except module['Refused'] as e:\n"
        "    print(e)\n"
    )
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True)
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert done.stdout == (
        f"Python's venv is incomplete: apt install python{version}-venv, then run make again\n"
    )


def test_an_old_python_can_read_the_program() -> None:
    """It must be able to say that the Python is too old, so its syntax is that of 3.6."""
    import ast

    ast.parse(BOOTSTRAP.read_text(encoding="utf-8"), feature_version=(3, 6))
