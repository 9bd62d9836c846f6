"""Where TA-Lib has the same pattern, it sees it on the same bars; where it differs, by how much."""

from __future__ import annotations

import numpy as np
import pytest
import talib

from services.scanner.patterns import Rows, candlesticks
from tests.unit.scanner.series import bars_of_columns, walk


def confidences(bars: object, atr: float) -> dict[str, np.ndarray]:
    columns = (getattr(bars, name)[None, :] for name in ("open", "high", "low", "close"))
    return {name: row[0] for name, row in candlesticks(Rows(*columns, np.array([atr]))).items()}


@pytest.mark.parametrize("seed", range(20))
def test_talib_sees_every_engulfing_bar_and_no_other(seed: int) -> None:
    """Without our floor on the range. TA-Lib takes a body of nothing before for engulfed; we do not."""
    bars = walk(seed, 400, decimals=2 if seed % 2 else 1)
    ours = confidences(bars, 1e-12)
    theirs = talib.CDLENGULFING(bars.open, bars.high, bars.low, bars.close)
    empty = np.concatenate(([False], (bars.open == bars.close)[:-1]))
    theirs = np.where(empty, 0, theirs)[-60:]
    np.testing.assert_array_equal(ours["bullish_engulfing"] > 0, theirs > 0)
    np.testing.assert_array_equal(ours["bearish_engulfing"] > 0, theirs < 0)


def test_talib_sees_the_same_doji_where_every_range_is_the_same() -> None:
    """TA-Lib measures a body by the mean range of the ten bars before, we by the bar's own range."""
    rng = np.random.default_rng(1)
    opened = 100 + rng.integers(0, 65, 300) / 64
    close = 100 + rng.integers(0, 65, 300) / 64
    bars = bars_of_columns(opened, [101.0] * 300, [100.0] * 300, close, [1.0] * 300)
    ours = confidences(bars, 1e-12)["doji"] > 0
    theirs = talib.CDLDOJI(bars.open, bars.high, bars.low, bars.close)[-60:] != 0
    np.testing.assert_array_equal(ours, theirs)
    assert ours.any()
    assert not ours.all()
