"""Keys, fingerprints and holders; what is kept of an answer; which rows take a key."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from libs.common.errors import (
    AppError,
    ErrorBody,
    InternalError,
    InvalidData,
    OutcomeUnknown,
    RemoteError,
    Retry,
    ServiceUnavailable,
)
from libs.common.principal import ANONYMOUS, Principal
from services.gateway.endpoints import ENDPOINTS
from services.gateway.errors import IdempotencyInFlight, IdempotencyMismatch, NotEnoughRights, TooFrequent
from services.gateway.keyed import HEADER, fingerprint_of, holder_of, keepable, read_key
from services.gateway.openapi import document
from services.gateway.surfaces.dialects import SURFACES

TEXTS = st.text(st.characters(codec="ascii"), max_size=8)
REQUESTS = st.tuples(TEXTS, TEXTS, TEXTS, st.binary(max_size=8))


@given(REQUESTS, REQUESTS)
@example(("POST", "/a", "b", b""), ("POST", "/", "ab", b""))
@example(("POST", "/\udcff", "", b""), ("POST", "/", "\udcff", b""))
@example(("POST", "/a", "", b"b"), ("POST", "/a", "b", b""))
def test_a_fingerprint_is_the_same_for_the_same_bytes_only(
    one: tuple[str, str, str, bytes], other: tuple[str, str, str, bytes]
) -> None:
    assert len(fingerprint_of(*one)) == 32
    assert (fingerprint_of(*one) == fingerprint_of(*other)) == (one == other)
    assert fingerprint_of(*one) == fingerprint_of(*one)


@given(st.text(max_size=300))
@example("!" * 255)
@example("~" * 256)
@example("a b")
@example("a\n")
def test_a_key_is_1_to_255_visible_ascii_characters(text: str) -> None:
    good = 1 <= len(text) <= 255 and all(0x21 <= ord(c) <= 0x7E for c in text)
    if good:
        assert read_key(text) == text
    else:
        with pytest.raises(InvalidData):
            read_key(text)


def test_nobody_holds_anothers_keys() -> None:
    holders = [
        holder_of(ANONYMOUS, "10.0.0.1"),
        holder_of(ANONYMOUS, "10.0.0.2"),
        holder_of(Principal(kind="account", login=7), ""),
        holder_of(Principal(kind="account", login=7, read_only=True), ""),
        holder_of(Principal(kind="account", login=8), ""),
        holder_of(Principal(kind="staff", login=7), ""),
        holder_of(Principal(kind="customer", person_id=7), ""),
        holder_of(Principal(kind="key", subject="key:7", person_id=7), ""),
        holder_of(Principal(kind="key", subject="key:8", person_id=7), ""),
    ]
    assert len(set(holders)) == len(holders)
    one = Principal(kind="account", login=7, subject="account:7", jti="a")
    other = Principal(kind="account", login=7, subject="account:7", jti="b")
    assert holder_of(one, "10.0.0.1") == holder_of(other, "10.0.0.2")  # another session of the same account


def remote(code: str, status: int, retry: Retry = Retry.NO) -> RemoteError:
    return RemoteError(ErrorBody(code=code, status=status, message="why", retry=retry))


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (remote("INVALID_CHANNEL", 400), True),
        (remote("USER_DISABLED", 402), True),
        (remote("PERMISSION_DENIED", 403), True),
        (remote("RET_NOT_FOUND", 404), True),
        (remote("RET_TRADE_REQUOTE", 500), True),
        (remote("RET_TECH_PROBLEM", 500), True),
        (remote("RET_TRADE_MARKET_CLOSED", 423, Retry.LATER), True),
        (remote("INVALID_ADD_SCRIPT", 500), False),
        (remote("RET_ERR_NOSERVICE", 503, Retry.LATER), False),
        (remote("RET_ERR_TIMEOUT", 504, Retry.RECONCILE), False),
        (remote("RET_TOO_FREQUENT", 429, Retry.LATER), False),
        (remote("RET_TOO_FREQUENT", 400), False),  # its code's status counts
        (InvalidData("from the door"), False),
        (NotEnoughRights(), False),
        (TooFrequent(), False),
        (ServiceUnavailable(), False),
        (OutcomeUnknown(), False),
        (InternalError(), False),
    ],
)
def test_a_services_own_refusals_are_kept(error: AppError, kept: bool) -> None:
    assert keepable(error, SURFACES["broker"].error(error).status) is kept


UNKEYED = {
    "POST /sign/up",
    "POST /sign/in",
    "POST /sign/refresh",
    "POST /sign/out",
    "POST /stream/token",
    "PUT /account/password",
    "POST /customer/registration",
    "POST /customer/auth/login",
    "POST /customer/accounts",
    "PUT /customer/auth/otp",
    "POST /customer/auth/otp/check",
    "POST /auth/signup",
    "POST /auth/login",
    "POST /auth/logout",
    "POST /auth/email/verify",
    "POST /auth/password/reset",
    "POST /api/v1/keys",
    "POST /auth/keys",
    "POST /v1/keys",
    "POST /api/v1/notifications/channels/bind",
    "POST /api/v1/notifications/channels/verify",
    "POST /api/v1/notifications/channels/{channel}/rotate",
    "POST /admin/sso",
}


def test_rows_that_deal_in_secrets_take_no_key_and_the_others_do() -> None:
    rows = {row.name: row for row in ENDPOINTS}
    assert {name for name in UNKEYED if rows[name].keyed} == set()
    for name in ("POST /price_alert", "PUT /settings", "DELETE /price_alert/{id}", "POST /admin/staff"):
        assert rows[name].keyed, name
    assert not any(row.keyed for row in ENDPOINTS if row.method == "GET" or row.local)


def test_the_document_offers_the_header_where_it_counts() -> None:
    paths = document(ENDPOINTS, version="1")["paths"]
    for row in ENDPOINTS:
        if row.hidden:
            continue
        operation = paths[row.path.replace("*}", "}")][row.method.lower()]
        offered = [p for p in operation["parameters"] if p["name"] == HEADER]
        assert len(offered) == row.keyed, row.name
        if row.keyed:
            assert {"409", "422"} <= set(operation["responses"]), row.name


def test_every_surface_has_words_for_it() -> None:
    for surface in SURFACES.values():
        assert surface.error(IdempotencyMismatch()).status == 422
        in_flight = surface.error(IdempotencyInFlight(retry_after_s=1))
        assert (in_flight.status, in_flight.headers["Retry-After"]) == (409, "1")
    assert b'"error":"IDEMPOTENCY_MISMATCH"' in SURFACES["broker"].error(IdempotencyMismatch()).body
    assert b'"error":"IDEMPOTENCY_MISMATCH"' in SURFACES["analysis"].error(IdempotencyMismatch()).body
    assert b'"code":"idempotency_in_flight"' in SURFACES["scan"].error(IdempotencyInFlight()).body
