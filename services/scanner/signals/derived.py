"""The figures a signal shows beside its score: changes, volume, capitalisation, the graph. Pure and causal.

Everything is of closed bars up to the bar that triggered; what is not known is None, never made up.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from services.scanner.bars import Bars
from services.scanner.rounding import rounded
from services.scanner.signals.assets import Asset
from services.scanner.signals.measures import DAY_MS, HOUR_MS

POINTS = 24
CENTS = 2
CHANGE_DECIMALS = 4


class Point(NamedTuple):
    """A close, and the volume of the 24 hours before it in USD."""

    at_ms: int
    price: float
    volume: float


class Figures(NamedTuple):
    """Prices in USD, the change in per cent. Amounts are rounded to cents, the change to 0.0001."""

    price: float
    change_1h: float | None
    volume_24h: float
    market_cap: float | None
    diluted_cap: float | None
    graph: tuple[Point, ...]


def figures_of(bars: Bars, close_ms: int, step_ms: int, asset: Asset) -> Figures:
    """The figures at the end of the last bar. ``step_ms`` is the length of a bar."""
    closes_ms = bars.open_ms + step_ms
    price = float(bars.close[-1])
    most = asset.max if asset.max is not None else asset.total
    every = max(HOUR_MS, step_ms)
    marks = [close_ms - back * every for back in range(POINTS - 1, -1, -1)]
    return Figures(
        price=price,
        change_1h=_change_1h(bars, closes_ms, close_ms, step_ms),
        volume_24h=_volume(bars, closes_ms, close_ms),
        market_cap=_times(price, asset.circulating),
        diluted_cap=_times(price, most),
        graph=tuple(
            Point(mark, float(bars.close[at]), _volume(bars, closes_ms, mark))
            for mark in marks
            if (at := int(np.searchsorted(closes_ms, mark, "right")) - 1) >= 0
        ),
    )


def _change_1h(bars: Bars, closes_ms: np.ndarray, close_ms: int, step_ms: int) -> float | None:
    """From the last close known an hour before; None where a bar is longer than that."""
    at = int(np.searchsorted(closes_ms, close_ms - HOUR_MS, "right")) - 1
    if step_ms > HOUR_MS or at < 0:
        return None
    return rounded(100.0 * (float(bars.close[-1]) / float(bars.close[at]) - 1.0), CHANGE_DECIMALS)


def _volume(bars: Bars, closes_ms: np.ndarray, end_ms: int) -> float:
    """Σ volume × close over the bars that closed in the 24 hours that end with a moment."""
    first, last = (int(np.searchsorted(closes_ms, at, "right")) for at in (end_ms - DAY_MS, end_ms))
    return rounded(float((bars.volume[first:last] * bars.close[first:last]).sum()), CENTS)


def _times(price: float, supply: float | None) -> float | None:
    return None if supply is None else rounded(price * supply, CENTS)
