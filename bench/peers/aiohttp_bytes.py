"""A bare aiohttp handler that returns the same bytes, on uvloop: what a cached answer can cost at best.

``GET /plain`` gives the body alone, ``GET /same`` the same headers with it as the answer it was taken from.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import uvloop
from aiohttp import web


async def main(body: bytes, headers: dict[str, str]) -> None:
    """Serve these bytes until the parent goes."""

    async def plain(request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    async def same(request: web.Request) -> web.Response:
        return web.Response(body=body, headers=headers)

    app = web.Application()
    app.router.add_get("/plain", plain)
    app.router.add_get("/same", same)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    print(json.dumps({"port": port}), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


if __name__ == "__main__":
    asked = json.loads(sys.stdin.readline())
    uvloop.run(main(Path(asked["body"]).read_bytes(), asked["headers"]))
