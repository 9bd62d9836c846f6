"""What the gateway asks of services, what it hands back, and what it writes down about staff."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from libs.common.errors import AppError, ErrorBody, RemoteError, ServiceUnavailable
from libs.common.messages import alerts, auth, market, trading
from libs.common.messages.house import Done
from libs.common.subjects import (
    ACCOUNT_GET,
    ACCOUNT_OF,
    ALERT_CREATE,
    ALERT_DELETE,
    ALERT_LIST,
    ALERT_LOG_LIST,
    ALERT_UPDATE,
    ASSETS,
    AUDIT_APPEND,
    BRIEF,
    CANDLES,
    CANDLES_PUT,
    GROUP_VIEW,
    QUOTES_PUT,
    REVOCATIONS,
    SIGN_CHECK,
    SIGN_IN,
    SIGN_OUT,
    SIGN_UP,
    SYMBOL_PUT,
    USER_ADD,
    WATCH_UPDATE,
)
from tests.contract.gateway.edge import CLOCK, Client, Edge
from tests.contract.gateway.samples import SAMPLES

Edged = tuple[Edge, Client]
Eventually = Callable[..., Any]

SIGNED_IN = auth.SignedIn(
    id=7,
    login=7,
    regdate=1,
    leverage=100,
    email="ann@example.com",
    avatar="",
    name="Ann",
    phone="",
    address="",
    city="",
    state="",
    country="",
    zipcode="",
    group="demo",
    currency="USD",
    token="the.access.token",
    refresh_token="again",
)
ORDER = (
    "id login regdate leverage email avatar name phone address city state country zipcode group currency"
    " __token"
)


async def test_commands_carry_what_was_asked_and_who_asked(at_edge: Edged) -> None:
    edge, client = at_edge
    user, admin = edge.signer.token("user"), edge.signer.token("admin")
    for name, (path, body) in SAMPLES.items():
        await client.call(name.split()[0], path, body, admin if "/admin/" in path else user)
    heard = {command: messages[-1] for command, messages in edge.heard.items()}
    assert heard[ASSETS.name] == market.AssetsAsk(login=7, group="demo")
    assert heard[CANDLES.name] == market.CandlesAsk(symbol="EURUSD", frame="1H", from_s=0, to_s=99)
    assert heard[WATCH_UPDATE.name] == market.WatchUpdate(
        login=7, group="demo", symbol="EURUSD", color="#00ff00"
    )
    assert heard[SIGN_IN.name] == auth.SignIn(login=7, password="secret-1", ip="127.0.0.1")
    assert heard[SIGN_CHECK.name] == auth.SignCheck(login=7, session_type=0, jti="jti of user", token=user)
    assert heard[ALERT_CREATE.name] == alerts.AlertCreate(
        login=7, group="demo", symbol="EURUSD", side=0, condition=2, repeat_mode=0, target_price=1.1
    )
    assert heard[ALERT_UPDATE.name] == alerts.AlertUpdate(id=5, login=7, group="demo", status=0)
    assert heard[ALERT_DELETE.name] == alerts.AlertDelete(id=5, login=7)
    assert heard[ALERT_LOG_LIST.name] == alerts.AlertLogAsk(login=7, limit=10)
    assert heard[SYMBOL_PUT.name] == market.SymbolPut(symbol="BTC/USDT", fields={"digits": 2})
    assert heard[QUOTES_PUT.name].quotes == [market.QuoteIn(symbol="EURUSD", bid=1.1, ask=1.2)]
    assert heard[CANDLES_PUT.name] == market.CandlesPut(
        symbol="EURUSD", timeframe="1h", candles=[(3_600_000, 1.0, 2.0, 0.5, 1.5, 10.0)]
    )


async def test_staff_and_customers_ask_about_accounts_in_their_own_group(at_edge: Edged) -> None:
    edge, client = at_edge
    await client.get("/market?login=9", edge.signer.token("dealer"))
    await client.get("/market?login=8", edge.signer.token("customer"))
    assert edge.heard[ASSETS.name] == [
        market.AssetsAsk(login=9, group="group-9"),
        market.AssetsAsk(login=8, group="group-8"),
    ]


async def test_an_account_nobody_knows_is_its_owners_error(at_edge: Edged) -> None:
    edge, client = at_edge

    def unknown(ask: Any) -> Any:
        raise RemoteError(
            ErrorBody(code="USER_NOT_FOUND_OR_INCORRECT", status=403, message="no such account")
        )

    edge.answer(ACCOUNT_OF, unknown)
    answer = await client.get("/market?login=404", edge.signer.token("admin"))
    assert answer.error == (403, "USER_NOT_FOUND_OR_INCORRECT")


async def test_the_owners_bytes_are_the_answer(at_edge: Edged) -> None:
    edge, client = at_edge
    said = b'{"structure":["id"],"rows":[[1]],  "as it came":1.10}'
    edge.answer(ALERT_LIST, lambda ask: said)
    answer = await client.get("/price_alert/list/", edge.signer.token())
    assert (answer.status, answer.body) == (200, said)
    assert answer.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (ErrorBody(code="RET_TRADE_NO_MONEY", status=400, message="not enough"), (409, "RET_TRADE_NO_MONEY")),
        (ErrorBody(code="RET_TRADE_REQUOTE", status=409, message="moved"), (500, "RET_TRADE_REQUOTE")),
        (ErrorBody(code="INVALID_CHANNEL", status=400, message="low is high"), (400, "INVALID_CHANNEL")),
        (
            ErrorBody(code="RET_TOO_FREQUENT", status=429, message="wait", meta={"retry_after_s": 61}),
            (429, "RET_TOO_FREQUENT"),
        ),
    ],
)
async def test_an_owners_error_comes_with_the_status_of_its_code(
    at_edge: Edged, body: ErrorBody, shown: tuple[int, str]
) -> None:
    edge, client = at_edge

    def refuse(ask: Any) -> Any:
        raise RemoteError(body)

    edge.answer(ALERT_LIST, refuse)
    answer = await client.get("/price_alert/list", edge.signer.token())
    assert answer.error == shown
    assert answer.headers.get("Retry-After") == ("61" if "retry_after_s" in body.meta else None)


async def test_a_service_that_is_not_there_is_503(at_edge: Edged) -> None:
    edge, client = at_edge

    def away(ask: Any) -> Any:
        raise ServiceUnavailable("alerts does not answer")

    edge.answer(ALERT_LIST, away)
    assert (await client.get("/price_alert/list", edge.signer.token())).error == (503, "RET_ERR_NOSERVICE")


@pytest.mark.parametrize(
    ("trouble", "retry_after"),
    [
        (ServiceUnavailable("scanner does not answer"), None),
        (
            RemoteError(ErrorBody(code="UPSTREAM_ERROR", status=502, message="x", meta={"retry_after_s": 5})),
            "5",
        ),
    ],
    ids=["scanner away", "not counted yet"],
)
async def test_on_the_analysis_surface_a_scanner_that_can_not_tell_is_a_failed_source(
    at_edge: Edged, trouble: AppError, retry_after: str | None
) -> None:
    edge, client = at_edge

    def away(ask: Any) -> Any:
        raise trouble

    edge.answer(BRIEF, away)
    body = {"ticker": "BTC/USDT", "timeframe": "1h", "evidence": True}
    answer = await client.call("POST", "/v1/demo", body, "")
    assert (answer.status, answer.json["error"]) == (502, "UPSTREAM_ERROR")
    assert set(answer.json) == {"error", "message"}
    assert answer.headers.get("Retry-After") == retry_after
    assert answer.headers["X-Disclaimer"]


async def test_signing_in_sets_the_cookie_and_the_cookie_signs_requests(at_edge: Edged) -> None:
    edge, client = at_edge
    token = edge.signer.token("user")
    for command, path in ((SIGN_IN, "/sign/in"), (SIGN_UP, "/sign/up")):
        edge.answer(command, lambda ask: SIGNED_IN)
        answer = await client.post(path, SAMPLES[f"POST {path}"][1])
        assert [name for name in answer.json if name != "refresh_token"] == ORDER.split()
        assert answer.headers["Set-Cookie"] == (
            "tw_token=the.access.token; Max-Age=86400; Path=/; HttpOnly; SameSite=Lax"
        )
    edge.answer(ALERT_LIST, lambda ask: b"{}")
    cookie = {"Cookie": f"other=1; tw_token={token}"}
    assert (await client.get("/price_alert/list", headers=cookie)).status == 200
    write = await client.post("/price_alert", SAMPLES["POST /price_alert"][1], headers=cookie)
    assert write.error == (418, "REACHED")
    foreign = {**cookie, "Origin": "https://evil.example"}
    write = await client.post("/price_alert", SAMPLES["POST /price_alert"][1], headers=foreign)
    assert write.error == (403, "PERMISSION_DENIED")
    assert (await client.get("/admin/symbols", headers=cookie)).error == (401, "PERMISSION_DENIED")


@pytest.mark.parametrize("scheme", ["", "Bearer ", "bearer  "])
async def test_a_token_comes_raw_or_as_bearer(at_edge: Edged, scheme: str) -> None:
    edge, client = at_edge
    assert (await client.get("/sign/check", scheme + edge.signer.token())).error == (418, "REACHED")


async def test_tokens_that_do_not_count(at_edge: Edged) -> None:
    edge, client = at_edge
    now_s = CLOCK.now_ms() // 1000
    bad = {
        "expired": edge.signer.token(exp=now_s - 1),
        "not yet": edge.signer.token(nbf=now_s + 600),
        "of another house": edge.signer.token(iss="other"),
        "for another": edge.signer.token(aud="other"),
        "of the stream": edge.signer.token(typ="stream"),
        "of another key": edge.signer.token(kid="unknown"),
        "cut": edge.signer.token()[:-3],
        "nonsense": "nonsense",
        "long": "x" * 8000,
    }
    for name, token in bad.items():
        assert (await client.get("/sign/check", token)).error == (401, "PERMISSION_DENIED"), name
    assert edge.heard[SIGN_CHECK.name] == []


async def test_a_revoked_token_is_refused_as_soon_as_the_answer_is_out(at_edge: Edged) -> None:
    edge, client = at_edge
    token, other = edge.signer.token(jti="one"), edge.signer.token(jti="another")
    assert (await client.get("/sign/check", token)).error == (418, "REACHED")
    revoked = auth.SessionRevoked(
        subject="account:7",
        reason="sign_out",
        revoked_ms=CLOCK.now_ms(),
        until_ms=CLOCK.now_ms() + 60_000,
        jtis=("one",),
    )
    edge.answer(SIGN_OUT, lambda ask: Done())
    edge.answer(REVOCATIONS, lambda ask: auth.RevocationList(rows=[revoked]))
    out = await client.post("/sign/out", {"only_this": 1}, token)
    assert (out.status, out.json) == (200, {"data": "OK"})
    assert "Max-Age=0" in out.headers["Set-Cookie"]
    assert (await client.get("/sign/check", token)).error == (401, "PERMISSION_DENIED")
    assert (await client.get("/sign/check", other)).error == (418, "REACHED")


# ── audit ─────────────────────────────────────────────────────────────────────────────────────────


async def test_every_admin_write_is_written_down_before_and_after(at_edge: Edged) -> None:
    edge, client = at_edge
    edge.answer(USER_ADD, lambda ask: auth.UserAdded(login=8, leverage=100, currency="USD"))
    edge.answer(GROUP_VIEW, lambda ask: market.GroupView(group=ask.group, profiles={}))
    for name, (path, body) in SAMPLES.items():
        if not name.startswith("GET") and "/admin/" in path:
            edge.heard[AUDIT_APPEND.name].clear()
            edge.calls.clear()
            answer = await client.call(name.split()[0], path, body, edge.signer.token("admin"))
            intent, outcome = edge.heard[AUDIT_APPEND.name]
            assert edge.calls[0] == edge.calls[-1] == AUDIT_APPEND.name, name
            assert (intent.kind, intent.actor, intent.session_type) == ("intent", 1, 3)
            assert (intent.path, intent.address) == (path, "127.0.0.1")
            assert (outcome.kind, outcome.ref, outcome.status) == ("outcome", 1, answer.status), name
            assert "secret-2" not in intent.detail
            assert isinstance(json.loads(intent.detail), dict)
    edge.heard[AUDIT_APPEND.name].clear()
    for name in SAMPLES:
        if name.startswith("GET /admin"):
            await client.get(SAMPLES[name][0], edge.signer.token("admin"))
    assert edge.heard[AUDIT_APPEND.name] == []


async def test_nothing_is_done_that_can_not_be_written_down(at_edge: Edged) -> None:
    edge, client = at_edge

    def full(ask: Any) -> Any:
        raise ServiceUnavailable("the disk is full")

    edge.answer(AUDIT_APPEND, full)
    path, body = SAMPLES["PUT /admin/symbols/{symbol}"]
    answer = await client.put(path, body, edge.signer.token("admin"))
    assert answer.error == (503, "RET_ERR_NOSERVICE")
    assert edge.heard[SYMBOL_PUT.name] == []


async def test_an_outcome_that_can_not_be_written_down_does_not_undo_the_act(at_edge: Edged) -> None:
    edge, client = at_edge
    edge.answer(QUOTES_PUT, lambda ask: Done())

    def only_intents(ask: auth.AuditAppend) -> Any:
        if ask.kind == "outcome":
            raise ServiceUnavailable("the disk is full")
        return auth.AuditRow(
            id=1,
            time_ms=0,
            kind="intent",
            actor=1,
            session_type=3,
            method="",
            path="",
            detail="",
            status=0,
            ref=0,
            address="",
            previous_hash="",
            hash="",
        )

    edge.answer(AUDIT_APPEND, only_intents)
    answer = await client.post(*SAMPLES["POST /admin/quotes"], edge.signer.token("admin"))
    assert (answer.status, answer.json) == (200, {"data": "OK"})


async def test_a_client_that_goes_away_does_not_cancel_its_write(
    at_edge: Edged, eventually: Eventually
) -> None:
    edge, client = at_edge
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(ask: Any) -> Done:
        arrived.set()
        await go_on.wait()
        return Done()

    edge.answer(QUOTES_PUT, slowly)
    asking = asyncio.create_task(client.post(*SAMPLES["POST /admin/quotes"], edge.signer.token("admin")))
    await arrived.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    go_on.set()
    outcome = await eventually(lambda: [a for a in edge.heard[AUDIT_APPEND.name] if a.kind == "outcome"])
    assert outcome[0].status == 200


async def test_balances_are_asked_of_trading(at_edge: Edged) -> None:
    edge, client = at_edge
    state = trading.AccountState(
        login=7,
        balance=1,
        credit=0,
        profit=0,
        commission=0,
        storage=0,
        margin=0,
        margin_free=1,
        margin_level=0,
        equity=1,
        level_type=0,
        currency="USD",
    )
    edge.answer(ACCOUNT_GET, lambda ask: state)
    answer = await client.get("/account/balance", edge.signer.token())
    expected = (
        "login balance credit profit commission storage margin margin_free margin_level equity level_type"
    )
    assert list(answer.json)[:11] == expected.split()
