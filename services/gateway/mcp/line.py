"""The client's end of one request: events before its answer, and that it went away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
from aiohttp import web

from services.gateway.server import Connection

EVENTS = "text/event-stream"
WRITE_S = 10.0  # who reads nothing for so long hears no more of how far it is
_HEADERS = {"Content-Type": EVENTS, "X-Accel-Buffering": "no"}
_encode = msgspec.json.Encoder().encode


class Line:
    """One per request; ``headers`` are those of every answer. ``response`` is there once events were sent."""

    def __init__(self, request: web.BaseRequest, headers: Mapping[str, str]) -> None:
        self._request = request
        self._headers = headers
        self._broken = False
        self.response: web.StreamResponse | None = None

    @contextmanager
    def heard(self, on_gone: Callable[[], None] | None) -> Iterator[None]:
        """While this lasts, ``on_gone`` is called when the client goes away."""
        connection = self._request.protocol
        if on_gone is None or not isinstance(connection, Connection):
            yield
            return
        connection.on_lost(on_gone)
        try:
            yield
        finally:
            connection.on_lost(None)

    async def tell(self, message: Any) -> None:
        """One message as an event; the first begins the answer."""
        await self.write(b"event: message\r\ndata: " + _encode(message) + b"\r\n\r\n")

    async def write(self, events: bytes) -> None:
        """Events as they stand. Nobody there is no error: the call goes on or is stopped by itself."""
        if self._broken:
            return
        try:
            async with asyncio.timeout(WRITE_S):
                if self.response is None:
                    self.response = web.StreamResponse(headers={**self._headers, **_HEADERS})
                    await self.response.prepare(self._request)
                await self.response.write(events)
        except (ConnectionError, TimeoutError):
            self._broken = True
