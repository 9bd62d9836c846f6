"""A request becomes its struct, or INVALID_DATA that names the field; nothing else can come out."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta

from libs.common.errors import InvalidData
from services.gateway.endpoints import ENDPOINTS
from services.gateway.requests import RequestReader, is_json

ROWS = {row.name: row for row in ENDPOINTS}
READERS = {row.name: RequestReader(row) for row in ENDPOINTS}


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    login: Annotated[int, Meta(ge=0, le=2**53 - 1)] | None = None
    symbol: Annotated[str, Meta(min_length=1, max_length=8)]
    price: float = 0.0
    flags: list[int] = []
    from_: int = msgspec.field(name="from", default=0)


READER = RequestReader(replace(ROWS["GET /market/symbol"], request=Asked))


def read(body: object = b"", query: str = "", **path: str) -> Any:
    return READER.read(body if isinstance(body, bytes) else json.dumps(body).encode(), query, path)


def refusal(body: object = b"", query: str = "", **path: str) -> str:
    with pytest.raises(InvalidData) as caught:
        read(body, query, **path)
    return str(caught.value)


def test_reads_the_body_with_its_json_types() -> None:
    assert read({"symbol": "EURUSD", "login": 7, "price": 1, "more": {"ignored": []}}) == Asked(
        symbol="EURUSD", login=7, price=1.0
    )


def test_the_path_wins_over_the_query_and_the_query_over_the_body() -> None:
    body = {"symbol": "BODY", "login": 1, "price": 1.5}
    assert read(body, "symbol=QUERY&login=2", symbol="PATH") == Asked(symbol="PATH", login=2, price=1.5)


def test_query_texts_are_read_as_the_type_of_their_field() -> None:
    asked = read(b"", "symbol=7&login=8&price=1e3&flags=%5B1%2C2%5D&from=9&other=x")
    assert asked == Asked(symbol="7", login=8, price=1000.0, flags=[1, 2], from_=9)


def test_the_last_of_a_repeated_name_wins() -> None:
    assert read(b'{"symbol":"A","symbol":"B"}').symbol == "B"
    assert read(b"", "symbol=A&symbol=B").symbol == "B"


@pytest.mark.parametrize(
    ("body", "query", "names"),
    [
        ({"symbol": "EURUSD", "login": "7"}, "", "login"),
        ({"symbol": 7}, "", "symbol"),
        ({"symbol": ""}, "", "symbol"),
        ({"symbol": "EURUSD", "login": 1.5}, "", "login"),
        ({"symbol": "EURUSD", "login": True}, "", "login"),
        ({"symbol": "EURUSD", "login": -1}, "", "login"),
        ({"symbol": "EURUSD", "login": 2**60}, "", "login"),
        ({"symbol": "EURUSD", "price": "1.5"}, "", "price"),
        ({"symbol": "EURUSD", "flags": [1, "2"]}, "", "flags"),
        ({}, "", "symbol"),
        ({"symbol": "EURUSD"}, "login=x", "login"),
        ({"symbol": "EURUSD"}, "login=", "login"),
        ({"symbol": "EURUSD"}, "price=nan", "price"),
        ({"symbol": "EURUSD"}, "price=-Infinity", "price"),
        ({"symbol": "EURUSD"}, "price=1e999", "price"),
        ({"symbol": "EURUSD"}, "flags=%5B1%2C", "flags"),
        ({"symbol": "EURUSD"}, "symbol=%00", "symbol"),
    ],
)
def test_a_value_that_can_not_be_read_names_its_field(body: object, query: str, names: str) -> None:
    assert refusal(body, query).startswith(names)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"null",
        b"7",
        b'"text"',
        b'{"symbol":"A"} tail',
        b'\xef\xbb\xbf{"symbol":"A"}',
        b'{"symbol":"A","price":NaN}',
        b'{"symbol":"A","price":Infinity}',
        b'{"symbol":"A","price":1e999}',
        b'{"symbol":"\xff"}',
        b'{"symbol":"\\ud800"}',
        b'{"symbol":"\x00"}',
        b'{"symbol":"\\u0000"}',
        b'{"symbol":"A","other":{"deep":["\\u0000"]}}',
        b"{" + b'"a":{' * 50_000,
        b'{"symbol":"A","a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"symbol":"A",}',
    ],
    ids=range(18),
)
def test_a_body_that_is_no_json_object_of_ours_is_refused(body: bytes) -> None:
    refusal(body)
    refusal(body, "login=1")


def test_a_deep_body_is_refused_whatever_the_recursion_limit_and_a_wide_one_is_not() -> None:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(200_000)  # as some libraries do when they are imported
    try:
        deep = b'{"symbol":"A","a":' + b"[" * 50_000 + b"]" * 50_000 + b"}"
        assert "nested too deeply" in str(refusal(deep))
        wide = b'{"symbol":"A","a":[' + b",".join([b"[1]"] * 5_000) + b"]}"
        assert read(wide).symbol == "A"
        text = b'{"symbol":"A","a":"' + b"[" * 5_000 + b'\\"' + b"{" * 5_000 + b'"}'
        assert read(text).symbol == "A"
        refusal(b"[" * 200 + b'"' + b'\\"' * 500_000)  # takes hours where a text without an end is tried anew
    finally:
        sys.setrecursionlimit(before)


def test_an_escaped_backslash_before_u0000_is_a_text_like_any_other() -> None:
    assert read(b'{"symbol":"\\\\u0000"}').symbol == "\\u0000"


def test_a_query_with_broken_utf_8_or_too_many_fields_is_refused() -> None:
    refusal({"symbol": "A"}, "symbol=%ff")
    refusal({"symbol": "A"}, "&".join(f"x{n}=1" for n in range(200)))


def test_the_rest_of_a_body_goes_whole_into_its_field() -> None:
    reader = RequestReader(ROWS["PUT /admin/symbols/{symbol}"])
    asked = reader.read(b'{"digits":3,"fields":{"x":1}}', "digits=4", {"symbol": "BTC/USDT"})
    assert asked.symbol == "BTC/USDT"
    assert asked.fields == {"digits": 3, "fields": {"x": 1}}


@settings(max_examples=500)
@given(
    st.sampled_from(ENDPOINTS), st.binary(max_size=64), st.text(max_size=40), st.text(min_size=1, max_size=9)
)
def test_no_bytes_can_make_a_reader_fail_otherwise(row: Any, body: bytes, query: str, path: str) -> None:
    reader = READERS[row.name]
    parameters = {name.rstrip("*"): path for name in row.parameters}
    try:
        asked = reader.read(body, query, parameters)
    except InvalidData:
        return
    assert isinstance(asked, row.request)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.dictionaries(st.sampled_from(["login", "symbol", "price", "flags", "from", "x"]), JSON)


def acceptable(given_: dict[str, Any]) -> bool:
    """The slow oracle: field by field, in words of its own."""

    def is_int(value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool)

    rules = {
        "login": lambda v: v is None or (is_int(v) and 0 <= v < 2**53),
        "symbol": lambda v: isinstance(v, str) and 1 <= len(v) <= 8,
        "price": lambda v: (is_int(v) or isinstance(v, float)) and math.isfinite(v),
        "flags": lambda v: isinstance(v, list) and all(map(is_int, v)),
        "from": is_int,
    }
    texts = json.dumps(given_)
    return (
        "symbol" in given_
        and "\\u0000" not in texts
        and all(rules[name](value) for name, value in given_.items() if name in rules)
    )


@given(FIELDS)
def test_a_body_is_taken_exactly_when_every_field_is_of_its_type(given_: dict[str, Any]) -> None:
    try:
        asked = read(json.dumps(given_, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    except InvalidData:
        assert not acceptable(given_)
        return
    assert acceptable(given_)
    assert asked.symbol == given_["symbol"]


@given(
    st.integers(0, 2**53 - 1),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8),
    st.floats(allow_nan=False, allow_infinity=False),
)
def test_a_query_says_the_same_as_a_body(login: int, symbol: str, price: float) -> None:
    values = {"login": login, "symbol": symbol, "price": price}
    assert read(b"", urlencode(values, quote_via=quote)) == read(values)


@pytest.mark.parametrize(
    ("label", "good"),
    [
        (None, True),
        ("", True),
        ("application/json", True),
        ("Application/JSON; charset=UTF-8", True),
        ("application/problem+json", True),
        ('application/json;charset="utf-8"', True),
        ("application/json; charset=utf-16", False),
        ("application/x-www-form-urlencoded", False),
        ("multipart/form-data; boundary=x", False),
        ("text/plain", False),
        ("text/json", False),
    ],
)
def test_only_json_labels_are_read(label: str | None, good: bool) -> None:
    assert is_json(label) is good


def test_a_list_in_a_query_is_json_also_where_texts_are_within_it() -> None:
    reader = READERS["GET /trades"]
    pairs = [["symbol", "EURUSD"], ["volume", 20]]
    asked = reader.read(b"", "where=" + quote(json.dumps(pairs)) + "&tradeType=1", {})
    assert asked == reader.read(json.dumps({"where": pairs, "tradeType": 1}).encode(), "", {})
    assert asked.where == [("symbol", "EURUSD"), ("volume", 20)]
