"""Where a feed's ticks and candles come in, and who keeps the feed running."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog

from libs.common.candles import Candle, Timeframe
from libs.common.clock import Clock
from libs.common.messages.market import Instrument
from services.market import metrics
from services.market.desk import Desk
from services.market.feed import Feed, Tick
from services.market.service import MarketService
from services.market.store import Place, Stored
from services.market.writer import Writer

log = structlog.get_logger()

RESTART_S = 0.5
RESTART_S_MAX = 30.0
SETTLED_S = 60.0  # a run this long makes the next restart quick again


class Intake:
    """The sink of the feed; see ``services.market.feed.Sink``."""

    def __init__(
        self, desk: Desk, writer: Writer, service: MarketService, *, source: str, source_id: int
    ) -> None:
        self._desk = desk
        self._writer = writer
        self._service = service
        self._source = source
        self._source_id = source_id

    async def quotes(self, ticks: Sequence[Tick], cursor: Any = None) -> None:
        await self._desk.quotes(ticks, cursor)

    async def candles(self, symbol: str, frame: Timeframe, candles: Sequence[Candle]) -> None:
        line = self._desk.book.lines[symbol]
        self._service.take_candles(line, frame.id, candles)
        await self._writer.flush(
            {
                Place(line.instrument_id, frame.id, candle.open_ms): Stored(self._source_id, *candle[1:])
                for candle in candles
            }
        )

    async def instrument(self, names: Sequence[str], digits: int) -> Instrument:
        return await self._service.known_or_new(names, digits)

    def instruments(self) -> Sequence[Instrument]:
        return self._service.symbols().symbols

    def last_ms(self, symbol: str) -> int:
        return self._desk.book.lines[symbol].ctm_ms

    async def restart(self, symbols: Sequence[str]) -> None:
        await self._writer.flush()
        for symbol in symbols:
            self._desk.book.lines[symbol].restart()

    async def mark(self, cursor: Any) -> None:
        await self._writer.flush(marks={self._source: cursor})

    async def room(self) -> None:
        await self._writer.room()


class FeedRunner:
    """Runs the feed as a task until stopped; a feed that breaks is started again with growing delay."""

    def __init__(self, feed: Feed, intake: Intake, desk: Desk, clock: Clock) -> None:
        self._feed = feed
        self._intake = intake
        self._desk = desk
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._broken: str | None = None
        metrics.FEED_STALENESS.labels(feed.source).set_function(self._staleness_s)

    def _staleness_s(self) -> float:
        return self._clock.monotonic_s() - self._desk.last_tick_s

    async def start(self) -> None:
        """Begin to take ticks."""
        self._task = asyncio.create_task(self._run(), name=f"feed {self._feed.source}")

    async def stop(self) -> None:
        """Take no more ticks."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def problem(self) -> str | None:
        """Why no good quotes come, for readiness."""
        return self._broken or self._feed.problem()

    async def _run(self) -> None:
        delay_s = RESTART_S
        while True:
            begun_s = self._clock.monotonic_s()
            try:
                await self._feed.run(self._intake)
                log.info("feed ended", feed=self._feed.source)
                return
            except Exception as e:
                self._broken = f"feed {self._feed.source}: {type(e).__name__}"
                log.exception("feed broke", feed=self._feed.source, retry_s=delay_s)
            if self._clock.monotonic_s() - begun_s > SETTLED_S:
                delay_s = RESTART_S
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, RESTART_S_MAX)
            self._broken = None
