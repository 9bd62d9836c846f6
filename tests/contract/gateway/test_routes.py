"""The whole chain on real processes: every row of the broker and admin surfaces against the services."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from tests.conftest import PATIENCE_S
from tests.contract.gateway.edge import Client
from tests.house import House


def columns(text: str) -> list[str]:
    return text.split()


SIGNED_IN = columns(
    "id login regdate leverage email avatar name phone address city state country zipcode group currency"
    " __token"
)
SHORT_COLUMNS = columns(
    "symbol description currency margin_currency quote_currency group digits trade spread spread_balance"
    " swap_enable margin_divider margin_mode stops_level contract_size long_only ask bid point tick_value"
    " tick_size market_state market_reason lot_min lot_max lot_step comm_base comm_type exchange category"
    " industry sector shareholders market_cap price1d icon"
)
ALERT_COLUMNS = columns(
    "id login symbol indicator_name message side condition target_price channel_low channel_high"
    " move_threshold status repeat_mode created_at updated_at expires_at triggered_at triggered_price"
    " reference_price reference_time comment"
)
LOG_COLUMNS = columns(
    "id alert_id login symbol indicator_name message side condition target_price triggered_price"
    " triggered_at comment"
)


@pytest.fixture
def client(stack: House, session: aiohttp.ClientSession) -> Client:
    """HTTP to a stack that the tests of this module share: they make accounts and symbols of their own."""
    return Client(session, stack.url)


_numbers = itertools.count()


def new_email() -> str:
    return f"ann.{next(_numbers)}@example.com"


async def sign_up(client: Client) -> tuple[int, str]:
    answer = await client.post("/sign/up", {"name": "Ann", "email": new_email(), "password": "secret-1"})
    assert answer.status == 200, answer.body
    return answer.json["login"], answer.json["__token"]


async def admin_of(client: Client) -> str:
    answer = await client.post("/sign/in", {"login": 1, "password": "admin-password"})
    assert answer.status == 200, answer.body
    token: str = answer.json["__token"]
    return token


async def quote(client: Client, admin: str, symbol: str, bid: float, ask: float) -> None:
    answer = await client.post(
        "/admin/quotes", {"quotes": [{"symbol": symbol, "bid": bid, "ask": ask}]}, admin
    )
    assert (answer.status, answer.json) == (200, {"data": "OK"})


async def test_signing_up_in_and_out(client: Client) -> None:
    body = {"name": "Ann", "email": new_email(), "password": "secret-1"}
    up = await client.post("/sign/up", body)
    assert up.status == 200
    assert list(up.json)[:16] == SIGNED_IN
    login, token = up.json["login"], up.json["__token"]
    assert up.json["id"] == login
    assert (up.json["group"], up.json["currency"], up.json["leverage"]) == ("demo", "USD", 100)
    assert up.headers["Set-Cookie"].startswith(f"tw_token={token};")
    assert (await client.post("/sign/up", body)).error == (409, "RET_USR_ACCOUNT_EXIST")
    assert (await client.post("/sign/up", {**body, "email": new_email(), "group": "nope"})).error == (
        404,
        "GROUP_NOT_FOUND",
    )
    inn = await client.post("/sign/in", {"login": login, "password": "secret-1"})
    assert list(inn.json)[:16] == SIGNED_IN
    wrong = {"login": login, "password": "wrong-1"}, {"login": 999_999, "password": "secret-1"}
    for bad in wrong:
        assert (await client.post("/sign/in", bad)).error == (403, "USER_NOT_FOUND_OR_INCORRECT")
    check = await client.get("/sign/check", token)
    assert check.status == 200
    assert (check.json["login"], check.json["type"]) == (login, 0)
    assert (await client.get("/sign/check")).error == (401, "PERMISSION_DENIED")
    renewed = await client.post("/sign/refresh", {"refresh_token": inn.json["refresh_token"]})
    assert list(renewed.json) == ["__token", "refresh_token"]
    assert (await client.get("/sign/check", renewed.json["__token"])).status == 200
    stream = await client.post("/stream/token", {}, token)
    assert (stream.json["expires_in"], stream.status) == (60, 200)
    assert (await client.post("/sign/out", {}, token)).json == {"data": "OK"}
    for old in (token, renewed.json["__token"]):
        assert (await client.get("/sign/check", old)).error == (401, "PERMISSION_DENIED")


async def test_the_account_has_its_deposit_at_once(client: Client) -> None:
    login, token = await sign_up(client)
    answer = await client.get("/account/balance", token)
    assert answer.status == 200
    said = answer.json
    assert (said["login"], said["balance"], said["margin_free"], said["level_type"]) == (
        login,
        10_000,
        10_000,
        0,
    )


async def test_the_market_as_the_account_sees_it(client: Client) -> None:
    login, token = await sign_up(client)
    admin = await admin_of(client)
    await quote(client, admin, "EURUSD", 1.1, 1.1002)
    whole = await client.get("/market", token)
    assert list(whole.json) == ["assets", "groups"]
    assert {"EURUSD", "XAUUSD", "BTC/USDT"} <= set(whole.json["assets"])
    assert (whole.json["assets"]["EURUSD"]["bid"], whole.json["assets"]["EURUSD"]["ask"]) == (1.1, 1.1002)
    short = await client.get("/market/short/list/", token)
    assert short.json["assets"]["structure"] == SHORT_COLUMNS
    assert {len(row) for row in short.json["assets"]["rows"]} == {36}
    assert short.json["groups"] == whole.json["groups"]
    info = await client.get("/market/symbol", token, params={"symbol": "eurusd"})
    assert (info.json["symbol"], info.json["bid"], len(info.json["sessions"])) == ("EURUSD", 1.1, 7)
    assert (await client.get("/market/symbol?symbol=NOPE", token)).error == (404, "RET_SYMBOL_NOT_FOUND")
    assert (await client.get(f"/market?login={login}", admin)).json == whole.json
    assert (await client.get("/market?login=404404", admin)).status in (403, 404)


async def test_candles_in_both_notations(client: Client) -> None:
    _, token = await sign_up(client)
    admin = await admin_of(client)
    rows = [[n * 3_600_000, 1 + n, 2 + n, 0.5 + n, 1.5 + n, 10.0] for n in range(480_000, 480_003)]
    body = {"symbol": "EURUSD", "timeframe": "1h", "candles": rows}
    assert (await client.post("/admin/candles", body, admin)).json == {"data": "OK"}
    span = {"symbol": "EURUSD", "from": str(480_000 * 3600), "to": str(480_002 * 3600)}
    for frame in ("1H", "H1"):
        answer = await client.get("/quotes/candles", token, params={**span, "frame": frame, "count": "5"})
        assert answer.json["structure"] == ["open", "high", "low", "close", "volume", "time"]
        assert answer.json["data"] == [[o, h, low, c, v, ms // 1000] for ms, o, h, low, c, v in rows]
    assert (await client.get("/quotes/candles", token, params={**span, "frame": "7H"})).error == (
        400,
        "INVALID_DATA",
    )
    unknown = {**span, "symbol": "NOPE", "frame": "1H"}
    assert (await client.get("/quotes/candles", token, params=unknown)).error == (404, "RET_SYMBOL_NOT_FOUND")
    assert (await client.get("/quotes/candles", params={**span, "frame": "1H"})).error == (
        401,
        "PERMISSION_DENIED",
    )


async def test_parameters_of_a_get_may_come_in_the_body(client: Client) -> None:
    _, token = await sign_up(client)
    body = await client.get("/market/symbol", token, json={"symbol": "GBPUSD"})
    assert body.json["symbol"] == "GBPUSD"
    both = await client.get("/market/symbol?symbol=EURUSD", token, json={"symbol": "GBPUSD"})
    assert both.json["symbol"] == "EURUSD"


async def test_the_market_watch(client: Client) -> None:
    _, token = await sign_up(client)
    for _ in range(2):
        added = await client.post("/market/watch", {"symbol": "eurusd"}, token)
        assert list(added.json) == ["EURUSD"]
        assert list(added.json["EURUSD"]) == ["symbol", "price1d", "high", "low", "prices"]
    assert (await client.post("/market/watch", {"symbol": "NOPE"}, token)).error == (
        404,
        "RET_SYMBOL_NOT_FOUND",
    )
    changed = {"symbol": "EURUSD", "color": "#00FF00", "sort_index": 3}
    assert (await client.put("/market/watch", changed, token)).json == {"data": "OK"}
    missing = {"symbol": "GBPUSD", "sort_index": 1}
    assert (await client.put("/market/watch", missing, token)).error == (404, "MARKET_WATCH_SYMBOL_NOT_FOUND")
    listed = (await client.get("/market/watch/list?prefix=web", token)).json["assets"]
    assert (listed["EURUSD"]["color"], listed["EURUSD"]["sort_index"]) == ("#00FF00", 3)
    for _ in range(2):
        assert (await client.delete("/market/watch", {"symbol": "EURUSD"}, token)).json == {"data": "OK"}
    assert (await client.get("/market/watch/list?prefix=web", token)).json == {"assets": {}}


async def test_price_alerts_from_arming_to_their_log(client: Client, eventually: Callable[..., Any]) -> None:
    _, token = await sign_up(client)
    _, other = await sign_up(client)
    admin = await admin_of(client)
    await quote(client, admin, "EURUSD", 1.1, 1.1002)
    wanted = {
        "symbol": "EURUSD",
        "side": 0,
        "condition": 2,
        "repeat_mode": 0,
        "target_price": 1.2,
        "message": "up",
    }
    made = await client.post("/price_alert", wanted, token)
    assert made.json["structure"] == ["id"]
    [[alert]] = made.json["rows"]
    assert (await client.post("/price_alert", {**wanted, "target_price": 0}, token)).error == (
        400,
        "INVALID_TARGET_PRICE",
    )
    assert (await client.post("/price_alert", {**wanted, "symbol": "NOPE"}, token)).error == (
        404,
        "RET_SYMBOL_NOT_FOUND",
    )
    listed = (await client.get("/price_alert/list", token)).json
    assert listed["structure"] == ALERT_COLUMNS
    assert [[*row[:3], row[11]] for row in listed["rows"]] == [[alert, listed["rows"][0][1], "EURUSD", 0]]
    assert (await client.put("/price_alert", {"id": alert, "target_price": 1.15}, token)).json["rows"] == [
        [alert]
    ]
    assert (await client.put("/price_alert", {"id": alert, "status": 0}, other)).error == (
        403,
        "PERMISSION_DENIED",
    )
    assert (await client.delete(f"/price_alert/{alert}", None, other)).error == (403, "PERMISSION_DENIED")
    await quote(client, admin, "EURUSD", 1.16, 1.1602)

    async def logged() -> Any:
        answer = await client.get("/price_alert/logs", token)
        assert answer.json["structure"] == LOG_COLUMNS
        return answer.json["rows"]

    [row] = await eventually(logged)
    fields = dict(zip(LOG_COLUMNS, row, strict=True))
    assert (fields["alert_id"], fields["message"], fields["triggered_price"]) == (alert, "up", 1.16)
    assert (await client.get("/price_alert/logs?limit=0", token)).json["rows"] == []
    assert (await client.delete(f"/price_alert/{alert}/", None, token)).json["rows"] == [[alert]]
    assert (await client.delete(f"/price_alert/{alert}", None, token)).error == (404, "NOT_FOUND")
    assert (await client.get("/price_alert/list", token)).json["rows"] == []
    assert (await client.get("/price_alert/list", admin)).error == (403, "PERMISSION_DENIED")


async def test_what_an_admin_changes_is_in_force_for_the_next_request(client: Client) -> None:
    _, token = await sign_up(client)
    admin = await admin_of(client)
    made = await client.put("/admin/symbols/TWX%2FUSD", {"digits": 3, "description": "Made here"}, admin)
    assert (made.json["symbol"], made.json["digits"]) == ("TWX/USD", 3)
    assert (await client.get("/market/symbol?symbol=TWXUSD", token)).json["description"] == "Made here"
    assert (await client.put("/admin/symbols/TWX%2FUSD", {"digits": 4}, admin)).json[
        "description"
    ] == "Made here"
    assert (await client.put("/admin/symbols/TWX%2FUSD", {"nope": 1}, admin)).error == (400, "INVALID_DATA")
    assert (await client.put("/admin/symbols/TWX%2FUSD", {"digits": "many"}, admin)).error == (
        400,
        "INVALID_DATA",
    )
    assert "TWX/USD" in [s["symbol"] for s in (await client.get("/admin/symbols", admin)).json["symbols"]]
    hide = {"secgroups": [{"sec_index": 1, "show": 0}], "default_deposit": 500}
    assert (await client.put("/admin/groups/metalless", hide, admin)).json["group"] == "metalless"
    groups = (await client.get("/admin/groups", admin)).json["groups"]
    assert {"demo", "metalless"} <= {group["group"] for group in groups}
    user = {
        "group": "metalless",
        "name": "Bob",
        "password": "secret-2",
        "leverage": 50,
        "enable": 1,
        "email": new_email(),
    }
    added = await client.post("/admin/users", user, admin)
    assert list(added.json) == ["login", "leverage", "currency"]
    signed = await client.post("/sign/in", {"login": added.json["login"], "password": "secret-2"})
    token = signed.json["__token"]
    assert (await client.get("/account/balance", token)).json["balance"] == 500
    assert "XAUUSD" not in (await client.get("/market", token)).json["assets"]
    assert (await client.get("/market/symbol?symbol=XAUUSD", token)).error == (403, "SYMBOL_NOT_ALLOWED")
    assert (
        await client.put("/admin/groups/metalless", {"secgroups": [{"sec_index": 1, "show": 1}]}, admin)
    ).status == 200
    assert "XAUUSD" in (await client.get("/market", token)).json["assets"]


async def test_quotes_are_all_or_nothing(client: Client) -> None:
    _, token = await sign_up(client)
    admin = await admin_of(client)
    await quote(client, admin, "EURUSD", 1.1, 1.1002)
    good = {"symbol": "EURUSD", "bid": 1.2, "ask": 1.2002}
    bad: list[tuple[dict[str, Any], tuple[int, str]]] = [
        ({"symbol": "NOPE", "bid": 1, "ask": 2}, (404, "RET_SYMBOL_NOT_FOUND")),
        ({"symbol": "EURUSD", "bid": 2, "ask": 1}, (400, "INVALID_DATA")),
        ({"symbol": "EURUSD", "bid": 0, "ask": 1}, (400, "INVALID_DATA")),
        ({"symbol": "EURUSD", "bid": 1, "ask": 1, "time": 1000}, (400, "INVALID_DATA")),
    ]
    for broken, expected in bad:
        assert (await client.post("/admin/quotes", {"quotes": [good, broken]}, admin)).error == expected
    assert (await client.get("/market/symbol?symbol=EURUSD", token)).json["bid"] == 1.1


async def test_the_audit_log_tells_intents_and_outcomes_without_secrets(client: Client) -> None:
    admin = await admin_of(client)
    _, token = await sign_up(client)
    before = (await client.get("/admin/audit?limit=1", admin)).json["count"]
    await client.put("/admin/symbols/EURUSD", {"nope": 1}, admin)
    await quote(client, admin, "EURUSD", 1.1, 1.1002)
    user = {
        "group": "demo",
        "name": "Bob",
        "password": "secret-2",
        "leverage": 50,
        "enable": 1,
        "email": new_email(),
    }
    await client.post("/admin/users", user, admin)
    page = (await client.get("/admin/audit?limit=6", admin)).json
    assert page["count"] == before + 6
    told = [(row["kind"], row["method"], row["path"], row["status"]) for row in reversed(page["rows"])]
    assert told == [
        ("intent", "PUT", "/admin/symbols/EURUSD", 0),
        ("outcome", "PUT", "/admin/symbols/EURUSD", 400),
        ("intent", "POST", "/admin/quotes", 0),
        ("outcome", "POST", "/admin/quotes", 200),
        ("intent", "POST", "/admin/users", 0),
        ("outcome", "POST", "/admin/users", 200),
    ]
    assert all(row["actor"] == 1 for row in page["rows"])
    assert "secret-2" not in json.dumps(page)
    assert len((await client.get("/admin/audit?limit=2&offset=1", admin)).json["rows"]) == 2
    assert (await client.get("/admin/audit", token)).error == (403, "PERMISSION_DENIED")


async def answer_on(ws: aiohttp.ClientWebSocketResponse) -> Any:
    """The next frame that is not of the account: its first deposit may be told at any moment."""
    while True:
        frame = await ws.receive_json(timeout=PATIENCE_S)
        if not isinstance(frame, list) or frame[0] not in ("o", "b", "n"):
            return frame


async def test_the_stream_goes_with_the_same_session(client: Client) -> None:
    login, token = await sign_up(client)
    admin = await admin_of(client)
    await quote(client, admin, "EURUSD", 1.1, 1.1002)
    once = (await client.post("/stream/token", {}, token)).json["token"]
    for path in ("/ws", "/"):
        async with client.session.ws_connect(client.url + path) as ws:
            await ws.send_json({"authorization": once if path == "/ws" else token})
            assert await answer_on(ws) == {"event": "authorization", "success": True}
            await ws.send_json({"event": "account.switch"})
            switched = await answer_on(ws)
            assert (switched["success"], switched["active_login"]) == (True, login)
            await ws.send_json({"event": "subscribe", "data": ["eurusd", "NOPE"]})
            assert (await answer_on(ws))[:4] == ["t", "EURUSD", 1.1, 1.1002]
    async with client.session.ws_connect(client.url + "/ws") as ws:
        await ws.send_json({"authorization": once})  # it counted once
        assert (await answer_on(ws))["error"] == "INVALID_TOKEN"
        await ws.send_json({"authorization": token})
        await answer_on(ws)
        await ws.send_json({"event": "subscribe", "data": ["TWXUSD"]})
        await client.put("/admin/symbols/TWXUSD", {"digits": 3}, admin)
        await ws.send_json({"event": "subscribe", "data": ["TWXUSD"]})
        await quote(client, admin, "TWXUSD", 1.5, 1.6)
        assert (await answer_on(ws))[:4] == ["t", "TWXUSD", 1.5, 1.6]
        await client.post("/sign/out", {}, token)
        async with asyncio.timeout(PATIENCE_S):
            async for _ in ws:
                pass
        assert ws.close_code == 4401
