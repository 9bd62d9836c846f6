"""The signals surface on real processes, shared by all its tests, with candles of our own."""

from __future__ import annotations

import pytest_asyncio

from libs.common.db import open_database
from tests.conftest import wait_until
from tests.contract.auth.people import Caller, Town, new_email
from tests.house import House
from tests.integration.scanner.rig import HOUR_MS
from tests.integration.scanner.test_signals import bars_of_series

BARS = bars_of_series(620)
LATER = [(bar[0] + 60 * HOUR_MS, *bar[1:]) for bar in bars_of_series(680)[-60:]]
TEXTS_SECRET = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVoxMjM0"
ASSETS = [
    {
        "cmcId": 1,
        "name": "Bitcoin",
        "symbol": "BTC",
        "slug": "bitcoin",
        "logo": "https://x.example/btc.png",
        "chains": ["Bitcoin"],
        "narratives": ["Store of Value"],
        "tags": ["btc"],
        "circulating": 19_000_000,
        "max": 21_000_000,
        "market": "BTC/USDT",
    },
    {
        "cmcId": 9001,
        "name": "100%_Coin 'n' Ünits",
        "symbol": "HUN",
        "chains": ["Ethereum", "Base"],
        "narratives": ["Payments", "Memes"],
        "tags": ["meme"],
        "market": "ETH/USDT",
    },
]


@pytest_asyncio.fixture(scope="module")
async def stack(module_house: House) -> House:
    """Everything that answers the surface, with the signals of two coins."""
    services = ("auth", "market", "billing", "scanner", "gateway")
    await module_house.start(*services, SERVICES=",".join(services), TEXTS_SECRET=TEXTS_SECRET)
    town = Town(module_house)
    admin = await town.admin()
    taken = await admin.done("PUT", "/admin/assets", {"assets": ASSETS})
    assert (taken["data"], taken["taken"]) == ("OK", 2)
    for market, volume in (("BTC/USDT", 1.0), ("ETH/USDT", 2.0)):
        rows = [[*bar[:5], bar[5] * volume] for bar in BARS]
        body = {"symbol": market, "timeframe": "1h", "candles": rows}
        await admin.done("POST", "/admin/candles", body)
    await looked_at(module_house.dsns["scanner"], BARS[-1][0], 1, 9001)
    first, last = ((BARS[at][0] + HOUR_MS) // 1000 for at in (-200, -1))
    made = await admin.done("POST", "/admin/signals/backfill", {"timeframe": "1h", "from": first, "to": last})
    assert made["newSignals"] > 20
    await town.close()
    return module_house


async def looked_at(dsn: str, open_ms: int, *coins: int) -> None:
    """Wait until the bars of these coins were looked at, up to the one that opens here."""
    async with open_database(dsn, application="test") as database:

        async def done() -> bool:
            async with database.connection() as connection:
                sql = "SELECT count(*) FROM scanner.signal_place WHERE done_ms >= $1 AND cmc_id = ANY ($2)"
                return bool(await connection.fetchval(sql, open_ms, coins) == len(coins))

        await wait_until(done, timeout_s=60)


@pytest_asyncio.fixture
async def key(town: Town) -> Caller:
    """A key with credit for a thousand pages."""
    caller = town.stranger()
    made = await caller.done("POST", "/v1/keys", {"email": new_email()})
    caller.token = made["key"]
    admin = await town.admin()
    credit = {"keyId": made["keyId"], "deltaCredits": 1000, "reason": "tests"}
    await admin.done("POST", "/admin/credits", credit)
    return caller
