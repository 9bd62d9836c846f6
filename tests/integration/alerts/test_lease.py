"""Two processes of alerts: the second takes over, and one that was paused writes nothing when it wakes."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

from libs.common.bus_nats import NatsBus
from libs.common.db import Database
from libs.common.errors import AppError
from libs.common.lease import LOCK_WAIT_S, POLL_S, TTL_S
from libs.common.messages import alerts as m
from libs.common.messages.market import QuoteIn, QuotesPut
from libs.common.subjects import ALERT_CREATE, ALERT_LOG_LIST, QUOTES_PUT
from tests.conftest import PATIENCE_S, wait_until
from tests.house import House

LOGIN = 500


def test_what_a_take_over_waits_for_leaves_time_to_spare_of_five_seconds() -> None:
    """The last renewal, then a look of the stand-in, then the old owner's open transaction, twice."""
    assert TTL_S + POLL_S + 2 * LOCK_WAIT_S < 4.0


async def put(bus: NatsBus, *bids: float) -> None:
    quotes = [QuoteIn(symbol="EURUSD", bid=bid, ask=round(bid + 0.0001, 5)) for bid in bids]
    await bus.request(QUOTES_PUT, QuotesPut(quotes=quotes))


async def create(bus: NatsBus, target: float) -> int:
    ask = m.AlertCreate(
        login=LOGIN, group="demo", symbol="EURUSD", side=0, repeat_mode=0, condition=0, target_price=target
    )
    return (await bus.request(ALERT_CREATE, ask)).rows[0][0]


async def fired(bus: NatsBus) -> list[int]:
    found = await bus.request(ALERT_LOG_LIST, m.AlertLogAsk(login=LOGIN))
    return [row[1] for row in reversed(found.rows)]


async def answered_again(bus: NatsBus) -> None:
    """Wait until commands are answered."""

    async def answers() -> bool:
        try:
            await bus.request(ALERT_LOG_LIST, m.AlertLogAsk(login=LOGIN))
        except AppError:
            return False
        return True

    await wait_until(answers)


async def stand_in(house: House) -> None:
    """A second process, which waits for the lease; it is there when it says so."""
    running = await house._spawn("alerts", {"PROCESS_INDEX": "1", "FEED": "manual"})
    await wait_until(lambda: "another process owns the partition" in running.log.read_text())


async def test_a_second_process_takes_over_when_the_first_is_killed(house: House, bus: NatsBus) -> None:
    await house.start("market", "alerts", FEED="manual")
    await put(bus, 1.1)
    ids = [await create(bus, target) for target in (1.2, 1.3)]
    await stand_in(house)
    await put(bus, 1.21)
    await wait_until(lambda: _equals(fired(bus), ids[:1]))
    await house.end("alerts-0", signal.SIGKILL)
    await put(bus, 1.31)
    await answered_again(bus)
    await wait_until(lambda: _equals(fired(bus), ids))


async def _equals(asked: Any, wanted: list[int]) -> bool:
    return bool(await asked == wanted)


async def test_a_paused_owner_that_wakes_writes_nothing(house: House, bus: NatsBus, database: Any) -> None:
    await house.start("market", "alerts", FEED="manual")
    await put(bus, 1.1)
    ids = [await create(bus, target) for target in (1.2, 1.3, 1.4)]
    await stand_in(house)
    first = house.running["alerts-0"]
    first.signal(signal.SIGSTOP)
    await put(bus, 1.21)  # the paused one has these in its buffers when it wakes
    second = house.running["alerts-1"]
    await house._ready(second)
    tables: Database = await database("alerts")

    async def logged() -> list[int]:
        async with tables.connection() as connection:
            return [
                row[0] for row in await connection.fetch("SELECT alert_id FROM alerts.alert_log ORDER BY id")
            ]

    await wait_until(lambda: _equals(logged(), ids[:1]))
    await put(bus, 1.31)
    await wait_until(lambda: _equals(logged(), ids[:2]))
    async with tables.connection() as connection:
        epoch = await connection.fetchval("SELECT epoch FROM alerts.partition_lease")
    first.signal(signal.SIGCONT)
    # Its supervisor starts it as the stand-in.
    assert await asyncio.wait_for(first.process.wait(), PATIENCE_S) == 1
    del house.running["alerts-0"]
    await put(bus, 1.41)
    await wait_until(lambda: _equals(logged(), ids))
    async with tables.connection() as connection:
        assert await connection.fetchval("SELECT epoch FROM alerts.partition_lease") == epoch == 2

    async def pushed() -> bool:
        async with tables.connection() as connection:
            sql = "SELECT count(*) FROM alerts.outbox WHERE stream = 'PUSH' AND published_at IS NOT NULL"
            return bool(await connection.fetchval(sql) >= len(ids))

    await wait_until(pushed)
    assert "lease lost" in first.log.read_text() or "is over" in first.log.read_text()
