"""The codec against decimals, and rounding where binary floats lie to one side of a tie."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.scanner.codec import precision_of, rows_of
from services.scanner.rounding import number, plain, rounded, rounded_all, shown
from tests.oracles import structure
from tests.unit.scanner.series import bars_of_columns, walk
from tests.unit.scanner.series import plain as listed

# Many decimals that end in 5, where a tie is one; many that do not.
tied = st.builds(
    lambda whole, places: float(Decimal(whole * 10 + 5).scaleb(-places)),
    st.integers(0, 10**7),
    st.integers(1, 9),
)
values = st.one_of(tied, st.floats(0, 1e9), st.floats(0, 1e-4), st.integers(0, 10**6).map(float))


@pytest.mark.parametrize(
    ("highest", "decimals"),
    [(1000, 1), (999.99, 2), (60480, 1), (1, 2), (0.9999, 4), (0.01, 4), (0.00999, 8), (0.00001234, 8)],
)
def test_the_highest_high_says_how_many_decimals(highest: float, decimals: int) -> None:
    assert precision_of(highest) == decimals


def test_a_row_is_the_contract_s() -> None:
    bars = bars_of_columns([100.0], [101.5], [99.25], [100.1], [12.3])
    assert rows_of(bars, 2) == "100,101.5,99.25,100.1,12.3"
    assert rows_of(bars_of_columns(*[[60480.0]] * 4, [1284.4]), 1) == "60480,60480,60480,60480,1284"
    tiny = bars_of_columns(*[[0.00001234]] * 4, [0.0])
    assert rows_of(tiny, 8) == "0.00001234,0.00001234,0.00001234,0.00001234,0"


@given(st.lists(st.tuples(values, values, values, values, values), min_size=1, max_size=12))
@settings(max_examples=150, deadline=None)
def test_rows_are_what_decimals_say(rows: list[tuple[float, ...]]) -> None:
    opened, first, second, close, volume = (list(column) for column in zip(*rows, strict=True))
    high = [max(x) for x in zip(opened, first, second, close, strict=True)]
    low = [min(x) for x in zip(opened, first, second, close, strict=True)]
    bars = bars_of_columns(opened, high, low, close, volume)
    assert rows_of(bars, structure.precision(high)) == structure.rows(listed(bars))


@pytest.mark.parametrize("start", [0.00002, 0.02, 0.9, 1.1, 90.0, 999.0, 60_000.0])
def test_whole_windows_are_what_decimals_say(start: float) -> None:
    bars = walk(5, 300, start=start, decimals=7, move=0.02)
    decimals = precision_of(bars.high.max())
    assert decimals == structure.precision(bars.high.tolist())
    assert rows_of(bars, decimals) == structure.rows(listed(bars))


@given(value=values, digits=st.integers(0, 8))
@settings(max_examples=300)
def test_ties_go_away_from_zero_on_the_shortest_decimal(value: float, digits: int) -> None:
    exact = Decimal(repr(value)).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    assert Decimal(repr(rounded(value, digits))) == exact or rounded(value, digits) == float(exact)
    assert rounded_all(np.array([value]), digits)[0] == float(exact)
    assert Decimal(plain(value, digits)) == exact
    assert rounded(-value, digits) == -rounded(value, digits)


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [
        (1.005, 2, "1.01"),
        (2.675, 2, "2.68"),
        (-0.005, 2, "-0.01"),
        (-0.004, 2, "0"),
        (1e21, 2, "1" + "0" * 21),
    ],
)
def test_text_is_plain_and_zero_has_no_sign(value: float, digits: int, expected: str) -> None:
    assert plain(value, digits) == expected


def test_whole_numbers_are_shown_without_a_point() -> None:
    assert (repr(number(1.0)), repr(shown(0.415, 2)), repr(shown(-0.001, 2))) == ("1", "0.42", "0")
