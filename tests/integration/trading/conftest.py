"""Trading in the test's own process, with market's side of the bus played by the test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest_asyncio

from libs.common.bus_nats import NatsBus
from libs.common.db import Database
from tests.integration.trading.stage import MarketStand, Stage


@pytest_asyncio.fixture
async def stage(bus: NatsBus, database: Callable[[str], Awaitable[Database]]) -> AsyncIterator[Stage]:
    """Trading in this process, with EURUSD quoted at 1.10000/1.10010 and nobody there."""
    market = MarketStand(bus)
    await market.open()
    await market.put("EURUSD", 1.1, 1.1001)
    running = Stage(bus, await database("trading"), market)
    await running.start()
    yield running
    if running.running:
        await running.stop()
