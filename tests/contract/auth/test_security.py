"""The security checks of identity, each against running services over HTTP and the stream."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import jwt
import pytest

from tests.conftest import PATIENCE_S
from tests.contract.auth.people import (
    PASSWORD,
    Caller,
    Town,
    cookie_of,
    new_address,
    new_email,
    socket,
)
from tests.house import House

REVOKED = 4401


async def switch(ws: aiohttp.ClientWebSocketResponse, login: int) -> dict[str, Any]:
    await ws.send_json({"event": "account.switch", "active_login": login})
    while True:
        said = await ws.receive_json()
        if isinstance(said, dict) and said.get("event") == "account.switch":
            return said


async def close_code(ws: aiohttp.ClientWebSocketResponse) -> int:
    """The code the server closes with."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            message = await ws.receive()
            if message.type is aiohttp.WSMsgType.CLOSE:
                code: int = message.data
                return code
            assert message.type is aiohttp.WSMsgType.TEXT, message


async def status(caller: Caller, path: str = "/sign/check") -> int:
    return (await caller.call("GET", path)).status


# ── tokens ──


async def test_forged_tokens_are_refused_at_the_door(town: Town) -> None:
    user = await town.user()
    (key, *_) = (await user.done("GET", "/.well-known/jwks.json"))["keys"]
    said = jwt.decode(user.token, options={"verify_signature": False})
    kid = jwt.get_unverified_header(user.token)["kid"]
    public = base64.urlsafe_b64decode(key["x"] + "=")

    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    head, body, signature = user.token.split(".")
    forged = [
        f"{part({'alg': 'none', 'typ': 'JWT', 'kid': kid})}.{body}.",
        f"{part({'alg': 'none', 'typ': 'JWT', 'kid': kid})}.{body}.{signature}",
        jwt.encode(said, public, algorithm="HS256", headers={"kid": kid}),
        hmac_signed(said, json.dumps(key).encode(), kid),
        f"{part({'alg': 'EdDSA', 'typ': 'JWT', 'kid': 'foreign'})}.{body}.{signature}",
        f"{head}.{part({**said, 'type': 3})}.{signature}",
        f"{head}.{part({**said, 'exp': said['exp'] + 99})}.{signature}",
        f"{head}.{body}.{signature[:-4]}AAAA",
        f"{head}.{body}",
        "Bearer",
    ]
    for token in forged:
        user.token = token
        answer = await user.call("GET", "/sign/check")
        assert (answer.status, answer.code) == (401, "PERMISSION_DENIED"), token


def hmac_signed(claims: Any, secret: bytes, kid: str) -> str:
    """HS256 by hand: libraries refuse to use a public key as a secret, an attacker does not."""
    parts = [
        base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")
        for value in ({"alg": "HS256", "typ": "JWT", "kid": kid}, claims)
    ]
    signature = hmac.new(secret, b".".join(parts), hashlib.sha256).digest()
    return b".".join((*parts, base64.urlsafe_b64encode(signature).rstrip(b"="))).decode()


async def test_access_refresh_and_stream_tokens_cannot_be_swapped(town: Town) -> None:
    user = await town.user()
    stream_token = (await user.done("POST", "/stream/token"))["token"]
    for token in (user.refresh_token, stream_token):
        answer = await user.call("GET", "/sign/check", headers={"Authorization": token})
        assert (answer.status, answer.code) == (401, "PERMISSION_DENIED")
    for token in (user.token, stream_token):
        answer = await user.call("POST", "/sign/refresh", {"refresh_token": token})
        assert (answer.status, answer.code) == (400, "INVALID_DATA"), "longer than any refresh token"
    async with user.session.ws_connect(user.url + "/ws") as ws:
        await ws.send_json({"authorization": user.refresh_token})
        assert (await ws.receive_json())["error"] == "INVALID_TOKEN"
    async with socket(user, stream_token):
        pass
    async with user.session.ws_connect(user.url + "/ws") as ws:
        await ws.send_json({"authorization": stream_token})
        assert (await ws.receive_json())["error"] == "INVALID_TOKEN", "it counts once"


async def test_reuse_of_a_refresh_token_ends_the_family_and_cuts_its_socket(town: Town) -> None:
    user = await town.user()
    pair = await user.done("POST", "/sign/refresh", {"refresh_token": user.refresh_token})
    async with socket(user, pair["__token"]) as ws:
        for token in (user.refresh_token, pair["refresh_token"]):
            answer = await user.call("POST", "/sign/refresh", {"refresh_token": token})
            assert (answer.status, answer.code) == (401, "PERMISSION_DENIED")
        assert await close_code(ws) == REVOKED
    assert await status(user) == 401


