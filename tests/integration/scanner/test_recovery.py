"""What a scanner that stops, dies or judges again leaves behind: every bar told once, none left out."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

from libs.common import subjects
from libs.common.bus_nats import NatsBus
from libs.common.db import Database
from libs.common.messages.market import CandlesPut
from tests.conftest import wait_until
from tests.house import House
from tests.integration.market.rig import START, open_rig
from tests.integration.scanner.rig import HOUR_MS, Bar, open_scanner
from tests.unit.scanner.series import walk

COLUMNS = """pattern, direction, start_ms, end_ms, known_ms, confidence, price, atr, entry, stop, target1,
             target2, outcome, exit_ms, exit_price, return_pct, mfe_pct, mae_pct, bars"""
TOLD = f"SELECT {COLUMNS} FROM scanner.detection WHERE symbol = $1 ORDER BY known_ms, pattern"
START_MS = round(START.timestamp() * 1000)


def bars_of_walk(seed: int, count: int) -> list[Bar]:
    """A random walk of hours that ends at START."""
    bars = walk(seed, count)
    begin = START_MS - count * HOUR_MS
    columns = (bars.open, bars.high, bars.low, bars.close, bars.volume)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return [(begin + i * HOUR_MS, *row) for i, row in enumerate(rows)]


async def told(connection: Any, symbol: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await connection.fetch(TOLD, symbol)]


async def test_missed_bars_are_caught_up_and_judging_again_writes_nothing_twice(
    database: Callable[[str], Awaitable[Database]], bus: NatsBus
) -> None:
    bars = bars_of_walk(4, 400)
    market, scanner = await database("market"), await database("scanner")

    async def load(symbol: str, part: list[Bar]) -> None:
        await bus.request(subjects.CANDLES_PUT, CandlesPut(symbol=symbol, timeframe="1h", candles=part))

    async def done(symbol: str, at_ms: int) -> None:
        async def reached() -> bool:
            async with scanner.connection() as connection:
                row = await connection.fetchrow("SELECT done_ms FROM scanner.place WHERE symbol = $1", symbol)
            return row is not None and row["done_ms"] >= at_ms

        await wait_until(reached)

    async with open_rig(market, bus) as rig:
        async with open_scanner(scanner, bus, rig.clock):
            await load("EURUSD", bars)  # never interrupted
            await load("GBPUSD", bars[:250])
            await done("EURUSD", bars[-1][0])
            await done("GBPUSD", bars[249][0])
        await load("GBPUSD", bars[250:])  # while nobody looks
        async with open_scanner(scanner, bus, rig.clock):
            await done("GBPUSD", bars[-1][0])
        async with scanner.transaction() as tx:
            whole = await told(tx, "EURUSD")
            assert whole and await told(tx, "GBPUSD") == whole
            facts = {row[0] for row in await tx.fetch("SELECT DISTINCT event_id FROM scanner.outbox")}
            # As if what was judged had been forgotten: the same bars once more.
            await tx.execute("UPDATE scanner.place SET done_ms = $1", bars[300][0])
        async with open_scanner(scanner, bus, rig.clock):
            await done("GBPUSD", bars[-1][0])
            await done("EURUSD", bars[-1][0])
        async with scanner.connection() as connection:
            assert await told(connection, "EURUSD") == await told(connection, "GBPUSD") == whole
            again = {row[0] for row in await connection.fetch("SELECT DISTINCT event_id FROM scanner.outbox")}
        # The same facts have the same ids, whoever hears them twice drops the repeats.
        assert facts == again


async def test_killed_while_it_judges_it_goes_on_where_it_was_written(
    house: House, dsns: dict[str, str], bus: NatsBus
) -> None:
    bars = bars_of_walk(9, 2_600)
    await house.start("market", SERVICES="market,scanner")
    for symbol in ("EURUSD", "GBPUSD"):
        await bus.request(subjects.CANDLES_PUT, CandlesPut(symbol=symbol, timeframe="1h", candles=bars))
    admin = await asyncpg.connect(dsns["admin"])
    try:
        kills = 0
        while kills < 2:
            await house.start("scanner", SERVICES="market,scanner")
            before = await admin.fetchval("SELECT coalesce(sum(done_ms), 0) FROM scanner.place")

            async def moved(before: int = before) -> bool:
                now = await admin.fetchval("SELECT coalesce(sum(done_ms), 0) FROM scanner.place")
                return bool(now != before)

            await wait_until(moved)
            await house.end("scanner-0", signal.SIGKILL)
            kills += 1
        await house.start("scanner", SERVICES="market,scanner")

        async def finished() -> bool:
            rows = await admin.fetch("SELECT done_ms FROM scanner.place")
            return len(rows) == 2 and all(row["done_ms"] == bars[-1][0] for row in rows)

        await wait_until(finished, timeout_s=60)
        one, other = await told(admin, "EURUSD"), await told(admin, "GBPUSD")
        assert len(one) > 1_000 and one == other
        repeated = await admin.fetchval(
            "SELECT count(*) FROM (SELECT FROM scanner.outbox GROUP BY event_id HAVING count(*) > 1) AS r"
        )
        assert repeated == 0
    finally:
        await admin.close()
