"""The analysis surface: briefs, deltas, candles, analogs of one symbol at its newest candles.

Lifecycle: holds no state of its own; what a holder of a key saw last stands in the database. Candles come
through a ``CandleSource``, the forming one included. A refusal writes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from msgspec import UNSET

from libs.common.clock import Clock
from libs.common.db import Database
from libs.common.errors import OutcomeUnknown, ServiceUnavailable
from libs.common.messages import analysis as m
from services.scanner import rendering
from services.scanner.analogs import bars_needed, matches_in
from services.scanner.bars import Bars, fault_of
from services.scanner.brief_store import BriefStore
from services.scanner.constants import ANALOG_CANDLES, CANDLES_MIN
from services.scanner.delta import Seen, notes_of, seen_of
from services.scanner.errors import CandlesFailed, CandlesTooFew, TickerUnreadable
from services.scanner.keeper import Keeper
from services.scanner.snapshot import Snapshot, snapshot

_PAIR = re.compile(r"^[A-Z0-9]{1,15}(/[A-Z0-9]{2,10})?$")


class CandleSource(Protocol):
    """Where candles come from."""

    async def find(self, ticker: str) -> str | None:
        """The symbol a caller means, by the rules of every surface; None when there is none."""

    async def window(self, symbol: str, timeframe: str, limit: int) -> Bars:
        """The newest bars, at most ``limit``, the forming one included; none for a symbol without."""

    async def source(self, symbol: str, timeframe: str) -> str:
        """The name of the feed the newest of these candles came from."""


class Briefs:
    """See the module's text."""

    def __init__(
        self,
        *,
        source: CandleSource,
        database: Database,
        store: BriefStore,
        clock: Clock,
        keeper: Keeper,
        methodology_url: str,
    ) -> None:
        self._source = source
        self._database = database
        self._store = store
        self._clock = clock
        self._keeper = keeper
        self._methodology_url = methodology_url

    async def brief(self, ask: m.BriefAsk) -> m.Brief:
        """The newest candles and their structure; remembered for the holder's next delta."""
        symbol, bars = await self._bars(ask.ticker, ask.timeframe, ask.limit, CANDLES_MIN)
        now = _with_decimals(snapshot(bars), ask.decimals)
        evidence = await self._keeper.evidence(ask.timeframe, now) if ask.evidence else None
        source = await self._source.source(symbol, ask.timeframe)
        if ask.holder:
            await self._look(ask.holder, symbol, ask.timeframe, seen_of(now))
        return self._brief(symbol, ask.timeframe, source, bars, now, ask.fields, evidence)

    async def delta(self, ask: m.DeltaAsk) -> m.Delta:
        """What is new since the holder's last look, with the brief when there is something."""
        symbol, bars = await self._bars(ask.ticker, ask.timeframe, ask.limit, CANDLES_MIN)
        now = _with_decimals(snapshot(bars), ask.decimals)
        seen = seen_of(now)
        source = await self._source.source(symbol, ask.timeframe)  # before the look: what fails tells no news
        before = await self._look(ask.holder, symbol, ask.timeframe, seen) if ask.holder else None
        notes = notes_of(before, seen)
        news = m.DeltaNews(changed=bool(notes), sym=symbol, tf=ask.timeframe, notes=notes)
        if not notes:
            return m.Delta(delta=news, disclaimer=rendering.DISCLAIMER)
        brief = self._brief(symbol, ask.timeframe, source, bars, now)
        return m.Delta(delta=news, brief=brief, disclaimer=rendering.DISCLAIMER)

    async def candles(self, ask: m.CandlesAsk) -> m.Candles:
        """The newest candles in the codec."""
        symbol, bars = await self._bars(ask.ticker, ask.timeframe, ask.limit, CANDLES_MIN)
        return m.Candles(
            header=rendering.header_of(
                symbol, ask.timeframe, await self._source.source(symbol, ask.timeframe), bars
            ),
            codec=rendering.codec_of(bars, _with_decimals(snapshot(bars), ask.decimals)),
            disclaimer=rendering.DISCLAIMER,
        )

    async def analogs(self, ask: m.AnalogsAsk) -> m.Analogs:
        """What came after the windows that looked like the last one."""
        need = bars_needed(ask.window, ask.horizon)
        symbol, bars = await self._bars(ask.ticker, ask.timeframe, ANALOG_CANDLES, need)
        matches = matches_in(bars.close, ask.window, ask.horizon)
        return rendering.analogs_of(symbol, ask.timeframe, ask.window, ask.horizon, matches)

    async def multi(self, ask: m.MultiAsk) -> m.Multi:
        """A brief per timeframe, and whether they go the same way."""
        briefs, trends = {}, {}
        for timeframe in dict.fromkeys(ask.timeframes):
            symbol, bars = await self._bars(ask.ticker, timeframe, ask.limit, CANDLES_MIN)
            now = snapshot(bars)
            source = await self._source.source(symbol, timeframe)
            briefs[timeframe] = self._brief(symbol, timeframe, source, bars, now)
            trends[timeframe] = now.regime.trend
        alignment = rendering.alignment_of(trends)
        return m.Multi(briefs=briefs, alignment=alignment, disclaimer=rendering.DISCLAIMER)

    async def table(self, ask: m.ScanTableAsk) -> m.ScanTable:
        """The formations that show now on any symbol, with what came after such before."""
        return m.ScanTable(rows=await self._keeper.table(ask), disclaimer=rendering.DISCLAIMER)

    # ── parts ─────────────────────────────────────────────────────────────────────────────────────

    async def _bars(self, ticker: str, timeframe: str, limit: int, need: int) -> tuple[str, Bars]:
        """The symbol and its newest bars; the contract's error for too few or none."""
        symbol = await self._source.find(ticker)
        if symbol is None:
            if not _PAIR.fullmatch(ticker.upper()):
                raise TickerUnreadable(
                    f"ticker: {ticker!r} is no known symbol and not of the form BASE/QUOTE"
                )
            raise CandlesTooFew(f"no candles of {ticker.upper()}: the symbol is not known", have=0, need=need)
        try:
            bars = await self._source.window(symbol, timeframe, limit)
        except (ServiceUnavailable, OutcomeUnknown) as e:
            raise CandlesFailed from e
        if len(bars) < need:
            raise CandlesTooFew(
                f"{len(bars)} candles of {symbol} {timeframe}, {need} are needed", have=len(bars), need=need
            )
        fault = fault_of(bars)
        if fault is not None:
            raise CandlesFailed(f"the candles of {symbol} {timeframe} can't be used: {fault}")
        return symbol, bars

    def _brief(
        self,
        symbol: str,
        timeframe: str,
        source: str,
        bars: Bars,
        now: Snapshot,
        fields: Sequence[m.Section] | None = None,
        evidence: rendering.Told | None = None,
    ) -> m.Brief:
        wants_candles = fields is None or "candles" in fields
        wants_analysis = fields is None or any(field != "candles" for field in fields)
        return m.Brief(
            header=rendering.header_of(symbol, timeframe, source, bars),
            codec=rendering.codec_of(bars, now) if wants_candles else UNSET,
            analysis=rendering.analysis_of(symbol, timeframe, now, fields, evidence)
            if wants_analysis
            else UNSET,
            disclaimer=rendering.DISCLAIMER,
            methodology_url=self._methodology_url,
        )

    async def _look(self, holder: str, symbol: str, timeframe: str, now: Seen) -> Seen | None:
        async with self._database.connection() as connection:
            return await self._store.look(connection, holder, symbol, timeframe, now, self._clock.now_ms())


def _with_decimals(now: Snapshot, decimals: int | None) -> Snapshot:
    return now if decimals is None else replace(now, precision=decimals)
