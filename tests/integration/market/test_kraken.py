"""Kraken against a fake that speaks its documented messages."""

from __future__ import annotations

import json
from typing import Any

import pytest

from libs.common.candles import BY_NAME
from services.market.adapters.dialect import Dialect, HeardCandles, HeardLeave, HeardQuote, HeardTrade
from services.market.adapters.kraken import Kraken, exchange_name
from tests.integration.market.cards import Eventually, ExchangeCards, instrument, reconnects
from tests.integration.market.fakes import FakeKraken, documented


class TestKraken(ExchangeCards):
    name = "BTC/USDT"
    source = "kraken"

    def fake(self) -> FakeKraken:
        return FakeKraken()

    def dialect(self, fake: FakeKraken) -> Dialect:
        return Kraken(fake.ws_url)

    def subscriptions(self, fake: FakeKraken) -> set[str]:
        said = [s["params"] for s in fake.said if s["method"] == "subscribe"]
        return {name for params in said if params["channel"] == "ticker" for name in params["symbol"]}

    async def test_k01_the_time_of_the_exchange_is_the_ticks(self, eventually: Eventually) -> None:
        async with self.running() as b:
            await self.listening(b, eventually)
            assert b.sink.ticks[0][3] == 1_695_632_671_742  # 2023-09-25T09:04:31.742648Z

    async def test_k02_candles_of_the_snapshot_are_taken_and_the_channel_is_left(
        self, eventually: Eventually
    ) -> None:
        fake = FakeKraken()
        fake.candle("BTC/USDT", 60, "2026-03-02T11:00:00.000000000Z", 10.0, 5.5)
        fake.candle("BTC/USDT", 60, "2026-03-02T12:00:00.000000000Z", 11.0, 2.25)
        self.fake = lambda: fake  # type: ignore[method-assign]
        async with self.running() as b:
            await eventually(lambda: ("BTC/USDT", "1h") in b.sink.bars)
            assert b.sink.bars["BTC/USDT", "1h"] == [
                (1_772_449_200_000, 10.0, 10.0, 10.0, 10.0, 5.5),
                (1_772_452_800_000, 11.0, 11.0, 11.0, 11.0, 2.25),
            ]

            def left() -> list[Any]:
                return [s["params"] for s in fake.said if s["method"] == "unsubscribe"]

            await eventually(left)
            assert left() == [{"channel": "ohlc", "symbol": ["BTC/USDT"], "interval": 60}]

    async def test_k03_weeks_and_months_are_made_of_whole_days(self, eventually: Eventually) -> None:
        fake = FakeKraken()
        for day in range(25, 29):
            fake.candle("BTC/USDT", 1440, f"2026-02-{day}T00:00:00.000000000Z", float(day), 1.0)
        for day in range(1, 6):
            fake.candle("BTC/USDT", 1440, f"2026-03-0{day}T00:00:00.000000000Z", float(day), 1.0)
        self.fake = lambda: fake  # type: ignore[method-assign]
        async with self.running() as b:
            await eventually(lambda: ("BTC/USDT", "1M") in b.sink.bars)
            assert b.sink.bars["BTC/USDT", "1w"] == [(1_772_409_600_000, 2.0, 5.0, 2.0, 5.0, 4.0)]
            assert b.sink.bars["BTC/USDT", "1M"] == [(1_772_323_200_000, 1.0, 5.0, 1.0, 5.0, 5.0)]

    async def test_k04_a_pair_it_does_not_have_harms_no_other(self, eventually: Eventually) -> None:
        fake = FakeKraken()
        fake.unknown.add("SOL/USDT")
        self.fake = lambda: fake  # type: ignore[method-assign]
        async with self.running(instrument("SOL/USDT"), instrument("BTC/USDT")) as b:
            await self.listening(b, eventually)
            assert fake.connections == 1

    async def test_k05_its_own_ping_is_said_and_its_maintenance_is_left(self, eventually: Eventually) -> None:
        before = reconnects("kraken", "asked")
        async with self.running() as b:
            await eventually(lambda: any(s["method"] == "ping" for s in b.fake.said))
            status = documented("kraken", "status")
            await b.fake.send({**status, "data": [{**status["data"][0], "system": "maintenance"}]})
            await eventually(lambda: b.fake.connections == 2)
            assert reconnects("kraken", "asked") == before + 1


def test_the_documented_messages_are_read() -> None:
    kraken = Kraken("ws://x")

    def read(name: str) -> Any:
        return kraken.read(json.dumps(documented("kraken", name)))

    assert read("ticker_snapshot") == [HeardQuote("ALGO/USD", 0.10025, 0.10036, 1_695_632_671_742)]
    assert read("trade_snapshot") == [
        HeardTrade("MATIC/USD", 6423.46326),
        HeardTrade("MATIC/USD", 1136.19677815),
    ]
    candles = read("ohlc_snapshot")
    assert len(candles) == 1
    assert isinstance(candles[0], HeardCandles)
    assert (candles[0].name, candles[0].frame) == ("ALGO/USD", BY_NAME["5m"])
    assert list(candles[0].candles) == [
        (1_696_433_100_000, 0.09875, 0.09875, 0.09875, 0.09875, 201.86015),
        (1_696_433_400_000, 0.09875, 0.0988, 0.09875, 0.09875, 16255.46368),
    ]
    for name in ("subscribed", "heartbeat", "pong", "status"):
        assert read(name) == []
    status = documented("kraken", "status")
    status["data"][0]["system"] = "maintenance"
    assert kraken.read(json.dumps(status)) == [HeardLeave("maintenance")]


@pytest.mark.parametrize(
    ("symbol", "said", "name"),
    [
        ("BTC/USDT", {}, "BTC/USDT"),
        ("BTCUSD", {}, "BTC/USD"),
        ("EURUSD", {}, "EUR/USD"),
        ("XAUUSD", {}, None),
        ("AAPL", {"sec_index": 4}, None),
        ("XAUUSD", {"source": "kraken:PAXG/USD"}, "PAXG/USD"),
        ("BTC/USDT", {"source": "binance:BTCUSDT"}, None),
    ],
)
def test_which_instruments_kraken_quotes(symbol: str, said: dict[str, Any], name: str | None) -> None:
    assert exchange_name(instrument(symbol, **said)) == name
