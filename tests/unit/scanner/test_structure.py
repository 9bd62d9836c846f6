"""The snapshot of a series: the shared vectors, every field against the slow oracle, and its symmetries."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.scanner.bars import Bars
from services.scanner.patterns import NAMES
from services.scanner.pivots import swing_highs, swing_lows
from services.scanner.rounding import shown
from services.scanner.snapshot import Snapshot, snapshot, snapshots
from tests.oracles import indicators, structure
from tests.unit.scanner.series import HOUR_MS, A, B, C, D, F, bars_of_columns, grid_bars, plain, walk

MIRRORED = {
    "bullish_engulfing": "bearish_engulfing",
    "bearish_engulfing": "bullish_engulfing",
    "double_top": "double_bottom",
    "double_bottom": "double_top",
    "doji": "doji",
}


def patterns(now: Snapshot) -> dict[str, tuple[float, int, int]]:
    return {f.name: (shown(f.confidence, 2), f.at, f.span) for f in now.patterns}


# ── the shared vectors ────────────────────────────────────────────────────────────────────────────


def test_a_ramp() -> None:
    now = snapshot(A)
    assert (now.rsi, now.rsi_state, now.ema_fast, now.ema_slow) == (100, "overbought", 149.5, 134.5)
    assert (now.ema_state, now.atr) == ("above_20_50", pytest.approx(1.99763747, abs=1e-8))
    assert (now.regime.trend, now.regime.strength) == ("up", 1)
    assert (shown(now.regime.vol_pct, 2), now.regime.move) == (1.26, pytest.approx(24.529, abs=1e-3))
    assert now.sax == "ggfdcbba"


def test_a_flat_line() -> None:
    now = snapshot(B)
    assert (now.rsi, now.atr, now.patterns) == (50, 0, ())
    assert now.regime == ("range", 0, 0, 0, 0)
    assert (now.sax, now.support, now.resistance) == ("dddddddd", (), ())


def test_two_closes_in_turn() -> None:
    now = snapshot(C)
    assert now.rsi == pytest.approx(51.9178, abs=5e-5)
    assert now.ema_fast == pytest.approx(100.5245, abs=5e-5)
    assert now.ema_slow == pytest.approx(100.5033, abs=5e-5)
    assert (now.regime.trend, shown(now.regime.strength, 2)) == ("range", 0)
    assert (shown(now.regime.vol_pct, 2), now.sax) == (1.98, "dddddddd")


def test_a_wave() -> None:
    now = snapshot(D)
    assert (now.close, shown(now.rsi, 2), shown(now.ema_fast, 2)) == (98.71, 50.3, 98.26)
    assert (shown(now.ema_slow or 0, 2), now.atr) == (99.28, pytest.approx(1.8092, abs=5e-5))
    assert (now.regime.trend, shown(now.regime.strength, 2)) == ("range", 0.03)
    assert (now.regime.r2, now.regime.move) == (
        pytest.approx(0.1062, abs=5e-5),
        pytest.approx(2.1328, abs=5e-5),
    )
    assert (shown(now.regime.vol_pct, 2), now.sax) == (1.83, "cebedcfc")
    assert np.nonzero(swing_highs(D.high))[0].tolist() == [6, 30, 54, 78, 102]
    assert np.nonzero(swing_lows(D.low))[0].tolist() == [18, 42, 66, 90, 114]
    assert [(level.price, level.strength) for level in now.support] == [(94.5, 1)]
    assert [(level.price, level.strength) for level in now.resistance] == [(105.5, 1)]
    assert patterns(now)["double_top"] == (1, 102, 25)
    assert patterns(now)["double_bottom"] == (1, 114, 25)


def test_a_head_and_shoulders() -> None:
    now = snapshot(F)
    assert (len(F), now.atr) == (53, pytest.approx(1.9957, abs=5e-5))
    assert np.nonzero(swing_highs(F.high))[0].tolist() == [10, 26, 42]
    assert np.nonzero(swing_lows(F.low))[0].tolist() == [16, 36]
    assert patterns(now)["head_and_shoulders"] == (1, 42, 33)


def test_an_engulfing_bar_of_half_more_has_three_quarters() -> None:
    flat = [100.0] * 20
    now = snapshot(
        bars_of_columns(
            [*flat, 101, 99.9], [*flat, 101, 101.4], [*flat, 100, 99.9], [*flat, 100, 101.4], [1.0] * 22
        )
    )
    assert patterns(now)["bullish_engulfing"] == (0.75, 21, 2)


# ── the oracle ────────────────────────────────────────────────────────────────────────────────────


def check(bars: Bars) -> None:
    """Every field of the snapshot is what the oracle says."""
    now, series = snapshot(bars), plain(bars)
    assert now.precision == structure.precision(series.high)
    assert now.atr == pytest.approx(series.atr, rel=1e-11, abs=1e-12)
    assert now.rsi == pytest.approx(float(indicators.rsi(series.close)[-1] or 0), abs=1e-6)
    fast, slow = indicators.ema(series.close, 20)[-1], indicators.ema(series.close, 50)[-1]
    assert now.ema_fast == pytest.approx(float(fast or 0), rel=1e-12)
    assert (now.ema_slow is None) == (slow is None)
    assert now.ema_slow is None or now.ema_slow == pytest.approx(float(slow or 0), rel=1e-12)
    if not any(
        abs(v - b) < 1e-9 for v in structure.sax_segments(series.close) for b in structure.BREAKPOINTS
    ):
        assert now.sax == structure.sax(series.close)
    expected = structure.regime(series)
    assert now.regime.r2 == pytest.approx(expected.r2, abs=1e-9)
    assert now.regime.move == pytest.approx(expected.move, rel=1e-9, abs=1e-9)
    assert now.regime.strength == pytest.approx(expected.strength, abs=1e-9)
    assert now.regime.vol_pct == pytest.approx(expected.vol_pct, rel=1e-9, abs=1e-12)
    if abs(expected.move - 2) > 1e-9 and abs(expected.r2 - 0.25) > 1e-9:
        assert now.regime.trend == expected.trend
    found = [(f.name, pytest.approx(f.confidence, abs=1e-9), f.at, f.span) for f in now.patterns]
    assert structure.patterns(series) == found
    support, resistance = structure.levels(series)
    for side, theirs in ((now.support, support), (now.resistance, resistance)):
        assert [level.strength for level in side] == [strength for _, strength in theirs]
        assert [level.price for level in side] == pytest.approx([price for price, _ in theirs], rel=1e-12)


@given(bars=grid_bars())
@settings(max_examples=60, deadline=None)
def test_every_field_is_what_the_oracle_says_where_ties_are_many(bars: Bars) -> None:
    check(bars)


@pytest.mark.parametrize("seed", range(25))
def test_every_field_is_what_the_oracle_says_on_random_walks(seed: int) -> None:
    check(walk(seed, 20 + seed * 12, move=0.002 + 0.001 * seed, start=10.0 ** (seed % 7 - 3), decimals=8))


@pytest.mark.soak
@given(bars=grid_bars(most=400))
@settings(max_examples=3_000, deadline=None)
def test_every_field_is_what_the_oracle_says_at_length(bars: Bars) -> None:
    check(bars)


# ── symmetries and bounds ─────────────────────────────────────────────────────────────────────────


@given(bars=grid_bars())
@settings(max_examples=40, deadline=None)
def test_scores_and_places_stay_in_their_bounds(bars: Bars) -> None:
    now = snapshot(bars)
    scores = [f.confidence for f in now.patterns] + [now.regime.strength, now.regime.r2]
    scores += [level.strength for level in (*now.support, *now.resistance)]
    assert all(0 <= score <= 1 for score in scores)
    assert all(f.at < now.n and f.span <= f.at + 1 and f.name in NAMES for f in now.patterns)
    assert all(level.price < now.close for level in now.support)
    assert all(level.price >= now.close for level in now.resistance)
    assert 0 <= now.rsi <= 100
    assert snapshot(bars) == now


def scaled(bars: Bars, by: float) -> Bars:
    return Bars(bars.open_ms, bars.open * by, bars.high * by, bars.low * by, bars.close * by, bars.volume)


@given(bars=grid_bars(), power=st.integers(-6, 6))
@settings(max_examples=40, deadline=None)
def test_another_unit_of_price_changes_no_score(bars: Bars, power: int) -> None:
    by = 2.0**power  # exact in floats: nothing may change at all
    one, other = snapshot(bars), snapshot(scaled(bars, by))
    assert (other.sax, other.regime, other.patterns) == (one.sax, one.regime, one.patterns)
    assert (other.rsi, other.ema_state, other.atr) == (one.rsi, one.ema_state, one.atr * by)
    assert [x.price for x in other.support] == [x.price * by for x in one.support]


@pytest.mark.parametrize("seed", range(10))
def test_ten_times_the_price_changes_no_score(seed: int) -> None:
    bars = walk(seed, 200, decimals=10)
    one, other = snapshot(bars), snapshot(scaled(bars, 10.0))
    assert (other.sax, other.regime.trend, other.rsi_state) == (one.sax, one.regime.trend, one.rsi_state)
    assert other.regime.strength == pytest.approx(one.regime.strength, rel=1e-9)
    assert patterns(other) == patterns(one)


@given(bars=grid_bars())
@settings(max_examples=40, deadline=None)
def test_a_mirrored_market_swaps_up_and_down_tops_and_bottoms(bars: Bars) -> None:
    axis = float(bars.high.max() + bars.low.min())
    mirror = Bars(
        bars.open_ms, axis - bars.open, axis - bars.low, axis - bars.high, axis - bars.close, bars.volume
    )
    one, other = snapshot(bars), snapshot(mirror)
    swap = {"up": "down", "down": "up", "range": "range"}
    assert (other.regime.trend, other.regime.strength) == (swap[one.regime.trend], one.regime.strength)
    assert other.atr == one.atr
    moved = bars.close[1:] != bars.close[:-1]
    assert other.rsi == pytest.approx(100 - one.rsi if moved.any() else 50, abs=1e-9)
    mine = {MIRRORED[n]: v for n, v in patterns(one).items() if n in MIRRORED}
    assert mine == {n: v for n, v in patterns(other).items() if n in MIRRORED}


def test_many_symbols_at_once_are_bit_for_bit_each_alone() -> None:
    many = [walk(seed, n) for seed, n in enumerate([200, 20, 49, 50, 200, 67, 200, 20, 500] * 4)]
    assert snapshots(many) == [snapshot(bars) for bars in many]


def test_nothing_is_read_from_behind_the_cut() -> None:
    """At every bar: what the analysis says is the same when the future is there and when it is not."""
    bars = walk(3, 160)
    known_highs, known_lows = swing_highs(bars.high), swing_lows(bars.low)
    for n in range(20, len(bars) + 1):
        cut = bars.cut(0, n)
        alone = Bars(*(np.array(getattr(cut, f)) for f in Bars.__slots__))
        with_poison = [np.concatenate((getattr(cut, f), np.full(40, np.nan))) for f in Bars.__slots__[1:]]
        times = np.arange(n + 40, dtype=np.int64) * HOUR_MS
        assert snapshot(Bars(times, *with_poison).cut(0, n)) == snapshot(alone)
        # A swing point is told three bars later and stays what it is.
        np.testing.assert_array_equal(swing_highs(cut.high)[: n - 3], known_highs[: n - 3])
        np.testing.assert_array_equal(swing_lows(cut.low)[: n - 3], known_lows[: n - 3])


def test_a_double_top_is_told_three_bars_after_its_second_top() -> None:
    first_told = next(
        n
        for n in range(20, 121)
        if ("double_top", 102) in {(f.name, f.at) for f in snapshot(D.cut(0, n)).patterns}
    )
    assert first_told == 102 + 3 + 1


def test_the_walks_show_every_pattern_there_is() -> None:
    seen = {f.name for seed in range(12) for f in snapshot(walk(seed, 400)).patterns}
    assert seen == set(NAMES)
