"""Who may name which account, and who may write with a cookie."""

from __future__ import annotations

from dataclasses import replace

import pytest

from libs.common.errors import AppError, NotAuthenticated, PermissionDenied
from libs.common.messages.auth import Account
from libs.common.principal import Principal, SessionType
from services.gateway.accounts import account_named
from services.gateway.callers import Callers
from services.gateway.endpoints import ENDPOINTS
from services.gateway.endpoints.broker_requests import AccountRequest
from services.gateway.surfaces.dialects import SURFACES

ROWS = {row.name: row for row in ENDPOINTS}
PRINCIPALS = {
    "user": Principal(kind="account", login=7, logins=(7,), session_type=SessionType.USER, group="demo"),
    "customer": Principal(kind="customer", logins=(7, 8), person_id=1, session_type=SessionType.CUSTOMER),
    "manager": Principal(kind="staff", login=2, session_type=SessionType.MANAGER),
    "dealer": Principal(kind="staff", login=3, session_type=SessionType.DEALER),
    "admin": Principal(kind="staff", login=1, session_type=SessionType.ADMIN),
}


async def verify(credential: str, *, address: str = "", cookie: bool = False) -> Principal:
    if credential not in PRINCIPALS:
        raise NotAuthenticated
    return PRINCIPALS[credential]


async def account_of(login: int) -> Account:
    return Account(login=login, person_id=1, group=f"group of {login}", currency="USD", leverage=100)


CALLERS = Callers(verify, account_of, "https://market.example")
BROKER = SURFACES["broker"]


@pytest.mark.parametrize(
    ("who", "given", "outcome"),
    [
        ("user", None, 7),
        ("user", 7, 7),
        ("user", 8, "PERMISSION_DENIED 403"),
        ("customer", 8, 8),
        ("customer", None, "INVALID_LOGIN 400"),
        ("customer", 9, "PERMISSION_DENIED 403"),
        ("admin", 9, 9),
        ("manager", 9, 9),
        ("dealer", None, "INVALID_LOGIN 400"),
    ],
)
def test_login_resolution(who: str, given: int | None, outcome: object) -> None:
    try:
        assert account_named(PRINCIPALS[who], given) == outcome
    except AppError as e:
        assert f"{e.code} {e.http_status}" == outcome


async def test_the_group_is_the_tokens_or_that_of_the_account_named() -> None:
    row = ROWS["GET /market"]
    own = await CALLERS.resolve(row, PRINCIPALS["user"], "", AccountRequest())
    other = await CALLERS.resolve(row, PRINCIPALS["admin"], "", AccountRequest(login=9))
    assert (own.login, own.group, other.login, other.group) == (7, "demo", 9, "group of 9")


@pytest.mark.parametrize("row", [row for row in ENDPOINTS if not row.access.public], ids=lambda row: row.name)
async def test_every_row_takes_its_kinds_of_session_and_no_other(row: object) -> None:
    surface = SURFACES[row.surface]  # type: ignore[attr-defined]
    taken = set()
    for who, principal in PRINCIPALS.items():
        try:
            headers = {"Authorization": f"Bearer {who}"}
            found, token = await CALLERS.identify(row, surface, headers, "", "203.0.113.7")  # type: ignore[arg-type]
        except AppError as e:
            assert (e.code, e.http_status) == ("PERMISSION_DENIED", 403)
            continue
        assert (found.address, token) == ("203.0.113.7", who)
        taken.add(SessionType(principal.session_type))
    assert taken == set(row.access.sessions)  # type: ignore[attr-defined]


async def test_a_key_is_let_in_by_its_scopes_and_nowhere_else() -> None:
    key = Principal(kind="key", logins=(7,), person_id=1, scopes=frozenset({"read"}), subject="key:1")

    async def is_key(credential: str, *, address: str = "", cookie: bool = False) -> Principal:
        return key

    callers = Callers(is_key, account_of)
    taken = set()
    for row in (row for row in ENDPOINTS if not row.access.public):
        headers = {"Authorization": "Bearer tw_live_x"}
        try:
            await callers.identify(row, SURFACES[row.surface], headers, "", "")
        except PermissionDenied:
            continue
        taken.add(row.name)
    assert taken == {row.name for row in ENDPOINTS if row.key_scope == "read"}
    assert "GET /market" in taken
    assert not any(name.split(" ")[1].startswith("/admin") for name in taken)


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic dXNlcg=="}, {"Authorization": "nobody"}])
async def test_without_a_good_token_nobody_is_let_in(headers: dict[str, str]) -> None:
    with pytest.raises(NotAuthenticated):
        await CALLERS.identify(ROWS["GET /market"], BROKER, headers, "", "")


@pytest.mark.parametrize(
    ("name", "headers", "cookie", "who"),
    [
        ("GET /api/v1/symbols/search", {"Authorization": "Bearer customer"}, "", "customer"),
        ("GET /api/v1/patterns", {}, "customer", "customer"),
        ("GET /api/v1/patterns", {}, "", "anonymous"),
        ("GET /api/v1/patterns", {"Authorization": "Bearer nobody"}, "customer", "anonymous"),
        ("POST /auth/login", {"Authorization": "Bearer customer"}, "", "anonymous"),
        ("GET /api/v1/prices", {"Authorization": "Bearer customer"}, "", "anonymous"),
    ],
)
async def test_who_says_who_they_are_keeps_their_limits_on_open_rows_of_the_scan_surface(
    name: str, headers: dict[str, str], cookie: str, who: str
) -> None:
    row = ROWS[name]
    found, token = await CALLERS.identify(row, SURFACES[row.surface], headers, cookie, "203.0.113.7")
    assert (found.kind, found.address, token) == (who, "203.0.113.7", "")


async def test_a_cookie_counts_when_there_is_no_header() -> None:
    row = ROWS["GET /market"]
    assert (await CALLERS.identify(row, BROKER, {}, "user", ""))[0].login == 7
    with pytest.raises(NotAuthenticated):
        await CALLERS.identify(row, BROKER, {"Authorization": "nobody"}, "user", "")


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (None, True),
        ("http://127.0.0.1:8080", True),
        ("https://market.example", True),
        ("https://evil.example", False),
        ("null", False),
        ("http://127.0.0.1:8080.evil.example", False),
    ],
)
async def test_a_page_of_another_origin_may_not_write_with_the_cookie(
    origin: str | None, allowed: bool
) -> None:
    headers = {"Host": "127.0.0.1:8080"} | ({"Origin": origin} if origin is not None else {})
    row = ROWS["POST /price_alert"]
    if allowed:
        await CALLERS.identify(row, BROKER, headers, "user", "")
    else:
        with pytest.raises(AppError, match="origin"):
            await CALLERS.identify(row, BROKER, headers, "user", "")
    await CALLERS.identify(row, BROKER, {**headers, "Authorization": "user"}, "", "")
    await CALLERS.identify(replace(row, method="GET"), BROKER, headers, "user", "")
