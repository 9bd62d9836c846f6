"""The agents' door on running services: the SDK's own client, raw messages of every era, and attacks."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from libs.common.principal import SessionType
from services.gateway.endpoints import ENDPOINTS
from services.gateway.mcp.catalogue import KEY_ARGUMENT, tools_of
from tests.contract.auth.oauth_client import App, Browser, query_of
from tests.contract.auth.people import Answer, Caller, Town
from tests.house import House

TOOLS = tools_of(ENDPOINTS)
MODERN = "2026-07-28"
ALERT = {"symbol": "EURUSD", "side": 0, "condition": 2, "repeat_mode": 0, "target_price": 1.5}


async def post(caller: Caller, message: Any, path: str = "/mcp", **headers: str) -> Answer:
    given = {"Accept": "application/json, text/event-stream", **headers}
    return await caller.call("POST", path, message, headers=given)


def request(method: str, params: Any = None, number: Any = 1) -> dict[str, Any]:
    return {
        "jsonrpc": "2.0",
        "id": number,
        "method": method,
        **({} if params is None else {"params": params}),
    }


def call(tool: str, **arguments: Any) -> dict[str, Any]:
    return request("tools/call", {"name": f"tradewind_{tool}", "arguments": arguments})


async def holder(town: Town, *scopes: str) -> Caller:
    """Somebody's agent with a key of these scopes."""
    return await town.key(await town.user(), list(scopes or ("read",)))


@asynccontextmanager
async def sdk(caller: Caller, mode: Any = "auto") -> AsyncIterator[Client]:
    """The SDK's own client with somebody's key."""
    headers = {"Authorization": f"Bearer {caller.token}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=20) as http,
        Client(streamable_http_client(f"{caller.url}/mcp", http_client=http), mode=mode) as client,
    ):
        yield client


# ── what is here ──


@pytest.mark.parametrize("mode", ["legacy", "auto", MODERN])
async def test_the_sdks_client_finds_and_calls_tools_and_hears_what_rest_says(town: Town, mode: str) -> None:
    key = await holder(town)
    await (await town.admin()).done(
        "POST", "/admin/quotes", {"quotes": [{"symbol": "EURUSD", "bid": 1.1, "ask": 1.2}]}
    )
    async with sdk(key, mode) as client:
        listed = (await client.list_tools()).tools
        assert {tool.name for tool in listed} == set(TOOLS)
        said = await client.call_tool("tradewind_symbol", {"symbol": "EURUSD", "login": key.login})
        assert not said.is_error
        rest = await key.done("GET", f"/market/symbol?symbol=EURUSD&login={key.login}")
        assert said.structured_content == rest
        assert json.loads(said.content[0].text) == rest  # type: ignore[union-attr]
        wrong = await client.call_tool("tradewind_symbol", {"symbol": "NOPE"})
        assert wrong.is_error
        assert wrong.structured_content is not None
        assert wrong.structured_content["error"] == "RET_SYMBOL_NOT_FOUND"
        with pytest.raises(MCPError):
            await client.call_tool("tradewind_nothing", {})


async def test_tools_say_the_truth_about_themselves(town: Town) -> None:
    listed = (await post(town.stranger(), request("tools/list"))).json["result"]["tools"]
    for tool in listed:
        made = TOOLS[tool["name"]]
        assert tool["inputSchema"]["type"] == "object"
        assert tool.get("outputSchema", {"type": "object"})["type"] == "object"
        hints = tool["annotations"]
        if made.tool.read_only is None:
            assert hints["readOnlyHint"] == (made.row.command is None or not made.row.command.effect)
        assert hints["destructiveHint"] == (made.row.method == "DELETE")
        assert (KEY_ARGUMENT in tool["inputSchema"]["properties"]) == made.row.keyed
        if made.row.repeat == "key" and not hints["readOnlyHint"]:
            assert not hints["idempotentHint"]


async def test_every_version_is_answered_without_a_key_and_without_a_session(town: Town) -> None:
    stranger = town.stranger()
    hello = {"capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
    for version in ("2025-11-25", "2025-06-18", "2025-03-26"):
        answer = await post(stranger, request("initialize", {**hello, "protocolVersion": version}))
        assert answer.status == 200
        result = answer.json["result"]
        assert result["protocolVersion"] == version
        assert result["serverInfo"]["name"] == "tradewind"
        assert set(result["capabilities"]) >= {"tools", "resources", "prompts"}
        assert "Mcp-Session-Id" not in answer.headers
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    modern = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "server/discover"}
    answer = await post(stranger, request("server/discover", {"_meta": meta}), **modern)
    result = answer.json["result"]
    assert MODERN in result["supportedVersions"]
    assert result["resultType"] == "complete"
    assert (result["ttlMs"], result["cacheScope"]) == (300_000, "public")
    assert (await post(stranger, request("ping"))).json["result"] == {}
    note = await post(stranger, {"jsonrpc": "2.0", "method": "notifications/initialized"})
    assert (note.status, note.body) == (202, b"")
    for answer in (await stranger.call("GET", "/mcp"), await stranger.call("DELETE", "/mcp")):
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")


