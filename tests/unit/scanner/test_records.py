"""Records bar by bar against the definition; shares with their intervals; rings against a list."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.scanner.evidence import EvidenceBook, wilson
from services.scanner.outcomes import Track, plan_of
from services.scanner.rings import Ring
from tests.oracles import records as oracle

MOVES = st.lists(st.tuples(st.integers(-4, 4), st.integers(0, 6), st.integers(0, 6)), min_size=0, max_size=40)


def later_bars(entry: float, moves: list[tuple[int, int, int]]) -> list[oracle.Bar]:
    close, bars = entry, []
    for move, up, down in moves:
        close = max(1.0, close + move / 4)
        bars.append((close + up / 4, max(0.5, close - down / 4), close))
    return bars


@settings(max_examples=150)
@given(st.sampled_from(["bullish", "bearish"]), st.integers(80, 120), st.integers(1, 8), MOVES)
def test_a_record_ends_as_the_definition_says(
    direction: str, entry: int, atr: int, moves: list[tuple[int, int, int]]
) -> None:
    bars = later_bars(entry, moves)
    plan = plan_of(direction, entry, atr / 4)
    assert plan is not None
    track, closed = Track(direction, plan), None
    for bar in bars:
        closed = track.step(*bar)
        if closed is not None:
            break
    expected = oracle.outcome(direction, entry, atr / 4, bars)
    assert (closed is None) == (expected is None)
    if closed is None or expected is None:
        return
    assert (closed.outcome, closed.bars) == (expected[0], expected[2])
    assert closed.exit_price == pytest.approx(expected[1], rel=1e-12)
    sign = 1 if direction == "bullish" else -1
    assert closed.return_pct == pytest.approx(sign * 100 * (expected[1] - entry) / entry, abs=1e-9)
    best, worst = oracle.excursions(direction, entry, bars[: closed.bars])
    assert (closed.mfe_pct, closed.mae_pct) == pytest.approx((best, worst), abs=1e-9)


def test_stop_and_target_in_one_bar_is_a_loss() -> None:
    plan = plan_of("bullish", 100.0, 1.0)
    assert plan is not None and (plan.stop, plan.targets) == (98.5, (102.25, 104.5))
    closed = Track("bullish", plan).step(110.0, 90.0, 100.0)
    assert closed is not None and (closed.outcome, closed.exit_price) == ("loss", 98.5)


def test_neutral_and_motionless_have_no_plan() -> None:
    assert plan_of("neutral", 100.0, 1.0) is None
    assert plan_of("bullish", 100.0, 0.0) is None


@given(st.integers(1, 5_000), st.data())
def test_wilsons_bounds_solve_its_equation(n: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, n))
    share = wilson(hits, n)
    assert share.rate == hits / n and share.low is not None and share.high is not None
    assert 0 <= share.low <= share.rate <= share.high <= 1
    for bound in (share.low, share.high):
        assert oracle.wilson_holds(hits, n, bound)


def test_nothing_counted_is_nothing_said() -> None:
    assert wilson(0, 0) == (0, None, None, None)
    assert EvidenceBook().of("doji", "EURUSD", "1h") is None
    empty = EvidenceBook().of("hammer", "EURUSD", "1h")
    assert empty is not None and (empty.n, empty.hit_rate, empty.lift) == (0, None, None)


def test_a_symbol_speaks_for_itself_when_it_has_enough_records() -> None:
    book = EvidenceBook()
    book.take(
        [
            ("hammer", "EURUSD", "1h", 40, 20),
            ("hammer", "GBPUSD", "1h", 10, 1),
            ("_baseline_long", "EURUSD", "1h", 100, 40),
            ("_baseline_long", "GBPUSD", "1h", 100, 20),
        ]
    )
    own, shared = book.of("hammer", "EURUSD", "1h"), book.of("hammer", "GBPUSD", "1h")
    assert own is not None and (own.scope, own.n, own.hit_rate, own.baseline) == ("symbol", 40, 0.5, 0.4)
    assert own.lift == pytest.approx(0.1)
    assert shared is not None and (shared.scope, shared.n, shared.hit_rate) == ("all", 50, 21 / 50)
    assert shared.baseline == 0.3


STEPS = st.lists(st.one_of(st.integers(1, 40), st.tuples(st.just("load"), st.integers(0, 90))), max_size=25)


@settings(max_examples=80)
@given(STEPS, st.integers(5, 60))
def test_a_ring_is_the_newest_of_a_list(steps: list[int | tuple[str, int]], capacity: int) -> None:
    ring, model, at = Ring(capacity), np.empty((6, 0)), 0
    for step in steps:
        if isinstance(step, tuple):
            count = step[1]
            model = np.arange(6 * count, dtype=np.float64).reshape(6, count)
            model[0] = np.arange(count) + 1
            ring.load(model)
            at = count
        else:
            for _ in range(step):
                at += 1
                bar = (float(at), 1.0, 2.0, 0.5, 1.5, float(at))
                ring.append(bar)
                model = np.append(model, np.array(bar)[:, None], axis=1)
        model = model[:, -capacity:]
        assert len(ring) == model.shape[1]
        assert np.array_equal(ring.columns(), model)
        assert ring.last_ms == (int(model[0, -1]) if model.shape[1] else 0)
        assert ring.after(at - 3) == min(3, model.shape[1])
        bars = ring.bars(7)
        assert bars.open_ms.tolist() == model[0, -7:].tolist()
