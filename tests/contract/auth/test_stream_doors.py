"""API keys and cookies at the stream's door, and what changes for sockets that are open."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from tests.conftest import PATIENCE_S
from tests.contract.auth.people import Caller, Town, new_address, socket
from tests.contract.auth.test_security import REVOKED, close_code, switch

CANDLES = "/quotes/candles?symbol=EURUSD&from=0&to=99&frame=1H"


async def said_to(caller: Caller, token: str, **headers: str) -> Any:
    """What a fresh socket answers to an authorization."""
    async with caller.session.ws_connect(caller.url + "/ws", headers=headers) as ws:
        await ws.send_json({"authorization": token})
        return await ws.receive_json()


async def heard_quote(ws: aiohttp.ClientWebSocketResponse, town: Town, bid: float) -> bool:
    await ws.send_json({"event": "subscribe", "data": ["EURUSD"]})
    quotes = [{"symbol": "EURUSD", "bid": bid, "ask": bid + 0.1}]
    await (await town.admin()).done("POST", "/admin/quotes", {"quotes": quotes})
    async with asyncio.timeout(PATIENCE_S):
        while True:
            frame = await ws.receive_json()
            if isinstance(frame, list) and frame[:3] == ["t", "EURUSD", bid]:
                return True


async def test_a_key_opens_the_stream_and_sees_its_persons_accounts(town: Town) -> None:
    user = await town.user()
    key = await town.key(user, ["read"])
    async with socket(key) as ws:
        assert await heard_quote(ws, town, 1.21)
        assert (await switch(ws, user.login))["success"] is True
        assert (await switch(ws, (await town.user()).login))["error"] == "PERMISSION_DENIED"
        await ws.send_json({"authorization": user.token})
        assert (await ws.receive_json())["error"] == "PERMISSION_DENIED", "another subject"
    assert (await key.call("GET", CANDLES)).status == 200


async def test_a_key_that_may_not_read_sees_nothing(town: Town) -> None:
    user = await town.user()
    key = await town.key(user, ["trade"])
    said = await said_to(key, key.token)
    assert said == {"event": "authorization", "success": False, "error": "PERMISSION_DENIED"}
    assert (await key.call("GET", CANDLES)).status == 403
    bound = await town.key(user, ["read"], ip_allow=[new_address()])
    assert (await said_to(bound, bound.token))["error"] == "INVALID_TOKEN"
    assert (await said_to(bound, "tw_live_" + "0" * 32))["error"] == "INVALID_TOKEN"


@pytest.mark.parametrize("end", ["taken back", "person disabled"])
async def test_a_key_that_counts_no_more_loses_its_sockets(town: Town, end: str) -> None:
    user = await town.user()
    browser = await town.browser(user)
    made = await browser.done("POST", "/api/v1/keys", {"name": "a key"})
    async with socket(browser, made["key"]) as ws:
        if end == "taken back":
            await browser.done("DELETE", f"/api/v1/keys/{made['id']}")
        else:
            admin = await town.admin()
            await admin.done("PUT", "/admin/customers", {"email": user.email, "enable": 0})
        assert await close_code(ws) == REVOKED
    assert (await said_to(browser, made["key"]))["error"] == "INVALID_TOKEN"


async def test_cookies_open_the_stream_for_our_own_pages_only(town: Town) -> None:
    user = await town.user()
    browser = await town.browser(user)
    welcome = {"event": "authorization", "success": True}
    for cookie in (f"tw_token={user.token}", f"session={browser.cookie}"):
        for origin in ({}, {"Origin": user.url}):
            assert await said_to(user, "cookie", Cookie=cookie, **origin) == welcome
        for foreign in ("https://evil.example", "null"):
            said = await said_to(user, "cookie", Cookie=cookie, Origin=foreign)
            assert said["error"] == "INVALID_TOKEN"
    assert (await said_to(user, "cookie"))["error"] == "INVALID_TOKEN"
    assert (await said_to(user, "cookie", Cookie="session=nobody"))["error"] == "INVALID_TOKEN"
    said = await said_to(user, user.token, Cookie="tw_token=broken", Origin="https://evil.example")
    assert said == welcome, "a token in the frame counts from everywhere"


async def test_a_new_tier_reaches_open_sockets_of_the_person_and_of_nobody_else(town: Town) -> None:
    user, other = await town.user(), await town.user()
    key = await town.key(user, ["read"])
    customer = await town.customer(user)
    admin = await town.admin()
    async with socket(user) as first, socket(key) as second, socket(customer) as third, socket(other) as last:
        await admin.done("POST", "/admin/tier", {"email": user.email, "tier": "plus"})
        for ws in (first, second, third):
            assert await ws.receive_json(timeout=PATIENCE_S) == {"event": "tier", "tier": "plus"}
        await last.send_str("ping")
        assert await last.receive_str() == "pong"
