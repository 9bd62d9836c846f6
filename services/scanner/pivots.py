"""Swing points: bars that top their neighbours on both sides. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from services.scanner.constants import PIVOT_SIDE

Mask = NDArray[np.bool_]


def swing_highs(high: NDArray[np.float64]) -> Mask:
    """Where the high is above each of the three before it and not below any of the three after it.

    Arrays are ``(..., n)``. Of equal highs the earliest counts. A swing point is known three bars after it
    and never changes from then on.
    """
    out = np.zeros(high.shape, dtype=bool)
    n, k = high.shape[-1], PIVOT_SIDE
    if n < 2 * k + 1:
        return out
    middle = high[..., k : n - k]
    inside = np.ones(middle.shape, dtype=bool)
    for away in range(1, k + 1):
        inside &= middle > high[..., k - away : n - k - away]
        inside &= middle >= high[..., k + away : n - k + away]
    out[..., k : n - k] = inside
    return out


def swing_lows(low: NDArray[np.float64]) -> Mask:
    """The mirror: below each of the three before, not above any of the three after."""
    return swing_highs(-low)