async def test_tokens_go_on_over_a_rotation_of_the_signing_key(town: Town) -> None:
    user, admin = await town.user(), await town.admin()
    before = {key["kid"] for key in (await user.done("GET", "/.well-known/jwks.json"))["keys"]}
    rotated = await admin.done("POST", "/admin/keys/rotate")
    assert rotated["kid"] in before
    young = await town.user()
    assert jwt.get_unverified_header(young.token)["kid"] == rotated["kid"]
    assert await status(user) == await status(young) == 200


# ── revocation reaches what is open ──


async def change_password(town: Town, user: Caller) -> None:
    await user.done("PUT", "/account/password", {"password": PASSWORD, "new_password": "another horse"})


async def sign_out(town: Town, user: Caller) -> None:
    await user.done("POST", "/sign/out")


async def sign_out_here(town: Town, user: Caller) -> None:
    await user.done("POST", "/sign/out", {"only_this": 1})


async def disable(town: Town, user: Caller) -> None:
    await (await town.admin()).done("PUT", f"/admin/users/{user.login}", {"enable": 0})


async def disable_person(town: Town, user: Caller) -> None:
    await (await town.admin()).done("PUT", "/admin/customers", {"email": user.email, "enable": 0})


async def only_read(town: Town, user: Caller) -> None:
    await (await town.admin()).done("PUT", f"/admin/users/{user.login}", {"enable_read_only": 1})


@pytest.mark.parametrize(
    "end", [change_password, sign_out, sign_out_here, disable, disable_person, only_read]
)
async def test_what_ends_a_session_cuts_its_open_sockets_within_five_seconds(
    town: Town, end: Callable[[Town, Caller], Awaitable[None]]
) -> None:
    user, other = await town.user(), await town.user()
    stream_token = (await user.done("POST", "/stream/token"))["token"]
    async with socket(user) as first, socket(user, stream_token) as second, socket(other) as third:
        await switch(first, user.login)
        await end(town, user)
        assert await close_code(first) == REVOKED
        assert await close_code(second) == REVOKED, "a stream token's socket ends with its access token"
        await third.send_str("ping")
        assert await third.receive_str() == "pong", "somebody else's goes on"
    assert await status(user) in (401, 402)


async def test_an_open_customer_socket_may_switch_to_an_account_opened_later(town: Town) -> None:
    user = await town.user()
    customer = await town.customer(user)
    async with socket(customer) as ws:
        assert (await switch(ws, user.login))["success"] is True
        opened = await customer.done("POST", "/customer/accounts", {})
        async with asyncio.timeout(PATIENCE_S):
            while not (await switch(ws, opened["login"]))["success"]:
                pass
        assert (await switch(ws, (await town.user()).login))["error"] == "PERMISSION_DENIED"


async def test_a_new_token_is_taken_over_on_the_open_socket(town: Town) -> None:
    user, other = await town.user(), await town.user()
    async with socket(user) as ws:
        pair = await user.done("POST", "/sign/refresh", {"refresh_token": user.refresh_token})
        await ws.send_json({"authorization": pair["__token"]})
        assert await ws.receive_json() == {"event": "authorization", "success": True}
        await ws.send_json({"authorization": other.token})
        assert (await ws.receive_json())["error"] == "PERMISSION_DENIED"


async def test_a_settings_change_is_heard_by_the_other_sessions(town: Town) -> None:
    user = await town.user()
    again = await town.signed_in(user.login)
    async with socket(again) as ws:
        await switch(ws, user.login)
        await user.done("PUT", "/settings", {"prefix": "web", "settings": {"theme": "dark"}})
        async with asyncio.timeout(PATIENCE_S):
            while True:
                frame = await ws.receive_json()
                if isinstance(frame, list) and frame[0] == "n" and frame[3] == "SETTINGS_CHANGED":
                    break
        assert frame[8]["prefix"] == "web"
    kept = await again.done("GET", "/settings")
    assert kept["settings"] == {"theme": "dark"}


# ── cookies ──


async def test_the_cookies_flags(town: Town) -> None:
    stranger = town.stranger()
    signed = await stranger.call("POST", "/auth/signup", {"email": new_email(), "password": PASSWORD})
    (line,) = signed.headers.getall("Set-Cookie")
    flags = {part.strip().lower() for part in line.split(";")[1:]}
    assert {"httponly", "samesite=lax", "path=/", "max-age=2592000"} <= flags
    assert "secure" not in flags, "over plain HTTP a browser would throw it away"
    assert cookie_of(signed) not in signed.body.decode()
    assert list(signed.json) == ["user"]


