"""Candles over the bus: built on bid, imported into one timeframe, kept by restarts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from prometheus_client import REGISTRY

from libs.common import subjects
from libs.common.bus_nats import NatsBus
from libs.common.candles import TIME_MAX_MS, TIMEFRAMES
from libs.common.clock import ManualClock
from libs.common.db import Database
from libs.common.errors import RemoteError
from libs.common.messages import market as m
from tests.integration.market.rig import START, START_MS, Rig, open_rig

HOUR_MS = 3_600_000
HOUR_S = START_MS // 1000


async def test_ticks_become_a_bar_in_every_timeframe_at_once(rig: Rig) -> None:
    await rig.quotes(
        ("EURUSD", 1.1, 1.5, START_MS + 1),
        ("EURUSD", 1.3, 1.5, START_MS + 2),
        ("EURUSD", 1.2, 1.5, START_MS + 3),
    )
    for frame in TIMEFRAMES:
        opened = frame.open_ms(START_MS) // 1000
        assert await rig.candles("EURUSD", frame.broker) == [[1.1, 1.3, 1.1, 1.2, 3.0, opened]]


@pytest.mark.parametrize("frame", ["1H", "H1", "1h"])
async def test_both_notations_and_any_way_of_writing_the_symbol(rig: Rig, frame: str) -> None:
    await rig.quote("BTC/USDT", 60_000.0, 60_001.0)
    expected = [[60_000.0, 60_000.0, 60_000.0, 60_000.0, 1.0, HOUR_S]]
    for symbol in ("BTC/USDT", "btcusdt", "BINANCE:BTCUSDT", "btc"):
        assert await rig.candles(symbol, frame) == expected


async def test_only_bars_that_open_in_the_range_are_given(rig: Rig) -> None:
    await rig.put_candles("EURUSD", "1h", *((START_MS + i * HOUR_MS, 1, 2, 1, 2, i) for i in range(5)))
    ask = m.CandlesAsk(symbol="EURUSD", frame="1H", from_s=HOUR_S + 3600, to_s=HOUR_S + 2 * 3600 + 1)
    answer = await rig.ask_json(subjects.CANDLES, ask)
    assert answer["structure"] == ["open", "high", "low", "close", "volume", "time"]
    assert [row[5] for row in answer["data"]] == [HOUR_S + 3600, HOUR_S + 7200]


@pytest.mark.parametrize(
    ("ask", "code"),
    [
        (m.CandlesAsk(symbol="NOPE", frame="1H", from_s=0, to_s=1), "RET_SYMBOL_NOT_FOUND"),
        (m.CandlesAsk(symbol="EURUSD", frame="2H", from_s=0, to_s=1), "INVALID_DATA"),
        (m.CandlesAsk(symbol="EURUSD", frame="1H", from_s=2, to_s=1), "INVALID_DATA"),
        (m.CandlesAsk(symbol="EURUSD", frame="1H", from_s=-1, to_s=1), "INVALID_DATA"),
    ],
)
async def test_a_broken_question_is_refused(rig: Rig, ask: m.CandlesAsk, code: str) -> None:
    with pytest.raises(RemoteError) as refused:
        await rig.ask(subjects.CANDLES, ask)
    assert refused.value.code == code


async def test_times_beyond_the_database_are_only_empty(rig: Rig) -> None:
    ask = m.CandlesAsk(symbol="EURUSD", frame="1H", from_s=2**61, to_s=2**62)
    assert (await rig.ask_json(subjects.CANDLES, ask))["data"] == []


async def test_the_newest_ten_thousand_of_a_range_are_given(rig: Rig) -> None:
    await rig.put_candles("EURUSD", "1m", *((i * 60_000, 1, 1, 1, 1, 0) for i in range(10_050)))
    rows = await rig.candles("EURUSD", "1M")
    assert len(rows) == 10_000
    assert (rows[0][5], rows[-1][5]) == (50 * 60, 10_049 * 60)


async def test_import_upserts_its_own_timeframe_and_no_other(rig: Rig) -> None:
    await rig.put_candles(
        "EURUSD", "1h", (START_MS, 1.1, 1.4, 1.0, 1.2, 10), (START_MS, 1.1, 1.3, 1.0, 1.2, 11)
    )
    await rig.put_candles("EURUSD", "1h", (START_MS + HOUR_MS, 1.2, 1.2, 1.2, 1.2, 1))
    await rig.put_candles("EURUSD", "1h", (START_MS + HOUR_MS, 1.2, 1.5, 1.1, 1.2, 2))
    assert await rig.candles("EURUSD", "1H") == [
        [1.1, 1.3, 1.0, 1.2, 11.0, HOUR_S],
        [1.2, 1.5, 1.1, 1.2, 2.0, HOUR_S + 3600],
    ]
    for frame in TIMEFRAMES:
        if frame.name != "1h":
            assert await rig.candles("EURUSD", frame.broker) == []
    snapshot = await rig.ask(subjects.QUOTES_SNAPSHOT, m.SnapshotAsk())
    assert snapshot.frames == []  # a candle never counts as a quote


async def test_imported_prices_keep_what_they_had_and_are_shown_rounded(
    rig: Rig, market_database: Database
) -> None:
    await rig.put_candles("USDJPY", "1d", (0, 150.123456, 150.2, 150.1, 150.123456, 1.5))
    assert await rig.candles("USDJPY", "1D") == [[150.123, 150.2, 150.1, 150.123, 1.5, 0]]
    async with market_database.connection() as connection:
        assert await connection.fetchval("SELECT open FROM market.candle") == 150.123456


@pytest.mark.parametrize(
    "row",
    [
        (0, 1, 2, 1.5, 1.2, 0),
        (0, 1, 1.1, 1, 1.2, 0),
        (0, 0, 1, 0, 1, 0),
        (-1, 1, 1, 1, 1, 0),
        (0, 1, 1, 1, 1, -1),
        (2**60, 1, 1, 1, 1, 0),
        (TIME_MAX_MS + 1, 1, 1, 1, 1, 0),
    ],
)
async def test_what_is_no_candle_is_refused_with_all_of_its_call(rig: Rig, row: Any) -> None:
    with pytest.raises(RemoteError) as refused:
        await rig.put_candles("EURUSD", "1h", (0, 1, 1, 1, 1, 1), row)
    assert (refused.value.code, refused.value.http_status) == ("INVALID_DATA", 400)
    assert await rig.candles("EURUSD", "1H") == []


async def test_an_imported_bar_that_is_still_open_is_continued_by_ticks(rig: Rig) -> None:
    await rig.quote("EURUSD", 1.0, 1.5, START_MS - 1)
    await rig.put_candles("EURUSD", "1h", (START_MS, 1.1, 1.4, 1.0, 1.2, 10))
    rig.clock.advance(60)
    await rig.quote("EURUSD", 1.5, 1.5)
    rows = await rig.candles("EURUSD", "1H")
    assert rows[-1] == [1.1, 1.5, 1.0, 1.5, 11.0, HOUR_S]
    await rig.put_candles("EURUSD", "1h", (START_MS, 1.1, 1.6, 1.0, 1.2, 20))
    await rig.quote("EURUSD", 1.3, 1.5)
    rows = await rig.candles("EURUSD", "1H")
    assert rows[-1] == [1.1, 1.6, 1.0, 1.3, 21.0, HOUR_S]


async def test_forming_bars_go_on_after_a_restart(market_database: Database, bus: NatsBus) -> None:
    clock = ManualClock(START)
    async with open_rig(market_database, bus, clock=clock) as first:
        await first.quote("EURUSD", 1.1, 1.5)
    clock.advance(90)
    async with open_rig(market_database, bus, clock=clock) as second:
        await second.quote("EURUSD", 1.2, 1.5)
        assert await second.candles("EURUSD", "1H") == [[1.1, 1.2, 1.1, 1.2, 2.0, HOUR_S]]
        assert await second.candles("EURUSD", "1M") == [
            [1.1, 1.1, 1.1, 1.1, 1.0, HOUR_S],
            [1.2, 1.2, 1.2, 1.2, 1.0, HOUR_S + 60],
        ]


async def test_a_bar_imported_before_a_restart_is_continued_after_it(
    market_database: Database, bus: NatsBus
) -> None:
    clock = ManualClock(START)
    async with open_rig(market_database, bus, clock=clock) as first:
        await first.put_candles("EURUSD", "4h", (START_MS, 1.1, 1.4, 1.0, 1.2, 10))
    async with open_rig(market_database, bus, clock=clock) as second:
        await second.quote("EURUSD", 1.6, 1.7)
        assert await second.candles("EURUSD", "4H") == [[1.1, 1.6, 1.0, 1.6, 11.0, HOUR_S]]


async def test_where_candles_came_from_is_kept(rig: Rig, market_database: Database) -> None:
    await rig.quote("EURUSD", 1.1, 1.5)
    await rig.ask(
        subjects.CANDLES_PUT,
        m.CandlesPut(symbol="EURUSD", timeframe="1d", candles=[(0, 1, 1, 1, 1, 1)], source="import"),
    )
    async with market_database.connection() as connection:
        rows = await connection.fetch(
            "SELECT s.name, c.timeframe FROM market.candle c JOIN market.source s ON s.id = c.source_id "
            "WHERE c.open_ms = 0 OR c.timeframe = 1 ORDER BY c.open_ms"
        )
    assert [tuple(row) for row in rows] == [("import", 7), ("manual", 1)]


async def test_what_waits_to_be_stored_says_how_long(
    rig: Rig, market_database: Database, eventually: Any
) -> None:
    def lag_s() -> float:
        told = REGISTRY.get_sample_value("tradewind_market_candle_write_lag_seconds")
        assert told is not None
        return told

    def waited_for_s() -> float:
        return REGISTRY.get_sample_value("tradewind_market_candle_wait_seconds_sum") or 0.0

    def later_s() -> float:
        rig.clock.advance(1)
        return lag_s()

    await rig.quote("EURUSD", 1.1, 1.2)
    await eventually(lambda: lag_s() == 0)
    rig.clock.advance(3600)  # nobody waits in a market that says nothing
    assert lag_s() == 0
    async with market_database.transaction() as tx:
        await tx.execute("LOCK TABLE market.candle IN SHARE MODE")
        put = asyncio.create_task(rig.quote("EURUSD", 1.2, 1.3))  # answered when it is stored
        await eventually(lambda: later_s() > 0)
        waited_s = lag_s()
        rig.clock.advance(7)
        assert lag_s() == waited_s + 7
        before_s = waited_for_s()
    await put
    await eventually(lambda: lag_s() == 0)
    assert waited_for_s() - before_s >= waited_s + 7
