"""Other people's programs against the agents' door, with the Node.js they need."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from tests.tools import npm_packages

# The suite's first line of releases knows nothing of 2026-07-28; the set of what that version asks was frozen
# in this one.
PACKAGES = (
    "node@22",
    "@modelcontextprotocol/conformance@0.2.0-alpha.12",
    "@modelcontextprotocol/inspector@2.12.0",
)
SUITE = ("@modelcontextprotocol/conformance", "dist/index.js")
PATIENCE_S = 600
_HOP = {"content-length", "transfer-encoding", "connection", "keep-alive"}


async def start(package: str, program: str, *arguments: str) -> asyncio.subprocess.Process:
    """Start a package's program; what it says to whom is one stream."""
    home = await asyncio.to_thread(npm_packages, *PACKAGES)
    return await asyncio.create_subprocess_exec(
        str(home / "node_modules/.bin/node"),
        str(home / "node_modules" / package / program),
        *arguments,
        cwd=home,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def run(package: str, program: str, *arguments: str) -> tuple[int, str]:
    """Run a package's program: exit code and everything it said."""
    process = await start(package, program, *arguments)
    async with asyncio.timeout(PATIENCE_S):
        said, _ = await process.communicate()
    return process.returncode or 0, said.decode(errors="replace")


async def conformance(*arguments: str) -> tuple[int, str]:
    """The published suite."""
    return await run(*SUITE, *arguments)


def checks_in(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """What the suite wrote down: scenario → its checks."""
    return {
        re.sub(r"-\d{4}-\d\d-\d\dT.*", "", path.parent.name): json.loads(path.read_text())
        for path in folder.glob("*/checks.json")
    }


@asynccontextmanager
async def with_key(url: str, token: str) -> AsyncIterator[str]:
    """The same server for programs that can't send a key: every request gets it on its way."""

    async def pass_on(request: web.Request) -> web.Response:
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _HOP}
        headers["Authorization"] = f"Bearer {token}"
        async with session.request(
            request.method, url + request.path_qs, headers=headers, data=await request.read()
        ) as answer:
            given = {k: v for k, v in answer.headers.items() if k.lower() not in _HOP}
            return web.Response(status=answer.status, body=await answer.read(), headers=given)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", pass_on)
    runner = web.AppRunner(app)
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


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
