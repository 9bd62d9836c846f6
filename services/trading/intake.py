"""Ticks on their way to the floor, and how far they were judged.

Ticks of a symbol are judged one by one in their order. Where market can't give lost ticks any more, candles
stand in for them: one that lies whole in the hole is judged as four prices in the order a replay would give
them, at the last spread; of the minutes in which the hole begins and ends only an extreme counts that no tick
judged in that minute had. Whatever is judged, late or not, is judged as of now: an order fills by the
server's clock at the price that met it.

The place up to which a symbol was judged is written with every commit that follows, and once a second
otherwise; after a restart judging goes on from there.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import structlog

from libs.common.bus import Bus, decode
from libs.common.clock import Clock
from libs.common.errors import AppError
from libs.common.messages.market import Quote, TicksSince
from libs.common.missed_ticks import Gap, beyond, digits_of, minute_of, pieces_between, ticks_of
from libs.common.subjects import CANDLES, TICKS_SINCE
from libs.common.tick_reader import Batch
from services.trading import commands as c
from services.trading import metrics
from services.trading import refusals as no
from services.trading.armed import Place
from services.trading.events import TradeCorrected
from services.trading.floor import Decision, Floor
from services.trading.markets import RAW, Markets
from services.trading.position import Trade
from services.trading.store import Seen

log = structlog.get_logger()

YIELD_EVERY = 500  # ticks judged without letting others run
_MINUTE_MS = 60_000


class _Minute(NamedTuple):
    """The highest and lowest bid judged in the minute of the last tick; unknown are +inf and -inf."""

    number: int  # minutes since 1970
    high: float
    low: float

    def with_ticks(self, ticks: Iterable[Quote]) -> _Minute:
        """The same after more ticks."""
        number, high, low = self
        for tick in ticks:
            if tick.ctm_ms // _MINUTE_MS != number:
                number, high, low = tick.ctm_ms // _MINUTE_MS, -math.inf, math.inf
            high, low = max(high, tick.bid), min(low, tick.bid)
        return _Minute(number, high, low)


class Intake:
    """See the module's text."""

    def __init__(self, bus: Bus, clock: Clock, markets: Markets, floor: Callable[[], Floor]) -> None:
        self._bus = bus
        self._clock = clock
        self._markets = markets
        self._floor = floor
        self._seqs: dict[Place, int] = {}
        self._minutes: dict[Place, _Minute] = {}
        self._dirty: dict[Place, None] = {}
        self._writing: list[Place] = []
        self.records: dict[int, Trade] = {}  # closed orders that staff of this turn ask about

    # ── where judging goes on ─────────────────────────────────────────────────────────────────────

    def restore(self, seen: Sequence[Seen]) -> None:
        """Go on from what was judged."""
        self._dirty.clear()
        for row in seen:
            place = row.profile, row.symbol
            self._seqs[place] = row.seq
            self._minutes[place] = _Minute(row.tick_ms // _MINUTE_MS, row.high, row.low)
        self._markets.start(
            (row.profile, Quote("t", row.symbol, row.bid, row.ask, row.tick_ms // 1000, row.tick_ms, row.seq))
            for row in seen
        )

    def start(self, quotes: Sequence[tuple[str, Quote]], judged: Mapping[Place, int]) -> None:
        """Begin from market's last quotes where nothing was judged before."""
        fresh = [(profile, quote) for profile, quote in quotes if (profile, quote.symbol) not in judged]
        self._markets.start(fresh)
        for profile, quote in fresh:
            self._seqs[profile, quote.symbol] = quote.seq
            self._minutes[profile, quote.symbol] = _unknown(quote)
            self._dirty[profile, quote.symbol] = None

    def dirty(self) -> list[Seen]:
        """The places to write."""
        self._writing = list(self._dirty)
        found = []
        for profile, symbol in self._writing:
            quote = self._markets.last[profile, symbol]
            seq = self._seqs[profile, symbol]
            minute = self._minutes[profile, symbol]
            found.append(
                Seen(profile, symbol, seq, quote.bid, quote.ask, quote.ctm_ms, minute.high, minute.low)
            )
        return found

    def written(self) -> None:
        """What ``dirty`` gave is in the tables."""
        for place in self._writing:
            self._dirty.pop(place, None)
        self._writing = []

    # ── judging ───────────────────────────────────────────────────────────────────────────────────

    async def judge(self, batches: Sequence[Batch]) -> list[Decision]:
        """Put ticks before the floor; what was decided, in order."""
        decisions: list[Decision] = []
        count = 0
        for batch in batches:
            place = batch.profile, batch.symbol
            judged = self._minutes.get(place) or _Minute(0, -math.inf, math.inf)
            if batch.hole is not None:
                missed = await self._missed(place, batch, judged)
                for quote in missed:
                    metrics.holes.inc()
                    decisions += self._judge(place, quote)
                judged = judged.with_ticks(missed)
            for quote in batch.ticks:
                decisions += self._judge(place, quote)
                count += 1
                if not count % YIELD_EVERY:
                    await asyncio.sleep(0)
            last = batch.ticks[-1]
            self._markets.last[place] = last
            self._markets.price(place, self._markets.tick_of(last))
            self._seqs[place] = last.seq
            self._minutes[place] = judged.with_ticks(batch.ticks)
            self._dirty[place] = None
        return decisions

    def _judge(self, place: Place, quote: Quote) -> list[Decision]:
        now_ms = self._clock.now_ms()
        return self._floor().quote(place, self._markets.tick_of(quote, now_ms), now_ms)

    async def _missed(self, place: Place, batch: Batch, judged: _Minute) -> list[Quote]:
        """Prices that candles say were touched in a hole; none where they say nothing of it."""
        before, first = self._markets.last.get(place), batch.ticks[0]
        if before is None:
            return []
        begun, ended = minute_of(before.ctm_ms), minute_of(first.ctm_ms)
        ticks: list[Quote] = []
        try:
            how: dict[str, Any] = {
                "symbol": batch.symbol,
                "shift": first.bid - await self._raw_bid(batch.symbol, first),
                "spread": before.ask - before.bid,
                "digits": digits_of(first.bid, first.ask, before.bid, before.ask),
                "seq": max(before.seq, first.seq - 1),
            }
            if begun != ended:
                ticks += beyond(await self._candles(batch.symbol, begun), judged.high, judged.low, **how)
                judged = _Minute(0, -math.inf, math.inf)
            for piece in pieces_between(before.ctm_ms, first.ctm_ms):
                ticks += ticks_of(await self._candles(batch.symbol, piece), **how)
            # A tick of this minute that is still on its way here counts by its price, too: a little early.
            bids = [tick.bid for tick in batch.ticks if tick.ctm_ms < ended.to_ms]
            candles = await self._candles(batch.symbol, ended)
            ticks += beyond(candles, max(judged.high, *bids), min(judged.low, *bids), **how)
        except AppError as e:
            log.warning("candles of missing ticks not had", symbol=batch.symbol, error=str(e))
            return []
        return ticks

    async def _candles(self, symbol: str, gap: Gap) -> Sequence[Sequence[float]]:
        return (await self._bus.request(CANDLES, gap.ask(symbol))).data

    async def _raw_bid(self, symbol: str, tick: Quote) -> float:
        """The raw bid of a tick, which candles are made of; the tick's own when market has lost it."""
        ask = TicksSince(symbol=symbol, profile=RAW, after_seq=tick.seq - 1, limit=1)
        for frame in (await self._bus.request(TICKS_SINCE, ask)).frames:
            return decode(bytes(frame), Quote).bid
        return tick.bid

    # ── records ───────────────────────────────────────────────────────────────────────────────────

    def completed(self, asked: c.Input, login: int) -> c.Input:
        """A correction of an order that is not open any more, with the record as it stands."""
        if not isinstance(asked, c.StaffUpdate) or asked.order in self._floor().owners:
            return asked
        before = self.records.get(asked.order)
        if before is None or before.login != login:
            raise no.OrderNotFound(f"order was {asked.order}")
        return msgspec.structs.replace(asked, before=before)

    def corrected(self, decision: Decision) -> None:
        """The next correction of this turn starts from what this one made."""
        for event in decision.outcome.events:
            if isinstance(event, TradeCorrected) and event.trade.order in self.records:
                self.records[event.trade.order] = event.trade


def _unknown(quote: Quote) -> _Minute:
    """The minute of a tick of which nothing else is known: nothing lies beyond it."""
    return _Minute(quote.ctm_ms // _MINUTE_MS, math.inf, -math.inf)
