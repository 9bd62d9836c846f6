"""Every tool, driven by the SDK's own client and by the inspector: what it answers is what REST answers, and
the ledger shows each paid call once."""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import pytest_asyncio
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from mcp.shared.exceptions import MCPError

from libs.common.clock import SystemClock
from services.gateway.endpoints import ENDPOINTS
from services.gateway.mcp.catalogue import KEY_ARGUMENT, ToolRow, tools_of
from tests.conftest import wait_until
from tests.contract.auth.people import Caller, Town
from tests.contract.auth.test_mcp import sdk
from tests.contract.gateway.samples_prices import GRAPH
from tests.contract.scan.conftest import BARS, PAIR, load
from tests.e2e.agents import strangers
from tests.house import House

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
TOOLS = tools_of(ENDPOINTS)
SERVICES = ("auth", "market", "trading", "alerts", "billing", "pricing", "scanner", "notifier", "gateway")
MARKET = {"ticker": PAIR, "timeframe": "4h"}
EUR = {"symbol": "EURUSD"}
ORDER = {**EUR, "cmd": 0, "volume": 1, "sl": 0, "tp": 0}
ALERT = {**EUR, "side": 0, "condition": 2, "repeat_mode": 0, "target_price": 1.5}

Known = dict[str, Any]
Given = Callable[[Known], Known]
Call = Callable[[str, Known], Awaitable[Known]]


@dataclass(frozen=True)
class Step:
    """One tool with arguments made of what is known by then. ``learn`` keeps something of its answer; fields
    named in ``moves`` are another moment's in every answer."""

    tool: str
    given: Given = lambda known: {}
    learn: Callable[[Any], Known] = lambda said: {}
    moves: frozenset[str] = field(default_factory=frozenset)


def _context(known: Known) -> Known:
    return {"ctx_id": known["context"]}


def _monitor(known: Known) -> Known:
    return {"id": known["monitor"]}


STEPS = (
    Step("capabilities"),
    *(Step(tool, lambda known: MARKET) for tool in ("brief", "candles", "analogs")),
    Step("delta", lambda known: MARKET),
    Step("quotes"),
    Step("symbol", lambda known: EUR),
    Step("prices", moves=frozenset({"processingTimeMs", "ageMs", "oldestReserveAgeMs"})),
    Step("signals", lambda known: {"symbol": "BTC"}, moves=frozenset({"time", "generated_at"})),
    # orders: looked at first, then given once
    Step("order_check", lambda known: {k: v for k, v in ORDER.items() if k not in ("sl", "tp")}),
    Step("order", lambda known: {**ORDER, KEY_ARGUMENT: "an-order"}),
    Step("trades"),
    Step("account"),
    # alerts
    Step("alert_create", lambda known: {**ALERT, KEY_ARGUMENT: "an-alert"}),
    Step("alerts_list", learn=lambda said: {"alert": said["rows"][0][said["structure"].index("id")]}),
    Step("alerts_fired", lambda known: {"limit": 5}),
    Step("alert_delete", lambda known: {"id": known["alert"]}),
    # scanning
    Step("scan", lambda known: {"symbol": PAIR, "tf": "4h"}, moves=frozenset({"quota", "scanned_at"})),
    Step("patterns"),
    Step("search_records", lambda known: {"limit": 2}, lambda said: {"record": said["records"][0]["id"]}),
    Step("get_record", lambda known: {"id": known["record"]}),
    Step(
        "scan_contexts",
        lambda known: {"symbol": PAIR, "timeframe": "4h", "limit": 1},
        lambda said: {"context": said["contexts"][0]["context_id"]},
    ),
    Step("get_context", _context),
    Step("get_context_manifest", _context),
    Step("get_context_ohlcv", _context),
    Step("get_chart", _context),
    Step("get_original_chart", _context),
    Step("get_inspection_chart", _context),
    Step("inspect_chart_context", _context),
    Step(
        "confirm_chart_visual_inspection",
        lambda known: {
            **_context(known),
            "observed_visual_code": "none",
            "method": "looked",
            "observations": "x",
        },
    ),
    Step(
        "check_context_condition",
        lambda known: {**_context(known), "condition_id": "price_volume_state", "parameters": {}},
    ),
    Step("create_monitor", lambda known: {"name": "mine"}, lambda said: {"monitor": said["id"]}),
    Step("list_monitors"),
    Step("pause_monitor", _monitor),
    Step("resume_monitor", _monitor),
    Step("delete_monitor", _monitor),
    Step("create_watchlist", lambda known: {"symbol": PAIR}),
    Step("list_watchlists"),
    Step("remove_watchlist", lambda known: {"id": PAIR}),
    Step("list_feed"),
    Step("ack_feed", lambda known: {"event_ids": ["evt_none"]}),
    Step("get_usage"),
    Step("set_timezone", lambda known: {"timezone": "Asia/Tokyo"}),
    Step("get_timezone"),
    Step("get_status", moves=frozenset({"time"})),
    Step("get_capabilities"),
    Step("search_symbols", lambda known: {"limit": 3}),
    Step("resolve_symbol", lambda known: {"symbol": "WAVUSDT"}),
)
REFUSED = {"confirm_chart_visual_inspection"}  # nobody looked at the picture, and the house knows


@pytest_asyncio.fixture(scope="module")
async def stack(module_house: House) -> House:
    """Everything a tool may ask, with a market in it."""
    await module_house.start(*SERVICES, SERVICES=",".join(SERVICES))
    town = Town(module_house)
    admin = await town.admin()
    await load(admin, PAIR, "4h", BARS)
    await admin.done("PUT", "/admin/pools", GRAPH)
    await admin.done("POST", "/admin/quotes", {"quotes": [{**EUR, "bid": 1.1, "ask": 1.2}]})

    async def judged() -> bool:
        page = await admin.done("GET", "/api/v1/records/recent")
        return bool(page["records"])

    await wait_until(judged, timeout_s=60)
    await town.close()
    return module_house


