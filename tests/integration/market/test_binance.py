"""Binance against a fake that speaks its documented messages."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from libs.common import subjects
from libs.common.bus_nats import NatsBus
from libs.common.messages import market as m
from services.market.adapters.binance import Binance, exchange_name
from services.market.adapters.dialect import Dialect, HeardLeave, HeardQuote, HeardRefusal, HeardTrade
from tests.house import House
from tests.integration.market.cards import Eventually, ExchangeCards, instrument, reconnects
from tests.integration.market.fakes import FakeBinance, documented

HOUR_MS = 3_600_000


def kline(open_ms: int, price: float, volume: float = 1.0) -> list[Any]:
    shape = documented("binance", "klines")[0]
    return [open_ms, *[f"{price:.8f}"] * 4, f"{volume:.8f}", *shape[6:]]


class TestBinance(ExchangeCards):
    name = "BTCUSDT"
    source = "binance"

    def fake(self) -> FakeBinance:
        return FakeBinance()

    def dialect(self, fake: FakeBinance) -> Dialect:
        return Binance(fake.ws_url, fake.rest_url)

    def subscriptions(self, fake: FakeBinance) -> set[str]:
        streams = {stream for said in fake.said for stream in said["params"]}
        names = {stream.partition("@")[0] for stream in streams}
        assert streams == {f"{name}@{kind}" for name in names for kind in ("bookTicker", "aggTrade")}
        return names

    async def test_b01_the_snapshot_gives_a_quote_before_anything_moves(self, eventually: Eventually) -> None:
        async with self.running() as b:
            b.fake.tickers["BTCUSDT"] = ("4.00000000", "4.00000200")
            await b.fake.drop()  # the fake learnt of it after the first connection
            await eventually(lambda: b.sink.ticks)
            assert b.sink.ticks[0][:3] == ("BTC/USDT", 4.0, 4.000002)

    async def test_b02_a_first_connection_takes_the_last_thousand_candles_of_every_frame(
        self, eventually: Eventually
    ) -> None:
        fake = FakeBinance()
        fake.klines["BTCUSDT", "1h"] = [kline(i * HOUR_MS, 10.0 + i, i) for i in range(1200)]
        self.fake = lambda: fake  # type: ignore[method-assign]
        async with self.running() as b:
            await eventually(lambda: len(b.sink.bars.get(("BTC/USDT", "1h"), ())) == 1000)
            bars = b.sink.bars["BTC/USDT", "1h"]
            assert (bars[0].open_ms, bars[-1].open_ms) == (200 * HOUR_MS, 1199 * HOUR_MS)
            assert bars[-1] == (1199 * HOUR_MS, 1209.0, 1209.0, 1209.0, 1209.0, 1199.0)
            await eventually(lambda: b.sink.marks == [{"caught_up": ["BTC/USDT"]}])
            asked = {q["interval"] for path, q in fake.questions if path.endswith("klines")}
            assert asked == {"1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w", "1M"}

    async def test_b03_after_a_gap_the_candles_since_the_last_quote_are_taken_in_pages(
        self, eventually: Eventually
    ) -> None:
        fake = FakeBinance()
        fake.klines["BTCUSDT", "1m"] = [kline(i * 60_000, 10.0) for i in range(3000)]
        self.fake = lambda: fake  # type: ignore[method-assign]
        async with self.running() as b:
            await eventually(lambda: b.sink.marks)
            b.sink.last["BTC/USDT"] = 500 * 60_000 + 17
            b.sink.bars.clear()
            await b.fake.drop()
            await eventually(lambda: len(b.sink.bars.get(("BTC/USDT", "1m"), ())) == 2500)
            assert [c.open_ms for c in b.sink.bars["BTC/USDT", "1m"]] == [
                i * 60_000 for i in range(500, 3000)
            ]

    async def test_b06_what_a_cut_connection_did_not_get_stays_owed(self, eventually: Eventually) -> None:
        fake = FakeBinance()
        fake.failing = 10**6
        fake.klines["BTCUSDT", "1h"] = [kline(i * HOUR_MS, 10.0) for i in range(50)]
        self.fake = lambda: fake  # type: ignore[method-assign]
        async with self.running() as b:
            await self.listening(b, eventually)
            await b.fake.drop()
            await eventually(lambda: b.fake.connections == 2)
            fake.failing = 0
            await eventually(lambda: b.sink.marks == [{"caught_up": ["BTC/USDT"]}])
            assert len(b.sink.bars["BTC/USDT", "1h"]) == 50

    async def test_b04_rest_that_fails_is_asked_again_and_one_that_refuses_is_not(
        self, eventually: Eventually
    ) -> None:
        fake = FakeBinance()
        fake.failing = 6
        fake.klines["BTCUSDT", "1h"] = [kline(HOUR_MS, 10.0)]
        self.fake = lambda: fake  # type: ignore[method-assign]
        async with self.running() as b:
            await eventually(lambda: ("BTC/USDT", "1h") in b.sink.bars)
            await eventually(lambda: b.sink.marks)
            answered = [q["interval"] for path, q in fake.questions if "interval" in q][6:]
            assert len(answered) <= 9  # a refusal is not asked again

    async def test_b05_a_shutdown_notice_is_followed_at_once(self, eventually: Eventually) -> None:
        before = reconnects("binance", "asked")
        async with self.running() as b:
            await self.listening(b, eventually)
            await b.fake.send(documented("binance", "server_shutdown"))
            await eventually(lambda: b.fake.connections == 2)
            assert reconnects("binance", "asked") == before + 1


@pytest.mark.parametrize("combined", [False, True])
def test_the_documented_messages_are_read_raw_and_combined(combined: bool) -> None:
    def read(name: str) -> Any:
        message = documented("binance", name)
        whole = {"stream": "x@y", "data": message} if combined else message
        return Binance("ws://x", "http://x").read(json.dumps(whole))

    assert read("book_ticker") == [HeardQuote("BNBUSDT", 25.3519, 25.3652)]
    assert read("agg_trade") == [HeardTrade("BNBBTC", 100.0)]
    assert read("server_shutdown") == [HeardLeave("serverShutdown")]
    assert read("subscribed") == []
    assert isinstance(read("error")[0], HeardRefusal)


@pytest.mark.parametrize(
    ("symbol", "said", "name"),
    [
        ("BTC/USDT", {}, "BTCUSDT"),
        ("BTCUSD", {}, "BTCUSDT"),
        ("EURUSD", {}, None),
        ("XAUUSD", {}, None),
        ("AAPL", {"sec_index": 4}, None),
        ("DOGE/BTC", {}, "DOGEBTC"),
        ("EURUSD", {"source": "binance:eurusdt"}, "EURUSDT"),
        ("BTC/USDT", {"source": "kraken:BTC/USDT"}, None),
    ],
)
def test_which_instruments_binance_quotes(symbol: str, said: dict[str, Any], name: str | None) -> None:
    assert exchange_name(instrument(symbol, **said)) == name


async def test_a_market_on_binance_quotes_builds_candles_and_comes_back(
    house: House, bus: NatsBus, eventually: Eventually
) -> None:
    fake = FakeBinance()
    fake.klines["BTCUSDT", "1d"] = [kline(i * 24 * HOUR_MS, 50_000.0 + i) for i in range(20_000, 20_010)]
    await fake.start()
    frames: list[bytes] = []
    await bus.subscribe("market.tick.quote.v1.raw.*", lambda subject, payload: frames.append(payload))
    settings = {"FEED": "binance", "BINANCE_WS_URL": fake.ws_url, "BINANCE_REST_URL": fake.rest_url}
    await house.start("market", **settings)
    await eventually(lambda: fake.said)
    await fake.quote("BTCUSDT", 60_000.0, 60_001.0)
    await eventually(lambda: len(frames) == 2)  # BTC/USDT and BTCUSD
    assert {frame.split(b",")[1] for frame in frames} == {b'"BTC/USDT"', b'"BTCUSD"'}
    await fake.drop()
    await eventually(lambda: len(fake.said) == 2)
    await fake.quote("BTCUSDT", 60_100.0, 60_101.0)
    await eventually(lambda: len(frames) == 4)
    ask = m.CandlesAsk(symbol="BTC/USDT", frame="MN1", from_s=0, to_s=2**33)
    months = await bus.request(subjects.CANDLES, ask)
    assert months.data[-1][:4] == [60_000.0, 60_100.0, 60_000.0, 60_100.0]
    ask = m.CandlesAsk(symbol="BTC/USDT", frame="1D", from_s=0, to_s=2**33)

    async def with_history() -> Any:
        days = await bus.request(subjects.CANDLES, ask)
        return len(days.data) > 1 and days.data

    days = await eventually(with_history)
    assert [row[3] for row in days][:10] == [50_000.0 + i for i in range(20_000, 20_010)]
    await asyncio.gather(house.end("market-0"), fake.stop())


async def test_a_live_feed_that_never_connects_is_a_problem_only_after_its_time(house: House) -> None:
    # Ready at once: nothing is known to be wrong yet. The limit itself is card F10.
    await house.start(
        "market", FEED="binance", BINANCE_WS_URL="ws://127.0.0.1:9", BINANCE_REST_URL="http://127.0.0.1:9"
    )
    assert 'tradewind_market_feed_reconnects_total{cause="refused",feed="binance"}' in (
        await house.running["market-0"].metrics()
    )
