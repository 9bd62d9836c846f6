"""A house that trades, one for all these tests: every test has accounts of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.conftest import empty_streams
from tests.databases import Databases
from tests.house import House
from tests.integration.trading.floor_client import Staff, Trader, staff_of, trader_of
from tests.servers import NatsServer


@pytest_asyncio.fixture(scope="package")
async def broker(
    template: Databases, nats: NatsServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    """Auth, market, trading and the gateway, with EURUSD and the like unquoted."""
    await empty_streams(nats)
    async with template.fresh() as dsns:
        house = House(dsns, nats.url, tmp_path_factory.mktemp("broker"))
        try:
            await house.start("market", "auth", "trading", "gateway", SERVICES="auth,market,trading,gateway")
            yield house
        finally:
            await house.stop()


@pytest_asyncio.fixture
async def staff(broker: House) -> AsyncIterator[Staff]:
    """Staff, with EURUSD quoted at 1.10000/1.10010."""
    async with staff_of(broker) as session:
        await session.quote(1.1, 1.1001)
        yield session


@pytest_asyncio.fixture
async def trader(broker: House) -> AsyncIterator[Trader]:
    """An account with 10 000.00 USD."""
    async with trader_of(broker) as session:
        yield session
