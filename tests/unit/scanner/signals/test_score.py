"""The numeric fixtures of the score and of bullishness, and what holds of every score."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scanner.signals import score
from services.scanner.signals.bullishness import bullishness
from services.scanner.signals.measures import Measures
from services.scanner.signals.score import WEIGHTS, Component, label_of, score_of, strength_of

HOUR_MS = 3_600_000
COMPONENTS = st.builds(
    Component, st.sampled_from(sorted(WEIGHTS)), st.floats(-1, 1), st.floats(0, 1, allow_subnormal=False)
)
SETS = st.lists(COMPONENTS, unique_by=lambda c: c.name)


def measures(z_1h: float, z_24h: float, volume_z: float, move: float) -> Measures:
    return Measures(
        close=1.0,
        move_1h=move,
        move_24h=move,
        z_1h=z_1h,
        z_24h=z_24h,
        volume_z=volume_z,
        volume_ratio=2.0,
        stale=0.0,
    )


def test_fixture_t1() -> None:
    m = measures(3.2, 1.1, 3.6, 0.02)
    components = [
        score.momentum(m),
        score.regime("up", 0.42),
        score.patterns([(1, 0.86, 1)]),
        score.volume(m),
        score.level(1, 0.8),
    ]
    assert [round(c.value, 6) for c in components] == [0.753209, 0.42, 0.657629, 0.866667, 0.8]
    made = score_of(components, 3, 0.95)
    assert made is not None
    assert round(made.score, 6) == 0.679599
    assert (round(made.agreement, 12), round(made.coverage, 12)) == (1.0, 0.8)
    assert round(made.confidence, 4) == 0.8930
    assert (label_of(made.score), strength_of(made.score)) == ("bullish", "strong")


def test_fixture_t2() -> None:
    m = measures(-3.2, -1.1, 3.6, -0.02)
    components = [
        score.momentum(m),
        score.regime("up", 0.42),
        score.patterns([]),
        score.volume(m),
        score.level(0, 0.0),
        score.text(0.3, 2.5),
    ]
    made = score_of(components, 1, 0.95)
    assert made is not None
    assert round(made.score, 6) == -0.204774
    assert round(made.agreement, 6) == 0.484732
    assert round(made.coverage, 6) == 0.86
    assert round(made.confidence, 6) == 0.538681
    assert label_of(made.score) == "bearish"


def test_fixtures_of_bullishness() -> None:
    assert bullishness([]) == 50.0
    assert round(bullishness([(1, 0.8, 0)]), 4) == 64.2857
    three = [(1, 0.8, 0), (1, 0.7, 6 * HOUR_MS), (-1, 0.6, 20 * HOUR_MS)]
    assert round(bullishness(three), 4) == 64.1179


@given(SETS, st.integers(0, 5), st.floats(0, 1))
def test_a_score_is_symmetric_and_within_bounds(components: list[Component], n: int, quality: float) -> None:
    made = score_of(components, n, quality)
    mirrored = score_of([c._replace(value=-c.value) for c in components], n, quality)
    if made is None:
        assert mirrored is None
        assert all(c.quality == 0.0 for c in components)
        return
    assert mirrored is not None
    assert mirrored == made._replace(score=-made.score)
    assert -1.0 - 1e-9 <= made.score <= 1.0 + 1e-9
    assert 0.0 <= made.confidence <= 1.0 + 1e-9
    assert {label_of(made.score), label_of(-made.score)} in ({"neutral"}, {"bullish", "bearish"})


@given(SETS, st.floats(-1, 1))
def test_what_could_not_look_takes_no_part(components: list[Component], value: float) -> None:
    known = [c for c in components if c.name != "txt"]
    assert score_of([*known, Component("txt", value, 0.0)], 1, 1.0) == score_of(known, 1, 1.0)


@pytest.mark.parametrize(
    ("before", "value", "label"),
    [
        ("neutral", 0.19, "neutral"),
        ("neutral", 0.20, "bullish"),
        ("bullish", 0.15, "bullish"),
        ("bullish", 0.149, "neutral"),
        ("bullish", -0.20, "bearish"),
        ("bearish", -0.15, "bearish"),
        ("bearish", -0.149, "neutral"),
        ("bearish", 0.19, "neutral"),
    ],
)
def test_a_label_is_kept_until_the_score_is_past_it(
    before: score.Sentiment, value: float, label: str
) -> None:
    assert label_of(value, before) == label


@given(st.lists(st.tuples(st.sampled_from((-1, 0, 1)), st.floats(0, 1), st.integers(0, 10**10)), max_size=20))
def test_bullishness_is_between_0_and_100_and_mirrors(signals: list[tuple[int, float, int]]) -> None:
    value = bullishness(signals)
    assert 0.0 <= value <= 100.0
    mirrored = bullishness([(-s, c, age) for s, c, age in signals])
    assert math.isclose(value + mirrored, 100.0, abs_tol=1e-9)
