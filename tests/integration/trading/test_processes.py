"""Trading as processes: one after another, one in place of another, and one that was paused, which writes
nothing when it wakes."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import pytest

from libs.common.bus_nats import NatsBus
from libs.common.db import Database
from libs.common.errors import AppError, RemoteError, ServiceUnavailable
from libs.common.messages.market import QuoteIn, QuotesPut
from libs.common.messages.trading import AccountAsk
from libs.common.messages.trading_orders import TradeOpen, TradesAsk
from libs.common.subjects import ACCOUNT_GET, ACCOUNT_OPEN, QUOTES_PUT, TRADE_OPEN, TRADES
from tests.conftest import PATIENCE_S, wait_until
from tests.house import House
from tests.integration.trading.stage import LOGIN, wanted


async def put(bus: NatsBus, bid: float) -> None:
    quotes = [QuoteIn(symbol="EURUSD", bid=bid, ask=round(bid + 0.0001, 5))]
    await bus.request(QUOTES_PUT, QuotesPut(quotes=quotes))


async def buy(bus: NatsBus, sl: float, own: str) -> int:
    """An order that is placed once, however often it must be sent until somebody answers."""
    ask = TradeOpen(login=LOGIN, cmd=0, volume=10, symbol="EURUSD", sl=sl, client_order_id=own)
    return int((await answered(bus, TRADE_OPEN, ask)).order)


async def answered(bus: NatsBus, command: Any, ask: Any) -> Any:
    """The answer, as soon as somebody gives one."""
    found: list[Any] = []

    async def answers() -> bool:
        try:
            found.append(await bus.request(command, ask))
        except AppError as refusal:
            if refusal.http_status < 500:
                raise
            return False
        return True

    await wait_until(answers)
    return found[0]


async def states(bus: NatsBus) -> dict[int, int]:
    table = await answered(bus, TRADES, TradesAsk(login=LOGIN, limit=100))
    at = table.structure.index("state")
    return {row[0]: row[at] for row in table.rows if row[2] == 0}


async def test_processes_follow_one_another_after_a_stop_a_kill_and_a_pause(
    house: House, bus: NatsBus, database: Any
) -> None:
    await house.start("market", FEED="manual")
    with pytest.raises(ServiceUnavailable):
        await bus.request(ACCOUNT_OPEN, wanted())
    await house.start("trading", FEED="manual")
    opened = await bus.request(ACCOUNT_OPEN, wanted())
    assert opened.balance == 10_000.0
    assert "tradewind_trading_accounts_opened" in await house.running["trading-0"].metrics()
    assert await house.end("trading-0") == 0
    await house.start("trading", FEED="manual")
    assert await bus.request(ACCOUNT_GET, AccountAsk(login=LOGIN)) == opened
    with pytest.raises(RemoteError) as refused:
        await bus.request(ACCOUNT_GET, AccountAsk(login=LOGIN + 1))
    assert (refused.value.code, refused.value.http_status) == ("INVALID_USER", 400)

    tables: Database = await database("trading")
    await put(bus, 1.1)
    first, second = await buy(bus, 1.09, "a"), await buy(bus, 1.08, "b")
    await stand_in(house, 1)
    before = await answered(bus, ACCOUNT_GET, AccountAsk(login=LOGIN))

    await house.end("trading-0", signal.SIGKILL)
    assert await buy(bus, 1.08, "b") == second
    assert await answered(bus, ACCOUNT_GET, AccountAsk(login=LOGIN)) == before
    await put(bus, 1.085)
    await wait_until(lambda: _are(bus, {first: 3, second: 0}))

    await stand_in(house, 2)
    asleep = house.running["trading-1"]
    asleep.signal(signal.SIGSTOP)
    await put(bus, 1.075)  # the one that sleeps has this in its buffers when it wakes
    await house._ready(house.running["trading-2"])
    await wait_until(lambda: _are(bus, {first: 3, second: 3}))
    asleep.signal(signal.SIGCONT)
    # Its supervisor starts it as the stand-in.
    assert await asyncio.wait_for(asleep.process.wait(), PATIENCE_S) == 1
    del house.running["trading-1"]
    assert await states(bus) == {first: 3, second: 3}
    async with tables.connection() as connection:
        assert await connection.fetchval("SELECT epoch FROM trading.partition_lease") == 4
        rows = await connection.fetch(
            """SELECT count(*) FROM trading.trade WHERE cmd = 0 UNION ALL
               SELECT sum(amount_minor)::bigint FROM trading.posting"""
        )
    assert [row[0] for row in rows] == [2, 0]


async def _are(bus: NatsBus, found: dict[int, int]) -> bool:
    return await states(bus) == found


async def stand_in(house: House, number: int) -> None:
    """One more process, which waits for the lease; it is there when it says so."""
    running = await house._spawn("trading", {"PROCESS_INDEX": str(number), "FEED": "manual"})
    await wait_until(lambda: "another process owns the partition" in running.log.read_text())
