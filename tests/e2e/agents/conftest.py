"""A running house for strangers."""

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
    template: Databases, nats: NatsServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    """Everything an agent may ask."""
    await empty_streams(nats)
    async with template.fresh() as dsns:
        house = House(dsns, nats.url, tmp_path_factory.mktemp("agents"))
        names = ("auth", "market", "trading", "alerts", "billing", "scanner", "gateway")
        try:
            await house.start(*names, SERVICES=",".join(names))
            yield house
        finally:
            await house.stop()


@pytest_asyncio.fixture
async def town(stack: House) -> AsyncIterator[Town]:
    """People of that house."""
    made = Town(stack)
    yield made
    await made.close()
