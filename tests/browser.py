"""A headless Chromium for tests of pages: found, or installed from Debian's packages where we may."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE_S = 90.0
# Time as the page sees it: runs ahead as long as nothing is under way, so it costs no real seconds.
PAGE_TIME_MS = 15_000


def find() -> str:
    """The browser's path; AssertionError says what to install where there is none."""
    found = next((path for path in map(shutil.which, NAMES) if path), None)
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        for command in (
            ["apt-get", "update"],
            ["apt-get", "install", "-y", "--no-install-recommends", "chromium"],
        ):
            subprocess.run(command, check=True, capture_output=True, timeout=600)
        found = shutil.which("chromium")
    assert found is not None, "no Chromium: install your distribution's package `chromium`"
    return found


def _run(folder: Path, *arguments: str) -> str:
    command = [
        find(),
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        f"--user-data-dir={folder / 'profile'}",
        f"--virtual-time-budget={PAGE_TIME_MS}",
        *arguments,
    ]
    return subprocess.run(
        command,
        check=True,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env={**os.environ, "HOME": str(folder)},
    ).stdout


def page_of(url: str, folder: Path) -> str:
    """The page's HTML once its scripts have run."""
    return _run(folder, "--dump-dom", url)


def picture_of(url: str, folder: Path, width: int = 1200, height: int = 1000) -> bytes:
    """The page as a PNG."""
    path = folder / "page.png"
    _run(folder, f"--window-size={width},{height}", f"--screenshot={path}", url)
    return path.read_bytes()
