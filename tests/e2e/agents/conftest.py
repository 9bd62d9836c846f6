"""A running house for strangers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.contract.auth.people import Town
from tests.house import House


@pytest_asyncio.fixture(scope="module")
async def stack(module_house: House) -> House:
    """Everything an agent may ask."""
    names = ("auth", "market", "trading", "alerts", "billing", "scanner", "gateway")
    await module_house.start(*names, SERVICES=",".join(names))
    return module_house


@pytest_asyncio.fixture
async def town(stack: House) -> AsyncIterator[Town]:
    """People of that house."""
    made = Town(stack)
    yield made
    await made.close()
