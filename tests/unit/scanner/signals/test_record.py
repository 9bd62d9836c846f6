"""The record of signals: ids, figures, the chain; outcomes and performance beside plain arithmetic."""

from __future__ import annotations

import math
import statistics
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.scanner.bars import bars_of
from services.scanner.errors import AssetInvalid
from services.scanner.signals import record
from services.scanner.signals.assets import BUILT_INS, Asset, checked, names_of, tags_of
from services.scanner.signals.derived import figures_of
from services.scanner.signals.performance import (
    COST,
    Tally,
    after,
    base_of,
    groups_of,
    outcome_of,
)
from tests.series import series

HOUR_MS = 3_600_000
BTC = BUILT_INS[0]


def test_ids_are_those_of_the_name() -> None:
    said = "1|1h|2026-01-31T12:00:00.000Z|1"
    at_ms = 1_769_860_800_000
    assert record.iso_ms(at_ms) == "2026-01-31T12:00:00.000Z"
    assert record.signal_id(1, "1h", at_ms) == uuid.uuid5(uuid.NAMESPACE_URL, said)


@given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), min_size=1, max_size=6), st.data())
def test_a_changed_chain_breaks_where_it_was_changed(
    texts: list[tuple[str, str]], data: st.DataObject
) -> None:
    rows, previous = [], record.FIRST_HASH
    for position, (body, evidence) in enumerate(texts, 1):
        previous = record.hash_of(previous, body, evidence)
        rows.append((position, body, evidence, previous))
    assert record.broken_at(rows) is None
    at = data.draw(st.integers(0, len(rows) - 1))
    position, body, evidence, hash_ = rows[at]
    changed = [*rows[:at], (position, body + "x", evidence, hash_), *rows[at + 1 :]]
    assert record.broken_at(changed) == at + 1
    if at + 1 < len(rows):
        assert record.broken_at([*rows[:at], *rows[at + 1 :]]) == at + 1


def test_figures_of_a_series_with_holes() -> None:
    rows = [row for row in series("EURUSD")[:400] if row[0] // HOUR_MS % 5]
    asset = Asset(cmc_id=5, name="X", symbol="X", circulating=3.0, max=7.0, total=5.0)
    for count in (1, 30, len(rows)):
        seen = rows[:count]
        end = seen[-1][0] + HOUR_MS
        figures = figures_of(bars_of(seen), end, HOUR_MS, asset)
        day = [row for row in seen if end - 24 * HOUR_MS < row[0] + HOUR_MS <= end]
        assert figures.volume_24h == pytest.approx(math.fsum(row[4] * row[5] for row in day), abs=0.0051)
        assert figures.price == seen[-1][4]
        assert (figures.market_cap, figures.diluted_cap) == (
            round(3 * seen[-1][4], 2),
            round(7 * seen[-1][4], 2),
        )
        before = [row for row in seen if row[0] + HOUR_MS <= end - HOUR_MS]
        expected = 100 * (seen[-1][4] / before[-1][4] - 1) if before else None
        assert figures.change_1h == (None if expected is None else pytest.approx(expected, abs=5.1e-5))
        for point in figures.graph:
            known = [row for row in seen if row[0] + HOUR_MS <= point.at_ms]
            assert point.price == known[-1][4]
            window = [row for row in known if row[0] + HOUR_MS > point.at_ms - 24 * HOUR_MS]
            assert point.volume == pytest.approx(math.fsum(row[4] * row[5] for row in window), abs=0.0051)
        assert figures.graph[-1].at_ms == end and len(figures.graph) <= 24
    assert figures_of(bars_of(rows), end, HOUR_MS, BTC).market_cap is None  # no supply is known, none made up


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(90, 110), min_size=3, max_size=40),
    st.integers(0, 20),
    st.sampled_from([1, 4, 24]),
    st.sampled_from(["bullish", "bearish", "neutral"]),
)
def test_outcomes_are_of_the_bars_after(closes: list[int], at: int, hours: int, sentiment: str) -> None:
    rows = [(n * HOUR_MS, c, c + 1, c - 1, c, 1.0) for n, c in enumerate(closes)]
    at %= len(rows)
    later = after(bars_of(rows), (at + 1) * HOUR_MS, HOUR_MS, hours)
    if at + hours >= len(rows):
        assert later is None
        return
    assert later is not None
    window = rows[at + 1 : at + hours + 1]
    found = outcome_of(later, closes[at], sentiment)
    forward = window[-1][4] / closes[at] - 1
    sign = -1 if sentiment == "bearish" else 1
    moves = [sign * (price / closes[at] - 1) for row in window for price in (row[2], row[3])]
    assert found.forward == forward
    assert (found.mfe, found.mae) == (max(0, *moves), min(0, *moves))
    assert found.hit is (None if sentiment == "neutral" else sign * forward > COST)
    base = base_of(bars_of(rows), HOUR_MS, hours)
    assert base is not None
    every = [rows[i + hours][4] / rows[i][4] - 1 for i in range(len(rows) - hours)]
    assert base.forward == pytest.approx(statistics.fmean(every), abs=1e-12)
    assert base.ups == pytest.approx(sum(r > COST for r in every) / len(every))
    assert base.downs == pytest.approx(sum(r < -COST for r in every) / len(every))


