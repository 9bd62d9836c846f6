"""The indicators against decimal definitions, against TA-Lib, and alone against in a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

import numpy as np
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common import indicators
from tests.oracles import indicators as oracle

prices = st.lists(st.floats(0.01, 1e6).map(lambda p: round(p, 4)), min_size=1, max_size=80)
periods = st.integers(1, 25)


def same(found: np.ndarray, expected: Sequence[Decimal | float | None], scale: float) -> None:
    assert len(found) == len(expected)
    for at, (a, b) in enumerate(zip(found, expected, strict=True)):
        assert np.isnan(a) == (b is None), at
        if b is not None:
            assert abs(float(a) - float(b)) <= 1e-11 * scale, at


@given(values=prices, period=periods)
@settings(max_examples=60, deadline=None)
def test_averages_are_those_of_the_definition(values: list[float], period: int) -> None:
    same(indicators.sma(values, period), oracle.sma(values, period), max(values))
    same(indicators.ema(values, period), oracle.ema(values, period), max(values))


@given(values=prices)
@settings(max_examples=60, deadline=None)
def test_rsi_is_that_of_the_definition(values: list[float]) -> None:
    found = indicators.rsi(values)
    known = found[~np.isnan(found)]
    assert ((known >= 0) & (known <= 100)).all()
    moves = np.abs(np.diff(values))
    smallest = moves[moves > 0].min() if (moves > 0).any() else 1.0
    # A ratio of averages keeps as many digits as the smallest move has beside the largest price.
    same(found, oracle.rsi(values), max(1.0, max(values) / smallest))


@given(rows=st.lists(st.tuples(*[st.floats(1, 100)] * 3), min_size=1, max_size=60), period=periods)
@settings(max_examples=60, deadline=None)
def test_ranges_are_those_of_the_definition(rows: list[tuple[float, float, float]], period: int) -> None:
    high, low, close = ([sorted(row)[i] for row in rows] for i in (2, 0, 1))
    same(indicators.true_range(high, low, close), oracle.true_range(high, low, close), 100)
    same(indicators.atr(high, low, close, period), oracle.atr(high, low, close, period), 100)


@given(volumes=st.lists(st.floats(0, 1e6), min_size=1, max_size=40), window=st.integers(1, 12))
@settings(max_examples=60, deadline=None)
def test_the_volume_z_is_that_of_the_definition(volumes: list[float], window: int) -> None:
    found, expected = indicators.volume_z(volumes, window), oracle.volume_z(volumes, window)
    theirs = [np.nan if v is None else v for v in expected]
    np.testing.assert_allclose(found, theirs, rtol=1e-9, atol=1e-9)


@given(steps=st.lists(st.integers(-2, 2), min_size=1, max_size=30))
def test_a_crossing_is_told_once_and_a_touch_is_none(steps: list[int]) -> None:
    line = [float(s) for s in steps]
    assert indicators.crosses(line, [0.0] * len(line)).tolist() == oracle.crosses(line, [0.0] * len(line))


def test_a_line_that_does_not_exist_yet_crosses_nothing() -> None:
    assert indicators.crosses([np.nan, np.nan, 1, 3], [2, 2, 2, 2]).tolist() == [0, 0, 0, 1]


LINES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "sma": lambda c: indicators.sma(c, 20),
    "ema": lambda c: indicators.ema(c, 20),
    "wilder": lambda c: indicators.wilder(c, 14),
    "rsi": indicators.rsi,
    "atr": lambda c: indicators.atr(c * 1.01, c * 0.99, c),
    "volume_z": lambda c: indicators.volume_z(c, 24),
    "percent_change": lambda c: indicators.percent_change(c, 3),
}


@pytest.mark.parametrize("name", LINES)
@pytest.mark.parametrize("symbols", [1, 3, indicators.FEW_ROWS + 1, 40])
def test_a_row_of_a_batch_is_bit_for_bit_the_row_alone(name: str, symbols: int) -> None:
    close = walk(symbols, 120)
    batch = LINES[name](close)
    assert batch.shape == close.shape
    for row, found in zip(close, batch, strict=True):
        np.testing.assert_array_equal(LINES[name](row), found)


@pytest.mark.parametrize("name", LINES)
def test_what_a_bar_was_told_does_not_change_with_later_bars(name: str) -> None:
    close = walk(1, 90)[0]
    whole = LINES[name](close)
    for n in range(1, len(close) + 1):
        np.testing.assert_array_equal(LINES[name](close[:n]), whole[:n])


@pytest.mark.parametrize("name", LINES)
def test_more_than_two_axes_are_a_batch_too(name: str) -> None:
    close = walk(6, 60)
    np.testing.assert_array_equal(LINES[name](close.reshape(2, 3, 60)), LINES[name](close).reshape(2, 3, 60))


def test_ta_lib_gives_the_same_rsi_sma_and_ema() -> None:
    for close in walk(20, 400):
        for found, theirs in (
            (indicators.rsi(close), talib.RSI(close, 14)),
            (indicators.ema(close, 20), talib.EMA(close, 20)),
            (indicators.ema(close, 50), talib.EMA(close, 50)),
            (indicators.sma(close, 20), talib.SMA(close, 20)),
        ):
            np.testing.assert_allclose(found, theirs, rtol=1e-9)


def test_ta_lib_begins_its_atr_one_bar_later_and_the_difference_dies_out() -> None:
    for close in walk(20, 400):
        high, low = close * 1.004, close * 0.993
        found, theirs = indicators.atr(high, low, close), talib.ATR(high, low, close, 14)
        assert int(np.argmin(np.isnan(found))) == 13
        assert int(np.argmin(np.isnan(theirs))) == 14
        # Both recursions are the same, so the gap of the two seeds shrinks by 13/14 a bar.
        gap = (found - theirs)[14:]
        np.testing.assert_allclose(gap, gap[0] * (13 / 14) ** np.arange(len(gap)), atol=1e-10)


def walk(symbols: int, bars: int) -> np.ndarray:
    moves = np.random.default_rng(7).normal(0, 0.01, (symbols, bars))
    return np.round(100 * np.cumprod(1 + moves, axis=1), 4)
