"""Kraken spot: the public WebSocket API v2.

Documented at https://docs.kraken.com/api/docs/websocket-v2: channels ``ticker`` (top of book, with a
snapshot, on every change of it), ``trade`` (traded size) and ``ohlc`` (its snapshot gives the last
candles; it is left again after that), ``ping``, ``heartbeat`` and ``status``.

Kraken's week begins on Thursday and it has no month: both are made of its days.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import aiohttp
import msgspec

from libs.common.candles import BY_NAME, TIMEFRAMES, Candle, Timeframe
from libs.common.messages.market import Instrument
from libs.common.symbols import pair_of
from services.market.adapters.dialect import (
    Heard,
    HeardCandles,
    HeardLeave,
    HeardQuote,
    HeardRefusal,
    HeardTrade,
    Unreadable,
    size_of,
)
from services.market.bars import aggregated, bars_of

_MINUTE_MS = 60_000
_WEEK, _MONTH = BY_NAME["1w"], BY_NAME["1M"]
_BY_INTERVAL = {t.span_ms // _MINUTE_MS: t for t in TIMEFRAMES if t.span_ms and t is not _WEEK}
_DAY_MINUTES = 1440
METALS = 1  # Kraken has none
_QUIET = {"heartbeat", "status"}


class Kraken:
    """See ``services.market.adapters.exchange.Dialect``."""

    source = "kraken"
    history_by_stream = True

    def __init__(self, ws_url: str) -> None:
        self.url = ws_url
        self._ids = itertools.count(1)

    def names(self, instruments: Sequence[Instrument]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for instrument in instruments:
            name = exchange_name(instrument)
            if name is not None:
                found.setdefault(name, []).append(instrument.symbol)
        return found

    def subscribe(self, names: Sequence[str]) -> list[str]:
        wanted = [
            {"channel": "ticker", "symbol": list(names), "event_trigger": "bbo", "snapshot": True},
            {"channel": "trade", "symbol": list(names), "snapshot": False},
            *(
                {"channel": "ohlc", "symbol": list(names), "interval": m, "snapshot": True}
                for m in _BY_INTERVAL
            ),
        ]
        return [self._say("subscribe", params) for params in wanted]

    def ping(self) -> str | None:
        return msgspec.json.encode({"method": "ping", "req_id": next(self._ids)}).decode()

    def _say(self, method: str, params: dict[str, Any]) -> str:
        message = {"method": method, "params": params, "req_id": next(self._ids)}
        return msgspec.json.encode(message).decode()

    def read(self, text: str) -> list[Heard]:
        message = msgspec.json.decode(text)
        if not isinstance(message, dict):
            raise Unreadable("not an object")
        match message.get("channel"):
            case "ticker":
                return [_quote(row) for row in message["data"]]
            case "trade":
                return [HeardTrade(row["symbol"], size_of(row["qty"])) for row in message["data"]]
            case "ohlc":
                return self._candles(message) if message.get("type") == "snapshot" else []
            case "status" if message["data"][0].get("system") == "maintenance":
                return [HeardLeave("maintenance")]
            case channel if channel in _QUIET:
                return []
            case None:
                return self._answer(message)
            case channel:
                raise Unreadable(f"channel {channel!r}")

    @staticmethod
    def _answer(message: dict[str, Any]) -> list[Heard]:
        if message.get("success") is False:
            return [HeardRefusal(str(message.get("error"))[:200])]
        if message.get("method") in ("pong", "subscribe", "unsubscribe"):
            return []
        raise Unreadable("neither a channel nor an answer")

    def _candles(self, message: dict[str, Any]) -> list[Heard]:
        """The candles of a snapshot by symbol, and the word that no more of them are wanted."""
        by_series: dict[tuple[str, int], list[Candle]] = {}
        for row in message["data"]:
            by_series.setdefault((row["symbol"], row["interval"]), []).append(_candle(row))
        heard: list[Heard] = []
        for (name, minutes), candles in by_series.items():
            frame = _BY_INTERVAL.get(minutes)
            if frame is None:
                raise Unreadable(f"interval {minutes}")
            enough = {"channel": "ohlc", "symbol": [name], "interval": minutes}
            heard.append(HeardCandles(name, frame, candles, (self._say("unsubscribe", enough),)))
            if minutes == _DAY_MINUTES:
                heard += [HeardCandles(name, long, _whole(candles, long)) for long in (_WEEK, _MONTH)]
        return heard

    async def snapshot(self, http: aiohttp.ClientSession, names: Sequence[str]) -> list[HeardQuote]:
        return []  # the ticker channel begins with one

    async def history(
        self, http: aiohttp.ClientSession, name: str, frame: Timeframe, since_ms: int
    ) -> list[Candle]:
        return []  # the ohlc channel begins with it


def exchange_name(instrument: Instrument) -> str | None:
    """``BTC/USD`` for BTCUSD; what ``source`` says before all; None for names that are no pair."""
    if instrument.source:
        kind, _, name = instrument.source.partition(":")
        return name.upper() if kind == "kraken" and name else None
    base, quote = pair_of(instrument.symbol)
    return None if base == quote or instrument.sec_index == METALS else f"{base}/{quote}"


def _whole(days: Sequence[Candle], frame: Timeframe) -> list[Candle]:
    """Bars made of days, without a first one that begins before them."""
    bars = aggregated(bars_of(days), frame)
    return bars.since(days[0].open_ms).candles()


def _quote(row: dict[str, Any]) -> HeardQuote:
    bid, ask = float(row["bid"]), float(row["ask"])
    if not 0 < bid <= ask < float("inf"):
        raise Unreadable(f"{row['symbol']}: bid {bid}, ask {ask}")
    at = row.get("timestamp")
    return HeardQuote(row["symbol"], bid, ask, _unix_ms(at) if at else None)


def _candle(row: dict[str, Any]) -> Candle:
    o, h, low, c, volume = (float(row[name]) for name in ("open", "high", "low", "close", "volume"))
    return Candle(_unix_ms(row["interval_begin"]), o, h, low, c, volume)


def _unix_ms(text: str) -> int:
    """RFC 3339 with up to nine decimals."""
    whole, _, rest = text.rstrip("Z").partition(".")
    moment = datetime.fromisoformat(whole).replace(tzinfo=UTC)
    return round(moment.timestamp()) * 1000 + int((rest + "000")[:3])
