"""Bars in bulk: what was packed comes out, and broken bytes are refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.bulk import ROW, PlaceBars, columns, pack, unpack
from libs.common.errors import MessageUnreadable

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
BARS = st.lists(st.tuples(st.integers(0, 2**52), NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS), max_size=5)
PLACES = st.lists(
    st.tuples(st.text(max_size=8), st.sampled_from(["1m", "1M"]), st.just("import"), BARS), max_size=4
)


@settings(max_examples=60)
@given(PLACES)
def test_what_was_packed_comes_out(places: list[tuple[str, str, str, list[tuple[float, ...]]]]) -> None:
    packed = pack([PlaceBars(s, t, source, np.array(bars, dtype=ROW)) for s, t, source, bars in places])
    for (symbol, timeframe, source, bars), found in zip(places, unpack(packed), strict=True):
        assert found[:3] == (symbol, timeframe, source)
        assert found.rows.tolist() == bars
        assert columns(found.rows).T.tolist() == [list(map(float, bar)) for bar in bars]


@settings(max_examples=60)
@given(st.binary(max_size=40), st.integers(0, 200))
def test_broken_bytes_are_refused_and_never_more(noise: bytes, cut: int) -> None:
    whole = pack([PlaceBars("EURUSD", "1h", "import", np.array([(1, 1.0, 2.0, 1.0, 2.0, 3.0)], dtype=ROW))])
    for broken in (noise, whole[:cut] if cut < len(whole) else whole + b"x"):
        if broken == whole:
            continue
        try:
            found = unpack(broken)
        except MessageUnreadable:
            continue
        assert not found, broken  # only a header that counts nothing may pass


def test_a_negative_count_is_refused() -> None:
    header = b'[[["EURUSD","1h","x",-1]]]'
    with pytest.raises(MessageUnreadable):
        unpack(len(header).to_bytes(4, "big") + header)
