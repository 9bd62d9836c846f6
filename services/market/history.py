"""The synthetic market's past: a year of candles at the first start, the gap at every later one.

Lifecycle: the feed awaits ``catch_up`` before its first tick and runs ``year`` beside it. Both are
safe to break off at any moment: what is stored says how far they came, and the rest is made again.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping

import structlog

from libs.common.candles import BY_NAME, DAY_MS, TIMEFRAMES, Candle, CandleBuilder, joined
from libs.common.clock import Clock
from libs.common.db import Database
from libs.common.memory import give_back
from services.market import metrics
from services.market.bars import Bars, aggregated, bars_of, concatenated, every_frame
from services.market.desk import Desk
from services.market.store import Block, Place, Store
from services.market.synthetic import EPOCH_MS, SyntheticMarket
from services.market.writer import Writer

log = structlog.get_logger()

YEAR_MARK = "synthetic year"
YEAR_MS = 365 * DAY_MS
CHUNK_MS = 7 * DAY_MS  # a multiple of a week, made in one go in a thread; bounds the memory it takes
# How much of the short timeframes a first start makes; the longer ones get the whole year.
KEEP_MS = {BY_NAME["1m"].id: 7 * DAY_MS, BY_NAME["5m"].id: 21 * DAY_MS, BY_NAME["15m"].id: 60 * DAY_MS}
_WEEK, _MONTH, _DAY = BY_NAME["1w"], BY_NAME["1M"], BY_NAME["1d"]
_LONG = (_WEEK.id, _MONTH.id)


class SyntheticPast:
    """Makes the candles nobody was there to see."""

    def __init__(
        self,
        market: SyntheticMarket,
        desk: Desk,
        writer: Writer,
        database: Database,
        store: Store,
        clock: Clock,
        *,
        source_id: int,
        feed: str,
    ) -> None:
        self._market = market
        self._desk = desk
        self._writer = writer
        self._database = database
        self._store = store
        self._clock = clock
        self._source_id = source_id
        self._feed = feed
        self._reached_ms: int | None = None

    async def catch_up(self, until_ms: int) -> int:
        """Have every candle up to ``until_ms``; how far they reach now (at least there)."""
        if self._reached_ms is None:
            self._reached_ms = await self._resumed_ms()
        first_start = self._reached_ms is None
        # At a first start only the forming week and month are needed at once; the year follows.
        from_ms = min(_MONTH.open_ms(until_ms), _WEEK.open_ms(until_ms))
        since_ms = self._reached_ms if self._reached_ms is not None else from_ms - 1
        if since_ms >= until_ms:
            return since_ms
        begun_s = self._clock.monotonic_s()
        made = await asyncio.to_thread(self._made, since_ms, until_ms)
        blocks: list[Block] = []
        for model, frames in zip(self._market.models, made, strict=True):
            line = self._desk.book.lines[model.symbol]
            if first_start:
                frames = _kept(frames, from_ms, until_ms)  # noqa: PLW2901
            closed = continued(line.builder, frames)
            line.changed = True
            blocks += self._blocks(line.instrument_id, closed)
        self._desk.cursor = {"ms": until_ms}
        await self._writer.flush(
            blocks=blocks, marks={YEAR_MARK: {"until_ms": from_ms, "done": False}} if first_start else None
        )
        self._reached_ms = until_ms
        self._log("candles caught up", _rows(blocks), begun_s, gap_s=(until_ms - since_ms) // 1000)
        return until_ms

    def reached(self, at_ms: int) -> None:
        """Live ticks have been given up to ``at_ms``."""
        self._reached_ms = at_ms

    async def year(self) -> None:
        """Have the year before the first start."""
        async with self._database.connection() as connection:
            mark = await self._store.cursor(connection, YEAR_MARK)
        if mark is None or mark["done"]:
            return
        until_ms: int = mark["until_ms"]
        begun_s = self._clock.monotonic_s()
        log.info("history begun", symbols=len(self._market.models), days=YEAR_MS // DAY_MS)
        chunks = await self._year_chunks(until_ms)
        rows = 0
        for number, model in enumerate(self._market.models):
            line = self._desk.book.lines[model.symbol]
            frames = {
                frame_id: concatenated([chunk[number][frame_id] for chunk in chunks])
                for frame_id in chunks[0][number]
            }
            frames |= {frame.id: aggregated(frames[_DAY.id], frame) for frame in (_WEEK, _MONTH)}
            first_ms = int(frames[_DAY.id].open_ms[0])
            frames = {frame_id: bars.since(first_ms).before(until_ms) for frame_id, bars in frames.items()}
            blocks = self._blocks(line.instrument_id, frames)
            await self._writer.flush(blocks=blocks)
            rows += _rows(blocks)
            log.info("history stored", symbol=model.symbol, of=len(self._market.models), number=number + 1)
        await self._writer.flush(marks={YEAR_MARK: {"until_ms": until_ms, "done": True}})
        self._log("history complete", rows, begun_s)
        del chunks, frames, blocks
        give_back()

    async def _year_chunks(self, until_ms: int) -> list[list[dict[int, Bars]]]:
        """All frames of the year, by chunk and symbol; days reach on to where the long bars end."""
        from_ms = max(_MONTH.open_ms(until_ms - YEAR_MS), EPOCH_MS)
        # A week or month that began before ``until_ms`` ends after it; its days are needed as well.
        end_ms = max(_WEEK.end_ms(_WEEK.open_ms(until_ms - 1)), _MONTH.end_ms(_MONTH.open_ms(until_ms - 1)))
        edges = [*range(from_ms, end_ms, CHUNK_MS), end_ms]
        chunks, said = [], 0
        for begin_ms, stop_ms in itertools.pairwise(edges):
            made = await asyncio.to_thread(self._made, begin_ms - 1, stop_ms - 1)
            chunks.append([_kept(frames, begin_ms, until_ms, long=False) for frames in made])
            percent = 100 * (stop_ms - from_ms) // (end_ms - from_ms)
            if percent // 10 > said // 10:
                log.info("history made", percent=percent)
            said = percent
        return chunks

    def _made(self, since_ms: int, until_ms: int) -> list[dict[int, Bars]]:
        return [every_frame(minutes) for minutes in self._market.path(since_ms, until_ms)]

    def _blocks(self, instrument_id: int, frames: Mapping[int, Bars]) -> list[Block]:
        return [Block(instrument_id, id_, self._source_id, bars) for id_, bars in frames.items() if len(bars)]

    async def _resumed_ms(self) -> int | None:
        """How far the stored candles reach; the bars that were forming there are formed on.

        Lines that were quoted have theirs already. One that was not is left by a process that ended
        between its first candles and its first stored quote.
        """
        async with self._database.connection() as connection:
            cursor = await self._store.cursor(connection, self._feed)
            if cursor is None:
                return None
            reached_ms = int(cursor["ms"])
            lines = [self._desk.book.lines[model.symbol] for model in self._market.models]
            places = {
                Place(line.instrument_id, frame.id, frame.open_ms(reached_ms)): line
                for line in lines
                for frame in TIMEFRAMES
                if not line.quoted
            }
            for place, candle in (await self._store.candles_at(connection, places)).items():
                places[place].builder.begin(place.timeframe_id, candle)
        return reached_ms

    def _log(self, event: str, rows: int, begun_s: float, **more: object) -> None:
        metrics.BACKFILL_ROWS.inc(rows)
        log.info(event, rows=rows, took_s=round(self._clock.monotonic_s() - begun_s, 2), **more)


def _rows(blocks: list[Block]) -> int:
    return sum(len(block.bars) for block in blocks)


def _kept(frames: Mapping[int, Bars], from_ms: int, now_ms: int, *, long: bool = True) -> dict[int, Bars]:
    """What is kept of the frames: whole bars since ``from_ms``, of short timeframes the last days only."""
    return {
        frame_id: bars.since(max(from_ms, now_ms - KEEP_MS.get(frame_id, now_ms))).own()
        for frame_id, bars in frames.items()
        if long or frame_id not in _LONG
    }


def continued(builder: CandleBuilder, frames: Mapping[int, Bars]) -> dict[int, Bars]:
    """Let a builder go on from bars that follow what it has seen; the bars that are closed now.

    The bar the builder was forming is completed by the first one, the last one is formed from here on.
    """
    forming = {row.timeframe_id: row.candle for row in builder.forming()}
    closed: dict[int, Bars] = {}
    for frame_id, bars in frames.items():
        before: Candle | None = forming.get(frame_id)
        following = bars.since(before.open_ms) if before is not None else bars
        if len(following) == 0:
            continue
        candles = following[:1].candles()
        if before is not None:
            candles = (
                [joined(before, candles[0])] if candles[0].open_ms == before.open_ms else [before, *candles]
            )
        whole = concatenated([bars_of(candles), following[1:]])
        builder.begin(frame_id, whole[-1:].candles()[0])
        closed[frame_id] = whole[:-1]
    return closed
