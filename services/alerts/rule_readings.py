"""What the leaves of rules read from bars. Pure numpy.

An indicator at a bar is made of the last WINDOW bars up to it and of nothing else, so that the value is the
same whether the bar has just closed or is looked at again a month later, whatever came before and after.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from libs.common import indicators
from libs.common.messages import alert_rules as m

WINDOW = 600
ROWS_MAX = 1_000  # windows looked at together: 1,000 of 600 bars are 5 MB a column
OPEN_MS, OPEN, HIGH, LOW, CLOSE, VOLUME = range(6)

Floats = NDArray[np.float64]
Codes = NDArray[np.int8]


class Reading(IntEnum):
    """What a leaf sees on a bar."""

    UNKNOWN = -1  # not enough bars yet
    NO = 0
    NEAR = 1  # not met, but not beyond the hysteresis either: what was true stays true
    YES = 2


def readings(leaf: m.Leaf, bars: Floats, first: int) -> Codes:
    """The readings of a leaf on the bars from ``first`` on; ``bars`` has shape (6, n), oldest first.

    Events of other services are no matter of bars: they read NO.
    """
    count = bars.shape[1]
    out = np.zeros(max(count - first, 0), dtype=np.int8)
    if not _reads_bars(leaf):
        return out
    at = first
    while at < count:
        if at + 1 < WINDOW:
            out[at - first] = _code(leaf, bars[:, : at + 1])
            at += 1
            continue
        end = min(at + ROWS_MAX, count)
        windows = np.lib.stride_tricks.sliding_window_view(bars[:, at + 1 - WINDOW : end], WINDOW, axis=-1)
        out[at - first : end - first] = _code(leaf, windows)
        at = end
    return out


def _reads_bars(leaf: m.Leaf) -> bool:
    return isinstance(leaf, m.Price | m.Change | m.Rsi | m.EmaCross | m.Atr | m.VolumeZ)


def _code(leaf: m.Leaf, bars: NDArray[np.float64]) -> NDArray[np.int8]:
    """Readings of the last bar of each window; ``bars`` has shape (6, …, n)."""
    if isinstance(leaf, m.EmaCross):
        close = bars[CLOSE]
        turns = indicators.crosses(indicators.ema(close, leaf.fast), indicators.ema(close, leaf.slow))
        wanted = 1 if leaf.direction == "up" else -1
        return np.where(turns[..., -1] == wanted, Reading.YES, Reading.NO).astype(np.int8)
    value, level, hysteresis = _value(leaf, bars)
    above = getattr(leaf, "op", "").endswith("above")
    met = value > level if above else value < level
    near = value > level - hysteresis if above else value < level + hysteresis
    codes = np.where(met, Reading.YES, np.where(near, Reading.NEAR, Reading.NO))
    return np.where(np.isnan(value), Reading.UNKNOWN, codes).astype(np.int8)


def _value(leaf: m.Leaf, bars: NDArray[np.float64]) -> tuple[NDArray[np.float64], float, float]:
    """The number a leaf compares, its level and its hysteresis."""
    close = bars[CLOSE]
    match leaf:
        case m.Price():
            column = {"close": CLOSE, "high": HIGH, "low": LOW}[leaf.of]
            return bars[column][..., -1], leaf.value, leaf.hysteresis
        case m.Change():
            near = close[..., -leaf.bars - 1 :]
            return indicators.percent_change(near, leaf.bars)[..., -1], leaf.percent, leaf.hysteresis
        case m.Rsi():
            return indicators.rsi(close, leaf.period)[..., -1], leaf.value, leaf.hysteresis
        case m.Atr():
            reach = indicators.atr(bars[HIGH], bars[LOW], close, leaf.period)[..., -1]
            return 100.0 * reach / close[..., -1], leaf.percent, leaf.hysteresis
        case m.VolumeZ():
            near = bars[VOLUME][..., -leaf.window - 1 :]  # all it reads: the rest need not be worked out
            return indicators.volume_z(near, leaf.window)[..., -1], leaf.value, leaf.hysteresis
        case _:
            raise TypeError(f"{type(leaf).__name__} reads no bars")