async def test_a_cookie_write_from_a_foreign_page_is_refused(town: Town) -> None:
    browser = await town.browser(await town.user())
    body = {"name": "a key"}
    for origin in ("https://evil.example", "null", f"{browser.url}.evil.example"):
        answer = await browser.call("POST", "/api/v1/keys", body, headers={"Origin": origin})
        assert (answer.status, answer.code) == (403, "forbidden_origin")
    for headers in ({}, {"Origin": browser.url}):
        assert (await browser.call("POST", "/api/v1/keys", body, headers=headers)).status == 201
    answer = await browser.call("GET", "/auth/me", headers={"Origin": "https://evil.example"})
    assert answer.status == 200, "reading is not writing: the browser keeps the answer from that page"


async def test_the_broker_cookie_is_held_to_the_same(town: Town) -> None:
    user = await town.user()
    caller = town.stranger()
    cookie = {"Cookie": f"tw_token={user.token}"}
    assert (await caller.call("GET", "/sign/check", headers=cookie)).status == 200
    evil = cookie | {"Origin": "https://evil.example"}
    answer = await caller.call("PUT", "/settings", {"settings": {}}, headers=evil)
    assert (answer.status, answer.code) == (403, "PERMISSION_DENIED")


async def test_signing_out_ends_the_cookie_at_once_and_once_or_twice_is_the_same(town: Town) -> None:
    browser = await town.browser(await town.user())
    assert await status(browser, "/auth/me") == 200
    for _ in range(2):
        answer = await browser.call("POST", "/auth/logout")
        assert (answer.status, answer.body) == (204, b"")
        assert "Max-Age=0" in answer.headers["Set-Cookie"]
    answer = await browser.call("GET", "/auth/me")
    assert (answer.status, answer.code) == (401, "not_authenticated")


async def test_a_broker_token_is_no_scan_cookie_and_the_other_way_round(town: Town) -> None:
    user = await town.user()
    browser = await town.browser(user)
    for cookie, path in (
        (f"session={user.token}", "/auth/me"),
        (f"tw_token={browser.cookie}", "/sign/check"),
    ):
        answer = await town.stranger().call("GET", path, headers={"Cookie": cookie})
        assert answer.status in (401, 403)


# ── keys ──


async def test_a_key_does_what_its_scopes_say(town: Town) -> None:
    user = await town.user()
    reading, trading = await town.key(user, ["read"]), await town.key(user, ["read", "trade"])
    sandbox = await town.key(user, ["read", "trade"], mode="test")
    watch = {"login": user.login, "symbol": "EURUSD"}
    for key in (reading, trading, sandbox):
        assert (await key.call("GET", f"/market?login={user.login}")).status == 200
        answer = await key.call("GET", f"/market?login={(await town.user()).login}")
        assert (answer.status, answer.code) == (403, "PERMISSION_DENIED")
    assert (await reading.call("POST", "/market/watch", watch)).status == 403
    assert (await sandbox.call("POST", "/market/watch", watch)).status == 403
    assert (await trading.call("POST", "/market/watch", watch)).status == 200
    for path in ("/sign/check", "/customer/session/accounts", "/admin/symbols"):
        assert (await trading.call("GET", path)).status == 403


async def test_an_admin_key_manages_keys_and_never_the_house(town: Town) -> None:
    user = await town.user()
    key = await town.key(user, ["admin"])
    made = await key.done("POST", "/api/v1/keys", {"name": "second"})
    assert made["key"].startswith("tw_live_")
    assert len((await key.done("GET", "/auth/keys"))["keys"]) == 2
    for path in ("/admin/symbols", "/admin/audit", "/admin/staff"):
        assert (await key.call("GET", path)).status == 403


async def test_a_key_counts_from_its_addresses_only(town: Town) -> None:
    user = await town.user()
    home = new_address()
    key = await town.key(user, ["read"], ip_allow=[home])
    path = f"/market?login={user.login}"
    at_home, elsewhere = town.stranger(home), town.stranger()
    at_home.token = elsewhere.token = key.token
    assert (await at_home.call("GET", path)).status == 200
    answer = await elsewhere.call("GET", path)
    assert (answer.status, answer.code) == (401, "PERMISSION_DENIED")
    answer = await elsewhere.call("GET", path, headers={"X-Forwarded-For": home})
    assert answer.status == 401, "nobody but a trusted proxy vouches for an address"


async def test_a_key_that_is_taken_back_counts_no_more_for_the_next_request(town: Town) -> None:
    user = await town.user()
    browser = await town.browser(user)
    made = await browser.done("POST", "/api/v1/keys", {"name": "a key"})
    key = town.stranger()
    key.token = made["key"]
    path = f"/market?login={user.login}"
    assert (await key.call("GET", path)).status == 200
    foreign = await town.browser(await town.user())
    answer = await foreign.call("DELETE", f"/api/v1/keys/{made['id']}")
    assert (answer.status, answer.code) == (404, "not_found")
    assert (await browser.call("DELETE", f"/api/v1/keys/{made['id']}")).status == 204
    assert (await key.call("GET", path)).status == 401
    answer = await key.call("GET", "/api/v1/keys")
    assert (answer.status, answer.code) == (401, "invalid_agent_key")


