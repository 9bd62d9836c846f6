"""One number for how a coin's recent signals lean: 50 is neither way. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable

HALF_LIFE_MS = 24 * 3_600_000
PRIOR = 2.0  # weight of "nothing known": one signal alone moves little


def bullishness(signals: Iterable[tuple[int, float, int]]) -> float:
    """``50 + 50 · Σ s·C·d / (2 + Σ C·d)`` over ``(sign, confidence, age in ms)``, d halving each 24 h.

    Between 0 and 100; the sign is 1 for bullish, -1 for bearish, 0 for neutral.
    """
    weighed = [(sign, confidence * 0.5 ** (age_ms / HALF_LIFE_MS)) for sign, confidence, age_ms in signals]
    lean = math.fsum(sign * weight for sign, weight in weighed)
    return 50.0 + 50.0 * lean / (PRIOR + math.fsum(weight for _, weight in weighed))
