"""The scanner while servers are away, and beside a second one: it catches up and tells nothing twice."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest_asyncio

from libs.common import bus_nats, subjects
from libs.common.bus_nats import NatsBus
from libs.common.errors import AppError
from libs.common.messages.market import CandlesPut
from libs.common.messages.scan import ContextsAsk
from libs.common.migrate import migrate_all
from libs.common.streams import ensure_streams
from tests.conftest import wait_until
from tests.house import House
from tests.integration.scanner.rig import Bar
from tests.integration.scanner.test_recovery import bars_of_walk, told
from tests.servers import NatsServer, PostgresServer, open_nats, open_postgres

BARS = bars_of_walk(17, 320)
HALF = 280
SERVICES = "market,scanner"
REPEATED = "SELECT count(*) FROM (SELECT FROM scanner.outbox GROUP BY event_id HAVING count(*) > 1) AS r"


@pytest_asyncio.fixture
async def own_postgres(tmp_path: Path) -> AsyncIterator[PostgresServer]:
    """A PostgreSQL of the scanner alone; market keeps its own."""
    with open_postgres(tmp_path / "postgres", private=True) as server:
        await migrate_all(server.dsn, ["scanner"], lambda line: None)
        yield server


@pytest_asyncio.fixture
async def own_nats(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """A NATS of this test alone."""
    with open_nats(tmp_path / "nats", private=True) as server:
        await ensure_streams(server.url, ["market", "scanner"], gateway_processes=1)
        yield server


async def put(bus: NatsBus, symbol: str, bars: list[Bar]) -> None:
    await bus.request(subjects.CANDLES_PUT, CandlesPut(symbol=symbol, timeframe="1h", candles=bars))


async def judged(dsn: str, *symbols: str, at_ms: int = BARS[-1][0]) -> None:
    """Wait until the hours of these symbols were judged up to here."""
    connection = await asyncpg.connect(dsn)
    try:

        async def done() -> bool:
            sql = "SELECT count(*) FROM scanner.place WHERE symbol = ANY ($1) AND done_ms >= $2"
            return bool(await connection.fetchval(sql, symbols, at_ms) == len(symbols))

        await wait_until(done, timeout_s=40)
    finally:
        await connection.close()


async def assert_told_once_and_alike(dsn: str) -> None:
    """GBPUSD had the same bars with trouble in between: the same was told of it, and of nothing twice."""
    connection = await asyncpg.connect(dsn)
    try:
        whole = await told(connection, "EURUSD")
        assert len(whole) > 100 and await told(connection, "GBPUSD") == whole
        assert await connection.fetchval(REPEATED) == 0
    finally:
        await connection.close()


async def test_bars_that_close_while_postgres_is_away_are_judged_once_when_it_is_back(
    own_postgres: PostgresServer, dsns: dict[str, str], nats_url: str, bus: NatsBus, tmp_path: Path
) -> None:
    house = House({**dsns, "scanner": own_postgres.dsn}, nats_url, tmp_path)
    try:
        await house.start("market", "scanner", SERVICES=SERVICES)
        await put(bus, "EURUSD", BARS)
        await put(bus, "GBPUSD", BARS[:HALF])
        await judged(own_postgres.dsn, "EURUSD")
        await judged(own_postgres.dsn, "GBPUSD", at_ms=BARS[HALF - 1][0])
        own_postgres.stop()
        await put(bus, "GBPUSD", BARS[HALF:])
        log = house.running["scanner-0"].log
        await wait_until(
            lambda: "round not done" in log.read_text() or "round broke" in log.read_text(), timeout_s=30
        )
        own_postgres.restart()
        await judged(own_postgres.dsn, "GBPUSD")
        await assert_told_once_and_alike(own_postgres.dsn)
        assert house.running["scanner-0"].process.returncode is None
    finally:
        await house.stop()


async def test_bars_that_close_while_nats_is_away_are_judged_once_when_it_is_back(
    own_nats: NatsServer, dsns: dict[str, str], tmp_path: Path
) -> None:
    house = House(dsns, own_nats.url, tmp_path)
    bus = await bus_nats.connect(own_nats.url, "test")
    admin = await asyncpg.connect(dsns["admin"])
    try:
        await house.start("market", "scanner", SERVICES=SERVICES)
        await put(bus, "EURUSD", BARS)
        await put(bus, "GBPUSD", BARS[:HALF])
        await judged(dsns["admin"], "EURUSD")
        await judged(dsns["admin"], "GBPUSD", at_ms=BARS[HALF - 1][0])
        own_nats.stop()
        # What market stores while nobody can be told of it.
        await admin.execute(
            """INSERT INTO market.candle
               SELECT c.open_ms, c.open, c.high, c.low, c.close, c.volume, other.id, c.timeframe, c.source_id
                 FROM market.candle AS c JOIN market.instrument AS own ON own.id = c.instrument_id
                 JOIN market.instrument AS other ON other.symbol = 'GBPUSD'
                WHERE own.symbol = 'EURUSD' ON CONFLICT DO NOTHING"""
        )
        own_nats.restart()
        await judged(dsns["admin"], "GBPUSD")
        await assert_told_once_and_alike(dsns["admin"])
        assert all(running.process.returncode is None for running in house.running.values())
    finally:
        await admin.close()
        await bus.close()
        await house.stop()


async def test_a_second_scanner_waits_and_takes_over_when_the_first_is_killed(
    house: House, dsns: dict[str, str], bus: NatsBus
) -> None:
    await house.start("market", "scanner", SERVICES=SERVICES)
    second = await house._spawn("scanner", {"SERVICES": SERVICES, "PROCESS_INDEX": "1"})
    await wait_until(lambda: "another process owns the partition" in second.log.read_text())
    await put(bus, "EURUSD", BARS)
    await put(bus, "GBPUSD", BARS[:HALF])
    await judged(dsns["admin"], "EURUSD")
    await house.end("scanner-0", signal.SIGKILL)
    await put(bus, "GBPUSD", BARS[HALF:])
    await judged(dsns["admin"], "GBPUSD")
    await assert_told_once_and_alike(dsns["admin"])
    assert "partition taken" in second.log.read_text()

    async def answers() -> Any:
        try:
            return await bus.request(subjects.CONTEXT_LIST, ContextsAsk(symbol="EURUSD", timeframe="1h"))
        except AppError:
            return None

    page: Any = await wait_until(answers)
    assert page.returned_count > 0
