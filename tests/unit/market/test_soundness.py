"""What is a candle, against the sentence of the contract."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from libs.common.candles import TIME_MAX_MS, Candle
from services.market.soundness import fault_of

VALUES = st.floats() | st.sampled_from([0.0, 1.0, 2.0, 3.0])


@given(
    st.integers(-5, 5) | st.just(TIME_MAX_MS) | st.just(TIME_MAX_MS + 1),
    VALUES,
    VALUES,
    VALUES,
    VALUES,
    VALUES,
)
def test_a_candle_is_finite_in_time_and_between_its_low_and_high(
    at_ms: int, o: float, h: float, low: float, c: float, v: float
) -> None:
    good = all(math.isfinite(x) for x in (o, h, low, c, v))
    good = good and 0 <= at_ms <= TIME_MAX_MS and low > 0 and v >= 0
    good = good and all(low <= x <= h for x in (o, c))
    assert (fault_of(Candle(at_ms, o, h, low, c, v)) is None) == good
