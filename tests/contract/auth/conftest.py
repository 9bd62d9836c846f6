"""The services of the broker, scan and admin surfaces as processes, shared by the tests of a module."""

from __future__ import annotations

import pytest_asyncio

from tests.house import House


@pytest_asyncio.fixture(scope="module")
async def stack(module_house: House) -> House:
    """Auth, market, trading, alerts and a gateway."""
    await module_house.start(
        "auth", "market", "trading", "alerts", "notifier", "billing", "pricing", "scanner", "gateway"
    )
    return module_house
