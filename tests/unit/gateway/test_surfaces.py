"""One error, said in every dialect; which dialect answers where nobody is at home."""

from __future__ import annotations

import json
from typing import Any

import pytest

from libs.common.errors import ErrorBody, InternalError, InvalidData, NotAuthenticated, RemoteError
from services.gateway.errors import BodyTooLarge, MethodNotAllowed, PathUnknown, TooFrequent
from services.gateway.gen import refusals
from services.gateway.surfaces.dialects import SURFACES, dialect_of
from services.gateway.surfaces.ret_codes import ENDPOINT_STATUS, STATUS, status_of

ERRORS = {
    "unknown path": PathUnknown(),
    "wrong method": MethodNotAllowed(allow="GET, HEAD"),
    "bad request": InvalidData("symbol: why"),
    "no token": NotAuthenticated(),
    "too large": BodyTooLarge(),
    "too many": TooFrequent(retry_after_s=7, limit=30),
    "broken": InternalError(),
}
STATUSES = {
    "unknown path": 404,
    "wrong method": 405,
    "bad request": 400,
    "no token": 401,
    "too large": 413,
    "too many": 429,
    "broken": 500,
}
SHAPES = {
    "broker": ["error", "message"],
    "admin": ["error", "message"],
    "house": ["error", "message"],
    "analysis": ["error", "message"],
    "mcp": ["error", "message"],
    "scan": ["code", "detail", "hint", "meta"],
    "signals": ["statusCode", "message", "error"],
    "prices": ["status", "error", "message"],
    "oauth": ["error", "error_description"],
}


@pytest.mark.parametrize("case", ERRORS)
@pytest.mark.parametrize("name", SURFACES)
def test_every_surface_says_an_error_in_its_shape(name: str, case: str) -> None:
    reply = SURFACES[name].error(ERRORS[case])
    body: dict[str, Any] = json.loads(reply.body)
    status = 404 if (name, case) == ("analysis", "wrong method") else STATUSES[case]
    assert reply.status == status
    assert list(body) == SHAPES[name]
    assert reply.headers["Cache-Control"] == "no-store"
    if case == "too many":
        assert reply.headers["Retry-After"] == "7"
    if case == "wrong method" and name != "analysis":
        assert reply.headers["Allow"] == "GET, HEAD"


def test_the_dialects_words() -> None:
    def said(name: str, case: str) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(SURFACES[name].error(ERRORS[case]).body)
        return body

    assert said("broker", "too many")["error"] == "RET_TOO_FREQUENT"
    assert said("analysis", "no token")["error"] == "UNAUTHORIZED"
    assert said("analysis", "unknown path")["error"] == "NOT_FOUND"
    assert said("scan", "too many") == {
        "code": "rate_limited",
        "detail": "Too many requests; Retry-After says when to come back.",
        "hint": None,
        "meta": {"limit": 30, "retry_after": 7},
    }
    assert said("prices", "unknown path") == {
        "status": "error",
        "error": "Not Found",
        "message": "There is no such path.",
    }
    assert said("signals", "no token")["statusCode"] == 401
    assert SURFACES["signals"].error(ERRORS["no token"]).headers["WWW-Authenticate"] == "Bearer"
    assert "X-Disclaimer" in SURFACES["analysis"].error(ERRORS["broken"]).headers
    assert SURFACES["prices"].error(ERRORS["broken"]).headers["Access-Control-Allow-Origin"] == "*"


def test_a_services_own_code_is_kept_where_the_dialect_knows_it() -> None:
    geo = RemoteError(ErrorBody(code="GEO_BLOCKED", status=451, message="not here"))
    assert json.loads(SURFACES["analysis"].error(geo).body)["error"] == "GEO_BLOCKED"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/api/v1/prices", "prices"),
        ("/api/v1/prices/x", "prices"),
        ("/api/v1/pricesx", "prices"),
        ("/api/health", "prices"),
        ("/api/health/cache", "prices"),
        ("/api/v1", "scan"),
        ("/api/v1/scan", "scan"),
        ("/auth/login", "scan"),
        ("/payments/x", "scan"),
        ("/v1", "analysis"),
        ("/v1/brief", "analysis"),
        ("/mcp", "mcp"),
        ("/oauth/token", "analysis"),
        ("/.well-known/x", "analysis"),
        ("/ai-signal/signals", "signals"),
        ("/admin/nope", "broker"),
        ("/v1x", "broker"),
        ("/mcpx", "broker"),
        ("/authx", "broker"),
        ("/", "broker"),
        ("/nope", "broker"),
    ],
)
def test_the_path_says_which_dialect_answers(path: str, name: str) -> None:
    assert dialect_of(path).name == name


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("RET_TRADE_BAD_VOLUME", 400),
        ("RET_ACCOUNT_DISABLED", 403),
        ("RET_TRADE_SEC_NOT_FOUND", 404),
        ("RET_TRADE_NO_MONEY", 409),
        ("RET_TRADE_MARKET_CLOSED", 423),
        ("RET_ERR_FREQUENT", 429),
        ("RET_TRADE_REQUOTE", 500),
        ("RET_UNKNOWN", 500),
        ("INVALID_CHANNEL", 418),  # no RET_ code: its owner says
    ],
)
def test_ret_codes_have_one_status(code: str, status: int) -> None:
    assert status_of(code, 418) == status


def test_the_error_classes_of_every_service_agree_with_the_table() -> None:
    wrong = [
        (r.owner, r.code, r.status)
        for r in refusals()
        if (r.code in STATUS and STATUS[r.code] != r.status)
        or (r.code in ENDPOINT_STATUS and r.status not in (ENDPOINT_STATUS[r.code], 401, 413))
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("name", "header", "token"),
    [
        ("broker", "abc", "abc"),
        ("broker", "Bearer abc", "abc"),
        ("broker", "bearer  abc ", "abc"),
        ("broker", "Basic abc", ""),
        ("broker", "", ""),
        ("admin", "abc", "abc"),
        ("analysis", "abc", ""),
        ("analysis", "Bearer abc", "abc"),
    ],
)
def test_credentials_of_a_dialect(name: str, header: str, token: str) -> None:
    assert SURFACES[name].token_in(header) == token
