"""Messages of exchanges, whatever their shape: read as the other side means them, or refused."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.market.adapters.binance import Binance
from services.market.adapters.dialect import UNREADABLE, Dialect, HeardQuote, HeardTrade
from services.market.adapters.kraken import Kraken, _unix_ms

KNOWN = """s b a e q stream data result code error channel type symbol bid ask timestamp qty interval
interval_begin open high low close volume method success system"""
KEYS = st.sampled_from(KNOWN.split())
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.sampled_from(
        ["ticker", "trade", "ohlc", "status", "heartbeat", "snapshot", "aggTrade", "1e999", "0.1", "x"]
    ),
)
SHAPES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=6)
)
DIALECTS = [Binance("ws://x", "http://x"), Kraken("ws://x")]


@pytest.mark.parametrize("dialect", DIALECTS, ids=["binance", "kraken"])
@given(shape=SHAPES)
def test_any_json_is_read_or_refused_and_no_bad_quote_comes_of_it(dialect: Dialect, shape: Any) -> None:
    try:
        heard = dialect.read(json.dumps(shape))
    except UNREADABLE:
        return
    for item in heard:
        if isinstance(item, HeardQuote):
            assert 0 < item.bid <= item.ask < math.inf
        if isinstance(item, HeardTrade):
            assert 0 <= item.size < math.inf


@pytest.mark.parametrize("dialect", DIALECTS, ids=["binance", "kraken"])
@given(text=st.text(max_size=60))
def test_any_text_is_read_or_refused(dialect: Dialect, text: str) -> None:
    try:
        dialect.read(text)
    except UNREADABLE:
        return


@given(st.integers(1, 10**9), st.integers(1, 10**6))
def test_a_quote_means_the_same_in_both_dialects(bid_points: int, spread: int) -> None:
    bid, ask = bid_points / 1e5, (bid_points + spread) / 1e5
    binance = {"u": 1, "s": "X", "b": f"{bid:.5f}", "B": "1", "a": f"{ask:.5f}", "A": "1"}
    kraken = {"channel": "ticker", "type": "update", "data": [{"symbol": "X", "bid": bid, "ask": ask}]}
    expected = [HeardQuote("X", bid, ask)]
    assert DIALECTS[0].read(json.dumps(binance)) == expected
    assert DIALECTS[0].read(json.dumps({"stream": "x@bookTicker", "data": binance})) == expected
    assert DIALECTS[1].read(json.dumps(kraken)) == expected


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [
        ("2023-10-04T16:25:00.000000000Z", 1_696_436_700_000),
        ("2023-09-25T09:04:31.742648Z", 1_695_632_671_742),
        ("2023-09-25T09:04:31.7Z", 1_695_632_671_700),
        ("2023-09-25T09:04:31Z", 1_695_632_671_000),
    ],
)
def test_times_are_read_with_any_number_of_decimals(text: str, at_ms: int) -> None:
    assert _unix_ms(text) == at_ms
