"""The in-memory bus keeps the bus contract."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from libs.common.bus import Bus
from libs.common.bus_memory import MemoryBus, MemoryServer, matches
from libs.common.testing.bus_contract import BusContract


class TestMemoryBus(BusContract):
    @pytest.fixture(autouse=True)
    def _house(self) -> None:
        server = MemoryServer()

        @asynccontextmanager
        async def open_bus(name: str) -> AsyncIterator[Bus]:
            bus = MemoryBus(server)
            try:
                yield bus
            finally:
                await bus.close()

        self.open_bus = open_bus


@pytest.mark.parametrize(
    ("pattern", "subject", "expected"),
    [
        ("a.b", "a.b", True),
        ("a.*", "a.b", True),
        ("a.*", "a.b.c", False),
        ("a.>", "a.b.c", True),
        ("a.>", "a", False),
        ("*.push.*.v1.7", "alerts.push.alert.v1.7", True),
        ("*.push.*.v1.7", "alerts.push.alert.v1.77", False),
        ("a.b", "a", False),
    ],
)
def test_matches_as_nats_does(pattern: str, subject: str, expected: bool) -> None:
    assert matches(pattern, subject) is expected
