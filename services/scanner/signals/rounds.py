"""Signals of what closes, asset by asset; and of the past, when staff asks for it.

Live is 1h: every closed bar of an asset's market is looked at once, in the order of time, and how far was
looked is written with what it told. Bars that were missed or loaded are caught up, at most the newest 48;
older ones are a back-fill's. The memory goes on from bar to bar; where it does not reach (a market at
first sight, a longer gap) the walk begins 200 bars earlier.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import structlog

from libs.common.bulk import BARS_MAX, columns
from libs.common.candles import BY_NAME, DAY_MS, HOUR_MS, Timeframe
from libs.common.clock import Clock
from libs.common.db import Database
from libs.common.errors import AppError
from libs.common.messages.signals import Generator
from services.scanner import metrics
from services.scanner.asking import ALWAYS_MS, Market
from services.scanner.bars import Bars
from services.scanner.errors import BackfillTooLong
from services.scanner.following import Following
from services.scanner.rings import bars_of_columns
from services.scanner.signals.asking import Pools, PoolSource, dex_of
from services.scanner.signals.assets import Asset
from services.scanner.signals.feeds.sources import Sources
from services.scanner.signals.generation import Memory
from services.scanner.signals.llm import Rewording
from services.scanner.signals.performance import after, outcome_of
from services.scanner.signals.record import TEMPLATE, Entry, entry_of
from services.scanner.signals.rewording import Asked
from services.scanner.signals.store import Place, SignalStore
from services.scanner.signals.texts import Library, texts_of
from services.scanner.signals.titles import Words, words_of
from services.scanner.signals.triggers import Texts
from services.scanner.signals.walking import Inputs, Looked, context_of, step_of, walk
from services.scanner.signals.writer import Told, Writer

log = structlog.get_logger()

LIVE = BY_NAME["1h"]
LOADED_BARS = 48  # of history that was loaded, only the newest bars are looked at
BACKFILL_BARS = 20_000  # in one call
BATCH = 500  # outcomes measured together
IDLE_S = 5.0
RETRY_S_MAX = 10.0


class SignalRounds:
    """Looks at closed bars; ``due`` says that some may have closed."""

    def __init__(
        self,
        *,
        market: Market,
        following: Following,
        writer: Writer,
        database: Database,
        store: SignalStore,
        pools: PoolSource,
        texts: Sources | None,
        rewording: Rewording,
        clock: Clock,
    ) -> None:
        self._texts = texts
        self._rewording = rewording
        self._market = market
        self._following = following
        self._writer = writer
        self._database = database
        self._store = store
        self._pools = pools
        self._clock = clock
        self._stopping = False
        self._trouble = ""
        self.due = asyncio.Event()

    async def run(self) -> None:
        """Look at what closes until told to stop."""
        failures = 0
        while not self._stopping:
            self.due.clear()
            try:
                await self.step()
                failures, self._trouble = 0, ""
                await self._pause(IDLE_S)
            except Exception as e:
                failures += 1
                metrics.signals_behind.inc()
                if failures > 3:
                    self._trouble = f"signals are not made: {type(e).__name__}: {e}"
                if isinstance(e, AppError):
                    log.warning("signals not made", error=f"{type(e).__name__}: {e}", failures=failures)
                else:
                    log.exception("signals broke", failures=failures)
                await self._pause(min(0.1 * 2 ** min(failures, 7), RETRY_S_MAX))

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self.due.wait()
        except TimeoutError:
            pass

    def stop(self) -> None:
        """End after the asset under way."""
        self._stopping = True
        self.due.set()

    async def problem(self) -> str | None:
        """Why signals are not made, or None."""
        return self._trouble or None

    # ── live ──────────────────────────────────────────────────────────────────────────────────────

    async def step(self) -> None:
        """Look at every bar that closed since the last time."""
        await self._writer.ready()
        waiting = [asset for asset in self._writer.assets.values() if self._has_news(asset)]
        tokens = sorted({asset.token for asset in waiting if asset.token})
        known = await self._pools.pools(tokens)
        library = await self._texts.library() if waiting and self._texts is not None else None
        for asset in waiting:
            if self._stopping:
                return
            await self._look(asset, known.get(asset.token), library)

    def _has_news(self, asset: Asset) -> bool:
        place = self._following.places.get((asset.market, LIVE.name))
        done_ms = self._writer.places.get(_place(asset, LIVE), (0, None))[0]
        return place is not None and place.ring.last_ms > done_ms

    async def _look(self, asset: Asset, pools: Pools | None, library: Library | None) -> None:
        ring = self._following.places[asset.market, LIVE.name].ring
        bars = bars_of_columns(ring.columns().copy())
        place = _place(asset, LIVE)
        done_ms, memory = self._writer.places.get(place, (0, None))
        first = int(np.searchsorted(bars.open_ms, done_ms, "right"))
        if memory is None or len(bars) - first > LOADED_BARS:
            first, memory = max(first, len(bars) - LOADED_BARS), None
        last_ms = LIVE.end_ms(int(bars.open_ms[-1]))
        now_ms = self._clock.now_ms()
        fresh = pools if now_ms - last_ms <= LIVE.span_ms else None
        inputs = await self._inputs(asset, last_ms - context_of(LIVE) * LIVE.span_ms, last_ms, fresh)
        said = None
        if library is not None and now_ms - last_ms <= LIVE.span_ms:
            said = texts_of(library.about(asset), asset, last_ms)
        if said is not None:
            inputs = Inputs(inputs.pools, {last_ms: said, **inputs.texts})
        looked = await self._walked(bars, LIVE, first, memory, inputs)
        fresh_at = len(bars) - 1 if now_ms - last_ms <= HOUR_MS else -1
        entries = [
            await self._told(asset, bars, one) if one.at == fresh_at else self._entry(asset, LIVE, bars, one)
            for one in looked
            if one.draft is not None
        ]
        await self._writer.write(
            Told(
                place=place,
                done_ms=int(bars.open_ms[-1]),
                memory=looked[-1].memory if looked else Memory(),
                entries=entries,
                inputs=[(last_ms, _json(fresh), _json(said))] if fresh or said else (),
            )
        )
        await self._settle(asset.market, LIVE, bars)

    async def _inputs(self, asset: Asset, from_ms: int, to_ms: int, fresh: Pools | None) -> Inputs:
        """What was known beside the bars: as stored, and ``fresh`` beside the last one."""
        async with self._database.connection() as connection:
            rows = await self._store.inputs(connection, asset.cmc_id, from_ms - DAY_MS, to_ms)
        known = {
            row["close_ms"]: msgspec.json.decode(row["pools"], type=Pools)
            for row in rows
            if row["pools"] is not None
        }
        if fresh is not None:
            known.setdefault(to_ms, fresh)
        texts = {
            row["close_ms"]: msgspec.json.decode(row["texts"], type=Texts)
            for row in rows
            if row["texts"] is not None
        }
        dex = {at: dex_of(now, known.get(at - HOUR_MS), known.get(at - DAY_MS)) for at, now in known.items()}
        return Inputs(dex, texts)

    async def _walked(
        self, bars: Bars, frame: Timeframe, first: int, memory: Memory | None, inputs: Inputs
    ) -> list[Looked]:
        looked: list[Looked] = []
        for part in walk(bars, frame, first, memory, inputs):
            looked += part
            await asyncio.sleep(0)
        return looked

    async def _told(self, asset: Asset, bars: Bars, one: Looked) -> Entry:
        """The entry of a bar that has just closed: the only ones whose words may be another's."""
        made = self._entry(asset, LIVE, bars, one, live=True)
        words, generator = await self._rewording.reword(
            Asked(made.draft, asset.name, asset.symbol, LIVE.name, made.words)
        )
        if words == made.words:
            return made
        return self._entry(asset, LIVE, bars, one, live=True, words=words, generator=generator)

    def _entry(
        self,
        asset: Asset,
        frame: Timeframe,
        bars: Bars,
        one: Looked,
        *,
        live: bool = False,
        words: Words | None = None,
        generator: Generator = TEMPLATE,
    ) -> Entry:
        if one.draft is None:
            raise ValueError("a bar without a draft has no entry")
        words = words or words_of(one.draft, asset.name, frame.name, self._market.digits(asset.market))
        seen = bars.cut(max(0, one.at + 1 - context_of(frame)), one.at + 1)
        return entry_of(asset, frame, seen, one.draft, words, generator=generator, live=live)

    # ── outcomes ──────────────────────────────────────────────────────────────────────────────────

    async def _settle(self, market: str, frame: Timeframe, bars: Bars) -> None:
        """Measure what became of earlier signals, as far as these bars say."""
        if not len(bars):
            return
        span = step_of(frame)
        last_ms, first_ms = int(bars.open_ms[-1]) + span, int(bars.open_ms[0]) + span
        while True:
            async with self._database.connection() as connection:
                rows = await self._store.due(connection, market, frame.id, last_ms, first_ms, BATCH)
            came = []
            for row in rows:
                later = after(bars, row["recorded_ms"], span, row["horizon"])
                if later is not None:
                    outcome = outcome_of(later, row["price"], row["sentiment"])
                    came.append((row["position"], row["horizon"], outcome))
            if came:
                await self._writer.add_outcomes(came)
            if len(rows) < BATCH or not came:
                return

    # ── the past ──────────────────────────────────────────────────────────────────────────────────

    async def backfill(
        self, assets: Sequence[Asset], frame: Timeframe, from_ms: int, to_ms: int
    ) -> tuple[int, int, int]:
        """Make the signals of bars that closed in a range: (bars, signals, new ones). Nothing is said of
        them to others. Raises BackfillTooLong above 20,000 bars."""
        counts = [0, 0, 0]
        for asset in assets:
            bars = await self._bars(asset.market, frame, from_ms)
            closes_ms = np.array([frame.end_ms(at) for at in bars.open_ms.tolist()], dtype=np.int64)
            first = int(np.searchsorted(closes_ms, from_ms, "left"))
            last = int(np.searchsorted(closes_ms, to_ms, "right"))
            if counts[0] + last - first > BACKFILL_BARS:
                raise BackfillTooLong(
                    f"a back-fill makes at most {BACKFILL_BARS} bars: ask for a shorter range",
                    bars=counts[0] + last - first,
                    limit=BACKFILL_BARS,
                )
            if first >= last:
                continue
            inputs = await self._inputs(asset, int(closes_ms[0]), int(closes_ms[last - 1]), None)
            seen = bars.cut(0, last)
            looked = await self._walked(seen, frame, first, None, inputs)
            entries = [self._entry(asset, frame, seen, one) for one in looked if one.draft is not None]
            for start in range(0, len(entries), BATCH):
                told = Told(_place(asset, frame), 0, Memory(), entries[start : start + BATCH])
                counts[2] += await self._writer.write(told, tell=False, move=False)
            await self._settle(asset.market, frame, bars)
            counts[0] += last - first
            counts[1] += len(entries)
        return counts[0], counts[1], counts[2]

    async def _bars(self, market: str, frame: Timeframe, from_ms: int) -> Bars:
        """Every closed bar from a moment on, and those before it that a walk needs."""
        pages: list[Any] = []
        to_ms, before = ALWAYS_MS, context_of(frame)
        while True:
            found = columns((await self._market.closed(market, frame.name, BARS_MAX // 2, to_ms=to_ms)).rows)
            if found.shape[1]:
                pages.insert(0, found)
                to_ms = int(found[0, 0]) - 1
            if found.shape[1] < BARS_MAX // 2 or int((np.concatenate(pages, 1)[0] < from_ms).sum()) > before:
                break
            if sum(page.shape[1] for page in pages) > 10 * BACKFILL_BARS:
                raise BackfillTooLong("the range lies too far back", limit=10 * BACKFILL_BARS)
        if not pages:
            return bars_of_columns(np.empty((6, 0)))
        held = np.concatenate(pages, axis=1)
        start = max(0, int(np.searchsorted(held[0], from_ms)) - before - 1)
        return bars_of_columns(held[:, start:])


def _place(asset: Asset, frame: Timeframe) -> Place:
    return asset.cmc_id, frame.id, asset.market


def _json(given: Pools | Texts | None) -> str | None:
    return None if given is None else msgspec.json.encode(given).decode()
