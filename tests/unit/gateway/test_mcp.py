"""The short way of older tool calls answers as the SDK's own transport; schemas, hosts, messages."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from libs.common.errors import InvalidData
from libs.common.principal import Principal
from services.gateway.endpoints import ENDPOINTS
from services.gateway.mcp.calls import RowCall, Visit
from services.gateway.mcp.catalogue import Shelf, tools_of
from services.gateway.mcp.handlers import is_ours, read_message
from services.gateway.mcp.server import Agents
from services.gateway.surfaces.base import Reply

TOOLS = tools_of(ENDPOINTS)
HEADERS = {"content-type": "application/json", "accept": "application/json, text/event-stream"}


async def perform(call: RowCall) -> Reply:
    """Every row answers what it was asked; one symbol is refused."""
    if b"NOPE" in call.arguments:
        raise InvalidData("there is no such symbol")
    return Reply(200, json.dumps({"asked": json.loads(call.arguments)}).encode())


async def nothing() -> bytes:
    return b"{}"


@pytest_asyncio.fixture
async def agents() -> AsyncIterator[Agents]:
    made = Agents(Shelf(tools=TOOLS, rows=ENDPOINTS, page=lambda name: None, instruments=nothing))
    await made.open()
    yield made
    await made.close()


def message(name: Any, arguments: Any, **more: Any) -> bytes:
    params = {"name": name, "arguments": arguments}
    return json.dumps({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params} | more).encode()


@pytest.mark.parametrize("version", [None, "2025-03-26", "2025-06-18", "2025-11-25"])
@pytest.mark.parametrize(
    "body",
    [
        message("tradewind_symbol", {"symbol": "EURUSD"}),
        message("tradewind_symbol", {"symbol": "EURUSD"}, id="text"),
        message("tradewind_symbol", {"symbol": "NOPE"}),
        message("tradewind_nothing", {}),
        message("tradewind_symbol", None),
        message(5, {}),
        message("tradewind_symbol", "text"),
        message("tradewind_symbol", {}, params={}),
    ],
)
async def test_the_short_way_answers_as_the_sdks_transport(
    agents: Agents, monkeypatch: pytest.MonkeyPatch, version: str | None, body: bytes
) -> None:
    headers = HEADERS | ({"mcp-protocol-version": version} if version else {})
    visit = Visit(Principal(kind="key", logins=(7,), scopes=frozenset({"read"})), perform)
    short = await agents.answer(headers, body, visit)

    async def never(*given: Any) -> None:
        return None

    monkeypatch.setattr(agents, "_older_call", never)
    whole = await agents.answer(headers, body, visit)
    assert short.status == whole.status
    mine, theirs = json.loads(short.body), json.loads(whole.body)
    assert set(mine) == set(theirs)
    assert mine.get("result") == theirs.get("result")
    assert mine.get("error", {}).get("code") == theirs.get("error", {}).get("code")
    assert mine["id"] == theirs["id"]


async def test_what_is_rehearsed_is_what_agents_ask_first(
    agents: Agents, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[tuple[str, Any]] = []
    answer = agents.answer

    async def heard(headers: Any, body: bytes, visit: Visit) -> Reply:
        reply = await answer(headers, body, visit)
        said.append((headers.get("mcp-protocol-version", "older"), json.loads(reply.body)))
        return reply

    monkeypatch.setattr(agents, "answer", heard)
    await agents.rehearse()
    assert [version for version, _ in said] == ["older", "2026-07-28"] * 2
    lists, calls = said[:2], said[2:]
    assert all(len(body["result"]["tools"]) == len(TOOLS) for _, body in lists)
    assert all(body["error"]["code"] == -32602 for _, body in calls), "no tool of ours was called"


@pytest.mark.parametrize("name", TOOLS)
def test_every_schema_is_one(name: str) -> None:
    made = TOOLS[name]
    for schema in filter(None, (made.input_schema, made.output_schema)):
        jsonschema.Draft202012Validator.check_schema(schema)
        assert schema["type"] == "object"
        text = json.dumps(schema)
        for used in {part.split('"')[0] for part in text.split("#/$defs/")[1:]}:
            assert used in schema["$defs"]


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (message("tradewind_x", {}), "tradewind_x"),
        (message(5, {}), ""),
        (message("x", {}, params=[]), ""),
        (b'{"method":"tools/call"}', ""),
        (b'{"method":"tools/list"}', None),
        (b'{"method":5}', None),
        (b"[]", None),
        (b"{", None),
        (b"\xff", None),
        (b"[" * 100_000, None),
        (b'{"method":"tools/list","method":"tools/call","params":{"name":"a"}}', "a"),
    ],
)
def test_which_tool_a_message_calls(body: bytes, name: str | None) -> None:
    assert read_message(body).tool == name


VALUES = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5) | st.just([1])
NAMED = st.fixed_dictionaries({}, optional={"progressToken": VALUES})
PARAMS = st.fixed_dictionaries(
    {}, optional={"name": VALUES, "requestId": VALUES, "_meta": VALUES | NAMED, "arguments": VALUES}
)
METHODS = st.sampled_from(["tools/call", "tools/list", "notifications/cancelled"]) | VALUES


@given(st.fixed_dictionaries({"method": METHODS}, optional={"params": VALUES | PARAMS, "id": VALUES}))
def test_what_a_message_asks_is_what_it_says(said: dict[str, Any]) -> None:
    read = read_message(json.dumps(said).encode())
    given_params = said.get("params")
    params = given_params if isinstance(given_params, dict) else {}
    name, number = params.get("name"), params.get("requestId")
    called = (name if isinstance(name, str) else "") if said["method"] == "tools/call" else None
    assert read.tool == called
    numbered = isinstance(number, str | int) and said["method"] == "notifications/cancelled"
    assert read.taken_back == (json.dumps(number, ensure_ascii=False) if numbered else None)
    meta = params.get("_meta")
    token = meta.get("progressToken") if isinstance(meta, dict) else None
    assert read.wants_progress == (type(token) in (str, int))


@given(st.binary(max_size=60))
def test_what_is_no_message_asks_nothing(body: bytes) -> None:
    read = read_message(body)
    assert (read.tool, read.taken_back, read.wants_progress) == (None, None, False)


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("house.example", True),
        ("HOUSE.example:8080", True),
        ("localhost", True),
        ("127.0.0.1:1", True),
        ("[::1]:8080", True),
        ("192.168.1.5", True),
        ("", False),
        ("evil.example", False),
        ("house.example.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("[::1", False),
    ],
)
def test_which_hosts_are_ours(host: str, ours: bool) -> None:
    assert is_ours(host, frozenset({"house.example", "localhost"})) is ours
