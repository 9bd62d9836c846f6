"""Node and the strangers' packages, installed once from the lock file beside this one."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
HOME = Path(__file__).resolve().parents[3] / ".cache" / "strangers"
PATIENCE_S = 600


def install() -> Path:
    """The folder of the packages; AssertionError says what is missing."""
    lock = (HERE / "package-lock.json").read_text()
    done = HOME / "installed.json"
    if done.is_file() and done.read_text() == lock:
        return HOME
    assert shutil.which("npm"), "no npm: install your distribution's packages `nodejs` and `npm`"
    HOME.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, HOME / name)
    for command in (
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        ["node", "node_modules/node/installArchSpecificPackage.js"],
    ):
        subprocess.run(command, cwd=HOME, check=True, capture_output=True, timeout=PATIENCE_S)
    done.write_text(lock)
    return HOME


async def run(package: str, program: str, *arguments: str) -> tuple[int, str]:
    """Run a package's program with the Node of the lock file: exit code and everything it said."""
    home = install()
    process = await asyncio.create_subprocess_exec(
        str(home / "node_modules/node/bin/node"),
        str(home / "node_modules" / package / program),
        *arguments,
        cwd=home,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(PATIENCE_S):
        said, _ = await process.communicate()
    return process.returncode or 0, said.decode(errors="replace")


async def conformance(*arguments: str) -> tuple[int, str]:
    """The published suite."""
    return await run("@modelcontextprotocol/conformance", "dist/index.js", *arguments)


async def inspect(url: str, token: str, method: str, *arguments: str) -> Any:
    """One call of the inspector's command line; what it printed, whatever its exit code says of it."""
    said = (await inspected(url, token, method, *arguments))[1]
    assert "{" in said, said
    return json.loads(said[said.index("{") : said.rindex("}") + 1])


async def inspected(url: str, token: str, method: str, *arguments: str) -> tuple[int, str]:
    """The same with its exit code."""
    return await run(
        "@modelcontextprotocol/inspector",
        "clients/launcher/build/index.js",
        "--cli",
        url,
        "--transport",
        "http",
        "--method",
        method,
        *(("--header", f"Authorization: Bearer {token}") if token else ()),
        *arguments,
    )
