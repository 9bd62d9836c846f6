"""The stream's door: upgrades a request, runs its socket, and closes it so that nothing is left.

One sweep a second holds every deadline of every socket; there is no timer per socket. A transport
that does not close by itself within ``abort_s`` after its end is aborted: a stalled peer would keep
its descriptor and its buffer for ever (`transport.close()` waits for the buffer).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from time import thread_time

import structlog
from aiohttp import WSMsgType, web
from msgspec import structs

from libs.common.clock import Clock
from libs.common.messages.auth import PersonChanged
from libs.common.principal import Principal
from services.gateway.frames import close_frame
from services.gateway.gauges import StreamGauges
from services.gateway.hub import Hub, HubLimits
from services.gateway.socket import (
    NO_UPGRADE,
    RESTART,
    UNAUTHORIZED,
    Deadlines,
    SocketLimits,
    StreamPorts,
    StreamSocket,
    Upgrade,
)

log = structlog.get_logger()

TOO_BIG = 1009
DEFECT = 1011
_BROKEN_FRAMES = frozenset((1002, 1007, TOO_BIG))
_LINGER_STEPS = 20


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """The bounds of the door, and those of the hub and the sockets behind it."""

    sockets_max: int = 20_000  # more: 503
    send_buffer_bytes: int = 131_072  # the kernel's share per socket; a stall shows within it
    sweep_s: float = 1.0
    abort_s: float = 1.5
    rebind_sockets: int = 200  # looked through in one turn of the loop
    burst_frames: int = 32  # frames of one client handled before others get their turn
    hub: HubLimits = field(default_factory=HubLimits)
    socket: SocketLimits = field(default_factory=SocketLimits)


@dataclass(slots=True, eq=False)
class _Open:
    """A socket that is open, with what is needed to end it."""

    ws: web.WebSocketResponse
    transport: asyncio.Transport
    session: StreamSocket | None = None
    closing: asyncio.Task[None] | None = None


class Stream:
    """Every socket of one gateway process. ``start`` inside the running loop, ``close`` at the end."""

    def __init__(
        self,
        ports: StreamPorts,
        *,
        clock: Clock,
        limits: StreamLimits | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._loop = loop or asyncio.get_running_loop()
        self._limits = limits or StreamLimits()
        self._clock = clock
        self._ports = ports
        self.hub = Hub(clock=clock, scheduler=self._loop, cpu_s=thread_time, limits=self._limits.hub)
        self.gauges = StreamGauges(self.hub)
        self._open: dict[_Open, None] = {}
        self._rebinding: dict[_Open, None] = {}
        self._aborts: dict[asyncio.Transport, float] = {}  # when to abort what has not closed
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def start(self) -> None:
        """Begin to hold deadlines."""
        self._timer = self._loop.call_later(self._limits.sweep_s, self._tick)

    async def close(self) -> None:
        """End every socket with 1012; return when they are gone."""
        self._closed = True
        for opened in tuple(self._open):
            self._end(opened, RESTART)
        closing = [opened.closing for opened in self._open if opened.closing is not None]
        if closing:
            await asyncio.wait(closing, timeout=self._limits.abort_s)
        for transport in tuple(self._aborts):
            transport.abort()
        self._aborts.clear()
        if self._timer is not None:
            self._timer.cancel()

    # ── what the rest of the gateway asks ─────────────────────────────────────────────────────────

    def revoke(self, matches: Callable[[Principal], bool]) -> int:
        """End every socket whose owner matches with 4401: its session is over. How many there were."""
        revoked = [
            o for o in self._open if o.session and o.session.principal and matches(o.session.principal)
        ]
        for opened in revoked:
            self._end(opened, UNAUTHORIZED)
        return len(revoked)

    def amend(self, person: PersonChanged) -> None:
        """What open sockets know of a person's accounts and tier is replaced, without a reconnect; those of a
        person who may not come in any more end."""
        for opened in tuple(self._open):
            session = opened.session
            principal = session.principal if session else None
            if session is None or principal is None or principal.person_id != person.person_id:
                continue
            if not person.enable:
                self._end(opened, UNAUTHORIZED)
                continue
            own = person.logins if principal.kind in ("customer", "key") else principal.logins
            session.amend(structs.replace(principal, logins=own, tier=person.tier))

    def rebind(self) -> None:
        """Instruments or groups changed: look every subscription up again, some sockets at a time."""
        under_way = bool(self._rebinding)
        self._rebinding.update(self._open)
        if not under_way:
            self._rebind_some()

    def sweep(self) -> None:
        """Hold every deadline once."""
        now_s, now_unix_s = self._clock.monotonic_s(), self._clock.now_ms() / 1000
        for opened in tuple(self._open):
            if opened.session is not None and opened.closing is None:
                opened.session.sweep(now_s, now_unix_s)
        self.hub.sweep(now_s)
        for transport, due_s in tuple(self._aborts.items()):
            if now_s >= due_s:
                del self._aborts[transport]
                transport.abort()

    def _rebind_some(self) -> None:
        for opened in tuple(islice(self._rebinding, self._limits.rebind_sockets)):
            del self._rebinding[opened]
            if opened.session is not None and opened.closing is None:
                opened.session.rebind()
        if self._rebinding:
            self._loop.call_soon(self._rebind_some)

    def _tick(self) -> None:
        self._timer = self._loop.call_later(self._limits.sweep_s, self._tick)
        self.sweep()

    # ── one socket ────────────────────────────────────────────────────────────────────────────────

    async def handle(self, request: web.Request, upgrade: Upgrade = NO_UPGRADE) -> web.StreamResponse:
        """The aiohttp handler of the stream's routes; ``upgrade`` is what the door knows of the request."""
        if self._closed or len(self._open) >= self._limits.sockets_max:
            return web.json_response(
                {"error": "RET_ERR_NOSERVICE", "message": "The stream takes no more sockets now."},
                status=503,
                headers={"Retry-After": "5"},
            )
        ws = _Socket(request, self._limits.abort_s, self._limits.socket.frame_bytes_max)
        await ws.prepare(request)
        transport = request.transport
        if transport is None:
            return ws
        self._bound(transport)
        opened = _Open(ws, transport)
        session = opened.session = self._session(opened, upgrade)
        self._open[opened] = None
        try:
            await self._read(ws, session)
        except Exception:
            log.exception("stream socket failed")
            self._end(opened, DEFECT)
        finally:
            self.hub.detach(session.connection)
            if opened.closing is not None:
                await asyncio.wait((opened.closing,), timeout=self._limits.abort_s)
            self._open.pop(opened, None)
            self._abort_later(transport)
        return ws

    def _bound(self, transport: asyncio.Transport) -> None:
        high = self._limits.hub.high_water_bytes
        transport.set_write_buffer_limits(high=high, low=high // 4)
        # Unbounded, the kernel takes megabytes before a stall can be seen.
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._limits.send_buffer_bytes)

    def _session(self, opened: _Open, upgrade: Upgrade) -> StreamSocket:
        now_s = self._clock.monotonic_s()

        def end(code: int) -> None:
            self._end(opened, code)

        return StreamSocket(
            hub=self.hub,
            connection=self.hub.attach(opened.transport, end),
            ports=self._ports,
            limits=self._limits.socket,
            clock=self._clock,
            gauges=self.gauges,
            end=end,
            deadlines=Deadlines(opened_s=now_s, heard_s=now_s, pinged_s=now_s),
            upgrade=upgrade,
        )

    async def _read(self, ws: web.WebSocketResponse, session: StreamSocket) -> None:
        handled = 0
        while True:
            message = await ws.receive()
            match message.type:
                case WSMsgType.TEXT:
                    await session.on_text(message.data)
                case WSMsgType.BINARY:
                    session.on_garbage()
                case WSMsgType.PING:
                    session.on_ping(message.data)
                case WSMsgType.PONG:
                    session.heard()
                case _:
                    if message.type is WSMsgType.ERROR and ws.close_code == TOO_BIG:
                        self.gauges.closed[TOO_BIG] += 1
                    return
            handled += 1
            if handled % self._limits.burst_frames == 0:
                await asyncio.sleep(0)  # frames that are already here are read without waiting

    def _end(self, opened: _Open, code: int) -> None:
        """Say the close code, and take the transport away if the peer does not follow."""
        if opened.closing is not None:
            return
        self.gauges.closed[code] += 1
        if opened.session is not None:
            self.hub.settle(opened.session.connection)
            self.hub.detach(opened.session.connection)
        opened.closing = self._loop.create_task(_say_close(opened.ws, code))
        self._abort_later(opened.transport)

    def _abort_later(self, transport: asyncio.Transport) -> None:
        self._aborts.setdefault(transport, self._clock.monotonic_s() + self._limits.abort_s)


