"""What came after earlier formations: counted by hand in the oracle, and no claim beyond its interval."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.messages import analysis as m
from services.scanner.experience import Experience, Occurrence, band_name, band_of, reading_of
from services.scanner.keeper import class_of, wanted
from services.scanner.rendering import analysis_of, evidence_of, line_of_table
from services.scanner.snapshot import snapshot
from tests.unit.scanner.series import D

Told = tuple[int, float, float, int]


def by_hand(close: list[float], marks: list[tuple[int, float]], sign: int, band: int) -> list[float]:
    """The outcomes of marks (index, confidence) of one band, those that overlap an earlier one left out."""
    outcomes, free = [], 0
    for at, confidence in marks:
        if (confidence >= 0.75) == bool(band) and at >= free and at + 10 < len(close):
            outcomes.append(close[at + 10] / close[at] - 1)
            free = at + 10
    return outcomes


@given(
    moves=st.lists(st.integers(-3, 3), min_size=30, max_size=120),
    marks=st.lists(st.tuples(st.integers(0, 119), st.floats(0.5, 1)), max_size=30, unique_by=lambda m: m[0]),
    sign=st.sampled_from([1, -1]),
)
@settings(max_examples=80, deadline=None)
def test_every_figure_is_counted_as_by_hand(
    moves: list[int], marks: list[tuple[int, float]], sign: int
) -> None:
    close = (1_000 + np.cumsum(moves)).astype(float)
    marks = sorted((at, confidence) for at, confidence in marks if at < len(close))
    times = np.arange(len(close), dtype=np.int64) * 60_000
    experience = Experience()
    experience.add("1m", times, close, [Occurrence("x", sign, c, at * 60_000) for at, c in marks])
    any_bar = [close[i + 10] / close[i] - 1 for i in range(0, len(close) - 10, 10)]
    baseline = sum(r * sign > 0 for r in any_bar) / len(any_bar)
    for band, confidence in ((0, 0.6), (1, 0.9)):
        outcomes = by_hand(close.tolist(), marks, sign, band)
        found = experience.of("1m", "x", confidence)
        if not outcomes:
            assert found is None
            continue
        assert found is not None
        rate = sum(r * sign > 0 for r in outcomes) / len(outcomes)
        assert (found.n, found.hit_rate, found.band) == (len(outcomes), rate, band_name(band))
        assert (found.baseline, found.baseline_n) == (baseline, len(any_bar))
        assert found.outcomes.tolist() == outcomes
        assert found.ci95 == pytest.approx(1.96 * math.sqrt(rate * (1 - rate) / len(outcomes)))
        assert (found.reading == "indistinguishable-from-baseline") == (abs(found.lift) <= found.lift_ci95)


def test_symbols_of_a_timeframe_are_counted_together_and_timeframes_apart() -> None:
    close, times = np.linspace(100, 200, 50), np.arange(50, dtype=np.int64)
    experience = Experience()
    for _ in range(3):
        experience.add("1h", times, close, [Occurrence("hammer", 1, 0.8, 5)])
    found = experience.of("1h", "hammer", 0.75)
    assert found is not None
    assert (found.n, found.baseline_n) == (3, 12)
    assert experience.of("4h", "hammer", 0.8) is None
    assert experience.of("1h", "hammer", 0.74) is None


def test_one_hit_of_one_is_no_proof() -> None:
    close, times = np.tile([1.0, 2.0, 3.0, 2.0], 60), np.arange(240, dtype=np.int64)
    experience = Experience()
    experience.add("1h", times, close, [Occurrence("hammer", 1, 0.8, 4)])
    found = experience.of("1h", "hammer", 0.8)
    assert found is not None
    assert (found.n, found.hit_rate, found.ci95) == (1, 1.0, 0.0)
    assert found.reading == "indistinguishable-from-baseline"


def test_patterns_without_a_direction_and_unfinished_ones_are_not_counted() -> None:
    close, times = np.linspace(100, 200, 50), np.arange(50, dtype=np.int64)
    experience = Experience()
    experience.add("1h", times, close, [Occurrence("doji", 0, 0.9, 5), Occurrence("hammer", 1, 0.9, 40)])
    experience.add("1h", times, close, [Occurrence("hammer", 1, 0.9, 10_000)])
    assert experience.of("1h", "doji", 0.9) is None
    assert experience.of("1h", "hammer", 0.9) is None


def test_bands_meet_at_three_quarters() -> None:
    assert [band_name(band_of(c)) for c in (0.5, 0.7499, 0.75, 1)] == [
        "0.50-0.75",
        "0.50-0.75",
        "0.75-1.00",
        "0.75-1.00",
    ]
    assert [reading_of(lift, 0.1) for lift in (0.11, -0.11, 0.1)] == [
        "above-baseline",
        "below-baseline",
        "indistinguishable-from-baseline",
    ]


def test_the_line_of_text_adds_the_past_of_the_pattern_it_names() -> None:
    rng = np.random.default_rng(3)
    close, times = 100 * np.cumprod(1 + rng.normal(0, 0.01, 4_000)), np.arange(4_000, dtype=np.int64)
    experience = Experience()
    marks = [Occurrence("double_bottom", 1, 0.9, at) for at in range(0, 3_900, 13)]
    experience.add("1h", times, close, marks)
    known = experience.of("1h", "double_bottom", 1.0)
    assert known is not None
    evidence = evidence_of("1h", "double_bottom", known)
    text = analysis_of("X/Y", "1h", snapshot(D), ("nl",), {"double_bottom": evidence}).nl
    assert isinstance(text, str)
    points = f"{round(100 * evidence.lift.lift, 1):+g}"
    assert text.endswith(
        f"double_bottom (conf 1, hist {round(100 * evidence.hit_rate)}% over 10b, "
        f"lift {points}pp vs {round(100 * evidence.lift.baseline)}% base (within noise))."
    )


def line(**changed: object) -> m.ScanLine:
    given = {
        "sym": "A",
        "tf": "1h",
        "asset_class": "crypto",
        "regime": "up",
        "pattern": "hammer",
        "base_rate": 0.5,
        "ci95": 0.1,
        "n": 9,
        "scope": "all",
        "confidence": 0.8,
        "as_of": 1,
        "baseline": 0.4,
        "lift": 0.1,
        "lift_ci95": 0.2,
        "lift_reading": "above-baseline",
    }
    return m.ScanLine(**(given | changed))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ask", "changed", "passes"),
    [
        ({}, {}, True),
        ({"asset_class": "forex"}, {}, False),
        ({"regime": "down"}, {}, False),
        ({"pattern": "hammer", "timeframe": "1h"}, {}, True),
        ({"timeframe": "4h"}, {}, False),
        ({"base_rate_min": 0.5}, {}, True),
        ({"base_rate_min": 0.51}, {}, False),
        ({"base_rate_min": 0.0}, {"n": 0, "base_rate": None}, False),
        ({"lift_min": -1.0}, {"lift": None}, False),
        ({"lift_min": 0.1}, {}, True),
        ({"lift_min": 0.11}, {}, False),
    ],
)
def test_filters_of_the_table(ask: dict[str, object], changed: dict[str, object], passes: bool) -> None:
    assert wanted(line(**changed), m.ScanTableAsk(**ask)) == passes  # type: ignore[arg-type]


def test_a_formation_nobody_counted_has_no_figures() -> None:
    found = line_of_table("A", "1h", "crypto", "up", Occurrence("doji", 0, 0.5555, 1), 2, None)
    assert (found.n, found.base_rate, found.lift, found.lift_reading, found.confidence) == (
        0,
        None,
        None,
        None,
        0.56,
    )


@pytest.mark.parametrize(
    ("symbol", "kind"),
    [
        ("BTC/USDT", "crypto"),
        ("EURUSD", "forex"),
        ("XAUUSD", "metal"),
        ("SOLUSD", "crypto"),
        ("AAPL", "other"),
    ],
)
def test_a_name_says_its_class(symbol: str, kind: str) -> None:
    assert class_of(symbol) == kind
