"""Any exchange of the ccxt library, behind the extra ``ccxt`` and imported only when it is configured.

Quotes come from ``watch_bids_asks`` or ``watch_tickers`` where the exchange has them, else
``fetch_tickers`` is asked every two seconds. Candles that were missed come from ``fetch_ohlcv``.
"""

from __future__ import annotations

import asyncio
import importlib
import random
from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from libs.common.candles import TIMEFRAMES, Candle
from libs.common.clock import Clock
from libs.common.errors import ConfigInvalid
from libs.common.messages.market import Instrument
from libs.common.symbols import pair_of
from services.market import metrics
from services.market.feed import Sink, Tick
from services.market.sessions import is_open
from services.market.silence import Backoff, FeedLimits

log = structlog.get_logger()

POLL_S = 2.0
CANDLES_MAX = 1000
SETTLED_S = 30.0


def open_ccxt(exchange_id: str, clock: Clock) -> CcxtFeed:
    """The feed of one exchange; ConfigInvalid without the extra or for an unknown exchange."""
    try:
        library = importlib.import_module("ccxt.pro")
    except ImportError as e:
        raise ConfigInvalid(
            f"TRADEWIND_FEED=ccxt:{exchange_id} needs the extra ccxt: pip install 'tradewind[ccxt]'"
        ) from e
    if exchange_id not in library.exchanges:
        raise ConfigInvalid(f"TRADEWIND_FEED: ccxt knows no exchange {exchange_id!r}")
    return CcxtFeed(exchange_id, getattr(library, exchange_id), clock)


class CcxtFeed:
    """A live feed through ccxt. ``factory`` makes the exchange object anew for every connection."""

    live = True

    def __init__(
        self,
        exchange_id: str,
        factory: Any,
        clock: Clock,
        *,
        limits: FeedLimits | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        self._id = exchange_id
        self._factory = factory
        self._clock = clock
        self._limits = limits or FeedLimits()
        self._backoff = backoff or Backoff()
        self._chance = random.Random()
        self._quote_s = clock.monotonic_s()
        self._open = True
        self._cause = "not connected yet"
        self._last_ms: dict[str, int] = {}
        metrics.FEED_RECONNECTS.labels(self.source, "closed")
        metrics.FEED_GARBAGE.labels(self.source)

    @property
    def source(self) -> str:
        return f"ccxt:{self._id}"

    def problem(self) -> str | None:
        silence_s = self._clock.monotonic_s() - self._quote_s
        if not self._open or silence_s <= self._limits.data_s_max:
            return None
        return f"feed {self.source}: no quote for {silence_s:.0f} s: {self._cause}"

    async def run(self, sink: Sink) -> None:
        attempt = 0
        while True:
            begun_s = self._clock.monotonic_s()
            exchange = self._factory({"enableRateLimit": True})
            try:
                await self._connection(exchange, sink)
            except Exception as e:  # ccxt's errors share no base with what it lets through
                self._cause = f"{type(e).__name__}: {e}"[:200]
            finally:
                await exchange.close()
            if self._clock.monotonic_s() - begun_s > SETTLED_S:
                attempt = 0
            delay_s = self._backoff.delay_s(attempt, self._chance.random())
            attempt += 1
            metrics.FEED_RECONNECTS.labels(self.source, "closed").inc()
            log.warning("feed reconnects", feed=self.source, reason=self._cause, delay_s=delay_s)
            await asyncio.sleep(delay_s)

    async def _connection(self, exchange: Any, sink: Sink) -> None:
        markets: Mapping[str, Any] = await exchange.load_markets()
        names = self._names(sink.instruments(), markets)
        if not names:
            raise LookupError(f"{self._id} has none of our symbols")
        for symbols in names.values():
            for symbol in symbols:
                self._last_ms[symbol] = sink.last_ms(symbol)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._catch_up(exchange, sink, names))
            tasks.create_task(self._listen(exchange, sink, names))

    async def _listen(self, exchange: Any, sink: Sink, names: Mapping[str, list[str]]) -> None:
        watch = exchange.fetch_tickers
        for ability, method in (("watchBidsAsks", "watch_bids_asks"), ("watchTickers", "watch_tickers")):
            if exchange.has.get(ability):
                watch = getattr(exchange, method)
                break
        while True:
            async with asyncio.timeout(self._limits.data_s_max):
                tickers = await watch(list(names))
            ticks = self._ticks(tickers, names)
            if ticks:
                self._quote_s = self._clock.monotonic_s()
                await sink.quotes(ticks)
            if watch == exchange.fetch_tickers:
                await asyncio.sleep(POLL_S)
            now = self._clock.now()
            self._open = any(is_open(instrument.sessions, now) for instrument in sink.instruments())

    def _ticks(self, tickers: Mapping[str, Any], names: Mapping[str, list[str]]) -> list[Tick]:
        ticks: list[Tick] = []
        for ticker in tickers.values():
            try:
                bid, ask = float(ticker["bid"]), float(ticker["ask"])
                at_ms = int(ticker.get("timestamp") or self._clock.now_ms())
                good = 0 < bid <= ask < float("inf")
            except (KeyError, TypeError, ValueError):
                good = False
            if not good:
                metrics.FEED_GARBAGE.labels(self.source).inc()
                continue
            ticks += [(symbol, bid, ask, at_ms, 1.0) for symbol in names.get(ticker["symbol"], ())]
        return ticks

    async def _catch_up(self, exchange: Any, sink: Sink, names: Mapping[str, list[str]]) -> None:
        """The candles that were missed, of the timeframes the exchange has; a refusal leaves them out.

        So do bars that open elsewhere than ours, as the weeks of some exchanges.
        """
        if not exchange.has.get("fetchOHLCV"):
            return
        for frame in TIMEFRAMES:
            if frame.name not in exchange.timeframes:
                continue
            for name, symbols in names.items():
                since_ms = min(self._missed_ms(symbol, frame.open_ms) for symbol in symbols)
                try:
                    rows = await exchange.fetch_ohlcv(name, frame.name, since_ms or None, CANDLES_MAX)
                    candles = [Candle(int(row[0]), *(float(value) for value in row[1:6])) for row in rows]
                except Exception as e:
                    log.warning("feed has no candles", feed=self.source, name=name, error=str(e)[:200])
                    continue
                for symbol in symbols:
                    missed_ms = self._missed_ms(symbol, frame.open_ms)
                    wanted = [
                        c for c in candles if c.open_ms >= missed_ms and frame.open_ms(c.open_ms) == c.open_ms
                    ]
                    if wanted:
                        await sink.candles(symbol, frame, wanted)

    def _missed_ms(self, symbol: str, open_ms: Any) -> int:
        last_ms = self._last_ms.get(symbol, 0)
        return int(open_ms(last_ms)) if last_ms else 0

    def _names(self, instruments: Sequence[Instrument], markets: Mapping[str, Any]) -> dict[str, list[str]]:
        """ccxt's name → our symbols; a USD pair falls back to the USDT pair."""
        found: dict[str, list[str]] = {}
        for instrument in instruments:
            base, quote = pair_of(instrument.symbol)
            kind, _, said = instrument.source.partition(":")
            wanted = [said] if kind == "ccxt" and said else [f"{base}/{quote}"]
            if quote == "USD" and not said:
                wanted.append(f"{base}/USDT")
            name = next((name for name in wanted if name in markets), None)
            if name is not None:
                found.setdefault(name, []).append(instrument.symbol)
        return found
