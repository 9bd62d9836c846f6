"""The synthetic feed: the seeded world, on time."""

from __future__ import annotations

import asyncio
from typing import Protocol

from libs.common.clock import Clock
from services.market.feed import Sink, Tick
from services.market.synthetic import SyntheticMarket

BEHIND_MS_MAX = 20_000  # more than this is made as history, not as ticks


class Past(Protocol):
    """Who makes the candles nobody was there to see."""

    async def catch_up(self, until_ms: int) -> int: ...

    def reached(self, at_ms: int) -> None: ...

    async def year(self) -> None: ...


class SyntheticFeed:
    """Gives every tick of the world at its time; what it slept through becomes history."""

    source = "synthetic"
    live = False

    def __init__(self, market: SyntheticMarket, past: Past, clock: Clock) -> None:
        self._market = market
        self._past = past
        self._clock = clock
        self._quoted = False  # since this process began

    async def run(self, sink: Sink) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._live(sink, tasks))

    async def _live(self, sink: Sink, tasks: asyncio.TaskGroup) -> None:
        # One tick back, so that there is a quote at once.
        given_ms = await self._past.catch_up(self._clock.now_ms() - 60_000 // self._market.ticks_a_minute)
        tasks.create_task(self._past.year())
        while True:
            now_ms = self._clock.now_ms()
            if now_ms - given_ms > BEHIND_MS_MAX:
                given_ms = await self._past.catch_up(now_ms)
            ticks = self.due(given_ms, now_ms)
            if ticks:
                await sink.quotes(ticks, {"ms": now_ms})
                self._quoted = True
                given_ms = now_ms
                self._past.reached(now_ms)
            wait_ms = self._market.next_tick_ms(max(given_ms, now_ms)) - self._clock.now_ms()
            await asyncio.sleep(max(wait_ms, 1) / 1000)

    def due(self, given_ms: int, now_ms: int) -> list[Tick]:
        """The ticks after ``given_ms`` up to now, in order."""
        return list(self._market.ticks(given_ms, now_ms))

    def problem(self) -> str | None:
        """A house is not ready before it has prices: until then every order would be refused."""
        return None if self._quoted else f"feed {self.source}: candles are caught up, no quote yet"
