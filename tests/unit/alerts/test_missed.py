"""Which candles may stand for ticks that are gone, and the ticks they stand for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from libs.common.candles import MINUTE_MS
from libs.common.missed_ticks import CANDLES_MAX, digits_of, gap_between, ticks_of

times = st.integers(1_600_000_000_000, 1_800_000_000_000)


@given(seen_ms=times, away_ms=st.integers(-MINUTE_MS, 400 * 24 * 60 * MINUTE_MS))
def test_only_whole_candles_between_the_two_ticks_are_asked_for(seen_ms: int, away_ms: int) -> None:
    next_ms = seen_ms + away_ms
    gap = gap_between(seen_ms, next_ms)
    if gap is None:
        # No whole minute lies between, or no whole candle of the finest frame that is not too many.
        assert away_ms < 2 * MINUTE_MS or away_ms > CANDLES_MAX * MINUTE_MS
        return
    assert seen_ms < gap.from_ms < gap.to_ms <= next_ms
    assert gap.from_ms % gap.frame.span_ms == gap.to_ms % gap.frame.span_ms == 0
    assert gap.from_ms - seen_ms <= gap.frame.span_ms
    assert next_ms - gap.to_ms < gap.frame.span_ms
    assert (gap.to_ms - gap.from_ms) // gap.frame.span_ms <= CANDLES_MAX
    asked = gap.ask("EURUSD")
    assert (asked.from_s * 1000, asked.to_s * 1000) == (gap.from_ms, gap.to_ms - 1000)


def test_ticks_follow_the_order_of_a_replay_at_the_accounts_prices() -> None:
    rows = [(1.1, 1.3, 1.0, 1.2, 5, 60), (1.2, 1.25, 1.05, 1.1, 5, 120)]
    ticks = ticks_of(rows, symbol="EURUSD", shift=0.0001, spread=0.0002, digits=5, seq=9)
    assert [tick.bid for tick in ticks] == [1.1001, 1.0001, 1.3001, 1.2001, 1.2001, 1.2501, 1.0501, 1.1001]
    assert [tick.ask for tick in ticks[:2]] == [1.1003, 1.0003]
    assert {tick.seq for tick in ticks} == {9}
    assert [tick.ctm for tick in ticks][3:5] == [60, 120]


def test_digits_are_those_of_the_longest_price() -> None:
    assert digits_of(1.1, 1.10001) == 5
    assert digits_of(100.0, 3.0) == 0
    assert digits_of(0.00000123) == 8
