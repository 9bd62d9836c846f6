"""Real markets: EURUSD by the hour, GOOG by the day, BTCUSD by the month, as `backtesting` carries them."""

from __future__ import annotations

import csv
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from bench import pattern_records
from services.scanner.analogs import matches_in
from services.scanner.bars import Bars, fault_of
from services.scanner.codec import rows_of
from services.scanner.snapshot import snapshot, snapshots
from tests.oracles import structure
from tests.unit.scanner.series import HOUR_MS, bars_of_columns, plain
from tests.unit.scanner.test_structure import check

FILES = ("EURUSD", "GOOG", "BTCUSD")


@cache
def real(name: str) -> Bars:
    """The bars of a file, an hour apart; the package itself is never imported."""
    spec = find_spec("backtesting")
    assert spec is not None and spec.submodule_search_locations, "run `make test`: it installs the data"
    path = Path(spec.submodule_search_locations[0]) / f"test/{name}.csv"
    with path.open(newline="") as lines:
        rows = [[float(value) for value in row[1:6]] for row in list(csv.reader(lines))[1:]]
    return bars_of_columns(*(list(column) for column in zip(*rows, strict=True)))


def cuts(bars: Bars, count: int) -> list[int]:
    """Ends of windows spread over the series, the first possible and the last among them."""
    return sorted({int(end) for end in np.linspace(20, len(bars), count)})


@pytest.mark.parametrize("name", FILES)
def test_every_field_is_what_the_oracle_says_of_real_windows(name: str) -> None:
    bars = real(name)
    assert len(bars) >= 85
    assert fault_of(bars) is None
    for end in cuts(bars, 12):
        window = bars.cut(0, end).last(200)
        check(window)
        assert rows_of(window, snapshot(window).precision) == structure.rows(plain(window))


@pytest.mark.parametrize("name", FILES)
def test_analogs_of_real_series_are_those_of_the_slow_search(name: str) -> None:
    close = real(name).last(1_000).close
    for window, horizon in ((12, 6), (32, 20)):
        if len(close) >= 2 * window + horizon + 1:
            found = matches_in(close, window, horizon)
            expected = structure.analogs(close.tolist(), window, horizon)
            assert [(m.end, m.outcome) for m in found] == [(end, outcome) for end, _, outcome in expected]


@pytest.mark.parametrize("name", FILES)
def test_what_was_told_at_a_bar_does_not_change_when_the_series_goes_on(name: str) -> None:
    """Every formation told at a bar has its last bar where it was, whatever comes after."""
    bars = real(name)
    highs, lows = structure.swing_highs(bars.high.tolist()), structure.swing_lows(bars.low.tolist())
    ends = range(max(20, len(bars) - 160), len(bars) + 1)
    windows = [bars.cut(0, end).last(200) for end in ends]
    later = Bars(
        np.arange(len(bars) + 50, dtype=np.int64) * HOUR_MS,
        *(np.concatenate((getattr(bars, f), np.full(50, 1e9))) for f in Bars.__slots__[1:]),
    )
    for end, now in zip(ends, snapshots(windows), strict=True):
        assert snapshot(later.cut(0, end).last(200)) == now
        start = max(end - 200, 0)
        for found in now.patterns:
            at = start + found.at
            if found.span > 2:  # its swing points were known by then, and still are
                assert at <= end - 4
                assert at in (lows if found.name == "double_bottom" else highs)


def test_all_three_show_patterns_and_levels() -> None:
    for name in FILES:
        now = snapshot(real(name).last(200))
        assert now.patterns
        assert now.support or now.resistance


@pytest.mark.parametrize(
    "name", [pytest.param("EURUSD", marks=pytest.mark.soak), "GOOG", "BTCUSD"], ids=lambda name: str(name)
)
def test_the_published_table_of_records_is_what_its_program_counts(name: str) -> None:
    (one,) = (one for one in pattern_records.SERIES if one[0] == name)
    told = "\n".join(pattern_records.part_of(*one)).strip()
    assert told in pattern_records.PAGE.read_text(encoding="utf-8")
    assert told.count("\n| [") >= 20