async def test_resources_and_prompts_can_be_read(town: Town) -> None:
    key = await holder(town)
    async with sdk(key) as client:
        uris = {str(resource.uri) for resource in (await client.list_resources()).resources}
        asked_for = {"docs/methodology", "docs/api/stream", "patterns", "instruments"}
        assert {f"tradewind://{name}" for name in asked_for} <= uris
        for uri in uris:
            (content,) = (await client.read_resource(uri)).contents
            assert content.text  # type: ignore[union-attr]
        with pytest.raises(MCPError):
            await client.read_resource("tradewind://docs/../../etc/passwd")
        prompts = (await client.list_prompts()).prompts
        for prompt in prompts:
            filled = await client.get_prompt(
                prompt.name, {argument.name: "42x" for argument in prompt.arguments or ()}
            )
            assert "42x" in filled.messages[0].content.text  # type: ignore[union-attr]
            needed = [argument.name for argument in prompt.arguments or () if argument.required]
            with pytest.raises(MCPError):
                await client.get_prompt(prompt.name, dict.fromkeys(needed[1:], "x"))


async def test_the_door_is_warm_before_the_first_agent_comes(
    stack: House, eventually: Callable[..., Any]
) -> None:
    log = stack.running["gateway-0"].log
    await eventually(lambda: "the agents' door is warm" in log.read_text())


# ── who may ──


async def test_a_tool_without_a_key_leads_to_oauth(town: Town) -> None:
    stranger = town.stranger()
    where = f'resource_metadata="{stranger.url}/.well-known/oauth-protected-resource"'
    for tool, scope in (("quotes", "read"), ("order", "read trade"), ("nothing", "read")):
        answer = await post(stranger, call(tool))
        assert (answer.status, answer.json["error"]) == (401, "UNAUTHORIZED")
        assert answer.headers["WWW-Authenticate"] == f'Bearer scope="{scope}", {where}'
    assert answer.headers["X-Disclaimer"]
    user = await town.user()
    for bad in ("tw_live_" + "0" * 32, user.token, "nonsense", ""):
        for message in (call("quotes"), request("tools/list")):
            answer = await post(stranger, message, Authorization=f"Bearer {bad}")
            assert answer.status == 401, bad
            assert answer.headers["WWW-Authenticate"] == f'Bearer error="invalid_token", {where}'


async def test_a_missing_scope_is_named_so_that_the_client_can_ask_for_it(town: Town) -> None:
    key = await holder(town, "read")
    answer = await post(key, call("alert_create", **ALERT))
    assert answer.status == 403
    assert 'error="insufficient_scope", scope="read trade"' in answer.headers["WWW-Authenticate"]


async def test_an_oauth_token_for_this_address_counts_here_and_one_for_another_does_not(town: Town) -> None:
    app = App(town.stranger())
    await app.register()
    url = app.caller.url
    browser = Browser(town.stranger())
    page = await browser.call("GET", app.address(resource=f"{url}/mcp"))
    token = (await app.exchange(query_of(await browser.decide(page))["code"])).json["access_token"]
    agent = town.stranger()
    agent.token = token
    made = await post(agent, call("symbol", symbol="EURUSD"))
    assert made.status == 200
    elsewhere = await post(
        agent, call("symbol", symbol="EURUSD"), Host=url.replace("http://127.0.0.1", "localhost")
    )
    assert elsewhere.status == 401, "this host's tokens are others"


async def test_foreign_hosts_and_pages_are_refused(town: Town) -> None:
    key = await holder(town)
    for headers in (
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
    ):
        answer = await post(key, request("tools/list"), **headers)
        assert answer.status == 403, headers
    for headers in ({"Origin": key.url}, {"Host": "localhost:1"}, {"Host": "[::1]"}):
        assert (await post(key, request("tools/list"), **headers)).status == 200, headers


# ── calls ──


async def test_a_write_is_done_once_for_its_key_and_answers_as_rest(town: Town) -> None:
    key = await holder(town, "read", "trade")
    given = {**ALERT, KEY_ARGUMENT: "once"}
    first, again = [(await post(key, call("alert_create", **given))).json["result"] for _ in range(2)]
    assert not first["isError"]
    assert first == again
    rest = await key.done("GET", f"/price_alert/list?login={key.login}")
    assert len(rest["rows"]) == 1
    other = (await post(key, call("alert_create", **{**given, "target_price": 1.6}))).json["result"]
    assert other["isError"]
    assert other["structuredContent"]["error"] == "IDEMPOTENCY_MISMATCH"
    number = rest["rows"][0][rest["structure"].index("id")]
    gone = (await post(key, call("alert_delete", id=number))).json["result"]
    assert not gone["isError"]
    assert (await key.done("GET", f"/price_alert/list?login={key.login}"))["rows"] == []


