"""The one way of candles, last quotes and the feed's place into the database.

Lifecycle: ``start`` → a flush about once a second, on demand (``flush``), and at ``stop``. A flush
takes what changed in one step of the loop, so the candles, the last quotes and the feed's cursor in
one transaction all say the same moment; a restart continues from it.

What is not stored yet, and what was stored last, is kept by place: readers lay it over what they
read. A failed flush keeps everything and is tried again with growing delay.

Never: write a candle anywhere else; write per tick.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from libs.common.candles import TIMEFRAMES, Candle
from libs.common.clock import Clock
from libs.common.db import Database
from services.market import metrics
from services.market.desk import Desk
from services.market.quotes import Line
from services.market.store import Block, Place, Store, Stored
from services.market.telling import BarTeller, ClosedBar, LoadedRange

log = structlog.get_logger()

FLUSH_S = 1.0
RETRY_S_MAX = 10.0
ROOM_ROWS = 20_000  # closed candles that may wait before a replay has to


@dataclass
class _Batch:
    """What one flush stores."""

    rows: dict[Place, Stored] = field(default_factory=dict)
    quotes: dict[int, tuple[int, float, float, int]] = field(default_factory=dict)
    cursor: object = None
    closed: list[ClosedBar] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.rows or self.quotes or self.cursor is not None)


class Writer:
    """Stores what the desk's book made. ``source_id`` marks the candles made of ticks."""

    def __init__(
        self,
        desk: Desk,
        database: Database,
        store: Store,
        clock: Clock,
        teller: BarTeller,
        *,
        source_id: int,
        feed: str,
    ) -> None:
        self._desk = desk
        self._database = database
        self._store = store
        self._clock = clock
        self._teller = teller
        self._source_id = source_id
        self._feed = feed
        self._lock = asyncio.Lock()
        self._waiting = _Batch()
        self._kept: dict[Place, Stored] = {}  # stored by the last flush
        self._stored_s = clock.monotonic_s()
        self._task: asyncio.Task[None] | None = None
        self._flushing: asyncio.Task[bool] | None = None
        self._stop = asyncio.Event()
        self.generation = 0  # of what ``overlay`` no longer holds
        # Asked at each scrape: right after a flush, where it would be easiest to set, both are always 0.
        metrics.CANDLE_BACKLOG.set_function(self.backlog)
        metrics.CANDLE_LAG.set_function(self.lag_s)

    # ── writing ───────────────────────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Begin to flush about once a second."""
        self._task = asyncio.create_task(self._run(), name="candle writer")

    async def stop(self) -> None:
        """Store the rest and give back the seq numbers that were not used."""
        self._stop.set()
        if self._task is not None:
            await self._task
        if self._flushing is not None:
            await asyncio.gather(self._flushing, return_exceptions=True)
        await self.flush()
        lines = self._desk.book.lines.values()
        async with self._database.transaction() as tx:
            await self._store.settle_seqs(tx, {line.instrument_id: line.seq for line in lines})
        log.info("candles stored")

    async def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            pause_s = FLUSH_S if not failures else min(FLUSH_S * 2**failures, RETRY_S_MAX)
            try:
                async with asyncio.timeout(pause_s):
                    await self._stop.wait()
                return
            except TimeoutError:
                pass
            try:
                if not await self.flush():
                    async with self._lock:
                        await self._teller.tell((), ())
                failures = 0
            except Exception as e:
                failures += 1
                log.warning("candles not stored yet", error=f"{type(e).__name__}: {e}")

    def lag_s(self) -> float:
        """Seconds since the last moment that is stored whole; 0 when nothing waits."""
        behind = self._waiting or any(line.changed for line in self._desk.book.lines.values())
        return self._clock.monotonic_s() - self._stored_s if behind else 0.0

    def backlog(self) -> int:
        """Closed candles that wait to be stored."""
        lines = self._desk.book.lines.values()
        return len(self._waiting.rows) + sum(len(line.builder.closed()) for line in lines)

    async def room(self) -> None:
        """Have a flush begun when many candles wait; wait for it when too many do."""
        backlog = self.backlog()
        if backlog < ROOM_ROWS // 4:
            return
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self.flush(), name="candle flush")
        if backlog > ROOM_ROWS:
            await self._flushing
        elif self._flushing.done():
            self._flushing.result()

    async def flush(
        self,
        rows: Mapping[Place, Stored] | None = None,
        blocks: Sequence[Block] = (),
        marks: Mapping[str, Any] | None = None,
    ) -> bool:
        """Store what changed so far, and ``rows`` and ``blocks`` over it; returns when committed.

        ``marks`` are further cursors, by name. False when there was nothing to store.
        """
        async with self._lock:
            begun_s = self._clock.monotonic_s()
            batch = self._take()
            whole = {**batch.rows, **rows} if rows else batch.rows
            if not batch and not whole and not blocks and not marks:
                self._stored_s = begun_s
                return False
            async with self._database.transaction() as tx:
                for block in blocks:
                    await self._store.upsert_block(tx, block)
                await self._store.upsert_candles(tx, whole)
                await self._store.save_quotes(tx, list(batch.quotes.values()))
                if batch.cursor is not None:
                    await self._store.save_cursor(tx, self._feed, batch.cursor)
                for name, at in (marks or {}).items():
                    await self._store.save_cursor(tx, name, at)
            self._kept = whole
            self._waiting = _Batch()
            self.generation += 1
            now_s = self._clock.monotonic_s()
            metrics.CANDLE_WAIT.observe(now_s - self._stored_s)
            metrics.CANDLE_WRITE.observe(now_s - begun_s)
            self._stored_s = begun_s
            metrics.CANDLE_ROWS.inc(len(whole) + sum(len(block.bars) for block in blocks))
            await self._teller.tell(batch.closed, self._loaded(rows or {}, blocks))
            return True

    def _take(self) -> _Batch:
        """Everything that changed, in one step of the loop, over what an earlier flush left."""
        batch = self._waiting
        for line in self._desk.book.lines.values():
            if line.changed:
                line.changed = False
                closed = line.builder.take()
                batch.rows |= self._rows(line, closed)
                batch.closed += [
                    (line.symbol, TIMEFRAMES[row.timeframe_id - 1].name, *row[1:]) for row in closed
                ]
                batch.rows |= self._rows(line, line.builder.forming())
                metrics.SEQ_LAST.labels(line.symbol).set(line.seq)
                batch.quotes[line.instrument_id] = (line.instrument_id, line.bid, line.ask, line.ctm_ms)
        if self._desk.cursor is not None:
            batch.cursor, self._desk.cursor = self._desk.cursor, None
        return batch

    def _rows(
        self, line: Line, rows: Sequence[tuple[int, int, float, float, float, float, float]]
    ) -> dict[Place, Stored]:
        source_id, instrument_id = self._source_id, line.instrument_id
        return {
            Place(instrument_id, frame, at): Stored(source_id, o, h, low, c, v)
            for frame, at, o, h, low, c, v in rows
        }

    def _loaded(self, rows: Mapping[Place, Stored], blocks: Sequence[Block]) -> list[LoadedRange]:
        """The ranges that were written from outside: first and last open time of each place."""
        ranges: dict[tuple[int, int], tuple[int, int]] = {}
        for place in rows:
            key = place.instrument_id, place.timeframe_id
            first, last = ranges.get(key, (place.open_ms, place.open_ms))
            ranges[key] = min(first, place.open_ms), max(last, place.open_ms)
        for block in blocks:
            if len(block.bars):
                key = block.instrument_id, block.timeframe_id
                first, last = int(block.bars.open_ms[0]), int(block.bars.open_ms[-1])
                known = ranges.get(key, (first, last))
                ranges[key] = min(first, known[0]), max(last, known[1])
        if not ranges:
            return []
        names = {line.instrument_id: line.symbol for line in self._desk.book.lines.values()}
        return [
            (names[instrument_id], TIMEFRAMES[frame - 1].name, *span)
            for (instrument_id, frame), span in ranges.items()
        ]

    # ── reading ───────────────────────────────────────────────────────────────────────────────────

    def overlay(self, line: Line, timeframe_id: int, from_ms: int, to_ms: int) -> dict[int, Candle]:
        """Open time → candle of what the database may not hold yet."""
        found: dict[int, Candle] = {}
        for rows in (self._kept, self._waiting.rows):
            for place, stored in rows.items():
                if place.instrument_id == line.instrument_id and place.timeframe_id == timeframe_id:
                    found[place.open_ms] = Candle(place.open_ms, *stored[1:])
        for row in (*line.builder.closed(), *line.builder.forming()):
            if row.timeframe_id == timeframe_id:
                found[row.open_ms] = row.candle
        return {at: candle for at, candle in found.items() if from_ms <= at <= to_ms}
