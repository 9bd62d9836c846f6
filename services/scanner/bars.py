"""Bars of one symbol and timeframe as columns, and what is not a series of bars. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Times = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Bars:
    """Bars, oldest first: open times in Unix ms (int64), the others float64; all of one length."""

    open_ms: Times
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    def __len__(self) -> int:
        return len(self.open_ms)

    def cut(self, start: int, stop: int | None = None) -> Bars:
        """The bars of a slice, as views."""
        at = slice(start, stop)
        return Bars(
            self.open_ms[at], self.open[at], self.high[at], self.low[at], self.close[at], self.volume[at]
        )

    def last(self, count: int) -> Bars:
        """At most the last ``count`` (> 0) bars, as views."""
        return self.cut(max(len(self) - count, 0))


def bars_of(rows: Sequence[Sequence[float]]) -> Bars:
    """Bars of rows ``[open_ms, open, high, low, close, volume]``, oldest first."""
    times = np.array([row[0] for row in rows], dtype=np.int64)
    columns = np.array([row[1:6] for row in rows], dtype=np.float64).reshape(len(rows), 5).T.copy()
    return Bars(times, *columns)


def fault_of(bars: Bars) -> str | None:
    """Why this is no series of bars, or None when it is one.

    A hole in time is no fault: markets close. Two bars of one time, a step back in time, a price that is
    not above 0, a high below its bar or a low above it, NaN and infinity are.
    """
    prices = np.stack((bars.open, bars.high, bars.low, bars.close))
    if not (np.isfinite(prices).all() and np.isfinite(bars.volume).all()):
        return "a value was not a finite number"
    if (np.diff(bars.open_ms) <= 0).any():
        return "two bars had one time, or went back in time"
    if (prices <= 0).any():
        return "a price was not above 0"
    if (bars.high != prices.max(axis=0)).any() or (bars.low != prices.min(axis=0)).any():
        return "a high or a low lay inside its bar"
    if (bars.volume < 0).any():
        return "a volume was below 0"
    return None
