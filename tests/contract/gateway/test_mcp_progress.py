"""Long tool calls: they tell how far they are, and may be taken back in the words of each version."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import httpx2
import pytest
from mcp.client.client import Client as SdkClient
from mcp.client.streamable_http import streamable_http_client

from libs.common.bus import encode
from libs.common.messages.gateway import CallTakenBack
from libs.common.messages.requests import RequestBegun
from libs.common.messages.trading_orders import TradeAck
from libs.common.principal import Principal
from libs.common.subjects import (
    API_KEY_RESOLVE,
    CALL_TAKEN_BACK,
    CAPTURE,
    CODEC_CANDLES,
    RELEASE,
    REQUEST_BEGIN,
    REQUEST_FINISH,
    TRADE_OPEN,
)
from tests.contract.gateway.edge import Client, Edge
from tests.contract.gateway.test_mcp_pay import CANDLES, ready

OLDER, MODERN = ("2025-06-18", "2025-11-25"), "2026-07-28"
KEY, OTHER = "tw_live_" + "7" * 32, "tw_live_" + "8" * 32
ASKED = {"ticker": "BTC/USDT", "timeframe": "1h"}


class Owner:
    """Whoever owns a command: at it until told to be done."""

    def __init__(self, answer: Any) -> None:
        self.begun, self.done = asyncio.Event(), asyncio.Event()
        self._answer = answer

    async def __call__(self) -> Any:
        self.begun.set()
        await self.done.wait()
        return self._answer


@pytest.fixture
def owner(at_edge: tuple[Edge, Client]) -> Iterator[Owner]:
    """The owner of candles, behind a gateway whose billing answers."""
    edge, _ = at_edge
    ready(edge)

    def whose(ask: Any) -> Principal:
        name = "key_1" if ask.key == KEY else "key_2"
        scopes = frozenset({"read", "trade"})
        return Principal(kind="key", jti=name, subject=f"key:{name}", scopes=scopes, logins=(7,), person_id=1)

    edge.answer(API_KEY_RESOLVE, whose)
    made = Owner(CANDLES)
    edge.answer(CODEC_CANDLES, lambda ask: made())
    yield made
    made.done.set()  # the test's own end of the bus waits for what it is at


def message(
    version: str, number: Any = 1, token: Any = None, tool: str = "candles", **arguments: Any
) -> dict[str, Any]:
    meta: dict[str, Any] = {} if token is None else {"progressToken": token}
    if version == MODERN:
        meta |= {
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientCapabilities": {},
        }
    name = f"tradewind_{tool}"
    params = {"name": name, "arguments": arguments or ASKED} | ({"_meta": meta} if meta else {})
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}


def headers_of(version: str, key: str = KEY, tool: str = "candles") -> dict[str, str]:
    headers = {
        "Authorization": f"Bearer {key}",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": version,
    }
    modern = {"Mcp-Method": "tools/call", "Mcp-Name": f"tradewind_{tool}"}
    return headers | (modern if version == MODERN else {})


@asynccontextmanager
async def called(client: Client, said: dict[str, Any], headers: dict[str, str]) -> AsyncIterator[Any]:
    """A call under way over a connection of its own, which is closed at the end."""
    async with aiohttp.ClientSession() as session:
        task = asyncio.create_task(session.post(f"{client.url}/mcp", json=said, headers=headers))
        try:
            yield task
        finally:
            task.cancel()


async def events_of(response: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    async for line in response.content:
        if line.startswith(b"data: "):
            yield json.loads(line.removeprefix(b"data: "))


def heard(edge: Edge, command: Any, times: int = 1) -> Callable[[], bool]:
    return lambda: len(edge.heard[command.name]) == times


# ── progress ──


@pytest.mark.parametrize("version", [*OLDER, MODERN])
async def test_a_long_call_tells_how_far_it_is_and_then_answers(
    at_edge: tuple[Edge, Client], owner: Owner, version: str
) -> None:
    _, client = at_edge
    async with called(client, message(version, 5, "my token"), headers_of(version)) as call:
        response = await call
        assert response.headers["Content-Type"].startswith("text/event-stream")
        assert response.headers["X-Request-Id"]
        told: list[dict[str, Any]] = []
        async for event in events_of(response):
            told.append(event)
            if len(told) == 2:  # it was asked, and is at it for a while
                owner.done.set()
    *progress, answer = told
    assert all(event["method"] == "notifications/progress" for event in progress)
    assert {event["params"]["progressToken"] for event in progress} == {"my token"}
    parts = [event["params"]["progress"] for event in progress]
    assert parts == sorted(set(parts))
    assert (parts[0], parts[-1]) == (0, 100)
    assert 0 < parts[1] < 100
    assert all(event["params"]["total"] == 100 and event["params"]["message"] for event in progress)
    assert answer["id"] == 5
    assert answer["result"]["structuredContent"]["codec"]["rows"] == CANDLES.codec.rows


@pytest.mark.parametrize("mode", ["legacy", MODERN])
async def test_the_sdks_client_hears_how_far_a_call_is(
    at_edge: tuple[Edge, Client], owner: Owner, mode: Any
) -> None:
    _, client = at_edge
    told: list[float] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        told.append(progress)
        if len(told) == 2:
            owner.done.set()

    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {KEY}"}, timeout=20) as http,
        SdkClient(streamable_http_client(f"{client.url}/mcp", http_client=http), mode=mode) as sdk,
    ):
        said = await sdk.call_tool("tradewind_candles", ASKED, progress_callback=on_progress)
    assert not said.is_error
    assert (told[0], told[-1]) == (0, 100)
    assert told == sorted(set(told))


@pytest.mark.parametrize("version", [*OLDER, MODERN])
async def test_who_does_not_ask_how_far_it_is_gets_one_answer(
    at_edge: tuple[Edge, Client], owner: Owner, version: str
) -> None:
    _, client = at_edge
    owner.done.set()
    json_only = headers_of(version) | {"Accept": "application/json"}
    for token, headers in ((None, headers_of(version)), ("t", json_only), (True, headers_of(version))):
        async with called(client, message(version, 5, token), headers) as call:
            response = await call
            assert response.headers["Content-Type"].startswith("application/json"), token
            assert (await response.json())["id"] == 5


@pytest.mark.parametrize("version", [OLDER[-1], MODERN])
async def test_a_refusal_is_an_answer_whoever_asked_how_far_it_is(
    at_edge: tuple[Edge, Client], owner: Owner, version: str
) -> None:
    _, client = at_edge
    async with called(client, message(version, 5, 1, ticker=5), headers_of(version)) as call:
        answer = await (await call).json()
    assert answer["result"]["structuredContent"]["error"] == "INVALID_PARAM"


# ── taking back ──


async def test_closing_the_request_takes_the_call_back_and_gives_the_money_back(
    at_edge: tuple[Edge, Client], owner: Owner, eventually: Callable[..., Any]
) -> None:
    edge, client = at_edge
    for token in (None, "t"):
        edge.heard.clear()
        owner.begun.clear()
        async with called(client, message(MODERN, 1, token), headers_of(MODERN)):
            await owner.begun.wait()
            assert edge.heard[RELEASE.name] == []
        await eventually(heard(edge, RELEASE))
        assert edge.heard[CAPTURE.name] == []
    owner.done.set()  # what the owner says now is for nobody
    again = await client.post("/mcp", message(MODERN), f"Bearer {KEY}", headers=headers_of(MODERN))
    assert not again.json["result"]["isError"]
    assert len(edge.heard[CAPTURE.name]) == 1


async def test_a_call_that_was_taken_back_frees_its_key(
    at_edge: tuple[Edge, Client], owner: Owner, eventually: Callable[..., Any]
) -> None:
    edge, client = at_edge
    edge.answer(REQUEST_BEGIN, lambda ask: RequestBegun(outcome="new", lease_ms=1))
    edge.answer(REQUEST_FINISH, lambda ask: {})
    said = message(MODERN, **ASKED, idempotency_key="once")
    async with called(client, said, headers_of(MODERN)):
        await owner.begun.wait()
    await eventually(heard(edge, REQUEST_FINISH))
    assert edge.heard[REQUEST_FINISH.name][0].answer is None
    assert len(edge.heard[RELEASE.name]) == 1


@pytest.mark.parametrize("version", OLDER)
async def test_in_older_versions_closing_means_nothing(
    at_edge: tuple[Edge, Client], owner: Owner, eventually: Callable[..., Any], version: str
) -> None:
    edge, client = at_edge
    async with called(client, message(version, 1, "t"), headers_of(version)):
        await owner.begun.wait()
    owner.done.set()
    await eventually(heard(edge, CAPTURE))
    assert edge.heard[RELEASE.name] == []


@pytest.mark.parametrize("version", OLDER)
@pytest.mark.parametrize("number", [7, "seven"])
async def test_in_older_versions_a_notification_takes_a_call_back(
    at_edge: tuple[Edge, Client], owner: Owner, version: str, number: Any
) -> None:
    edge, client = at_edge

    async def take_back(which: Any, key: str) -> None:
        note = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": which}}
        answer = await client.post("/mcp", note, f"Bearer {key}", headers=headers_of(version, key))
        assert (answer.status, answer.body) == (202, b"")

    async with called(client, message(version, number), headers_of(version)) as call:
        await owner.begun.wait()
        for which, key in ((number, OTHER), (str(number) + "x", KEY), (None, KEY), ([number], KEY)):
            await take_back(which, key)
        assert edge.heard[RELEASE.name] == []
        await take_back(number, KEY)
        answer = await (await call).json()
    assert answer == {
        "jsonrpc": "2.0",
        "id": number,
        "error": {"code": -32800, "message": "Request cancelled"},
    }
    assert len(edge.heard[RELEASE.name]) == 1
    assert edge.heard[CAPTURE.name] == []


async def test_a_call_may_be_taken_back_at_another_process(
    at_edge: tuple[Edge, Client], owner: Owner
) -> None:
    edge, client = at_edge
    async with called(client, message(OLDER[-1], 7), headers_of(OLDER[-1])) as call:
        await owner.begun.wait()
        said = CallTakenBack(holder="key:key_1|127.0.0.1", number="7")
        await edge.bus.publish(CALL_TAKEN_BACK.at(), b"{}")  # what can't be read changes nothing
        await edge.bus.publish(CALL_TAKEN_BACK.at(), encode(said))
        assert (await (await call).json())["error"]["code"] == -32800


async def test_since_closing_takes_back_a_notification_does_not(
    at_edge: tuple[Edge, Client], owner: Owner
) -> None:
    _, client = at_edge
    note = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
    async with called(client, message(MODERN, 1), headers_of(MODERN)) as call:
        await owner.begun.wait()
        for version in (MODERN, OLDER[-1]):
            answer = await client.post("/mcp", note, f"Bearer {KEY}", headers=headers_of(version))
            assert answer.status == 202
        owner.done.set()
        assert not (await (await call).json())["result"]["isError"]


async def test_of_two_calls_with_one_number_none_is_taken_back(
    at_edge: tuple[Edge, Client], owner: Owner, eventually: Callable[..., Any]
) -> None:
    edge, client = at_edge
    version = OLDER[-1]
    async with (
        called(client, message(version, 1), headers_of(version)) as first,
        called(client, message(version, 1), headers_of(version)) as second,
    ):
        await eventually(heard(edge, CODEC_CANDLES, 2))
        note = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
        await client.post("/mcp", note, f"Bearer {KEY}", headers=headers_of(version))
        owner.done.set()
        for call in (first, second):
            assert not (await (await call).json())["result"]["isError"]


async def test_an_order_that_was_asked_for_is_never_taken_back(
    at_edge: tuple[Edge, Client], owner: Owner, eventually: Callable[..., Any]
) -> None:
    edge, client = at_edge
    desk = Owner(TradeAck(order=1, state=1, login=7, symbol="EURUSD", cmd=0, volume=100))
    edge.answer(TRADE_OPEN, lambda ask: desk())
    edge.answer(REQUEST_BEGIN, lambda ask: RequestBegun(outcome="new", lease_ms=1))
    edge.answer(REQUEST_FINISH, lambda ask: {})
    order = {"symbol": "EURUSD", "cmd": 0, "volume": 100, "sl": 0, "tp": 0, "idempotency_key": "once"}
    said = message(MODERN, 1, "t", "order", **order)
    async with called(client, said, headers_of(MODERN, tool="order")):
        await desk.begun.wait()
    desk.done.set()
    await eventually(heard(edge, REQUEST_FINISH))
    kept = edge.heard[REQUEST_FINISH.name][0].answer
    assert kept is not None
    assert kept.status == 200
    assert len(edge.heard[TRADE_OPEN.name]) == 1


async def test_a_call_without_a_key_is_nobodys_to_take_back(
    at_edge: tuple[Edge, Client], owner: Owner
) -> None:
    _, client = at_edge
    note = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
    async with called(client, message(OLDER[-1], 1), headers_of(OLDER[-1])) as call:
        await owner.begun.wait()
        accept = {"Accept": "application/json, text/event-stream"}
        assert (await client.post("/mcp", note, headers=accept)).status == 202
        owner.done.set()
        assert not (await (await call).json())["result"]["isError"]
