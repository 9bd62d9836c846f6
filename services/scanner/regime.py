"""The regime: does the market trend, which way, how strongly, and how wide does it swing. Pure."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.scanner.constants import REGIME_BARS, REGIME_MOVE_FULL, REGIME_MOVE_MIN, REGIME_R2_MIN

Trend = Literal["up", "down", "range"]


class Regime(NamedTuple):
    """``strength`` 0..1, ``vol_pct`` the ATR in percent of the last close, ``r2`` how well a line fits,
    ``move`` the line's rise over the window in ATR."""

    trend: Trend
    strength: float
    vol_pct: float
    r2: float
    move: float


def regimes(close: NDArray[np.float64], atr: NDArray[np.float64]) -> list[Regime]:
    """The regime of each row of closes, shape ``(symbols, n)``, with the last ATR of each, ``(symbols,)``.

    A least-squares line through the last 50 closes; `range` when it rises less than 2 ATR or explains
    less than a quarter of the variance; strength = R² · min(1, move / 8).
    """
    width = min(REGIME_BARS, close.shape[1])
    # Measured from the window's first close: a flat window has a variance of exactly 0.
    y = close[:, -width:] - close[:, -width][:, None]
    y = y - y.mean(axis=1, keepdims=True)
    x = np.arange(width) - (width - 1) / 2
    xx = float((x * x).sum())
    xy, yy = (y * x).sum(axis=1), (y * y).sum(axis=1)
    slope = xy / xx
    r2 = np.minimum(np.divide(xy * xy, xx * yy, out=np.zeros_like(yy), where=yy > 0), 1.0)
    move = np.divide(np.abs(slope) * (width - 1), atr, out=np.zeros_like(atr), where=atr > 0)
    vol_pct = 100.0 * atr / close[:, -1]
    strength = r2 * np.minimum(1.0, move / REGIME_MOVE_FULL)
    return [
        Regime(trend_of(s, r, m), power, vol, r, m)
        for s, r, m, power, vol in zip(
            slope.tolist(), r2.tolist(), move.tolist(), strength.tolist(), vol_pct.tolist(), strict=True
        )
    ]


def trend_of(slope: float, r2: float, move: float) -> Trend:
    """The trend's name."""
    if move < REGIME_MOVE_MIN or r2 < REGIME_R2_MIN:
        return "range"
    return "up" if slope > 0 else "down"
