"""Every route for every kind of caller gives the documented status, on running services."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import pyotp
import pytest

from libs.common.clock import SystemClock
from services.gateway.endpoints import ENDPOINTS
from services.gateway.endpoints.row import PUBLIC, Endpoint
from tests.conftest import wait_until
from tests.contract.auth.people import PASSWORD, Caller, Town, new_email
from tests.contract.auth.permissions import KINDS, documented, faults
from tests.contract.gateway.samples import SAMPLES
from tests.contract.trading.prepared import PREPARED_ORDERS

# After these a caller's session is over or is another one: they call as somebody new.
ENDING = {"POST /sign/out", "POST /auth/logout", "PUT /account/password"}
HOUSE = {
    "GET /docs/answer": "/docs/answer?ask=price+alerts",
    "GET /docs/{page*}": "/docs/README.md",
    "GET /try/{file}": "/try/page.js",
    "GET /ai-signal/feed": "/ai-signal/feed?since=nothing",  # a good one has no end
}
Prepare = Callable[["Cast", Caller], Awaitable[tuple[str, Any]]]


@dataclass
class Cast:
    """Somebody who owns things, and one caller of every kind."""

    town: Town
    owner: Caller
    callers: dict[str, Caller]
    otp_secret: str = ""
    kind: str = ""  # who is calling now


async def cast_of(town: Town) -> Cast:
    owner = await town.user()
    other = await town.user()
    admin = await town.admin()
    await admin.done("POST", "/admin/tier", {"email": owner.email, "tier": "pro"})
    await admin.done("PUT", *SAMPLES["PUT /admin/pools"])
    callers = {
        "anonymous": town.stranger(),
        "read_only": await town.reader(owner),
        "user": owner,
        "other": other,
        "customer": await town.customer(owner),
        "manager": await town.staff(1),
        "dealer": await town.staff(2),
        "admin": admin,
        "key": await town.key(owner, ["scan"]),
        "key that may not scan": await town.key(owner, ["read"]),
        "cookie of customer": await town.browser(owner),
        "cookie of other": await town.browser(other),
    }
    return Cast(town, owner, callers)


async def caller_of(cast: Cast, row: Endpoint, kind: str) -> Caller:
    """Who calls in this cell: on the scan surface people come with cookies."""
    named = kind
    if row.surface == "scan" and f"cookie of {kind}" in cast.callers:
        named = f"cookie of {kind}"
    if kind == "key" and row.key_scope == "scan":
        named = "key that may not scan"
    caller = cast.callers[named]
    fresh = replace(cast.town.stranger(), token=caller.token, cookie=caller.cookie, login=caller.login)
    if row.name not in ENDING or kind in ("anonymous", "key"):
        return fresh
    again = cast.town
    owner = await again.user()
    match named:
        case "user" | "other":
            return owner
        case "read_only":
            return await again.reader(owner)
        case "customer":
            return await again.customer(owner)
        case "cookie of customer" | "cookie of other":
            return await again.browser(owner)
        case _:
            return await again.staff({"manager": 1, "dealer": 2, "admin": 3}[kind])


# ── what has to be there before a call can be good ──


async def script_of(cast: Cast, caller: Caller) -> int:
    body = {"login": cast.owner.login, "name": "mine", "script": "plot()"}
    made: int = (await cast.owner.done("POST", "/script", body))["id"]
    return made


async def alert_of(cast: Cast, caller: Caller) -> int:
    path, body = SAMPLES["POST /price_alert"]
    made = await cast.owner.done("POST", path, {**(body or {}), "login": cast.owner.login})
    alert: int = made["rows"][0][0]
    return alert


async def sign_up(cast: Cast, caller: Caller) -> tuple[str, Any]:
    return "/sign/up", {"name": "Ann", "email": new_email(), "password": PASSWORD}


async def sign_in(cast: Cast, caller: Caller) -> tuple[str, Any]:
    return "/sign/in", {"login": cast.owner.login, "password": PASSWORD}


async def refresh(cast: Cast, caller: Caller) -> tuple[str, Any]:
    return "/sign/refresh", {"refresh_token": (await cast.town.user()).refresh_token}


async def alert_update(cast: Cast, caller: Caller) -> tuple[str, Any]:
    return "/price_alert", {"id": await alert_of(cast, caller), "status": 0, "login": cast.owner.login}


async def alert_delete(cast: Cast, caller: Caller) -> tuple[str, Any]:
    return f"/price_alert/{await alert_of(cast, caller)}?login={cast.owner.login}", None


async def log_row_delete(cast: Cast, caller: Caller) -> tuple[str, Any]:
    login = cast.owner.login
    already = {"symbol": "EURUSD", "side": 0, "condition": 2, "repeat_mode": 0, "target_price": 0.1}
    made = await cast.owner.done("POST", "/price_alert", {**already, "login": login})
    quote = {"symbol": "EURUSD", "bid": 1.1, "ask": 1.2}
    await cast.callers["admin"].done("POST", "/admin/quotes", {"quotes": [quote]})

    async def logged() -> int | None:
        table = await cast.owner.done("GET", f"/price_alert/logs?login={login}")
        return next((row[0] for row in table["rows"] if row[1] == made["rows"][0][0]), None)

    return f"/price_alert/log/{await wait_until(logged)}?login={login}", None


async def watch_update(cast: Cast, caller: Caller) -> tuple[str, Any]:
    body = {"symbol": "EURUSD", "login": cast.owner.login}
    await cast.owner.done("POST", "/market/watch", body)
    return "/market/watch", {**body, "color": "#00ff00"}


async def password(cast: Cast, caller: Caller) -> tuple[str, Any]:
    own = cast.kind in ("user", "read_only", "customer")
    login = caller.login if own else (await cast.town.user()).login
    return "/account/password", {"login": login, "password": PASSWORD, "new_password": "another horse"}


async def registration(cast: Cast, caller: Caller) -> tuple[str, Any]:
    return "/customer/registration", {"email": new_email(), "password": PASSWORD}


async def customer_login(cast: Cast, caller: Caller) -> tuple[str, Any]:
    return "/customer/auth/login", {"email": (await cast.town.user()).email, "password": PASSWORD}


async def otp_set(cast: Cast, caller: Caller) -> tuple[str, Any]:
    secret = pyotp.random_base32()
    body = {"secret": secret, "code": code_of(secret)}
    if cast.otp_secret:
        body["current_code"] = code_of(cast.otp_secret)
    if caller.token == cast.callers["customer"].token:
        cast.otp_secret = secret
    return "/customer/auth/otp", body


async def otp_check(cast: Cast, caller: Caller) -> tuple[str, Any]:
    if not cast.otp_secret:
        path, body = await otp_set(cast, cast.callers["customer"])
        await cast.callers["customer"].done("PUT", path, body)
    return "/customer/auth/otp/check", {"code": code_of(cast.otp_secret)}


def code_of(secret: str) -> str:
    return pyotp.TOTP(secret).at(SystemClock().now_ms() // 1000)


async def script_get(cast: Cast, caller: Caller) -> tuple[str, Any]:
    return f"/script/{await script_of(cast, caller)}", None


async def script_update(cast: Cast, caller: Caller) -> tuple[str, Any]:
    script = {"login": cast.owner.login, "name": "yours", "script": "plot()"}
    return "/script", {**script, "id": await script_of(cast, caller)}


async def script_delete(cast: Cast, caller: Caller) -> tuple[str, Any]:
    return "/script", {"id": await script_of(cast, caller)}


async def scan_sign_up(cast: Cast, caller: Caller) -> tuple[str, Any]:
    return "/auth/signup", {"email": new_email(), "password": PASSWORD}


async def scan_login(cast: Cast, caller: Caller) -> tuple[str, Any]:
    return "/auth/login", {"email": cast.owner.email, "password": PASSWORD}


async def key_of(cast: Cast, caller: Caller) -> str:
    made = await cast.callers["cookie of customer"].done("POST", "/api/v1/keys", {"name": "a key"})
    key_id: str = made["id"]
    return key_id


async def key_delete(cast: Cast, caller: Caller) -> tuple[str, Any]:
    return f"/api/v1/keys/{await key_of(cast, caller)}", None


async def key_delete_alias(cast: Cast, caller: Caller) -> tuple[str, Any]:
    return f"/auth/keys/{await key_of(cast, caller)}", None


async def user_add(cast: Cast, caller: Caller) -> tuple[str, Any]:
    path, body = SAMPLES["POST /admin/users"]
    return path, {**(body or {}), "email": new_email()}


async def staff_update(cast: Cast, caller: Caller) -> tuple[str, Any]:
    return f"/admin/staff/{cast.callers['dealer'].login}", {"name": "Dealer"}


PREPARED: dict[str, Prepare] = {
    "POST /sign/up": sign_up,
    "POST /sign/in": sign_in,
    "POST /sign/refresh": refresh,
    "PUT /price_alert": alert_update,
    "DELETE /price_alert/{id}": alert_delete,
    "DELETE /price_alert/log/{id}": log_row_delete,
    "PUT /market/watch": watch_update,
    "PUT /account/password": password,
    "POST /customer/registration": registration,
    "POST /customer/auth/login": customer_login,
    "PUT /customer/auth/otp": otp_set,
    "POST /customer/auth/otp/check": otp_check,
    "GET /script/{id}": script_get,
    "PUT /script": script_update,
    "DELETE /script": script_delete,
    "DELETE /script/{id}": script_get,
    "POST /auth/signup": scan_sign_up,
    "POST /auth/login": scan_login,
    "DELETE /api/v1/keys/{id}": key_delete,
    "DELETE /auth/keys/{id}": key_delete_alias,
    "POST /admin/users": user_add,
    "PUT /admin/staff/{login}": staff_update,
    **PREPARED_ORDERS,
}


async def request_of(cast: Cast, row: Endpoint, caller: Caller) -> tuple[str, Any]:
    """A good request about the owner's things."""
    if row.name in PREPARED:
        return await PREPARED[row.name](cast, caller)
    if row.local:
        return HOUSE.get(row.name, row.path), None
    path, body = SAMPLES[row.name]
    login = str(cast.owner.login)
    path = path.replace("login=7", f"login={login}").replace("/users/7", f"/users/{login}")
    path = path.replace("customerId=1", f"customerId={cast.callers['customer'].customer_id}")
    text = json.dumps(body).replace('"login": 7', f'"login": {login}')
    text = text.replace("ann@example.com", cast.owner.email)
    text = text.replace('"customerId": 1', f'"customerId": {cast.callers["customer"].customer_id}')
    return path, json.loads(text)


