"""Binance spot: the public market streams and two REST questions.

Documented at https://developers.binance.com/docs/binance-spot-api-docs: raw streams at ``/ws``, live
SUBSCRIBE, ``<symbol>@bookTicker`` for top of book, ``<symbol>@aggTrade`` for traded size,
``GET /api/v3/ticker/bookTicker`` and ``GET /api/v3/klines``. The server pings every 20 s, ends every
connection after 24 h, and says ``serverShutdown`` before it goes.

A USD pair of crypto is quoted from its USDT pair; an instrument's ``source`` names another one.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import aiohttp
import msgspec

from libs.common.candles import Candle, Timeframe
from libs.common.messages.market import Instrument
from libs.common.symbols import pair_of
from services.market.adapters.dialect import (
    Heard,
    HeardLeave,
    HeardQuote,
    HeardRefusal,
    HeardTrade,
    RestRefused,
    Unreadable,
    size_of,
)

KLINES_MAX = 1000  # in one answer
PAGES_MAX = 10
STREAMS_MAX = 200  # in one SUBSCRIBE; a connection takes 1024
CRYPTO = 2


class Binance:
    """See ``services.market.adapters.exchange.Dialect``."""

    source = "binance"
    history_by_stream = False

    def __init__(self, ws_url: str, rest_url: str) -> None:
        self.url = f"{ws_url.rstrip('/')}/ws"
        self._rest = rest_url.rstrip("/")
        self._ids = itertools.count(1)

    def names(self, instruments: Sequence[Instrument]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for instrument in instruments:
            name = exchange_name(instrument)
            if name is not None:
                found.setdefault(name, []).append(instrument.symbol)
        return found

    def subscribe(self, names: Sequence[str]) -> list[str]:
        streams = [f"{name.lower()}@{kind}" for name in names for kind in ("bookTicker", "aggTrade")]
        parts = [streams[i : i + STREAMS_MAX] for i in range(0, len(streams), STREAMS_MAX)]
        return [
            msgspec.json.encode({"method": "SUBSCRIBE", "params": part, "id": next(self._ids)}).decode()
            for part in parts
        ]

    def ping(self) -> str | None:
        return None

    def read(self, text: str) -> list[Heard]:
        message = msgspec.json.decode(text)
        if not isinstance(message, dict):
            raise Unreadable("not an object")
        if "stream" in message:
            message = message["data"]  # a combined stream wraps what a raw one says
        kind = message.get("e")
        if kind is None and "b" in message and "a" in message:
            return [_quote(message["s"], message["b"], message["a"])]
        if kind == "aggTrade":
            return [HeardTrade(message["s"], size_of(message["q"]))]
        if kind == "serverShutdown":
            return [HeardLeave("serverShutdown")]
        if "error" in message or "code" in message:
            return [HeardRefusal(text[:200])]
        if "result" in message:
            return []
        raise Unreadable("neither a quote, a trade nor an answer")

    async def snapshot(self, http: aiohttp.ClientSession, names: Sequence[str]) -> list[HeardQuote]:
        """The book tickers of all of these; one unknown name refuses them together."""
        asked = msgspec.json.encode(list(names)).decode()
        rows = await self._get(http, "/api/v3/ticker/bookTicker", {"symbols": asked})
        return [
            _quote(row["symbol"], row["bidPrice"], row["askPrice"])
            for row in rows
            if float(row["bidPrice"]) > 0  # a halted pair shows zeros
        ]

    async def history(
        self, http: aiohttp.ClientSession, name: str, frame: Timeframe, since_ms: int
    ) -> list[Candle]:
        """The last 1,000 klines, or those since a time in pages, at most ``PAGES_MAX`` of them."""
        found: list[Candle] = []
        for _ in range(PAGES_MAX):
            question = {"symbol": name, "interval": frame.name, "limit": str(KLINES_MAX)}
            if since_ms:
                question["startTime"] = str(found[-1].open_ms + 1 if found else since_ms)
            page = [_candle(row) for row in await self._get(http, "/api/v3/klines", question)]
            found += page
            if not since_ms or len(page) < KLINES_MAX:
                break
        return found

    async def _get(self, http: aiohttp.ClientSession, path: str, question: dict[str, str]) -> Any:
        async with http.get(self._rest + path, params=question) as answer:
            body = await answer.read()
            if answer.status in (400, 404):
                raise RestRefused(body[:200].decode("utf-8", "replace"))
            answer.raise_for_status()
            return msgspec.json.decode(body)


def exchange_name(instrument: Instrument) -> str | None:
    """``BTCUSDT`` for BTC/USDT and for BTCUSD; what ``source`` says before all; None for the rest."""
    if instrument.source:
        kind, _, name = instrument.source.partition(":")
        return name.upper() if kind == "binance" and name else None
    if instrument.sec_index != CRYPTO and "/" not in instrument.symbol:
        return None
    base, quote = pair_of(instrument.symbol)
    if base == quote:
        return None
    return f"{base}{'USDT' if quote == 'USD' else quote}"


def _quote(name: str, bid_text: str, ask_text: str) -> HeardQuote:
    bid, ask = float(bid_text), float(ask_text)
    if not 0 < bid <= ask < float("inf"):
        raise Unreadable(f"{name}: bid {bid}, ask {ask}")
    return HeardQuote(name, bid, ask)


def _candle(row: Sequence[Any]) -> Candle:
    open_ms, o, h, low, c, volume = row[:6]
    return Candle(int(open_ms), float(o), float(h), float(low), float(c), float(volume))