async def holder(town: Town) -> Caller:
    """An agent that may do everything a tool does."""
    owner, admin = await town.user(), await town.admin()
    await admin.done("POST", "/admin/tier", {"email": owner.email, "tier": "pro"})
    agent = await town.key(owner, ["read", "scan", "trade"])
    customer = (await town.browser(owner)).customer_id
    await admin.done("POST", "/admin/credits", {"customerId": customer, "deltaMicros": 10_000_000})
    return agent


async def over_rest(agent: Caller, made: ToolRow, given: Known) -> Any:
    """The same call by its row; what it answers, decoded if it is JSON."""
    left = {**given, **made.tool.fixed}
    key = left.pop(KEY_ARGUMENT, None)
    headers = {} if key is None else {"Idempotency-Key": key}
    if made.row.access.account:
        left["login"] = agent.login
    path = made.row.path
    for name in list(left):
        if f"{{{name}}}" in path:
            path = path.replace(f"{{{name}}}", quote(str(left.pop(name)), safe=""))
    if made.row.method in ("GET", "DELETE"):
        path, body = f"{path}?{urlencode(left)}", None
    else:
        body = left
    answer = await agent.call(made.row.method, path, body, headers=headers)
    return answer.body if answer.headers["Content-Type"].startswith("image/") else answer.json or {}


def value_of(said: Any) -> Any:
    """What a tool says: its picture, or its text, which its structure says, too."""
    (content,) = said["content"]
    if content["type"] == "image":
        return base64.b64decode(content["data"])
    value = json.loads(content["text"])
    assert said.get("structuredContent") == (value if isinstance(value, dict) else None)
    return value


def still(value: Any, moves: frozenset[str]) -> Any:
    if isinstance(value, dict):
        return {k: still(v, moves) for k, v in value.items() if k not in moves}
    return [still(inner, moves) for inner in value] if isinstance(value, list) else value


def differing(said: Any, rest: Any, where: str = "") -> list[str]:
    """Where two answers differ, and how."""
    if isinstance(said, dict) and isinstance(rest, dict) and said.keys() == rest.keys():
        return [text for key in said for text in differing(said[key], rest[key], f"{where}.{key}")]
    if isinstance(said, list) and isinstance(rest, list) and len(said) == len(rest):
        return [text for n, one in enumerate(said) for text in differing(one, rest[n], f"{where}[{n}]")]
    return [] if said == rest else [f"{where}: {said} is {rest}"]


async def charged(agent: Caller) -> dict[str, int]:
    """Operation → how many calls the ledger shows."""
    days = (await agent.done("GET", "/v1/usage"))["days"]
    return {day["operation"]: day["calls"] for day in days}


def test_every_tool_has_a_step() -> None:
    assert {step.tool for step in STEPS} == {made.tool.name for made in TOOLS.values()}
    assert len({step.tool for step in STEPS}) == len(STEPS)


async def take(call: Call, agent: Caller, step: Step, known: Known) -> str:
    """Take a step; what is wrong with it, "" for nothing."""
    made, given = TOOLS[f"tradewind_{step.tool}"], step.given(known)
    before, today = await charged(agent), SystemClock().now().date()
    said = await call(made.name, given)
    refused = said.get("isError", "content" not in said)  # the inspector prints a refusal's text alone
    if refused or step.tool in REFUSED:
        return "" if refused and step.tool in REFUSED else f"said {said}"
    value = value_of(said)
    if made.output_schema is not None:
        broken = next(Draft202012Validator(made.output_schema).iter_errors(value), None)
        if broken is not None:
            return f"its own schema is broken at {list(broken.absolute_path)}: {broken.message[:300]}"
    after = await charged(agent)
    if SystemClock().now().date() == today:  # the ledger is read by day
        more = {
            name: calls - before.get(name, 0) for name, calls in after.items() if calls != before.get(name)
        }
        if more != ({made.row.name: 1} if made.row.metered else {}):
            return f"the ledger has {more}"
    known |= step.learn(value)
    if made.hints["readOnlyHint"] and step.tool != "delta":  # a second delta is another one
        rest = await over_rest(agent, made, given)
        if still(value, step.moves) != still(rest, step.moves):
            return f"REST says otherwise in {differing(still(value, step.moves), still(rest, step.moves))}"
    return ""


async def faults(call: Call, agent: Caller) -> dict[str, str]:
    """What is wrong with the tools, one step after the other."""
    known, wrong = Known(), {}
    for step in STEPS:
        try:
            wrong[step.tool] = await take(call, agent, step, known)
        except (LookupError, MCPError) as e:
            wrong[step.tool] = repr(e)
    return {tool: fault for tool, fault in wrong.items() if fault}


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_every_tool_answers_as_rest_and_is_charged_once(town: Town, mode: str) -> None:
    agent = await holder(town)
    async with sdk(agent, mode) as client:

        async def call(name: str, given: Known) -> Known:
            return (await client.call_tool(name, given)).model_dump(mode="json", by_alias=True)

        assert await faults(call, agent) == {}


async def test_the_inspector_drives_every_tool(town: Town) -> None:
    agent = await holder(town)

    async def call(name: str, given: Known) -> Known:
        fields = [f"{field}={json.dumps(value)}" for field, value in given.items()]
        more = ("--tool-arg", *fields) if fields else ()
        said: Known = await strangers.inspect(
            f"{agent.url}/mcp", agent.token, "tools/call", "--tool-name", name, *more
        )
        return said

    assert await faults(call, agent) == {}
