"""Readers that ask over and over, cheaply: prebuilt requests on kept connections, answers only counted.

A process of its own, so that what is measured is the server and not who asks.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

import uvloop

from bench.children import answer_lines, read_line, write_line

_LENGTH = re.compile(rb"(?i)content-length: (\d+)")


class Reader(asyncio.Protocol):
    """One connection: a request, its answer, the next request."""

    def __init__(self, request: bytes, count: Counter) -> None:
        self._request = request
        self._count = count
        self._buffer = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, rest = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        length = _LENGTH.search(head)
        if length is None or len(rest) < int(length[1]):
            return
        self._buffer = b""
        if not head.startswith(b"HTTP/1.1 200"):
            self._count.bad += 1
        self._count.done += 1
        if self._count.running:
            self._transport.write(self._request)
        else:
            self._transport.close()


class Counter:
    """What the readers of one round have together."""

    def __init__(self) -> None:
        self.running = True
        self.done = 0
        self.bad = 0


async def ask(head: str, asked: Any) -> dict[str, Any]:
    """One round of the same request."""
    count = Counter()
    loop = asyncio.get_running_loop()
    for number in range(asked["readers"]):
        # Each from an address of its own where limits count by address.
        own = (f"{asked['network']}.{number + 1}", 0) if "network" in asked else None
        await loop.create_connection(
            lambda: Reader(head.encode(), count), "127.0.0.1", asked["port"], local_addr=own
        )
    await asyncio.sleep(asked["seconds"])
    count.running = False
    return {"done": count.done, "bad": count.bad}


async def main() -> None:
    """One round per line asked: ``{port, token, readers, seconds}``; with ``post`` (a path) and
    ``body`` that is asked for instead of the settings, with ``request`` exactly those bytes. With
    ``network`` (three numbers of an address) every reader has an address of its own."""
    read_line()
    write_line({"ready": True})

    async def answer(asked: Any) -> dict[str, Any]:
        if "request" in asked:
            return await ask(asked["request"], asked)
        if "post" in asked:
            body = asked["body"]
            head = (
                f"POST {asked['post']} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                f"Authorization: Bearer {asked['token']}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
            )
            return await ask(head, asked)
        head = f"GET /settings HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {asked['token']}\r\n\r\n"
        return await ask(head, asked)

    await answer_lines(answer)


if __name__ == "__main__":
    uvloop.run(main())
