"""A path finds its row, also encoded and with a slash at the end; the slow oracle is one regex per row."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.errors import InvalidData
from services.gateway.endpoints import ENDPOINTS
from services.gateway.router import Match, Router, WrongMethod

ROUTER = Router(ENDPOINTS)


def found(method: str, path: str) -> str | tuple[str, ...] | None:
    match = ROUTER.find(method, path)
    if isinstance(match, Match):
        return match.row.name
    return match.allowed if isinstance(match, WrongMethod) else None


@pytest.mark.parametrize("row", ENDPOINTS, ids=lambda row: row.name)
def test_every_row_is_found_with_and_without_a_slash_at_the_end(row: object) -> None:
    path = re.sub(r"\{[^}]*\}", "x", row.path)  # type: ignore[attr-defined]
    assert found(row.method, path) == row.name  # type: ignore[attr-defined]
    if path != "/":
        assert found(row.method, path + "/") == row.name  # type: ignore[attr-defined]


def test_an_encoded_slash_stays_inside_its_segment() -> None:
    match = ROUTER.find("PUT", "/admin/symbols/BTC%2FUSDT")
    assert isinstance(match, Match)
    assert match.parameters == {"symbol": "BTC/USDT"}
    assert found("PUT", "/admin/symbols/BTC/USDT") is None


def test_the_tail_of_a_page_is_one_parameter() -> None:
    match = ROUTER.find("GET", "/docs/api/status-codes.md")
    assert isinstance(match, Match)
    assert match.parameters == {"page": "api/status-codes.md"}


def test_a_wrong_method_says_which_are_right() -> None:
    assert found("POST", "/market") == ("GET", "HEAD")
    assert found("PATCH", "/market/watch/") == ("DELETE", "POST", "PUT")


def test_head_is_served_where_get_is() -> None:
    assert found("HEAD", "/livez") == "GET /livez"
    assert found("HEAD", "/sign/in") == ("POST",)


@pytest.mark.parametrize(
    "path", ["/nope", "//market", "/market//", "/Market", "/market/x", "", "/price_alert/"]
)
def test_what_is_no_path_is_not_found_or_not_with_this_method(path: str) -> None:
    assert not isinstance(ROUTER.find("GET", path), Match)


def test_a_path_that_is_no_utf_8_is_refused() -> None:
    with pytest.raises(InvalidData):
        ROUTER.find("DELETE", "/price_alert/%ff")


def oracle(method: str, path: str) -> tuple[str, tuple[str, ...]] | None:
    """Literal rows before those with parameters; a tail only when nothing else fits."""
    path = path[:-1] if path.endswith("/") and path != "/" else path
    candidates = []
    for row in ENDPOINTS:
        pattern = re.escape(row.path)
        pattern = re.sub(r"\\\{\w+\\\*\\\}", "([^/].*)", pattern)
        pattern = re.sub(r"\\\{\w+\\\}", "([^/]+)", pattern)
        match = re.fullmatch(pattern, path, re.DOTALL)
        if match:
            candidates.append((row.path.count("{"), row, match.groups()))
    if not candidates:
        return None
    fewest = min(count for count, _, _ in candidates)
    for count, row, values in candidates:
        if count == fewest and row.method == method:
            return row.name, tuple(unquote(value) for value in values)
    return "wrong method", ()


SEGMENTS = st.sampled_from(
    sorted({part for row in ENDPOINTS for part in row.path.split("/") if part and not part.startswith("{")})
)


@settings(max_examples=500)
@given(
    st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    st.lists(SEGMENTS | st.text(max_size=3).map(lambda text: quote(text, safe="")), max_size=4),
    st.booleans(),
)
def test_the_router_agrees_with_one_regex_per_row(method: str, parts: list[str], slash: bool) -> None:
    path = "/" + "/".join(parts) + ("/" if slash and parts else "")
    match = ROUTER.find(method, path)
    expected = oracle(method, path)
    if isinstance(match, Match):
        assert expected == (match.row.name, tuple(match.parameters.values()))
    elif isinstance(match, WrongMethod):
        assert expected == ("wrong method", ())
    else:
        assert expected is None
