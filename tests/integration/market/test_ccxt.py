"""The ccxt feed, with a stand-in for the library: the exchange object's methods as ccxt documents them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import pytest

from libs.common.clock import SystemClock
from libs.common.errors import ConfigInvalid
from services.market.adapters.ccxt import CcxtFeed, open_ccxt
from services.market.silence import Backoff, FeedLimits
from tests.integration.market.cards import Eventually, Recorder, instrument

HOUR_MS = 3_600_000


class Exchange:
    """What the feed uses of a ccxt exchange. Shared between connections through the class."""

    has: ClassVar = {"watchBidsAsks": True, "fetchOHLCV": True}
    timeframes: ClassVar = {"1h": "60", "1w": "W"}
    made = 0
    closed = 0
    tickers: asyncio.Queue[Any]
    bars: dict[tuple[str, str], list[list[float]]]

    def __init__(self, options: dict[str, Any]) -> None:
        assert options["enableRateLimit"] is True
        type(self).made += 1

    async def load_markets(self) -> dict[str, Any]:
        return {"BTC/USDT": {}, "ETH/USD": {}}

    async def watch_bids_asks(self, names: list[str]) -> dict[str, Any]:
        assert set(names) == {"BTC/USDT", "ETH/USD"}
        heard = await self.tickers.get()
        if isinstance(heard, Exception):
            raise heard
        return {"x": heard}

    async def fetch_ohlcv(self, name: str, frame: str, since: int | None, limit: int) -> list[list[float]]:
        return [row for row in self.bars.get((name, frame), []) if row[0] >= (since or 0)][:limit]

    async def fetch_tickers(self, names: list[str]) -> dict[str, Any]:
        return await self.watch_bids_asks(names)

    async def close(self) -> None:
        type(self).closed += 1


@asynccontextmanager
async def running(**bars: Any) -> AsyncIterator[tuple[CcxtFeed, type[Exchange], Recorder]]:
    kind = type(
        "Stand",
        (Exchange,),
        {"made": 0, "closed": 0, "tickers": asyncio.Queue(), "bars": bars.get("bars", {})},
    )
    feed = CcxtFeed(
        "stand",
        kind,
        SystemClock(),
        limits=FeedLimits(data_s_max=0.4),
        backoff=Backoff(first_s=0.01, max_s=0.05),
    )
    sink = Recorder(
        [instrument("BTC/USDT"), instrument("BTCUSD"), instrument("ETHUSD"), instrument("EURUSD")]
    )
    task = asyncio.create_task(feed.run(sink))
    try:
        yield feed, kind, sink
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_usd_pair_falls_back_to_the_usdt_pair(eventually: Eventually) -> None:
    async with running() as (feed, kind, sink):
        kind.tickers.put_nowait(
            {"symbol": "BTC/USDT", "bid": 1.0, "ask": 2.0, "timestamp": 1_700_000_000_000}
        )
        kind.tickers.put_nowait({"symbol": "ETH/USD", "bid": 3.0, "ask": 4.0, "timestamp": None})
        await eventually(lambda: len(sink.ticks) == 3)
        assert [tick[:3] for tick in sink.ticks] == [
            ("BTC/USDT", 1.0, 2.0),
            ("BTCUSD", 1.0, 2.0),
            ("ETHUSD", 3.0, 4.0),
        ]
        assert sink.ticks[0][3] == 1_700_000_000_000
        assert feed.problem() is None


async def test_errors_silence_and_garbage_end_in_a_new_connection_that_works(eventually: Eventually) -> None:
    async with running() as (feed, kind, sink):
        kind.tickers.put_nowait({"symbol": "BTC/USDT", "bid": None, "ask": 2.0})
        kind.tickers.put_nowait({"symbol": "BTC/USDT", "bid": 2.0, "ask": 1.0})
        kind.tickers.put_nowait(RuntimeError("gone"))
        await eventually(lambda: kind.made == 2)
        await eventually(lambda: kind.made == 3)  # nothing came for longer than is borne
        assert "no quote" in (feed.problem() or "")
        assert sink.ticks == []
        kind.tickers.put_nowait({"symbol": "BTC/USDT", "bid": 1.0, "ask": 2.0})
        await eventually(lambda: sink.ticks)
        assert kind.closed >= 2
        assert feed.problem() is None


async def test_candles_that_open_where_ours_do_are_taken(eventually: Eventually) -> None:
    bars = {
        ("BTC/USDT", "1h"): [[i * HOUR_MS, 1.0, 2.0, 0.5, 1.5, 9.0] for i in range(3)],
        ("BTC/USDT", "1w"): [[0, 1.0, 1.0, 1.0, 1.0, 1.0], [4 * 24 * HOUR_MS, 2.0, 2.0, 2.0, 2.0, 1.0]],
    }
    async with running(bars=bars) as (_, _, sink):
        await eventually(lambda: ("BTCUSD", "1w") in sink.bars)
        assert sink.bars["BTC/USDT", "1h"] == [(i * HOUR_MS, 1.0, 2.0, 0.5, 1.5, 9.0) for i in range(3)]
        assert [bar.open_ms for bar in sink.bars["BTCUSD", "1w"]] == [4 * 24 * HOUR_MS]


def test_without_the_extra_the_start_stops_with_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ccxt.pro", None)
    with pytest.raises(ConfigInvalid, match=r"needs the extra ccxt") as refused:
        open_ccxt("kraken", SystemClock())
    assert "\n" not in str(refused.value)
