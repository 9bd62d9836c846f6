"""The synthetic feed on real servers: a year at the first start, no hole at a later one, ticks on time."""

from __future__ import annotations

import signal
from datetime import timedelta
from typing import Any

import pytest

from libs.common import subjects
from libs.common.bus_nats import NatsBus
from libs.common.candles import BY_NAME, DAY_MS, TIMEFRAMES, candles_of
from libs.common.clock import ManualClock
from libs.common.db import Database
from libs.common.messages import market as m
from services.market.synthetic import SyntheticMarket
from tests.house import House
from tests.integration.market.rig import START, START_MS, Rig, open_rig

WORLD = SyntheticMarket(1)
SYMBOL = 7  # BTC/USDT's place among the models


async def has_a_year(rig: Rig) -> bool:
    async with rig.app_database.connection() as connection:
        done = await connection.fetchval(
            "SELECT at ->> 'done' FROM market.cursor WHERE feed = 'synthetic year'"
        )
    return bool(done == "true")


async def is_ready(rig: Rig) -> bool:
    return not [said for problem in rig.app.problems if (said := await problem())]


async def stored(database: Database, frame: str, symbol: str = "BTC/USDT") -> list[tuple[Any, ...]]:
    async with database.connection() as connection:
        rows = await connection.fetch(
            "SELECT c.open_ms, c.open, c.high, c.low, c.close, c.volume FROM market.candle c "
            "JOIN market.instrument i ON i.id = c.instrument_id "
            "WHERE i.symbol = $1 AND c.timeframe = $2 ORDER BY c.open_ms",
            symbol,
            BY_NAME[frame].id,
        )
    return [tuple(row) for row in rows]


async def test_a_first_start_has_quotes_at_once_and_then_a_year_that_agrees_in_every_frame(
    market_database: Database, bus: NatsBus, eventually: Any
) -> None:
    async with open_rig(market_database, bus, feed="synthetic") as rig:
        assert not await is_ready(rig), "nobody can trade before there is a price"
        await eventually(lambda: len(rig.frames) >= 12)
        await eventually(lambda: is_ready(rig))
        assert {frame[6] for _, frame in rig.frames[:12]} == {1}
        await eventually(lambda: has_a_year(rig), timeout_s=60)
    hours = await stored(market_database, "1h")
    assert len(hours) >= 365 * 24
    assert hours[0][0] <= START_MS - 365 * DAY_MS
    assert [row[0] for row in hours] == [hours[0][0] + i * 3_600_000 for i in range(len(hours))]
    # Each longer frame is what its hours say.
    for name in ("4h", "1d", "1w", "1M"):
        frame = BY_NAME[name]
        by_bar: dict[int, list[tuple[Any, ...]]] = {}
        for row in hours:
            by_bar.setdefault(frame.open_ms(row[0]), []).append(row)
        for at, o, h, low, c, v in await stored(market_database, name):
            inside = by_bar[at]
            assert (o, h, low, c) == (
                inside[0][1],
                max(row[2] for row in inside),
                min(row[3] for row in inside),
                inside[-1][4],
            )
            assert v == sum(row[5] for row in inside)
    for name, days in (("1m", 7), ("5m", 21), ("15m", 60), ("30m", 365)):
        rows = await stored(market_database, name)
        span = BY_NAME[name].span_ms
        assert [row[0] for row in rows] == [rows[0][0] + i * span for i in range(len(rows))]
        assert rows[0][0] <= START_MS - days * DAY_MS + span
    # The last live tick and the history are one path.
    last = next(t for t in WORLD.ticks(START_MS - 500, START_MS) if t[0] == "BTC/USDT")
    assert hours[-1][4] == last[1]


async def test_a_later_start_fills_the_gap_as_if_it_had_run(
    market_database: Database, bus: NatsBus, eventually: Any
) -> None:
    clock = ManualClock(START)
    async with open_rig(market_database, bus, clock=clock, feed="synthetic") as rig:
        await eventually(lambda: has_a_year(rig), timeout_s=60)
    gap_s = 2 * 3600 + 123
    clock.advance(gap_s)
    async with open_rig(market_database, bus, clock=clock, feed="synthetic") as rig:
        await eventually(lambda: len(rig.frames) >= 12)
        assert rig.frames[0][1][6] == 2  # nothing was quoted in between, so seq has no gap
    now_ms = START_MS + gap_s * 1000
    ticks = [(t[3], t[1], t[4]) for t in WORLD.ticks(START_MS - 60_000 - 1, now_ms) if t[0] == "BTC/USDT"]
    for frame in TIMEFRAMES[:5]:
        path = [c for c in candles_of(ticks, frame) if c.open_ms >= START_MS]
        rows = [row for row in await stored(market_database, frame.name) if row[0] >= START_MS]
        assert rows == [tuple(c) for c in path]


