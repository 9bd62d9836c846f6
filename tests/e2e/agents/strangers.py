"""Other people's programs against the agents' door, with the Node.js they need."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tests.tools import npm_packages

PACKAGES = ("node@22", "@modelcontextprotocol/conformance@0.1.16", "@modelcontextprotocol/inspector@2.12.0")
PATIENCE_S = 600


async def run(package: str, program: str, *arguments: str) -> tuple[int, str]:
    """Run a package's program: exit code and everything it said."""
    home = await asyncio.to_thread(npm_packages, *PACKAGES)
    process = await asyncio.create_subprocess_exec(
        str(home / "node_modules/.bin/node"),
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
