"""Programs the tests borrow from Debian and npm: found, or installed once, or said to be missing."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CACHE = Path(__file__).resolve().parents[1] / ".cache" / "tools"
INSTALL_S = 600


def debian_tool(binary: str, package: str = "") -> str:
    """The path of ``binary``; ``package`` of Debian brings it where root may install, else the test fails."""
    found = shutil.which(binary)
    if found:
        return found
    package = package or binary
    with _alone(package):
        found = shutil.which(binary)
        if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
            quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
            for command in (["update", "-q"], ["install", "-qy", "--no-install-recommends", package]):
                _run(["apt-get", *command], quiet)
            found = shutil.which(binary)
    if found is None:
        pytest.fail(f"{binary} is missing: apt install {package}")
    return found


def npm_packages(*packages: str) -> Path:
    """A folder whose ``node_modules`` holds ``packages`` (each ``name@version``); npm itself must be there.

    ``node@22`` among them brings that Node.js as ``node_modules/.bin/node``.
    """
    if shutil.which("npm") is None:
        pytest.fail("npm is missing: apt install npm")
    folder = CACHE / "npm" / "+".join(sorted(p.replace("/", "-").lstrip("@") for p in packages))
    done = folder / "installed"
    with _alone(folder.name):
        if not done.exists():
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "package.json").write_text('{"private": true}')
            _run(
                ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), *packages], os.environ
            )
            done.touch()
    return folder


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Tests in several processes install one thing once."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(command: list[str], environment: os._Environ[str] | dict[str, str]) -> None:
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=INSTALL_S, check=False
    )
    if done.returncode:
        pytest.fail(f"{' '.join(command)} failed: {done.stderr[-2000:] or done.stdout[-2000:]}")
