"""When a session cookie says ``Secure``: over https, also behind a trusted proxy, and nowhere else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from libs.common import bus_nats
from libs.common.messages.auth_people import ScanIn, ScanUser
from libs.common.subjects import SCAN_LOGIN
from tests.contract.gateway.conftest import NO_DATABASE
from tests.contract.gateway.edge import Edge
from tests.house import House

USER = ScanUser(
    id=1,
    email="ann@example.com",
    email_verified=False,
    tier="free",
    tier_expires_at=None,
    timezone="UTC",
    created_at="2026-01-01T00:00:00Z",
)


@pytest_asyncio.fixture
async def house(nats_url: str, tmp_path: Path) -> AsyncIterator[House]:
    """Gateways, with the test in auth's place."""
    bus = await bus_nats.connect(nats_url, "edge")
    edge = Edge(bus)
    await edge.start()
    edge.answer(SCAN_LOGIN, lambda ask: ScanIn(user=USER, session="s" * 43, max_age_s=60))
    running = House(NO_DATABASE, nats_url, tmp_path)
    yield running
    await running.stop()
    await bus.close()


async def is_secure(house: House, proto: str | None = None) -> bool:
    body = {"email": "ann@example.com", "password": "secret-1"}
    headers = {"X-Forwarded-Proto": proto} if proto else {}
    async with (
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
        session.post(f"{house.url}/auth/login", json=body, headers=headers) as response,
    ):
        assert response.status == 200, await response.text()
        (line,) = response.headers.getall("Set-Cookie")
    return "secure" in {part.strip().lower() for part in line.split(";")}


@pytest.mark.parametrize(
    ("settings", "plain", "https", "chain"),
    [
        ({}, False, False, False),
        ({"TRUSTED_PROXIES": "127.0.0.0/8"}, False, True, False),
        ({"PUBLIC_URL": "https://market.example"}, True, True, True),
        ({"PUBLIC_URL": "http://market.example"}, False, False, False),
    ],
)
async def test_a_cookie_is_secure_exactly_when_the_client_came_over_https(
    house: House, settings: dict[str, str], plain: bool, https: bool, chain: bool
) -> None:
    await house.start("gateway", **settings)
    assert await is_secure(house) is plain
    assert await is_secure(house, "https") is https
    assert await is_secure(house, "https, http") is chain, "only the last proxy's word counts"