# ── the document against the table, and against the running services ──


def test_every_route_is_documented_and_guarded_as_documented() -> None:
    said = documented()
    assert faults(ENDPOINTS, said) == []
    assert set(said) == {row.name for row in ENDPOINTS}, "the document names routes that are not there"


@pytest.mark.parametrize("row", [r for r in ENDPOINTS if not r.access.public], ids=lambda row: row.name)
def test_removing_the_guard_of_a_row_is_noticed(row: Endpoint) -> None:
    assert faults([replace(row, access=PUBLIC)], documented())


@pytest.mark.parametrize("row", [r for r in ENDPOINTS if not r.access.public], ids=lambda row: row.name)
def test_letting_in_one_more_kind_of_session_is_noticed(row: Endpoint) -> None:
    said = documented()
    for missing in {session for r in ENDPOINTS for session in r.access.sessions} - row.access.sessions:
        wider = replace(row.access, sessions=row.access.sessions | {missing})
        assert faults([replace(row, access=wider)], said), missing


def test_a_route_without_a_line_in_the_document_is_noticed() -> None:
    assert faults([replace(ENDPOINTS[0], path="/new")], documented()) == [
        f"{ENDPOINTS[0].method} /new is not in permissions.csv"
    ]


@pytest.mark.timeout(600)
async def test_every_route_answers_every_kind_of_caller_with_the_documented_status(town: Town) -> None:
    cast = await cast_of(town)
    said = documented()
    wrong = []
    for row in ENDPOINTS:
        for kind in KINDS:
            cast.kind = kind
            caller = await caller_of(cast, row, kind)
            path, body = await request_of(cast, row, caller)
            answer = await caller.call(row.method, path, body)
            if answer.status != said[row.name][kind]:
                wrong.append((row.name, kind, answer.status, said[row.name][kind], answer.body[:200]))
            elif answer.status < 300 and not row.local and undocumented(row, answer.body):
                wrong.append((row.name, kind, "fields outside the schema", answer.body[:500]))
    assert wrong == []


def undocumented(row: Endpoint, body: bytes) -> bool:
    """Whether an answer says anything its documented struct does not have."""
    if row.response is None:
        return bool(body)
    kept = msgspec.json.encode(msgspec.json.decode(body, type=row.response))
    return bool(msgspec.json.decode(kept) != msgspec.json.decode(body))
