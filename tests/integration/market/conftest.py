"""Market on the test's own database and bus."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest_asyncio

from libs.common.bus_nats import NatsBus
from libs.common.db import Database
from tests.integration.market.rig import Rig, open_rig


@pytest_asyncio.fixture
async def market_database(database: Callable[[str], Awaitable[Database]]) -> Database:
    """Market's schema, empty."""
    return await database("market")


@pytest_asyncio.fixture
async def rig(market_database: Database, bus: NatsBus) -> AsyncIterator[Rig]:
    """A running market with the manual feed."""
    async with open_rig(market_database, bus) as running:
        yield running
