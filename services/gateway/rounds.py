"""Rounds of the hub: when sockets are written, which ones, and in how many turns of the loop.

While nothing needs to wait, a round writes every socket that has something, in the same turn as the
frame came. When the pace asks for a longer interval, a round takes it in steps: each step writes the
sockets of one shard, so no socket waits longer than the interval and no step is long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from libs.common.clock import Clock
from services.gateway.connections import Connection
from services.gateway.pace import Pace, PaceLimits

_LOOP_TIMER_S = 0.001  # loops count in whole milliseconds


class Scheduler(Protocol):
    """What the hub needs of an event loop."""

    def call_soon(self, callback: Callable[[], object]) -> object:
        """Run after this turn of the loop."""
        ...

    def call_later(self, delay: float, callback: Callable[[], object]) -> object:
        """Run after ``delay`` seconds."""
        ...


@dataclass(frozen=True, slots=True)
class RoundLimits:
    """How much is written at once, and how often."""

    chunk_sockets: int = 250  # sockets written in one turn of the loop
    pace: PaceLimits = field(default_factory=PaceLimits)


class Rounds:
    """Plans flushes and makes them. ``hand_out`` fills the sockets' queues, ``write`` empties some.

    ``write_single`` does both for a frame that came alone, and says how many sockets got it.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        scheduler: Scheduler,
        cpu_s: Callable[[], float],
        hand_out: Callable[[], None],
        write: Callable[[Sequence[Connection]], None],
        write_single: Callable[[], int],
        limits: RoundLimits,
    ) -> None:
        self._clock = clock
        self._scheduler = scheduler
        self._cpu_s = cpu_s
        self._hand_out = hand_out
        self._write = write
        self._write_single = write_single
        self._limits = limits
        self.pace = Pace(limits.pace)
        self.flushes = 0
        self.cpu_total_s = 0.0
        self._shards: list[dict[Connection, None]] = [{} for _ in range(limits.pace.spread_steps)]
        self._shard = 0  # the next to be written
        self._owed = 0  # shards that still have something to be written
        self._dirty: set[Connection] = set()  # who has something, while nobody needs to wait
        self._planned = False
        self._asked = False  # for another flush, since the present one handed out
        self._due_s = 0.0
        self._writing: list[Connection] = []
        self._delivered = 0
        self._written = 0
        self._started_cpu_s = 0.0

    def attach(self, connection: Connection) -> None:
        """Let a socket take part, in the smallest shard."""
        min(self._shards, key=len)[connection] = None

    def detach(self, connection: Connection) -> None:
        """Forget a socket."""
        for shard in self._shards:
            shard.pop(connection, None)
        self._dirty.discard(connection)

    def plan(self) -> None:
        """There is something to hand out: see that a flush comes."""
        if self._planned:
            self._asked = True
            return
        self._planned = True
        wait_s = self._due_s - self._clock.monotonic_s()
        if wait_s < _LOOP_TIMER_S:
            self._scheduler.call_soon(self._flush)
        else:
            self._scheduler.call_later(wait_s, self._flush)

    def handed_out(self, receivers: Sequence[Iterable[Connection]], delivered: int) -> None:
        """These sockets have something to be written; so many frames in all."""
        self._delivered += delivered
        if self.pace.steps > 1:
            self._owed = len(self._shards)  # who has something shows when the shard's turn comes
            return
        for connections in receivers:
            self._dirty.update(connections)

    def _flush(self) -> None:
        self._started_cpu_s = self._cpu_s()
        self._written = 0
        self._plan_next()
        self._asked = False
        if self.pace.steps == 1 and not self._dirty and not self._owed:
            written = self._write_single()
            self._delivered += written
            self._written += written
        self._hand_out()
        self._writing = self._next_shard() if self.pace.steps > 1 else self._everyone()
        self._write_chunk()

    def _plan_next(self) -> None:
        # From due to due, not from now: loops run timers late. After a pause it counts from now.
        now_s, step_s = self._clock.monotonic_s(), self.pace.interval_s / self.pace.steps
        self._due_s = max(self._due_s, now_s - step_s / 2) + step_s

    def _everyone(self) -> list[Connection]:
        if self._owed:  # a round of steps was under way when the pace changed
            self._owed = 0
            waiting = [connection for shard in self._shards for connection in shard if connection.pending]
        else:
            waiting = list(self._dirty)
        self._dirty.clear()
        return waiting

    def _next_shard(self) -> list[Connection]:
        if self._dirty:
            self._dirty.clear()
            self._owed = len(self._shards)
        shard = self._shards[self._shard]
        self._shard = (self._shard + 1) % len(self._shards)
        self._owed = max(self._owed - 1, 0)
        return [connection for connection in shard if connection.pending]

    def _write_chunk(self) -> None:
        # In turns of the loop, so that a flush to many sockets does not hold up everything else.
        size = self._limits.chunk_sockets
        chunk, self._writing = self._writing[:size], self._writing[size:]
        self._write(chunk)
        self._written += len(chunk)
        # The loop sends what was written at the end of its turn: only then is the cost known.
        self._scheduler.call_soon(self._write_chunk if self._writing else self._flushed)

    def _flushed(self) -> None:
        cost_s = self._cpu_s() - self._started_cpu_s
        self.flushes += 1
        self.cpu_total_s += cost_s
        self.pace.flushed(
            now_s=self._clock.monotonic_s(),
            cost_s=cost_s,
            writes=self._written,
            deliveries=self._delivered,
        )
        self._delivered = 0
        self._planned = False
        if self._asked or self._dirty or self._owed:
            self.plan()
