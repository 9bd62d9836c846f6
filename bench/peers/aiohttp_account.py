"""The same authenticated read in one process: aiohttp in front, asyncpg behind, nothing in between.

At its best: uvloop, the token verified once and remembered by its text, a pool of prepared statements.
"""

from __future__ import annotations

import time
from typing import Any

import asyncpg
import msgspec
import uvloop
from aiohttp import web

from bench.children import answer_lines, read_line, write_line
from libs.common.db import load_queries
from libs.common.migrate import ROOT
from libs.common.tokens import Claims, PublicKeys

QUERIES = load_queries(ROOT / "services/auth/sql/queries.sql")


async def main() -> None:
    """Serve until told to end."""
    config = read_line()
    keys = PublicKeys.from_jwks(config["keys"])
    pool = await asyncpg.create_pool(config["dsn"], min_size=8, max_size=8)
    known: dict[str, Claims] = {}

    async def settings(request: web.Request) -> web.Response:
        token = request.headers["Authorization"]
        claims = known.get(token)
        if claims is None or claims.exp <= time.time():
            claims = known[token] = keys.verify(token, now_s=int(time.time()))
        row = await pool.fetchrow(QUERIES["settings"], claims.login, None)
        body = {"settings": msgspec.Raw(row["settings"].encode()), "updated_time": row["updated_ms"] // 1000}
        return web.Response(body=msgspec.json.encode(body), content_type="application/json")

    app = web.Application()
    app.router.add_get("/settings", settings)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
    await site.start()
    write_line({"port": runner.addresses[0][1]})

    async def answer(message: Any) -> dict[str, Any]:
        return {"known": len(known)}

    await answer_lines(answer)
    await runner.cleanup()


if __name__ == "__main__":
    uvloop.run(main())
