"""Keeps what came after earlier formations, and which formations show now.

Lifecycle: counted when somebody asks first, and again when what is there is old; meanwhile the old is given.
Before what a start loads is judged, and of thousands of symbols while counting goes on, the first to ask are
refused (``NotCounted``): an answer without it would be paid for and say nothing. A count for which no candles
could be read is none. Counting reads closed candles and stored detections, so nothing in it knows more than
was known at its bar.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

import structlog

from libs.common.candles import BY_NAME
from libs.common.clock import Clock
from libs.common.db import Database
from libs.common.errors import AppError
from libs.common.messages import analysis as m
from libs.common.symbols import FIAT, pair_of
from services.scanner.bars import Bars
from services.scanner.brief_store import BriefStore
from services.scanner.constants import ANALOG_CANDLES, EVIDENCE_HORIZON
from services.scanner.errors import CandlesFailed, NotCounted
from services.scanner.experience import Experience, Occurrence
from services.scanner.rendering import evidence_of, line_of_table
from services.scanner.snapshot import Snapshot

log = structlog.get_logger()

OLD_S = 600.0  # counted again after this, or after a hundred times what counting took
EMPTY_S = 2.0  # that nothing is there yet is not believed for long
OLD_FACTOR = 100.0
PATIENCE_S = 4.0  # how long the first ones who ask wait; then they are told to come again
RETRY_AFTER_S = 5


class ClosedBars(Protocol):
    """Where closed candles come from."""

    async def closed(self, symbol: str, timeframe: str, limit: int) -> Bars:
        """The newest closed bars."""


class Showing(NamedTuple):
    """A formation that became known in the last ten bars of a place."""

    symbol: str
    timeframe: str
    trend: str
    found: Occurrence
    as_of_ms: int  # when the bar that made it known closed


class Keeper:
    """See the module's text."""

    def __init__(
        self,
        source: ClosedBars,
        database: Database,
        store: BriefStore,
        clock: Clock,
        is_judged: Callable[[], bool] = lambda: True,  # whether what was loaded at the start is judged
    ) -> None:
        self._source = source
        self._is_judged = is_judged
        self._database = database
        self._store = store
        self._clock = clock
        self._experience = Experience()
        self._showing: Sequence[Showing] = ()
        self._old_s = -1.0  # on the monotonic clock; below 0 nothing was counted yet
        self._counting: asyncio.Task[None] | None = None

    async def evidence(self, timeframe: str, now: Snapshot) -> Mapping[str, m.PatternEvidence]:
        """What came after formations like those that show, by name; nothing for those nobody knows.
        NotCounted before there is a first count."""
        await self._fresh()
        told = {}
        for found in now.patterns:
            known = self._experience.of(timeframe, found.name, found.confidence)
            if known is not None:
                told[found.name] = evidence_of(timeframe, found.name, known)
        return told

    async def table(self, ask: m.ScanTableAsk) -> list[m.ScanLine]:
        """The formations that show now, in the order of the contract; NotCounted before the first count."""
        await self._fresh()
        lines = (
            line_of_table(
                showing.symbol,
                showing.timeframe,
                class_of(showing.symbol),
                showing.trend,
                showing.found,
                showing.as_of_ms,
                self._experience.of(showing.timeframe, showing.found.pattern, showing.found.confidence),
            )
            for showing in self._showing
        )
        kept = [line for line in lines if wanted(line, ask)]
        kept.sort(key=_rank)
        return kept[: ask.limit]

    async def close(self) -> None:
        """Stop counting."""
        if self._counting is not None:
            self._counting.cancel()
            await asyncio.gather(self._counting, return_exceptions=True)

    async def _fresh(self) -> None:
        if self._old_s < 0 and not self._is_judged():
            raise NotCounted(retry_after_s=RETRY_AFTER_S)
        if self._counting is None and self._clock.monotonic_s() >= self._old_s:
            self._counting = asyncio.create_task(self._count(), name="experience")
            self._counting.add_done_callback(self._counted)
        if self._old_s < 0 and self._counting is not None:
            await asyncio.wait([self._counting], timeout=PATIENCE_S)
        if self._old_s < 0:
            raise NotCounted(retry_after_s=RETRY_AFTER_S)

    def _counted(self, task: asyncio.Task[None]) -> None:
        self._counting = None
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("experience not counted", error=f"{type(error).__name__}: {error}")

    async def _count(self) -> None:
        begun_s = self._clock.monotonic_s()
        experience, showing, missed = Experience(), [], 0
        async with self._database.connection() as connection:
            places = await self._store.places(connection)
        for symbol, timeframe, trend in places:
            try:
                bars = await self._source.closed(symbol, timeframe, ANALOG_CANDLES)
            except AppError as e:
                log.info("candles not counted", symbol=symbol, timeframe=timeframe, error=str(e))
                missed += 1
                continue
            async with self._database.connection() as connection:
                found = await self._store.occurrences(connection, symbol, BY_NAME[timeframe].id)
            experience.add(timeframe, bars.open_ms, bars.close, found)
            showing += _showing(symbol, timeframe, trend, bars, found)
            await asyncio.sleep(0)  # whoever waits for a brief goes first
        if places and missed == len(places):  # market is away: what was counted before stays
            raise CandlesFailed("none of the candles could be read")
        now_s = self._clock.monotonic_s()
        self._experience, self._showing = experience, showing
        kept_s = OLD_S if experience else EMPTY_S
        self._old_s = now_s + max(kept_s, OLD_FACTOR * (now_s - begun_s))


def class_of(symbol: str) -> str:
    """The class of assets a symbol's name says."""
    pair = pair_of(symbol)
    if pair.base in ("XAU", "XAG", "XPT", "XPD"):
        return "metal"
    if pair.base == pair.quote:
        return "other"
    return "forex" if pair.base in FIAT and pair.quote in FIAT else "crypto"


def wanted(line: m.ScanLine, ask: m.ScanTableAsk) -> bool:
    """Whether a line passes the filters; one that was never counted passes no bound on its figures."""
    given = (
        (ask.asset_class != "all", line.asset_class == ask.asset_class),
        (ask.regime is not None, line.regime == ask.regime),
        (ask.pattern is not None, line.pattern == ask.pattern),
        (ask.timeframe is not None, line.tf == ask.timeframe),
        (ask.base_rate_min is not None, (line.base_rate or 0.0) >= (ask.base_rate_min or 0.0) and line.n > 0),
        (ask.lift_min is not None, line.lift is not None and line.lift >= (ask.lift_min or 0.0)),
    )
    return all(holds for asked, holds in given if asked)


def _rank(line: m.ScanLine) -> tuple[float, float, float, int, str, str, str]:
    rate = -1.0 if line.base_rate is None else line.base_rate
    ci95 = 2.0 if line.ci95 is None else line.ci95
    return -rate, -line.confidence, ci95, -line.as_of, line.sym, line.tf, line.pattern


def _showing(
    symbol: str, timeframe: str, trend: str, bars: Bars, found: Iterable[Occurrence]
) -> list[Showing]:
    """The newest formation of each name that became known in the last bars."""
    if not len(bars):
        return []
    since_ms = int(bars.last(EVIDENCE_HORIZON).open_ms[0])
    newest = {one.pattern: one for one in found if one.known_ms >= since_ms}  # later ones replace earlier
    frame = BY_NAME[timeframe]
    return [
        Showing(symbol, timeframe, trend or "range", one, frame.end_ms(one.known_ms))
        for one in newest.values()
    ]
