"""Auth on the test's own database and bus."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest_asyncio

from libs.common.bus_nats import NatsBus
from libs.common.db import Database
from tests.integration.auth.rig import Rig, open_rig


@pytest_asyncio.fixture
async def rig(
    database: Callable[[str], Awaitable[Database]], bus: NatsBus, tmp_path: Path
) -> AsyncIterator[Rig]:
    """A running auth with its default settings."""
    async with open_rig(await database("auth"), bus, tmp_path) as running:
        yield running
