"""The socket of the agents' feed: new events of one person, as they are written.

Lifecycle: a socket says who it is within ``SAY_S`` (``{"authorization": token}``), is told so, and gets each
new event as one frame, the same JSON as in ``GET /api/v1/feed``. What came while nobody listened is in that
list. A socket that does not read what it is sent is cut (4413), one whose session is over too (4401).

Never: wait for one socket on account of another; keep an event for a socket beyond ``WAITING_MAX``.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import structlog
from aiohttp import WSMsgType, web

from libs.common.bus import Bus, decode
from libs.common.errors import AppError, MessageUnreadable
from libs.common.messages.scan_people import FeedFrame
from libs.common.principal import Principal
from libs.common.subjects import FEED_TOLD
from services.gateway import metrics
from services.gateway.socket import Upgrade

log = structlog.get_logger()

SAY_S = 10.0
PING_S = 20.0
WAITING_MAX = 200
SEND_S_MAX = 10.0
FRAME_BYTES_MAX = 64 * 1024
SOCKETS_MAX = 2_000
UNAUTHORIZED, TOO_SLOW, RESTART = 4401, 4413, 1012
_AUTHORIZED = '{"event":"authorization","success":true}'
_REFUSED = '{"event":"authorization","success":false,"error":"INVALID_TOKEN"}'
_UNKNOWN = '{"event":"error","success":false,"error":"INVALID_DATA"}'

Authenticate = Callable[[str, Upgrade], Awaitable[Principal]]


@dataclass(eq=False)
class _Listener:
    """A socket that said who it is."""

    principal: Principal
    socket: web.WebSocketResponse
    waiting: asyncio.Queue[bytes] = field(default_factory=lambda: asyncio.Queue(WAITING_MAX))
    ending: int = 0  # the close code it ends with


class FeedSockets:
    """Every feed socket of one gateway process."""

    def __init__(self, bus: Bus, authenticate: Authenticate) -> None:
        self._bus = bus
        self._authenticate = authenticate
        self._listeners: dict[int, set[_Listener]] = defaultdict(set)
        self._open: set[web.WebSocketResponse] = set()
        self._closed = False

    async def start(self) -> None:
        """Begin to hear."""
        await self._bus.subscribe(FEED_TOLD.pattern, self._heard)

    async def close(self) -> None:
        """End every socket with 1012."""
        self._closed = True
        for listener in [one for held in self._listeners.values() for one in held]:
            self._end(listener, RESTART)
        for socket in tuple(self._open):
            with contextlib.suppress(OSError, RuntimeError, TimeoutError):
                async with asyncio.timeout(1):
                    await socket.close(code=RESTART, drain=False)

    def revoke(self, matches: Callable[[Principal], bool]) -> None:
        """End the sockets whose owner matches: their session is over."""
        for held in tuple(self._listeners.values()):
            for listener in tuple(held):
                if matches(listener.principal):
                    self._end(listener, UNAUTHORIZED)

    def _heard(self, subject: str, payload: bytes) -> None:
        held = self._listeners.get(int(subject.rpartition(".")[2]))
        if not held:
            return
        try:
            frame = msgspec.json.encode(decode(payload, FeedFrame).event)
        except MessageUnreadable:
            log.exception("feed event unreadable", subject=subject)
            return
        for listener in tuple(held):
            try:
                listener.waiting.put_nowait(frame)
            except asyncio.QueueFull:
                self._end(listener, TOO_SLOW)

    def _end(self, listener: _Listener, code: int) -> None:
        """Let go of a socket; its own task closes it."""
        listener.ending = listener.ending or code
        held = self._listeners.get(listener.principal.person_id or 0, set())
        held.discard(listener)
        while listener.waiting.full():
            listener.waiting.get_nowait()
        listener.waiting.put_nowait(b"")

    async def handle(self, request: web.Request, upgrade: Upgrade) -> web.StreamResponse:
        """One socket, from its upgrade to its end."""
        if self._closed or len(self._open) >= SOCKETS_MAX:
            metrics.refused("feed")
            return web.json_response(
                {
                    "code": "server_busy",
                    "detail": "The feed takes no more sockets now.",
                    "hint": None,
                    "meta": {},
                },
                status=503,
                headers={"Retry-After": "5"},
            )
        socket = web.WebSocketResponse(
            heartbeat=PING_S, max_msg_size=FRAME_BYTES_MAX, timeout=2.0, compress=False
        )
        await socket.prepare(request)
        transport = request.transport
        self._open.add(socket)
        try:
            principal = await self._who(socket, upgrade)
            if principal is not None:
                await self._feed(socket, principal)
        finally:
            self._open.discard(socket)
            if transport is not None and not socket.closed:
                transport.abort()  # a peer that does not read would keep it for ever
        return socket

    async def _who(self, socket: web.WebSocketResponse, upgrade: Upgrade) -> Principal | None:
        """Who the first good frame says it is; the socket is closed when that does not come in time."""
        try:
            async with asyncio.timeout(SAY_S):
                for _ in range(3):
                    principal = await self._asked(await socket.receive(), upgrade)
                    if principal is not None:
                        await socket.send_str(_AUTHORIZED)
                        return principal
                    if socket.closed:
                        return None
                    await socket.send_str(_REFUSED)
        except TimeoutError:
            pass
        with contextlib.suppress(OSError, RuntimeError):
            await socket.close(code=UNAUTHORIZED, drain=False)
        return None

    async def _asked(self, message: Any, upgrade: Upgrade) -> Principal | None:
        if message.type is not WSMsgType.TEXT:
            return None
        try:
            said = msgspec.json.decode(message.data)
            token = said.get("authorization") if isinstance(said, dict) else None
        except msgspec.MsgspecError:
            return None
        if not isinstance(token, str) or not token:
            return None
        try:
            principal = await self._authenticate(token.removeprefix("Bearer "), upgrade)
        except AppError:
            return None
        allowed = principal.kind == "customer" or (principal.kind == "key" and "read" in principal.scopes)
        return principal if allowed and principal.person_id is not None else None

    async def _feed(self, socket: web.WebSocketResponse, principal: Principal) -> None:
        listener = _Listener(principal, socket)
        held = self._listeners[principal.person_id or 0]
        held.add(listener)
        writing = asyncio.create_task(self._write(listener), name="feed socket")
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await socket.send_str(_UNKNOWN)
        finally:
            held.discard(listener)
            if not held:
                self._listeners.pop(principal.person_id or 0, None)
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)

    async def _write(self, listener: _Listener) -> None:
        """Send what waits, one frame at a time; end the socket when it does not take them."""
        while True:
            frame = await listener.waiting.get()
            if not frame:
                break
            try:
                async with asyncio.timeout(SEND_S_MAX):
                    await listener.socket.send_str(frame.decode())
            except (TimeoutError, OSError, RuntimeError):
                listener.ending = TOO_SLOW
                break
        with contextlib.suppress(OSError, RuntimeError):
            await listener.socket.close(code=listener.ending or RESTART, drain=False)
