"""One stack with the synthetic market for the tests of a module, and clients with addresses of their own."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest_asyncio

from tests.conftest import wait_until
from tests.contract.gateway.edge import Client
from tests.house import House

_numbers = itertools.count(2)


@asynccontextmanager
async def caller(house: House) -> AsyncIterator[Client]:
    """A client from a loopback address nobody else has: limits count by address."""
    number = next(_numbers)
    connector = aiohttp.TCPConnector(local_addr=(f"127.9.{number // 250}.{number % 250 + 1}", 0))
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield Client(session, house.url)


async def admin_of(client: Client) -> str:
    """A staff token that may put pools."""
    answer = await client.post("/sign/in", {"login": 1, "password": "admin-password"})
    assert answer.status == 200, answer.body
    token: str = answer.json["__token"]
    return token


async def _full(client: Client) -> bool:
    """Whether the market has begun and every sample token has a price."""
    answer = await client.get("/api/health")  # not counted in the limit
    return answer.status == 200 and answer.json["data"]["dataAvailability"]["tokensWithPricing"] >= 12


@pytest_asyncio.fixture(scope="module")
async def stack(module_house: House) -> House:
    """Auth, a synthetic market, pricing and a gateway."""
    await module_house.start("auth", "market", "pricing", "gateway", FEED="synthetic", PLANS_FILE="")
    async with caller(module_house) as client:
        await wait_until(lambda: _full(client), timeout_s=90)
    return module_house


@pytest_asyncio.fixture
async def client(stack: House) -> AsyncIterator[Client]:
    """A client of that stack."""
    async with caller(stack) as made:
        yield made
