"""What is a candle and what is not, wherever it comes from. Pure."""

from __future__ import annotations

import math

from libs.common.candles import TIME_MAX_MS, Candle


def fault_of(candle: Candle) -> str | None:
    """Why this is no candle, or None when it is one."""
    if not all(math.isfinite(value) for value in candle[1:]):
        return "a value was not a finite number"
    if not 0 <= candle.open_ms <= TIME_MAX_MS:
        return "time was not a Unix time in milliseconds from 1970 to 9998"
    if not 0 < candle.low <= min(candle.open, candle.close):
        return "low was not above 0, or above open or close"
    if candle.high < max(candle.open, candle.close):
        return "high was below open or close"
    if candle.volume < 0:
        return "volume was below 0"
    return None
