"""The catalogue: shapes drawn by hand, mirrors, scales, and nothing that is known before its time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.candles import BY_NAME
from services.scanner import candlesticks, chart_patterns
from services.scanner.bars import Bars
from services.scanner.candlestick_names import CANDLESTICKS
from services.scanner.catalogue import BY_ID, PATTERNS
from services.scanner.detections import in_window
from services.scanner.lines import fit, parabola
from services.scanner.patterns import Found
from services.scanner.places import Place, Task, Told, judge
from services.scanner.snapshot import snapshot, snapshots
from tests.unit.scanner.series import of_closes, walk

LEG_STEPS = 7


def legs(*turns: float, steps: int = LEG_STEPS) -> list[float]:
    """Closes along straight lines from turn to turn."""
    closes: list[float] = []
    for start, end in pairwise(turns):
        closes += [start + (end - start) * i / steps for i in range(steps)]
    return [*closes, turns[-1]]


def bowl(rim: float, depth: float, bars: int) -> list[float]:
    half = (bars - 1) / 2
    return [rim - depth * (1 - ((i - half) / half) ** 2) for i in range(bars)]


SHAPES: dict[str, Sequence[float]] = {
    "triple_top": legs(100, 112, 100, 112, 100, 112, 104),
    "head_and_shoulders": legs(100, 110, 104, 116, 104, 110, 100),
    "descending_triangle": legs(105, 124, 100, 117, 100, 110, 100, 104),
    "symmetrical_triangle": legs(108, 124, 96, 119, 100, 114, 104, 108),
    "rising_wedge": legs(96, 110, 98, 116, 108, 121, 117, 124, 110),
    "channel_up": legs(96, 110, 101, 116, 107, 122, 113, 128, 120),
    "rectangle": legs(104, 112, 100, 112, 100, 112, 100, 106),
    "bull_flag": [
        *legs(100, 102, 100, 102, 100, 102, 100),
        *legs(100, 120, steps=8)[1:],
        *legs(120, 114, 122, steps=6)[1:],
    ],
    "cup_and_handle": [*legs(100, 120, steps=8), *bowl(120, 14, 41)[1:], *legs(120, 116, 123, steps=6)[1:]],
    "rounding_bottom": [*legs(108, 120, steps=6), *bowl(120, 14, 41)[1:], *legs(120, 112, steps=6)[1:]],
}
MIRROR_OF = {plain: mirror for plain, mirror, _ in chart_patterns.RULES if plain and mirror}
MIRROR_OF["head_and_shoulders"] = "inverse_head_and_shoulders"


def told_of(bars: Bars) -> list[Told]:
    """What every bar told, judged in one go."""
    task = Task(Place("S", BY_NAME["1h"]), bars, 0)
    return list(judge(task, snapshots([task.window(at) for at in task.judged])))


def names_of(bars: Bars) -> set[str]:
    return {one.detection.pattern for line in told_of(bars) for one in line.opened}


def upside_down(bars: Bars, around: float = 256.0) -> Bars:
    return replace(
        bars,
        open=around - bars.open,
        high=around - bars.low,
        low=around - bars.high,
        close=around - bars.close,
    )


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_drawn_by_hand_is_found_and_so_is_its_mirror(name: str) -> None:
    bars = of_closes(SHAPES[name])
    assert name in names_of(bars)
    if name in MIRROR_OF:
        assert MIRROR_OF[name] in names_of(upside_down(bars))


@pytest.mark.parametrize("name", SHAPES)
def test_a_straight_line_is_none_of_them(name: str) -> None:
    assert name not in names_of(of_closes([100 + i / 4 for i in range(90)]))


def test_every_talib_function_has_its_patterns_and_every_pattern_its_words() -> None:
    assert len(CANDLESTICKS) == 61 and len({c.function for c in CANDLESTICKS}) == 61
    assert len(BY_ID) == len(PATTERNS)
    for pattern in PATTERNS:
        assert pattern.direction in ("bullish", "bearish", "neutral")
        assert pattern.category in ("candlestick", "reversal", "continuation")
        assert pattern.description.endswith(".") and pattern.definition.endswith(".")
        assert pattern.min_candles >= 20 and pattern.lag in (0, 3)
    rules = {name for plain, mirror, _ in chart_patterns.RULES for name in (plain, mirror) if name}
    assert rules <= BY_ID.keys()


def quarters(seed: int, n: int) -> Bars:
    """A walk whose prices are quarters: sums and differences of them are exact."""
    bars = walk(seed, n, move=0.02)
    close = np.round(bars.close * 4) / 4
    opened = np.concatenate((close[:1], close[:-1]))
    rng = np.random.default_rng(seed)
    high = np.maximum(opened, close) + rng.integers(0, 6, n) / 4
    low = np.minimum(opened, close) - rng.integers(0, 6, n) / 4
    return replace(bars, open=opened, high=high, low=low, close=close)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_chart_patterns_mirror_and_do_not_know_the_unit_of_the_price(seed: int) -> None:
    bars = quarters(seed, 200)
    atr = snapshot(bars).atr
    found = {f.name: f for f in chart_patterns.newest(bars, atr)}
    flipped = {f.name: f for f in chart_patterns.newest(upside_down(bars, 512.0), atr)}
    swap = {plain: mirror or plain for plain, mirror, _ in chart_patterns.RULES}
    swap |= {mirror: plain for plain, mirror, _ in chart_patterns.RULES if plain and mirror}
    for name, one in found.items():
        if name == "inverse_head_and_shoulders":  # its mirror is one of the seven
            continue
        assert flipped[swap[name]].at == one.at and flipped[swap[name]].span == one.span
        assert flipped[swap[name]].confidence == pytest.approx(one.confidence, abs=1e-9)
    eight = replace(bars, open=bars.open * 8, high=bars.high * 8, low=bars.low * 8, close=bars.close * 8)
    scaled = {f.name: f for f in chart_patterns.newest(eight, atr * 8)}
    assert scaled.keys() == found.keys()
    assert all(scaled[name].at == found[name].at for name in found)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(20, 200))
def test_what_a_scan_shows_lies_in_its_window_in_the_contracts_order(seed: int, n: int) -> None:
    bars = walk(seed, n)
    found = in_window(bars, snapshot(bars))
    assert [(-f.at, -f.confidence, f.name) for f in found] == sorted(
        (-f.at, -f.confidence, f.name) for f in found
    )
    assert len({f.name for f in found}) == len(found)
    for one in found:
        assert 0.5 <= one.confidence <= 1 and 0 <= one.at < n and 1 <= one.span <= one.at + 1
    assert in_window(bars, snapshot(bars), frozenset({"doji"})) == [f for f in found if f.name == "doji"]


def told_by(line: Told) -> object:
    """Everything a bar told that may not change later."""
    return (
        line.open_ms,
        [(one.id, one.detection) for one in line.opened if not one.is_baseline],
        line.broken,
        line.snapshot.regime if line.snapshot else None,
    )


@pytest.mark.parametrize("seed", [3, 8])
def test_no_look_ahead_what_is_told_at_a_bar_is_the_same_whatever_comes_later(seed: int) -> None:
    """The series is cut at every bar: its last bar tells what it told with the future behind it."""
    bars = walk(seed, 330)
    whole = [told_by(line) for line in told_of(bars)]
    for last in range(19, len(bars), 1):
        cut = bars.cut(0, last + 1)
        task = Task(Place("S", BY_NAME["1h"]), cut, last)
        (line,) = judge(task, snapshots([task.window(at) for at in task.judged]))
        assert told_by(line) == whole[last], last


def test_records_live_on_later_bars_only() -> None:
    bars = walk(5, 120)
    for line in told_of(bars):
        for one in line.ended:
            assert one.exit_ms > one.detected_ms
        for one in line.opened:
            assert one.detection.known_ms == line.open_ms and one.detection.end_ms <= line.open_ms
            lag = 0 if one.is_baseline else BY_ID[one.detection.pattern].lag
            assert one.detection.end_ms == bars.open_ms[bars.open_ms.tolist().index(line.open_ms) - lag]


def test_talib_says_the_same_of_a_window_as_of_the_whole_series() -> None:
    bars = walk(11, 400)
    whole = candlesticks.hits(bars)
    for at in range(candlesticks.LOOK_BACK, 400):
        window = bars.cut(at + 1 - candlesticks.LOOK_BACK, at + 1)
        assert np.array_equal(candlesticks.hits(window)[:, -1], whole[:, at]), at


def test_a_quiet_bar_starts_no_candlestick_and_nothing_moves_without_an_atr() -> None:
    bars = walk(2, 200)
    column = np.full(61, 100, dtype=np.int32)
    assert list(candlesticks.at(bars, column, 199, 1e9)) == []
    assert list(candlesticks.at(bars, column, 199, 0.0)) == []
    flat = of_closes([100.0] * 60)
    still = replace(flat, high=flat.close, low=flat.close)
    assert in_window(still, snapshot(still)) == [] and names_of(still) == set()


@given(st.lists(st.integers(-50, 50), min_size=3, max_size=40))
def test_the_parabola_is_the_one_of_least_squares(values: list[int]) -> None:
    prices = np.array(values, dtype=np.float64)
    bend, explained, vertex = parabola(prices)
    t = np.linspace(-1, 1, len(prices))
    a, b, c = np.polyfit(t, prices, 2)
    total = float(((prices - prices.mean()) ** 2).sum())
    if total == 0:
        assert (bend, explained) == (0.0, 0.0)
        return
    rest = float(((np.polyval((a, b, c), t) - prices) ** 2).sum())
    assert bend == pytest.approx(a, abs=1e-7) and explained == pytest.approx(1 - rest / total, abs=1e-7)
    if abs(a) > 1e-6:
        assert 2 * vertex - 1 == pytest.approx(-b / (2 * a), rel=1e-4, abs=1e-6)


@given(
    st.lists(
        st.tuples(st.integers(0, 200), st.integers(-50, 50)), min_size=2, max_size=6, unique_by=lambda p: p[0]
    )
)
def test_the_line_is_the_one_of_least_squares(points: list[tuple[int, int]]) -> None:
    at, prices = [p[0] for p in points], np.array([p[1] for p in points], dtype=np.float64)
    line = fit(at, prices)
    slope, level = np.polyfit(at, prices, 1)
    assert line.slope == pytest.approx(slope, abs=1e-7) and line.at(0) == pytest.approx(level, abs=1e-5)
    assert isinstance(line.miss(at, prices), float) and Found("x", 1.0, 0, 1).span == 1