def test_bars_longer_than_a_horizon_say_nothing_of_it() -> None:
    bars = bars_of([(n * 24 * HOUR_MS, 1.0, 1.0, 1.0, 1.0, 1.0) for n in range(30)])
    assert after(bars, 5 * 24 * HOUR_MS, 24 * HOUR_MS, 4) is None
    assert base_of(bars, 24 * HOUR_MS, 1) is None
    later = after(bars, 5 * 24 * HOUR_MS, 24 * HOUR_MS, 24)
    assert later is not None and len(later) == 1


def test_groups_weigh_markets_by_their_signals() -> None:
    tallies = [
        Tally("pattern", "1h", "bullish", 4, 1, 30, 20, 0.3, 0.6, -0.3, 7.5),
        Tally("pattern", "1h", "bullish", 4, 2, 10, 4, -0.1, 0.2, -0.3, 2.5),
        Tally("pattern", "1h", "neutral", 4, 1, 3, 0, 0.0, 0.0, 0.0, 0.0),
    ]
    bars = bars_of([(n * HOUR_MS, 1.0, 1.0, 1.0, 1.0 + n, 1.0) for n in range(30)])
    base = base_of(bars, HOUR_MS, 4)
    assert base is not None
    bullish, neutral = groups_of(tallies, {(1, "1h", 4): base})
    assert (bullish.n, bullish.share.rate) == (40, 24 / 40)
    assert bullish.forward == pytest.approx(0.2 / 40) and bullish.brier == pytest.approx(0.25)
    assert (bullish.base_forward, bullish.base_rate) == (base.forward, 1.0)
    assert neutral.share.rate is None and neutral.brier is None and neutral.n == 3


def test_the_registry_is_checked() -> None:
    assert [asset.cmc_id for asset in BUILT_INS] == [1, 1027, 1839, 5426, 52]
    assert all(asset.chains and asset.tags and asset.narratives for asset in BUILT_INS)
    assert {"BTC", "smart-contracts", "price-surge"} <= set(names_of(BUILT_INS)["tag"])
    assert "btc" not in names_of(BUILT_INS)["tag"] and tags_of(BTC, ("depeg",)) == ("BTC", "depeg")
    (one,) = checked([Asset(cmc_id=5, name=" X ", symbol="X", tags=["a", " a"])])
    assert (one.name, one.tags) == ("X", ["a"])
    for wrong in ([BTC, BTC], [Asset(cmc_id=5, name=" ", symbol="X")]):
        with pytest.raises(AssetInvalid):
            checked(wrong)
