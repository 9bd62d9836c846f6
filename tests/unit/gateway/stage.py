"""A stage for the hub: transports that fill and are read by hand, a loop that turns by hand."""

from __future__ import annotations

import heapq
import struct
from collections.abc import Callable
from datetime import UTC, datetime

from libs.common.clock import ManualClock
from services.gateway.connections import Connection
from services.gateway.hub import Hub, HubLimits


class HandScheduler:
    """An event loop whose turns and timers the test runs."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self._soon: list[Callable[[], object]] = []
        self._later: list[tuple[float, int, Callable[[], object]]] = []
        self._no = 0

    def call_soon(self, callback: Callable[[], object]) -> object:
        self._soon.append(callback)
        return None

    def call_later(self, delay: float, callback: Callable[[], object]) -> object:
        self._no += 1
        heapq.heappush(self._later, (self.clock.monotonic_s() + delay, self._no, callback))
        return None

    def turn(self) -> bool:
        """Run what was ready when the turn began; False when nothing was."""
        ready, self._soon = self._soon, []
        for callback in ready:
            callback()
        return bool(ready)

    def settle(self) -> None:
        """Turn until nothing is ready."""
        while self.turn():
            pass

    def advance(self, seconds: float) -> None:
        """Let time pass, running each timer at its time."""
        end_s = self.clock.monotonic_s() + seconds
        self.settle()
        while self._later and self._later[0][0] <= end_s:
            due_s, _, callback = heapq.heappop(self._later)
            self.clock.advance(max(0.0, due_s - self.clock.monotonic_s()))
            callback()
            self.settle()
        self.clock.advance(max(0.0, end_s - self.clock.monotonic_s()))


class HandTransport:
    """Keeps what is written until the test reads it; a closed one refuses like uvloop's."""

    def __init__(self, on_write: Callable[[], None]) -> None:
        self._on_write = on_write
        self.buffer = bytearray()
        self.read_bytes = bytearray()
        self.closed = False
        self.writes = 0
        self.highest = 0

    def write(self, data: bytes) -> None:
        if self.closed:
            raise RuntimeError("unable to perform operation on closed transport")
        self._on_write()
        self.writes += 1
        self.buffer += data
        self.highest = max(self.highest, len(self.buffer))

    def get_write_buffer_size(self) -> int:
        return len(self.buffer)

    def read(self, size: int | None = None) -> None:
        """The client takes ``size`` bytes, or all."""
        taken = len(self.buffer) if size is None else size
        self.read_bytes += self.buffer[:taken]
        del self.buffer[:taken]

    def frames(self) -> list[bytes]:
        """The payloads of the whole text frames read so far."""
        return payloads(bytes(self.read_bytes))


def payloads(data: bytes) -> list[bytes]:
    """An own slow reader of server frames, by RFC 6455 5.2."""
    found = []
    while len(data) >= 2:
        size, at = data[1] & 0x7F, 2
        assert data[1] < 0x80, "a server does not mask"
        if size == 126:
            size, at = struct.unpack("!H", data[2:4])[0], 4
        elif size == 127:
            size, at = struct.unpack("!Q", data[2:10])[0], 10
        if len(data) < at + size:
            break
        found.append(data[at : at + size])
        data = data[at + size :]
    return found


class Client:
    """One attached client."""

    def __init__(self, hub: Hub, on_write: Callable[[], None]) -> None:
        self.transport = HandTransport(on_write)
        self.cuts: list[int] = []
        self.connection: Connection = hub.attach(self.transport, self.cuts.append)

    def heard(self) -> list[bytes]:
        """Read everything that was written and give all payloads since the beginning."""
        self.transport.read()
        return self.transport.frames()


class Stage:
    """A hub with hand-run time, on a machine where a write costs ``write_cost_s`` of CPU."""

    def __init__(self, limits: HubLimits | None = None, write_cost_s: float = 0.0) -> None:
        self.write_cost_s = write_cost_s
        self.clock = ManualClock(datetime(2026, 1, 5, tzinfo=UTC))
        self.scheduler = HandScheduler(self.clock)
        self.cpu_s = 0.0
        self.hub = Hub(
            clock=self.clock,
            scheduler=self.scheduler,
            cpu_s=lambda: self.cpu_s,
            limits=limits or HubLimits(),
        )

    def client(self) -> Client:
        return Client(self.hub, self._spend)

    def _spend(self) -> None:
        self.cpu_s += self.write_cost_s


def tick(symbol: str, seq: int) -> bytes:
    """A quote frame as the bus carries it."""
    return b'["t","%b",1.1,1.2,1700000000,1700000000123,%d]' % (symbol.encode(), seq)
