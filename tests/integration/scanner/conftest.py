"""Fixtures of the scanner's integration tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest_asyncio

from libs.common.bus_nats import NatsBus
from libs.common.db import Database
from tests.integration.scanner.rig import Rig, open_both


@pytest_asyncio.fixture
async def rig(database: Callable[[str], Awaitable[Database]], bus: NatsBus) -> AsyncIterator[Rig]:
    """Market under the manual feed with the scanner beside it."""
    async with open_both(database, bus) as running:
        yield running
