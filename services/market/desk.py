"""The desk: every quote of the house goes through here, in one order.

Ownership: the desk holds the book; whoever has ticks awaits ``quotes``. One lock keeps seq numbers
and frames in the same order for the feed and for quotes set by staff. Frames of a batch are given to
the bus without a pause between them, so they leave in one write.

Never: use a seq number before it is reserved in the database; publish a frame before the book has
counted its tick; stop because the bus refused a frame (readers see the hole and fetch it).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import structlog

from libs.common.bus import Bus
from libs.common.clock import Clock
from libs.common.db import Database
from services.market import metrics
from services.market.feed import Tick
from services.market.quotes import SEQ_LOW, Line, QuoteBook
from services.market.store import Store

log = structlog.get_logger()

SEQ_BLOCK = 10_000
QUIET_S = 5.0  # between two log lines about frames that were not sent


class Desk:
    """Applies ticks to the book and publishes their frames."""

    def __init__(self, book: QuoteBook, bus: Bus, database: Database, store: Store, clock: Clock) -> None:
        self.book = book
        self._bus = bus
        self._database = database
        self._store = store
        self._clock = clock
        self._lock = asyncio.Lock()
        self._warned_s = -QUIET_S
        self._unknown_told = 0
        self.cursor: Any = None  # how far the feed has been read, exactly as far as the candles
        self.last_tick_s = clock.monotonic_s()

    async def quotes(self, ticks: Sequence[Tick], cursor: Any = None) -> None:
        """Publish ticks in order; ``cursor`` is taken over with the last of them."""
        for start in range(0, len(ticks), SEQ_LOW):
            part = ticks[start : start + SEQ_LOW]
            async with self._lock:
                if self.book.low:
                    await self._reserve(self.book.low, SEQ_BLOCK)
                frames = self.book.apply(part)
                if cursor is not None and start + SEQ_LOW >= len(ticks):
                    self.cursor = cursor
                await self._send(frames, len(part))

    async def checked(self, check: Callable[[], Sequence[Tick]], room: int) -> None:
        """Publish what ``check`` gives, all of it or nothing.

        ``check`` runs when nothing else can change a quote any more, raises to refuse, and gives at
        most ``room`` ticks. Returns when the bus has taken every frame.
        """
        async with self._lock:
            short = {line for line in self.book.lines.values() if line.seq_end - line.seq < room + SEQ_LOW}
            if short:
                await self._reserve(short, SEQ_BLOCK + room)
            ticks = check()
            await self._send(self.book.apply(ticks), len(ticks))
        await self._bus.flush()

    async def _reserve(self, lines: set[Line], block: int) -> None:
        ends = {line: line.seq + block for line in lines}
        async with self._database.transaction() as tx:
            await self._store.reserve_seqs(tx, {line.instrument_id: end for line, end in ends.items()})
        for line, end in ends.items():
            line.reserve(end)
        self.book.low -= ends.keys()
        metrics.SEQ_BLOCKS.inc()

    async def _send(self, frames: Sequence[tuple[str, bytes]], ticks: int) -> None:
        self.last_tick_s = self._clock.monotonic_s()
        publish = self._bus.publish
        sent = 0
        try:
            for subject, payload in frames:
                await publish(subject, payload)
                sent += 1
        except Exception as e:  # the bus is away: readers see the hole in seq and fetch what is missing
            metrics.FRAMES_UNSENT.inc(len(frames) - sent)
            if self.last_tick_s - self._warned_s >= QUIET_S:
                self._warned_s = self.last_tick_s
                log.warning("quotes not sent", frames=len(frames) - sent, error=f"{type(e).__name__}: {e}")
        metrics.TICKS.inc(ticks)
        metrics.TICKS_UNKNOWN.inc(self.book.unknown_total - self._unknown_told)
        self._unknown_told = self.book.unknown_total