async def test_an_order_needs_its_scope_and_its_key_and_is_held_to_the_accounts_limits(town: Town) -> None:
    quote = {"symbol": "EURUSD", "bid": 1.1, "ask": 1.2}
    await (await town.admin()).done("POST", "/admin/quotes", {"quotes": [quote]})
    user = await town.user()
    reader, agent = await town.key(user, ["read"]), await town.key(user, ["read", "trade"])
    order = {"symbol": "EURUSD", "cmd": 0, "volume": 2, "sl": 0, "tp": 0}

    async def said(tool: str, **given: Any) -> Any:
        result = (await post(agent, call(tool, **given))).json["result"]
        assert result["isError"] is bool(result["structuredContent"].get("error")), result
        return result["structuredContent"]

    async def bought() -> int:
        found = await said("trades")
        kind = found["structure"].index("cmd")
        return sum(row[kind] == order["cmd"] for row in found["rows"])

    assert (await post(reader, call("order", **order, idempotency_key="a"))).status == 403
    checked = {name: order[name] for name in ("symbol", "cmd", "volume")}
    assert (await said("order_check", **checked))["accepted"] is True
    without = await said("order", **order)
    assert (without["error"], KEY_ARGUMENT in without["message"]) == ("INVALID_DATA", True)
    for key in ("", "a b", "x" * 256):
        assert (await said("order", **order, idempotency_key=key))["error"] == "INVALID_DATA"
    assert await bought() == 0
    first = await said("order", **order, idempotency_key="a")
    assert first == await said("order", **order, idempotency_key="a")
    again = {**order, "volume": 3, "idempotency_key": "a"}
    assert (await said("order", **again))["error"] == "IDEMPOTENCY_MISMATCH"
    assert await bought() == 1
    await user.done("PUT", "/account/limits", {"max_open_volume": 3})
    refused = await user.call("POST", "/trade/open", order)
    beyond = await said("order", **order, idempotency_key="b")
    assert refused.status >= 400
    assert beyond["error"] == refused.json["error"]
    assert await bought() == 1


@pytest.mark.parametrize(
    "arguments",
    [
        {"symbol": 5},
        {"symbol": ["EURUSD"]},
        {"symbol": {"a": 1}},
        {"symbol": None},
        {"symbol": "x" * 10_000},
        {"symbol": "EUR\x00USD"},
        {},
        {"symbol": "EURUSD", "login": "seven"},
        {"symbol": "EURUSD", "login": 1},
    ],
)
async def test_wrong_arguments_are_refused_as_rest_refuses_them(
    town: Town, arguments: dict[str, Any]
) -> None:
    key = await holder(town)
    result = (await post(key, call("symbol", **arguments))).json["result"]
    assert result["isError"], result
    assert result["structuredContent"]["error"] in (
        "INVALID_DATA",
        "PERMISSION_DENIED",
        "RET_SYMBOL_NOT_FOUND",
    )


async def test_what_is_no_message_is_an_error_of_the_protocol(town: Town) -> None:
    key = await holder(town)

    async def sent(body: bytes) -> Answer:
        headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        return await key.call("POST", "/mcp", headers=headers, data=body)

    for body, code in ((b"{", -32700), (b"\xff", -32700), (b"[" * 50_000, -32700)):
        answer = await sent(body)
        assert (answer.status, answer.json["error"]["code"]) == (400, code), body[:10]
    for message in ([request("ping")], "text", 5, {"jsonrpc": "1.0", "id": 1, "method": "ping"}):
        assert (await sent(json.dumps(message).encode())).status == 400, message
    unknown = await sent(json.dumps(request("no/such/method")).encode())
    assert unknown.json["error"]["code"] == -32601
    nothing = await sent(json.dumps(request("tools/call", {"name": "tradewind_nothing"})).encode())
    assert nothing.json["error"]["code"] == -32602
    assert (await sent(b" " * (256 * 1024 + 1))).status == 413
    deep = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"tradewind_symbol","arguments":'
    nested = deep + b'{"symbol":' + b"[" * 2_000 + b"]" * 2_000 + b"}}}"
    answer = await sent(nested)
    assert answer.status in (200, 400)
    assert answer.status == 400 or answer.json["result"]["isError"]


def test_every_tool_needs_what_its_row_needs() -> None:
    for made in TOOLS.values():
        assert made.row.access.public or made.row.key_scope, f"{made.name}: no key could ever call it"
        assert SessionType.ADMIN not in made.row.access.sessions or made.row.surface != "admin"
