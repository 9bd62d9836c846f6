"""The scan surface on real processes, shared by the tests of a module, with candles of our own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from tests.conftest import empty_streams, wait_until
from tests.contract.auth.people import Caller, Town
from tests.databases import Databases
from tests.house import House
from tests.integration.scanner.rig import HOUR_MS, bars_of_closes
from tests.integration.scanner.test_rounds import SINE
from tests.servers import NatsServer

PAIR = "WAV/USDT"
SHORT = "NEW/USDT"
FOUR_HOURS_MS = 4 * HOUR_MS
BARS = bars_of_closes(SINE, FOUR_HOURS_MS)


async def load(admin: Caller, symbol: str, timeframe: str, bars: Any) -> None:
    """Make a symbol known and give it candles."""
    await admin.done("PUT", f"/admin/symbols/{symbol.replace('/', '%2F')}", {"digits": 2, "sec_index": 2})
    body = {"symbol": symbol, "timeframe": timeframe, "candles": [list(bar) for bar in bars]}
    await admin.done("POST", "/admin/candles", body)


@pytest_asyncio.fixture(scope="module")
async def stack(template: Databases, nats: NatsServer, tmp_path_factory: Any) -> AsyncIterator[House]:
    """Everything that answers the surface, with records of one symbol."""
    await empty_streams(nats)
    async with template.fresh() as dsns:
        house = House(dsns, nats.url, tmp_path_factory.mktemp("scan"))
        services = ("auth", "market", "billing", "scanner", "notifier", "gateway")
        try:
            await house.start(*services, SERVICES=",".join(services), NOTIFY_ALLOW_PRIVATE="on")
            town = Town(house)
            admin = await town.admin()
            await load(admin, PAIR, "4h", BARS)
            await load(admin, SHORT, "4h", BARS[:19])

            async def judged() -> bool:
                page = await admin.call("GET", "/api/v1/records/recent")
                newest = [r["detected_at"] for r in page.json["records"]]
                return bool(newest)

            await wait_until(judged, timeout_s=30)
            await town.close()
            yield house
        finally:
            await house.stop()


@pytest_asyncio.fixture
async def town(stack: House) -> AsyncIterator[Town]:
    """Callers of that stack, each from an address of its own."""
    made = Town(stack)
    yield made
    await made.close()


async def person(town: Town, tier: str = "pro") -> Caller:
    """Somebody signed in on the scan surface, with a plan."""
    caller = await town.browser(await town.user())
    me = (await caller.done("GET", "/auth/me"))["user"]
    if tier != "free":
        admin = await town.admin()
        await admin.done("POST", "/admin/tier", {"email": me["email"], "tier": tier})
    return caller
