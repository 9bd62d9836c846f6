"""The analysis surface on real processes, shared by the tests of a module, with candles of our own."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest_asyncio

from libs.common.candles import BY_NAME
from libs.common.db import open_database
from services.scanner.bars import Bars
from tests.conftest import wait_until
from tests.contract.auth.people import Caller, Town
from tests.house import House
from tests.unit.scanner.series import D, walk

PROXY = "127.0.0.9"  # the one address whose word on a caller's country counts
PAIR = "TST/USDT"
WAVE = "WAV/USDT"
SHORT = "NEW/USDT"
PEOPLE = count()  # an address that was there before gets no second starter credit
BARS = walk(21, 1_400, decimals=2)


def rows_of(bars: Bars) -> list[list[Any]]:
    """The bars as `/admin/candles` takes them."""
    columns = (bars.open_ms, bars.open, bars.high, bars.low, bars.close, bars.volume)
    return [list(row) for row in zip(*(column.tolist() for column in columns), strict=True)]


async def load(admin: Caller, symbol: str, timeframe: str, bars: Bars) -> None:
    """Make the symbol known and give it these candles."""
    await admin.done("PUT", f"/admin/symbols/{symbol.replace('/', '%2F')}", {"digits": 2})
    for start in range(0, len(bars), 700):
        body = {"symbol": symbol, "timeframe": timeframe, "candles": rows_of(bars.cut(start, start + 700))}
        await admin.done("POST", "/admin/candles", body)


async def judged(dsn: str, symbol: str, open_ms: int) -> None:
    """Wait until the scanner has judged the hourly bars of a symbol up to here."""
    async with open_database(dsn, application="test") as database:

        async def done() -> bool:
            async with database.connection() as connection:
                sql = "SELECT 1 FROM scanner.place WHERE symbol = $1 AND timeframe = $2 AND done_ms >= $3"
                return bool(await connection.fetchval(sql, symbol, BY_NAME["1h"].id, open_ms))

        await wait_until(done, timeout_s=60)


@pytest_asyncio.fixture(scope="module")
async def stack(module_house: House) -> House:
    """Everything that answers the surface; callers of the US are refused where the proxy says so."""
    await module_house.start(
        "auth",
        "market",
        "billing",
        "scanner",
        "gateway",
        SERVICES="auth,market,billing,scanner,gateway",
        GEO_HEADER="CF-IPCountry",
        TRUSTED_PROXIES=f"{PROXY}/32",
    )
    town = Town(module_house)
    admin = await town.admin()
    await load(admin, PAIR, "1h", BARS)
    await load(admin, PAIR, "4h", BARS.cut(0, 300))
    await load(admin, PAIR, "1d", BARS.cut(300, 700))
    await load(admin, WAVE, "1h", D)
    await load(admin, SHORT, "1h", BARS.cut(0, 19))
    await town.close()
    await judged(module_house.dsns["scanner"], PAIR, int(BARS.open_ms[-1]))
    return module_house


@pytest_asyncio.fixture
async def key(town: Town) -> Caller:
    """A key made by e-mail, with its starter credit."""
    caller = town.stranger()
    made = await caller.done("POST", "/v1/keys", {"email": f"key-{next(PEOPLE)}@example.com"})
    caller.token, caller.email = made["key"], made["keyId"]
    return caller
