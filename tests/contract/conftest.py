"""Callers of the stack of whichever surface is tested."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.contract.auth.people import Town
from tests.house import House


@pytest_asyncio.fixture
async def town(stack: House) -> AsyncIterator[Town]:
    """People who call that stack, each from an address of its own."""
    made = Town(stack)
    yield made
    await made.close()