# ── guessing ──


async def test_the_eleventh_guess_is_429_with_a_time_to_come_back_and_nobody_else_is_locked_out(
    town: Town,
) -> None:
    user = await town.user()
    guesser = town.stranger()
    wrong = {"login": user.login, "password": "wrong horse"}
    for _ in range(10):
        answer = await guesser.call("POST", "/sign/in", wrong)
        assert (answer.status, answer.code) == (403, "USER_NOT_FOUND_OR_INCORRECT")
    answer = await guesser.call("POST", "/sign/in", {**wrong, "password": PASSWORD})
    assert (answer.status, answer.code) == (429, "RET_TOO_FREQUENT")
    assert 0 < int(answer.headers["Retry-After"]) <= 900
    await town.signed_in(user.login)


async def test_unknown_and_wrong_are_one_answer_and_the_same_work(town: Town) -> None:
    user = await town.user()
    reading = await town.user()
    await town.reader(reading)
    answers, work = [], []
    for login in (user.login, reading.login, 999_999_999):
        before = await hashed(town.house)
        answer = await town.stranger().call("POST", "/sign/in", {"login": login, "password": "wrong horse"})
        answers.append((answer.status, answer.body))
        work.append(await hashed(town.house) - before)
    assert answers[0] == answers[1] == answers[2]
    assert work == [1.0, 1.0, 1.0]
    scan = [
        await town.stranger().call("POST", "/auth/login", {"email": email, "password": "wrong horse"})
        for email in (user.email, new_email())
    ]
    assert scan[0].body == scan[1].body
    assert (scan[0].status, scan[0].code) == (401, "invalid_credentials")


async def hashed(house: House) -> float:
    """How many passwords auth has checked (each of them as two hashes when it was wrong)."""
    text = await house.running["auth-0"].metrics()
    found = re.search(r"^tradewind_auth_hashing_seconds_count (\S+)", text, re.MULTILINE)
    assert found
    return float(found[1])


# ── what clients may not say, and what answers do not tell ──


async def test_fields_that_are_not_for_clients_change_nothing(town: Town) -> None:
    more = {
        "login": 5,
        "person_id": 1,
        "customer_id": 1,
        "enable": 1,
        "enable_read_only": 1,
        "type": 3,
        "session_type": 3,
        "tier": "pro",
        "email_verified": True,
        "status": "vip",
        "currency": "EUR",
        "token_version": 99,
        "manager_id": 7,
        "otp_enabled": 1,
        "ip": "10.0.0.1",
    }
    user = await town.user(**more)
    assert user.login >= 100_001
    said = jwt.decode(user.token, options={"verify_signature": False})
    assert (said["type"], said["read_only"], said["ver"]) == (0, 0, 1)
    stranger = town.stranger()
    body = {"email": new_email(), "password": PASSWORD, **more}
    signed = (await stranger.call("POST", "/auth/signup", body)).json["user"]
    assert (signed["tier"], signed["email_verified"]) == ("free", False)
    body["email"] = new_email()
    registered = (await stranger.done("POST", "/customer/registration", body))["customer"]
    assert registered["status"] == "active"
    came_in = await stranger.done("POST", "/customer/auth/login", {**body, "otp_code": "123456"})
    assert (came_in["manager_id"], came_in["otp_enabled"]) == (0, 0)
    browser = await town.browser(user)
    made = await browser.done("POST", "/api/v1/keys", {"name": "k", "person_id": 1, "key_id": "x", "id": "x"})
    assert made["id"] != "x"
    assert [k["id"] for k in (await browser.done("GET", "/api/v1/keys"))["keys"]] == [made["id"]]


async def test_the_audit_log_holds_what_staff_did_in_a_chain_that_checks(town: Town) -> None:
    admin, user = await town.admin(), await town.user()
    await admin.done("PUT", "/account/password", {"login": user.login, "password": "set by staff"})
    rows = (await admin.done("GET", "/admin/audit?limit=2"))["rows"]
    assert [row["kind"] for row in rows] == ["outcome", "intent"]
    assert rows[1]["path"] == "/account/password"
    assert "set by staff" not in json.dumps(rows)
    checked = await admin.done("GET", "/admin/audit/check")
    assert checked["broken_id"] == 0
    assert checked["last_hash"] == rows[0]["hash"]
