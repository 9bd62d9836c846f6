"""Fixtures of the gateway's contract tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from libs.common import bus_nats
from tests.conftest import empty_streams
from tests.contract.gateway.edge import Client, Edge
from tests.house import House
from tests.servers import NatsServer

NO_DATABASE = {"admin": "postgresql://nobody@127.0.0.1:1/none"}  # a gateway has none


@pytest_asyncio.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """An HTTP client that keeps no cookies."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module")
async def edge_of_module(
    nats: NatsServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Edge, House]]:
    """One gateway for the tests of a module, with the test at the other end of the bus."""
    await empty_streams(nats)
    bus = await bus_nats.connect(nats.url, "edge")
    edge = Edge(bus)
    await edge.start()
    house = House(NO_DATABASE, nats.url, tmp_path_factory.mktemp("edge"))
    try:
        await house.start("gateway")
        yield edge, house
    finally:
        await house.stop()
        await bus.close()


@pytest.fixture
def at_edge(edge_of_module: tuple[Edge, House], session: aiohttp.ClientSession) -> tuple[Edge, Client]:
    """That gateway, with answers and memory as at the start."""
    edge, house = edge_of_module
    edge.reset()
    return edge, Client(session, house.url)


@pytest_asyncio.fixture(scope="module")
async def stack(module_house: House) -> House:
    """Every service of the broker and admin surfaces, for the tests of a module."""
    await module_house.start("auth", "market", "trading", "alerts", "gateway")
    return module_house
