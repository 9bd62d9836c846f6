"""Analogs: the shared vector, the slow search over every window, and what the transform may not change."""

from __future__ import annotations

import math

import numpy as np
import pytest
import stumpy
from hypothesis import given, settings
from hypothesis import strategies as st

from services.scanner import analogs
from services.scanner.analogs import bars_needed, distribution_of, matches_in
from services.scanner.rendering import analogs_of
from tests.oracles import structure
from tests.unit.scanner.series import D, walk


def test_the_wave_comes_back_four_times() -> None:
    found = matches_in(D.close, 12, 6)
    assert [match.end for match in found] == [95, 71, 47, 23]
    answer = analogs_of("X/Y", "1h", 12, 6, found)
    d = answer.distribution
    assert (d.n, d.win_rate, d.median, d.mean, d.min, d.max) == (4, 1, 0.062, 0.062, 0.062, 0.062)
    assert answer.matches == 4


def same_as_the_oracle(close: np.ndarray, window: int, horizon: int) -> None:
    expected = structure.analogs(close.tolist(), window, horizon)
    found = matches_in(close, window, horizon)
    assert [match.end for match in found] == [end for end, _, _ in expected]
    assert [match.similarity for match in found] == pytest.approx([s for _, s, _ in expected], abs=2e-12)
    assert [match.outcome for match in found] == [outcome for _, _, outcome in expected]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("window", "horizon"), [(2, 2), (5, 30), (32, 20), (60, 5)])
def test_every_match_is_one_the_slow_search_finds(seed: int, window: int, horizon: int) -> None:
    bars = walk(seed, 400, move=0.003 * (seed + 1), decimals=6, start=10.0 ** (seed - 2))
    same_as_the_oracle(bars.close, window, horizon)


def test_a_quiet_stretch_beside_a_wild_one_is_still_compared_by_its_own_bars() -> None:
    """Running sums lose a window's variance when the rest of the series is a million times larger."""
    rng = np.random.default_rng(4)
    quiet = 1e-3 * (1 + 1e-5 * np.cumsum(rng.normal(0, 1, 300)))
    wild = np.abs(1e4 * (1 + 0.1 * np.cumsum(rng.normal(0, 1, 200)))) + 1
    same_as_the_oracle(np.concatenate((quiet, wild, quiet[:150])), 16, 8)


@given(
    steps=st.lists(st.integers(-1, 1), min_size=40, max_size=160),
    window=st.integers(2, 14),
    horizon=st.integers(2, 20),
)
@settings(max_examples=60, deadline=None)
def test_flat_windows_and_equal_similarities_are_told_as_the_slow_search_does(
    steps: list[int], window: int, horizon: int
) -> None:
    close = 64.0 + np.cumsum(steps) / 64
    expected = structure.analogs(close.tolist(), window, horizon)
    # A similarity that lies on a rounding edge of the 12th decimal may go either way: leave those out.
    edges = [s for _, s, _ in expected if abs(s * 1e12 - round(s * 1e12)) > 0.499]
    if not edges:
        assert [m.end for m in matches_in(close, window, horizon)] == [end for end, _, _ in expected]


@pytest.mark.parametrize("window", [97, 150])
def test_a_transform_finds_what_plain_products_find(monkeypatch: pytest.MonkeyPatch, window: int) -> None:
    close = walk(9, 3_000, decimals=6).close
    transformed = matches_in(close, window, 10)
    monkeypatch.setattr(analogs, "_DIRECT_WINDOW", 10_000)
    assert transformed == matches_in(close, window, 10)
    assert transformed


@pytest.mark.parametrize("block", [33, 64, 100, 1_000])
@pytest.mark.parametrize("window", [2, 31, 33])
@pytest.mark.parametrize("direct", [0, 96])
def test_how_it_is_cut_into_pieces_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, block: int, window: int, direct: int
) -> None:
    close = walk(12, 900, decimals=6).close
    whole = matches_in(close, window, 10)
    monkeypatch.setattr(analogs, "_BLOCK", block)
    monkeypatch.setattr(analogs, "_DIRECT_WINDOW", direct)
    monkeypatch.setattr(analogs, "_PRODUCTS_MAX", 2_048)
    monkeypatch.setattr(analogs, "_CHUNK", 3 * window)
    monkeypatch.setattr(analogs, "_HEAD", 5)
    assert whole == matches_in(close, window, 10)
    assert whole


@pytest.mark.soak  # stumpy compiles for ten seconds; bench_analogs asks it, too
def test_stumpy_sees_the_same_neighbours() -> None:
    close, window, horizon = walk(11, 5_000, decimals=6).close, 32, 20
    distance = stumpy.mass(close[-window:], close)
    similarity = (1 - distance**2 / (2 * window)).round(9)
    ends = np.arange(len(distance)) + window - 1
    usable = ends <= len(close) - 1 - max(window, horizon)
    order = np.lexsort((-ends[usable], -similarity[usable]))
    taken: list[int] = []
    for end, alike in zip(ends[usable][order], similarity[usable][order], strict=True):
        if alike >= 0.8 and len(taken) < 50 and all(abs(end - t) >= window // 2 for t in taken):
            taken.append(int(end))
    assert [m.end for m in matches_in(close, window, horizon)] == taken
    assert len(taken) > 5


@given(power=st.integers(-8, 8))
@settings(max_examples=8, deadline=None)
def test_another_unit_of_price_changes_nothing(power: int) -> None:
    close = walk(2, 500).close
    assert matches_in(close * 2.0**power, 20, 10) == matches_in(close, 20, 10)


def test_what_a_match_tells_does_not_change_with_later_bars() -> None:
    close = walk(6, 300, decimals=6).close
    for n in range(100, 300, 7):
        poisoned = np.concatenate((close[:n], np.full(50, np.nan)))[:n]
        assert matches_in(close[:n], 12, 6) == matches_in(poisoned, 12, 6)
        assert all(m.outcome == close[m.end + 6] / close[m.end] - 1 for m in matches_in(close[:n], 12, 6))


def test_a_flat_window_has_no_analogs_and_nothing_is_claimed() -> None:
    close = np.concatenate((walk(1, 100).close, np.full(40, 60_000.1)))
    assert matches_in(close, 32, 20) == []
    none = analogs_of("X/Y", "1h", 32, 20, []).distribution
    assert (none.n, none.win_rate, none.median, none.mean, none.min, none.max) == (0, *[None] * 5)


def test_figures_are_those_of_all_outcomes() -> None:
    found = distribution_of(np.array([0.1, -0.2, 0.0, 0.3]))
    assert (found.n, found.win_rate, found.median) == (4, 0.5, 0.05)
    assert (found.min, found.max, math.isclose(found.mean or 0, 0.05)) == (-0.2, 0.3, True)


@pytest.mark.parametrize(("window", "horizon", "need"), [(32, 20, 85), (2, 2, 20), (500, 500, 1501)])
def test_how_many_bars_it_takes(window: int, horizon: int, need: int) -> None:
    assert bars_needed(window, horizon) == need
