"""The services of the broker, scan and admin surfaces as processes, shared by the tests of a module."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.conftest import empty_streams
from tests.contract.auth.people import Town
from tests.databases import Databases
from tests.house import House
from tests.servers import NatsServer


@pytest_asyncio.fixture(scope="module")
async def stack(
    template: Databases,
    nats: NatsServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[House]:
    """Auth, market, trading, alerts and a gateway."""
    await empty_streams(nats)
    async with template.fresh() as dsns:
        house = House(dsns, nats.url, tmp_path_factory.mktemp("people"))
        try:
            await house.start(
                "auth", "market", "trading", "alerts", "notifier", "billing", "pricing", "scanner", "gateway"
            )
            yield house
        finally:
            await house.stop()


@pytest_asyncio.fixture
async def town(stack: House) -> AsyncIterator[Town]:
    """People who call that stack, each from an address of its own."""
    made = Town(stack)
    yield made
    await made.close()