class _Socket(web.WebSocketResponse):
    """A WebSocket that lets a peer which broke the protocol read why.

    aiohttp closes the transport at once. What the peer is still sending is then answered with a
    reset, and many clients drop the close frame they have not read yet.
    """

    def __init__(self, request: web.Request, linger_s: float, frame_bytes_max: int) -> None:
        super().__init__(
            timeout=linger_s,
            autoping=False,  # pings and pongs are signs of life that the session counts
            heartbeat=None,  # its end is transport.close(), which never frees a stalled peer
            compress=False,  # the hub writes raw frames
            max_msg_size=frame_bytes_max + 1,  # aiohttp refuses from this size on
        )
        self._request = request
        self._linger_s = linger_s

    async def close(self, *, code: int = 1000, message: bytes = b"", drain: bool = True) -> bool:
        """Close; after a broken frame read on for a while, and throw away what comes."""
        if code in _BROKEN_FRAMES and not self.closed:
            drain = False
            self._say(close_frame(code))
            for _ in range(_LINGER_STEPS):
                await asyncio.sleep(self._linger_s / _LINGER_STEPS)
                if self._request.transport is None:
                    break
        return await super().close(code=code, message=message, drain=drain)

    def _say(self, frame: bytes) -> None:
        transport = self._request.transport
        if transport is not None and not transport.is_closing():
            transport.write(frame)


async def _say_close(ws: web.WebSocketResponse, code: int) -> None:
    # Without drain: a stalled peer would hold this task for ever.
    try:
        await ws.close(code=code, drain=False)
    except (OSError, RuntimeError) as e:
        log.debug("peer was gone before its close frame", code=code, reason=str(e))
