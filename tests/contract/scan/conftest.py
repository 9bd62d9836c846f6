"""The scan surface on real processes, shared by the tests of a module, with candles of our own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest_asyncio

from libs.common.candles import BY_NAME
from libs.common.db import open_database
from libs.common.messages.scan_people import FeedEvent
from tests.conftest import wait_until
from tests.contract.auth.people import Answer, Caller, Town
from tests.house import House
from tests.integration.scanner.rig import HOUR_MS, bars_of_closes
from tests.integration.scanner.test_rounds import SINE

PAIR = "WAV/USDT"
SHORT = "NEW/USDT"
FOUR_HOURS_MS = 4 * HOUR_MS
BARS = bars_of_closes(SINE, FOUR_HOURS_MS)
BAD_SCANS = (
    ("symbol=WAVUSDT&tf=5m", 400, "invalid_param"),
    ("symbol=WAVUSDT", 400, "invalid_param"),
    ("tf=4h", 400, "invalid_param"),
    ("symbol=&tf=4h", 400, "invalid_param"),
    ("symbol=NOPE&tf=4h", 404, "symbol_not_supported"),
    ("symbol=NEWUSDT&tf=4h", 422, "insufficient_data"),
)


async def load(admin: Caller, symbol: str, timeframe: str, bars: Any) -> None:
    """Make a symbol known and give it candles."""
    await admin.done("PUT", f"/admin/symbols/{symbol.replace('/', '%2F')}", {"digits": 2, "sec_index": 2})
    body = {"symbol": symbol, "timeframe": timeframe, "candles": [list(bar) for bar in bars]}
    await admin.done("POST", "/admin/candles", body)


@pytest_asyncio.fixture(scope="module")
async def stack(module_house: House) -> House:
    """Everything that answers the surface, with records of one symbol."""
    services = ("auth", "market", "billing", "scanner", "notifier", "gateway")
    await module_house.start(*services, SERVICES=",".join(services), NOTIFY_ALLOW_PRIVATE="on")
    town = Town(module_house)
    admin = await town.admin()
    await load(admin, PAIR, "4h", BARS)
    await load(admin, SHORT, "4h", BARS[:19])

    async def judged() -> bool:
        page = await admin.call("GET", "/api/v1/records/recent")
        newest = [r["detected_at"] for r in page.json["records"]]
        return bool(newest)

    await wait_until(judged)
    await town.close()
    return module_house


async def person(town: Town, tier: str = "pro") -> Caller:
    """Somebody signed in on the scan surface, with a plan."""
    caller = await town.browser(await town.user())
    me = (await caller.done("GET", "/auth/me"))["user"]
    if tier != "free":
        admin = await town.admin()
        await admin.done("POST", "/admin/tier", {"email": me["email"], "tier": tier})
    return caller


async def refused(
    caller: Caller, method: str, path: str, body: Any = None
) -> tuple[int, str, dict[str, Any]]:
    """A call that must fail: status, code and the whole answer, in the surface's shape."""
    answer = await caller.call(method, path, body)
    assert answer.status >= 400, (path, answer.body)
    assert {"code", "detail", "hint", "meta"} <= set(answer.json), answer.body
    return answer.status, answer.json["code"], answer.json


async def context_of(caller: Caller) -> str:
    page = await caller.done("GET", "/api/v1/records?pattern=double_top&limit=1")
    found: str = page["records"][0]["context_id"]
    return found


@dataclass
class Agent:
    """Somebody's program with a key, at the MCP door."""

    caller: Caller

    async def call(self, action: str, **arguments: Any) -> dict[str, Any]:
        """The result of a tool."""
        params = {"name": f"tradewind_{action}", "arguments": arguments}
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        headers = {"Accept": "application/json, text/event-stream"}
        answer = await self.caller.call("POST", "/mcp", message, headers=headers)
        said: dict[str, Any] = answer.json["result"]
        assert not said["isError"], said
        return said

    async def told(self, action: str, **arguments: Any) -> Any:
        """Its answer."""
        return (await self.call(action, **arguments))["structuredContent"]


async def agent_of(town: Town) -> Agent:
    """An agent of somebody with the Pro plan."""
    owner, admin = await town.user(), await town.admin()
    await admin.done("POST", "/admin/tier", {"email": owner.email, "tier": "pro"})
    return Agent(await town.key(owner, ["read"]))


def fat_event() -> FeedEvent:
    """An event of the feed that fills buffers."""
    return FeedEvent(
        id="evt_1",
        monitor_id="mon_1",
        type="context_ready",
        symbol="S",
        timeframe="1h",
        pattern="x" * 60_000,
        context_id="ctx_1",
        detection_id="det_1",
        created_at="",
        read=False,
    )


def quota_of(answer: Answer) -> tuple[int, int]:
    """The quota's limit and rest, as headers say them."""
    return int(answer.headers["X-Quota-Limit"]), int(answer.headers["X-Quota-Remaining"])


def unix_text(iso: str) -> str:
    """A moment in Unix seconds."""
    return str(int(datetime.fromisoformat(iso).timestamp()))


async def close_bars(town: Town, symbol: str, bars: Any) -> None:
    """Give hourly bars one by one, each judged before the next one comes, so that all of them are news."""
    sql = "SELECT done_ms FROM scanner.place WHERE symbol = $1 AND timeframe = $2"
    admin = await town.admin()
    async with open_database(town.house.dsns["scanner"], application="test") as database:
        for bar in bars:

            async def judged(open_ms: int = bar[0]) -> bool:
                async with database.connection() as connection:
                    done_ms = await connection.fetchval(sql, symbol, BY_NAME["1h"].id)
                return done_ms is not None and done_ms >= open_ms

            await load(admin, symbol, "1h", [bar])
            await wait_until(judged)
