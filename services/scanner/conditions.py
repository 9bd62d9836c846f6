"""Conditions an agent may ask about a context: figures of its bars and a plain yes or no. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from libs.common.candles import DAY_MS
from services.scanner.bars import Bars
from services.scanner.rounding import shown

VOLUME_BARS = 20
WINDOW_DAYS = 5
DAYS_MAX = 365
CONDITIONS: Mapping[str, str] = {
    "price_above_vwap": "The close is above the volume-weighted average price of the last window_days days.",
    "price_volume_state": "The price moved over 20 bars, and the volume of the last bar tops their mean.",
}


def window_days_of(parameters: Mapping[str, object]) -> int | None:
    """``window_days`` as given, its default, or None when it is no number of days or not alone."""
    days = parameters.get("window_days", WINDOW_DAYS)
    if isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= DAYS_MAX:
        return None
    return days if set(parameters) <= {"window_days"} else None


def price_above_vwap(bars: Bars, days: int, digits: int) -> tuple[bool, dict[str, object]]:
    """Typical prices (high + low + close) / 3 weighted by volume; no volume at all: no average, not met."""
    last_ms = int(bars.open_ms[-1])
    part = bars.cut(int(np.searchsorted(bars.open_ms, last_ms - days * DAY_MS, side="right")))
    typical = (part.high + part.low + part.close) / 3.0
    volume = float(part.volume.sum())
    close = float(part.close[-1])
    vwap = float(typical @ part.volume) / volume if volume > 0 else None
    values: dict[str, object] = {
        "price": shown(close, digits),
        "vwap": None if vwap is None else shown(vwap, digits),
        "candles": len(part),
    }
    return vwap is not None and close > vwap, values


def price_volume_state(bars: Bars, digits: int) -> tuple[bool, dict[str, object]]:
    """The move over the last 20 bars, and the last volume beside the mean of the 20 before it."""
    before = bars.cut(max(0, len(bars) - 1 - VOLUME_BARS), len(bars) - 1)
    close = float(bars.close[-1])
    start = float(before.close[0]) if len(before) else close
    mean = float(before.volume.mean()) if len(before) else 0.0
    volume = float(bars.volume[-1])
    direction = "rising" if close > start else "falling" if close < start else "flat"
    busy = mean > 0 and volume > mean
    values: dict[str, object] = {
        "state": f"{direction}_{'on_volume' if busy else 'without_volume'}",
        "price": shown(close, digits),
        "price_before": shown(start, digits),
        "volume": shown(volume, 8),
        "volume_mean": shown(mean, 8),
        "candles": len(before) + 1,
    }
    return busy and direction != "flat", values
