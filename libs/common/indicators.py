"""Indicators over bars: averages, RSI, true range, ATR, volume z. Pure numpy, one symbol or many at once.

Every function takes arrays of shape ``(..., n)``, oldest bar first and free of NaN, and gives float64 of the
same shape; a bar whose indicator does not exist yet is NaN. A row of a batch is bit for bit what that row
gives alone, so that a scan over all symbols and a single answer never differ. Periods are in bars (>= 1).
The value at a bar depends on that bar and older ones only.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

RSI_PERIOD = 14
ATR_PERIOD = 14
VOLUME_WINDOW = 96
FEW_ROWS = 16  # up to here a recursion in plain floats beats an array operation per bar
MAD_TO_SIGMA = 1.4826  # the MAD of a normal sample times this is its standard deviation


def sma(values: ArrayLike, period: int) -> Floats:
    """The mean of the last ``period`` values, from bar ``period - 1`` on.

    Each window is summed anew: a running sum would carry the dust of old bars into new ones.
    """
    x, out = _prepared(values)
    if x.shape[-1] >= period:
        out[..., period - 1 :] = _windows(x, period).mean(axis=-1)
    return out


def ema(values: ArrayLike, period: int) -> Floats:
    """Exponential average: the SMA of the first ``period`` values, then k = 2 / (period + 1)."""
    return _smoothed(values, period, 2.0 / (period + 1))


def wilder(values: ArrayLike, period: int) -> Floats:
    """Wilder's average: the SMA of the first ``period`` values, then k = 1 / period."""
    return _smoothed(values, period, 1.0 / period)


def rsi(close: ArrayLike, period: int = RSI_PERIOD) -> Floats:
    """Wilder's relative strength index, 0..100, from bar ``period`` on.

    100 when nothing was lost, 50 when nothing moved (Wilder, New Concepts in Technical Trading Systems).
    """
    x, out = _prepared(close)
    if x.shape[-1] <= period:
        return out
    moves = np.diff(x, axis=-1)
    both = wilder(np.stack((np.maximum(moves, 0.0), np.maximum(-moves, 0.0))), period)
    gain, loss = both[0, ..., period - 1 :], both[1, ..., period - 1 :]
    with np.errstate(divide="ignore", invalid="ignore"):
        strength = 100.0 - 100.0 / (1.0 + gain / loss)
    out[..., period:] = np.where(loss == 0.0, np.where(gain > 0.0, 100.0, 50.0), strength)
    return out


def true_range(high: ArrayLike, low: ArrayLike, close: ArrayLike) -> Floats:
    """How far a bar reached, the gap to the close before it included; the first bar has no gap."""
    tops, bottoms, closes = (np.asarray(a, dtype=np.float64) for a in (high, low, close))
    out = tops - bottoms
    before = closes[..., :-1]
    np.maximum(out[..., 1:], np.abs(tops[..., 1:] - before), out=out[..., 1:])
    np.maximum(out[..., 1:], np.abs(bottoms[..., 1:] - before), out=out[..., 1:])
    return out


def atr(high: ArrayLike, low: ArrayLike, close: ArrayLike, period: int = ATR_PERIOD) -> Floats:
    """Average true range: Wilder's average of the true range, from bar ``period - 1`` on.

    The first bar's range counts (TA-Lib begins one bar later).
    """
    return wilder(true_range(high, low, close), period)


def volume_z(volume: ArrayLike, window: int = VOLUME_WINDOW) -> Floats:
    """How unusual a volume is beside the ``window`` bars before it, from bar ``window`` on.

    A robust z-score of the logarithm: (ln V - median) / (1.4826 * MAD); 0 when the MAD is 0. Volumes below
    a 10^-9 part of a unit, zero included, count as that, so that the logarithm exists.
    """
    x, out = _prepared(volume)
    if x.shape[-1] <= window:
        return out
    logs = np.log(np.maximum(x, 1e-9))
    before = _windows(logs[..., :-1], window)
    median = np.median(before, axis=-1)
    spread = MAD_TO_SIGMA * np.median(np.abs(before - median[..., None]), axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        out[..., window:] = np.where(spread == 0.0, 0.0, (logs[..., window:] - median) / spread)
    return out


def percent_change(values: ArrayLike, bars: int) -> Floats:
    """The change over the last ``bars`` bars in percent, from bar ``bars`` on; values are positive."""
    x, out = _prepared(values)
    if x.shape[-1] > bars:
        out[..., bars:] = 100.0 * (x[..., bars:] / x[..., :-bars] - 1.0)
    return out


def crosses(fast: ArrayLike, slow: ArrayLike) -> NDArray[np.int8]:
    """Where one line crossed the other: +1 at the bar ``fast`` came above ``slow``, -1 below, else 0.

    A bar on which both are equal belongs to neither side: a touch that turns back is no crossing.
    """
    side = np.sign(np.asarray(fast, dtype=np.float64) - np.asarray(slow, dtype=np.float64))
    known = np.where(np.isnan(side), 0.0, side).astype(np.int8)
    at = np.where(known != 0, np.arange(known.shape[-1]), 0)
    held = np.take_along_axis(known, np.maximum.accumulate(at, axis=-1), axis=-1)
    out = np.zeros(known.shape, dtype=np.int8)
    turned = (held[..., 1:] != held[..., :-1]) & (held[..., :-1] != 0)
    out[..., 1:] = np.where(turned, held[..., 1:], 0)
    return out


def _prepared(values: ArrayLike) -> tuple[Floats, Floats]:
    """The input as contiguous float64 (so that sums add in one order) and an output of NaN."""
    x = np.ascontiguousarray(values, dtype=np.float64)
    return x, np.full(x.shape, np.nan)


def _windows(x: Floats, period: int) -> NDArray[Any]:
    return np.lib.stride_tricks.sliding_window_view(x, period, axis=-1)


def _smoothed(values: ArrayLike, period: int, k: float) -> Floats:
    """The recursion y += (x - y) * k from a seed: a value that equals the average leaves it unchanged."""
    x, out = _prepared(values)
    n = x.shape[-1]
    if n < period:
        return out
    rows = x.reshape(-1, n)
    seeds = rows[:, :period].mean(axis=-1)
    smooth = out.reshape(-1, n)
    if len(rows) <= FEW_ROWS:
        for row, seed, into in zip(rows, seeds.tolist(), smooth, strict=True):
            rest = row[period:].tolist()
            into[period - 1 :] = list(accumulate(rest, lambda y, v: y + (v - y) * k, initial=seed))
        return out
    by_bar, y, step = np.ascontiguousarray(rows.T), seeds.copy(), np.empty(len(rows))
    by_bar[period - 1] = y
    for values_at in by_bar[period:]:
        np.subtract(values_at, y, out=step)
        np.multiply(step, k, out=step)
        np.add(y, step, out=y)
        values_at[:] = y
    smooth[:, period - 1 :] = by_bar[period - 1 :].T
    return out
