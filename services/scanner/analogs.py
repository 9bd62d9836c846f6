"""Analogs: where the same series looked as it does now, and what came after. All outcomes, losers included.

The work is a similarity search: the correlation of the last window with every earlier one (the idea of
MASS, Mueen et al., The Fastest Similarity Search Algorithm for Time Series Subsequences). A fast pass finds
what may reach the threshold; whatever then counts is computed anew from its own bars, so that neither the
order nor the threshold hangs on the dust of running sums. Pure.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from services.scanner import constants as k

Floats = NDArray[np.float64]

_DIRECT_WINDOW = 96  # up to here a plain correlation is faster than a Fourier transform
_CHUNK = 128  # candidates that are computed anew at a time
_BLOCK = 1 << 13  # of a transform: what fits a core's cache
_MARGIN = 1e-8  # of a similarity, for the dust of the products


class Match(NamedTuple):
    """A window that ended at bar ``end`` (an index), how alike it is (0.8..1), and the return after it."""

    end: int
    similarity: float
    outcome: float  # close at the horizon / close at the end - 1


class Distribution(NamedTuple):
    """The outcomes of all matches; the figures are None when there is no match. Fractions, unrounded."""

    n: int
    win_rate: float | None
    median: float | None
    mean: float | None
    min: float | None
    max: float | None


def bars_needed(window: int, horizon: int) -> int:
    """The fewest bars in which a search makes sense."""
    return max(2 * window + horizon + 1, k.CANDLES_MIN)


def matches_in(close: Floats, window: int, horizon: int) -> list[Match]:
    """The accepted matches of the last ``window`` closes, the most similar first, at most 50.

    A candidate ends where it neither overlaps the last window nor lacks ``horizon`` bars after it. The
    similarity is the correlation of the z-normalised windows; windows without deviation have none. Equal
    similarities (12 decimals) go to the later; a match closer than half a window to an accepted one is left.
    """
    last = len(close) - 1 - max(window, horizon)  # where the last candidate ends
    query = _normalised(close[None, -window:])
    if query is None or last < window - 1:
        return []
    ends, bounds = _hopeful(close[: last + 1], query[0])
    return [
        Match(end, similarity, float(close[end + horizon] / close[end] - 1.0))
        for end, similarity in _accepted(close, query[0], ends, bounds)
    ]


def distribution_of(outcomes: Floats) -> Distribution:
    """The figures of all outcomes."""
    if not len(outcomes):
        return Distribution(0, None, None, None, None, None)
    return Distribution(
        len(outcomes),
        float((outcomes > 0).mean()),
        float(np.median(outcomes)),
        float(outcomes.mean()),
        float(outcomes.min()),
        float(outcomes.max()),
    )


def _normalised(windows: Floats) -> Floats | None:
    """Each window z-normalised (population deviation), None if one has no deviation."""
    z, deviation = _centred(windows)
    if (deviation < k.ANALOG_FLAT).any():
        return None
    return z / deviation[:, None]


def _centred(windows: Floats) -> tuple[Floats, Floats]:
    # Measured from the window's own first close: a flat window deviates by exactly 0.
    moved = windows - windows[:, :1]
    centred = moved - moved.mean(axis=1, keepdims=True)
    return centred, np.sqrt(np.square(centred).mean(axis=1))


def _exact(close: Floats, query: Floats, ends: NDArray[np.int64]) -> Floats:
    """The similarity of the windows that end there, from their own closes; -1 without deviation."""
    window = len(query)
    centred, deviation = _centred(sliding_window_view(close, window)[ends - window + 1])
    products = np.einsum("ij,j->i", centred, query) / window
    flat = deviation < k.ANALOG_FLAT
    similarity: Floats = np.where(flat, -1.0, products / np.where(flat, 1.0, deviation))
    return similarity.round(k.ANALOG_DECIMALS)


def _accepted(
    close: Floats, query: Floats, ends: NDArray[np.int64], bounds: Floats
) -> list[tuple[int, float]]:
    """Greedily the best, then the best that is far enough from all before.

    ``bounds`` (descending) is what a candidate can reach at most. A candidate is decided once nothing that
    was not computed yet can be as similar; one too close to an accepted match is never computed.
    """
    apart = len(query) // 2
    free = np.ones(len(close), dtype=bool)
    taken: list[tuple[int, float]] = []
    waiting: list[tuple[float, int]] = []  # minus the similarity and the end: the best first
    for start in range(0, len(ends), _CHUNK):
        chunk = ends[start : start + _CHUNK]
        chunk = chunk[free[chunk]]
        if len(chunk):
            found = _exact(close, query, chunk)
            enough = found >= k.ANALOG_SIMILARITY
            waiting += zip((-found[enough]).tolist(), (-chunk[enough]).tolist(), strict=True)
            waiting.sort()
        reach = float(bounds[start + _CHUNK]) if start + _CHUNK < len(bounds) else -np.inf
        decided = bisect_left(waiting, (-reach, -len(close)))
        for similarity, end in waiting[:decided]:
            if free[-end]:
                taken.append((-end, -similarity))
                free[max(-end - apart + 1, 0) : max(-end + apart, -end + 1)] = False
                if len(taken) == k.ANALOG_MATCHES_MAX:
                    return taken
        waiting = waiting[decided:]
    return taken


def _hopeful(close: Floats, query: Floats) -> tuple[NDArray[np.int64], Floats]:
    """The ends of the windows that may reach the threshold, and what each can reach at most, descending.

    With P the product of a window and the query, and S1 and S2 the window's sum and square sum, the
    similarity is P / sqrt(window * S2 - S1 * S1): running sums over closes centred once. What their
    additions may be off is taken from the divisor, so that the quotient is the most it can be; a divisor
    of 0 or less bounds nothing.
    """
    window, n = len(query), len(close)
    x = close - close.mean()
    squares = np.cumsum(np.square(x))
    largest, total = max(float(x.max()), -float(x.min())), float(squares[-1])
    spread = _differences(squares, window)
    spread *= window
    sums = _differences(np.cumsum(x), window)
    spread -= np.square(sums, out=sums)
    additions = 4.0 * np.finfo(np.float64).eps * n
    spread -= additions * window * (total + 2.0 * largest * math.sqrt(n * total))
    products = _products(x, query)
    np.maximum(products, 0.0, out=products)
    spread *= (k.ANALOG_SIMILARITY - _MARGIN) ** 2
    places = np.nonzero(np.square(products) >= spread)[0]
    below = spread[places] / (k.ANALOG_SIMILARITY - _MARGIN) ** 2
    sure = below > 0
    reach = products[places] / np.sqrt(np.where(sure, below, 1.0))
    bounds = np.where(sure, reach + _MARGIN, np.inf)
    order = np.argsort(bounds)[::-1]  # of equal bounds any may come first
    return places[order] + window - 1, bounds[order]


def _differences(running: Floats, window: int) -> Floats:
    """The sum of every window from the running sum."""
    out = running[window - 1 :].copy()
    out[1:] -= running[:-window]
    return out


def _products(x: Floats, query: Floats) -> Floats:
    """The sliding dot products; blocks of a transform where the window is long."""
    if len(query) <= _DIRECT_WINDOW:
        return np.correlate(x, query, "valid")
    size = min(_BLOCK, 1 << (len(x) + len(query)).bit_length())
    step = size - len(query) + 1
    spectrum = np.conj(np.fft.rfft(query, size))
    out = np.empty(len(x) - len(query) + 1)
    for start in range(0, len(out), step):
        part = np.fft.irfft(np.fft.rfft(x[start : start + size], size) * spectrum, size)[:step]
        out[start : start + step] = part[: len(out) - start]
    return out
