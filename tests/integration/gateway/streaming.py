"""A stream on a loop and port of its own, as a gateway process runs it: uvloop, aiohttp, one thread."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import struct
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import uvloop
from aiohttp import web

from libs.common.clock import Clock, SystemClock
from libs.common.errors import AppError, NotAuthenticated
from libs.common.principal import Principal
from services.gateway.socket import Listing, Replay, StreamPorts, SymbolView, Upgrade
from services.gateway.stream import Stream, StreamLimits

T = TypeVar("T")

USER = Principal(kind="account", login=7, logins=(7,), person_id=1, session_type=0, group="demo", jti="u7")
CUSTOMER = Principal(kind="customer", logins=(7, 8), person_id=1, session_type=9, group="demo", jti="c1")
STAFF = Principal(kind="staff", login=1, session_type=3, jti="s1")
OTHER = Principal(kind="account", login=9, logins=(9,), person_id=2, session_type=0, group="demo", jti="u9")


@dataclass
class Market:
    """The market of one group, in the test's hands."""

    profiles: dict[str, str]

    def find(self, name: str) -> Listing | None:
        for symbol, profile in self.profiles.items():
            if symbol.lower() == name.lower():
                return Listing(symbol, profile)
        return None


@dataclass
class World:
    """What the sockets ask of the rest of the house."""

    tokens: dict[str, Principal] = field(
        default_factory=lambda: {"user": USER, "customer": CUSTOMER, "staff": STAFF, "other": OTHER}
    )
    markets: dict[int | None, Market] = field(default_factory=dict)
    market: Market = field(
        default_factory=lambda: Market({"EURUSD": "raw", "GBPUSD": "raw", "XAUUSD": "wide"})
    )
    pushes: list[tuple[int, int, bytes]] = field(default_factory=list)  # login, seq, frame
    first_seq: int = 1
    refusal: AppError | None = None
    before_history: Callable[[], Awaitable[None]] | None = None

    async def authenticate(self, token: str, upgrade: Upgrade) -> Principal:
        if self.refusal is not None:
            raise self.refusal
        if token not in self.tokens:
            raise NotAuthenticated
        return self.tokens[token]

    async def view(self, principal: Principal, login: int | None) -> SymbolView:
        return self.markets.get(login, self.market)

    async def history(self, login: int, after: int | None) -> Replay:
        if self.before_history is not None:
            await self.before_history()
        latest = max((seq for _, seq, _ in self.pushes), default=0)
        if after is None:
            return Replay(latest)
        if after > latest or after + 1 < self.first_seq:
            return Replay(latest, gap=True)
        events = [(seq, frame) for owner, seq, frame in self.pushes if owner == login and seq > after]
        return Replay(latest, events)

    def public(self, name: str) -> Hashable | None:
        return ("token", name.lower()) if name.lower().startswith("token:") else None

    def ports(self) -> StreamPorts:
        return StreamPorts(
            authenticate=self.authenticate, view=self.view, history=self.history, public=self.public
        )


@dataclass
class Served:
    """A running stream: its port, and a way onto its loop."""

    world: World
    stream: Stream
    port: int
    loop: asyncio.AbstractEventLoop

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws"

    async def run(self, work: Callable[[], T]) -> T:
        """Run ``work`` on the stream's own loop."""

        async def call() -> T:
            return work()

        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call(), self.loop))

    async def tick(self, symbol: str, seq: int, profile: str = "raw") -> str:
        frame = b'["t","%b",1.1,1.2,1700000000,1700000000123,%d]' % (symbol.encode(), seq)
        await self.run(lambda: self.stream.hub.on_tick(profile, symbol, frame))
        return frame.decode()

    async def push(self, login: int, seq: int, frame: bytes) -> None:
        def say() -> None:
            self.world.pushes.append((login, seq, frame))
            self.stream.hub.on_push(login, seq, frame)

        await self.run(say)

    async def sockets(self) -> int:
        return await self.run(lambda: len(self.stream.hub.connections))


@asynccontextmanager
async def served(
    world: World | None = None, *, limits: StreamLimits | None = None, clock: Clock | None = None
) -> AsyncIterator[Served]:
    """Serve the stream at ``/ws`` of a free port until the end of the block."""
    world, loop = world or World(), uvloop.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> tuple[Stream, web.AppRunner, int]:
        stream = Stream(world.ports(), clock=clock or SystemClock(), limits=limits)
        app = web.Application()
        app.router.add_get("/ws", stream.handle)
        runner = web.AppRunner(app, handle_signals=False)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        stream.start()
        return stream, runner, runner.addresses[0][1]

    async def stop(stream: Stream, runner: web.AppRunner) -> None:
        await stream.close()
        await runner.cleanup()

    stream, runner, port = await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(start(), loop))
    try:
        yield Served(world, stream, port, loop)
    finally:
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(stop(stream, runner), loop))
        loop.call_soon_threadsafe(loop.stop)
        await asyncio.to_thread(thread.join, 5.0)
        loop.close()


class RawClient:
    """A WebSocket client of our own over a plain socket: it can do what a library forbids."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, port: int, *, receive_buffer: int | None = None) -> RawClient:
        """Connect and upgrade; ``receive_buffer`` bounds what the kernel takes for it."""
        sock = socket.socket()
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        reader, writer = await asyncio.open_connection(sock=sock, limit=4096)
        key = base64.b64encode(os.urandom(16)).decode()
        writer.write(
            f"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 101 " in head.split(b"\r\n", 1)[0], head
        return cls(reader, writer)

    def send(self, opcode: int, payload: bytes, *, fin: bool = True) -> None:
        """Send one masked frame."""
        first, size = (0x80 if fin else 0) | opcode, len(payload)
        if size < 126:
            head = struct.pack("!BB", first, 0x80 | size)
        elif size < 65_536:
            head = struct.pack("!BBH", first, 0x80 | 126, size)
        else:
            head = struct.pack("!BBQ", first, 0x80 | 127, size)
        mask = b"\x01\x02\x03\x04"
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
        self.writer.write(head + mask + masked)

    def say(self, text: str) -> None:
        self.send(1, text.encode())

    async def frame(self) -> tuple[int, bytes]:
        """The next server frame: opcode and payload."""
        first, second = await self.reader.readexactly(2)
        size = second & 0x7F
        if size == 126:
            size = struct.unpack("!H", await self.reader.readexactly(2))[0]
        elif size == 127:
            size = struct.unpack("!Q", await self.reader.readexactly(8))[0]
        return first & 0x0F, await self.reader.readexactly(size)

    async def close_code(self) -> int:
        """Read on until the close frame; its code."""
        while True:
            opcode, payload = await self.frame()
            if opcode == 8:
                return int(struct.unpack("!H", payload[:2])[0])

    async def close(self) -> None:
        self.writer.transport.abort()
