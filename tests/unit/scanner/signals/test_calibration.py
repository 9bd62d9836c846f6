"""Confidence beside what came of it: an isotonic fit beside its min-max formula."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.scanner.signals.calibration import ENOUGH, Bin, calibration_of, fit, rate_at
from tests.oracles import isotonic

bins = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0]), st.integers(0, 9), st.integers(0, 9)).map(
        lambda one: Bin(one[0], one[1], min(one[1], one[2]))
    ),
    max_size=9,
)


def test_violators_are_pooled() -> None:
    steps = fit([Bin(0.2, 10, 1), Bin(0.4, 10, 6), Bin(0.6, 10, 4), Bin(0.8, 10, 9)])
    assert steps == [(0.2, 0.1, 10), (0.4, 0.5, 20), (0.8, 0.9, 10)]
    assert [rate_at(steps, at) for at in (0.0, 0.2, 0.39, 0.4, 0.7, 1.0)] == [0.1, 0.1, 0.1, 0.5, 0.5, 0.9]


@settings(max_examples=150, deadline=None)
@given(bins)
def test_a_fit_is_that_of_the_min_max_formula(given_bins: list[Bin]) -> None:
    steps = fit(given_bins)
    assert all(a.confidence < b.confidence and a.rate < b.rate for a, b in pairwise(steps))
    assert sum(step.n for step in steps) == sum(one.n for one in given_bins)
    for confidence, rate in isotonic.fitted(given_bins).items():
        assert rate_at(steps, confidence) == pytest.approx(float(rate), abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(bins, bins)
def test_the_later_half_judges_the_fit_of_the_earlier(earlier: list[Bin], later: list[Bin]) -> None:
    many = [*earlier, Bin(0.5, ENOUGH, 90)]
    found = calibration_of(many, later)
    each = [(one.confidence, hit) for one in later for hit in [1] * one.hits + [0] * (one.n - one.hits)]
    if not each:
        assert found is None
        return
    assert found is not None and found.n == sum(one.n for one in (*many, *later))
    steps = fit(many)
    assert found.brier == pytest.approx(math.fsum((p - hit) ** 2 for p, hit in each) / len(each))
    expected = math.fsum((rate_at(steps, p) - hit) ** 2 for p, hit in each) / len(each)
    assert found.brier_calibrated == pytest.approx(expected)
    assert calibration_of([Bin(0.5, ENOUGH - 2, 5)], [Bin(0.5, 1, 1)]) is None
