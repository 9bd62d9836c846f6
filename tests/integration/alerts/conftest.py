"""A running alerts service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest_asyncio

from libs.common.bus_nats import NatsBus
from libs.common.db import Database
from tests.integration.alerts.stage import MarketStand, Stage


@pytest_asyncio.fixture
async def stage(bus: NatsBus, database: Callable[[str], Awaitable[Database]]) -> AsyncIterator[Stage]:
    """Started, with EURUSD quoted at 1.1 / 1.1001."""
    market = MarketStand(bus)
    await market.open()
    await market.put("EURUSD", 1.1)
    running = Stage(bus, await database("alerts"), market)
    await running.start()
    yield running
    if not running._tasks[0].done():
        await running.stop()
