"""The plain way: aiohttp, and for every quote a loop of ``await ws.send_str``.

What most guides show, at its best: uvloop, the text decoded once, no compression, and the same bus
client in front.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

import msgspec
import uvloop
from aiohttp import WSMsgType, web

from bench.children import answer_lines, read_line, write_line
from libs.common import bus_nats
from libs.common.subjects import QUOTE

subscribers: dict[str, list[web.WebSocketResponse]] = defaultdict(list)


async def handle(request: web.Request) -> web.WebSocketResponse:
    """Put the socket on the list of every symbol it asks for."""
    ws = web.WebSocketResponse(compress=False)
    await ws.prepare(request)
    async for message in ws:
        if message.type is not WSMsgType.TEXT:
            break
        if message.data == "ping":
            await ws.send_str("pong")
            continue
        frame = msgspec.json.decode(message.data)
        if frame.get("event") == "subscribe":
            for symbol in frame["data"]:
                subscribers[symbol].append(ws)
    return ws


async def main() -> None:
    """Serve until told to end."""
    config = read_line()
    quotes: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
    bus = await bus_nats.connect(config["nats_url"], "gateway")
    await bus.subscribe(QUOTE.pattern, lambda subject, payload: quotes.put_nowait((subject, payload)))

    async def send() -> None:
        while True:
            subject, payload = await quotes.get()
            text = payload.decode()
            for ws in subscribers[subject.rpartition(".")[2]]:
                await ws.send_str(text)

    sending = asyncio.create_task(send())
    app = web.Application()
    app.router.add_get("/ws", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    write_line({"port": runner.addresses[0][1]})

    async def answer(message: Any) -> dict[str, Any]:
        if sending.done():
            sending.result()
        return {"waiting": quotes.qsize()}

    await answer_lines(answer)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        loop.run(main())