async def test_a_broken_off_year_is_made_again(
    market_database: Database, bus: NatsBus, eventually: Any
) -> None:
    async with open_rig(market_database, bus, feed="synthetic") as rig:
        await eventually(lambda: rig.frames)  # closed while the year is being made
    async with open_rig(market_database, bus, feed="synthetic") as rig:
        await eventually(lambda: has_a_year(rig), timeout_s=60)
    hours = await stored(market_database, "1h")
    assert [row[0] for row in hours] == [hours[0][0] + i * 3_600_000 for i in range(len(hours))]
    assert len(hours) >= 365 * 24


async def test_no_tick_is_lost_or_counted_twice_in_candles_over_a_crash(
    house: House, bus: NatsBus, eventually: Any
) -> None:
    frames: list[bytes] = []
    await bus.subscribe("market.tick.quote.v1.raw.EURUSD", lambda subject, payload: frames.append(payload))
    await house.start("market", FEED="synthetic", SYNTHETIC_TICKS_PER_S="20")
    await eventually(lambda: len(frames) > 60)
    await house.end("market-0", signal.SIGKILL)
    await house.start("market", FEED="synthetic", SYNTHETIC_TICKS_PER_S="20")
    seen = len(frames)
    await eventually(lambda: len(frames) > seen + 60)
    await house.end("market-0")
    await house.start("market", FEED="manual")
    first_ms = int(frames[0].split(b",")[5])
    minute_ms = first_ms - first_ms % 60_000
    ask = m.CandlesAsk(symbol="EURUSD", frame="1M", from_s=minute_ms // 1000, to_s=2**33)
    rows = (await bus.request(subjects.CANDLES, ask)).data
    last_ms = int(frames[-1].split(b",")[5])
    world = SyntheticMarket(1, 1200)
    ticks = [(t[3], t[1], t[4]) for t in world.ticks(minute_ms - 1, last_ms) if t[0] == "EURUSD"]
    assert [row[:5] for row in rows] == [list(c[1:6]) for c in candles_of(ticks, TIMEFRAMES[0])]


async def caught_up_to(database: Database, at_ms: int) -> bool:
    async with database.connection() as connection:
        cursor = await connection.fetchval("SELECT at ->> 'ms' FROM market.cursor WHERE feed = 'synthetic'")
    return int(cursor) == at_ms


async def test_candles_go_on_where_a_process_ended_before_its_first_quote_was_stored(
    market_database: Database, bus: NatsBus, eventually: Any
) -> None:
    clock = ManualClock(START + timedelta(seconds=20))
    async with open_rig(market_database, bus, clock=clock, feed="synthetic") as rig:
        await eventually(lambda: rig.frames)
    async with market_database.connection() as connection:
        await connection.execute("UPDATE market.quote SET bid = 0, ask = 0, ctm_ms = 0")
    clock.advance(10)
    async with open_rig(market_database, bus, clock=clock, feed="synthetic") as rig:
        await eventually(lambda: rig.frames)
    ticks = [(t[3], t[1], t[4]) for t in WORLD.ticks(START_MS - 1, START_MS + 30_000) if t[0] == "BTC/USDT"]
    assert [row for row in await stored(market_database, "1m") if row[0] >= START_MS] == [
        tuple(c) for c in candles_of(ticks, TIMEFRAMES[0])
    ]


@pytest.mark.parametrize("late_s", [5, 3600])
async def test_what_a_sleeping_process_missed_is_made_up_for(
    market_database: Database, bus: NatsBus, eventually: Any, late_s: int
) -> None:
    clock = ManualClock(START)
    async with open_rig(market_database, bus, clock=clock, feed="synthetic") as rig:
        await eventually(lambda: has_a_year(rig), timeout_s=60)
        rig.frames.clear()
        clock.advance(late_s)
        if late_s == 5:  # as ticks
            await eventually(lambda: len(rig.frames) == 12 * 10)
        else:  # as candles; the next tick is a live one
            await eventually(lambda: caught_up_to(market_database, START_MS + late_s * 1000))
            assert rig.frames == []
    rows = [row for row in await stored(market_database, "1m") if row[0] >= START_MS]
    ticks = [
        (t[3], t[1], t[4]) for t in WORLD.ticks(START_MS - 1, START_MS + late_s * 1000) if t[0] == "BTC/USDT"
    ]
    assert rows == [tuple(c) for c in candles_of(ticks, TIMEFRAMES[0])][: len(rows)]
    assert len(rows) >= late_s // 60
