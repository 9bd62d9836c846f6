"""Analogs: where the same series looked as it does now, and what came after. All outcomes, losers included.

The work is a similarity search: the correlation of the last window with every earlier one (the idea of
MASS, Mueen et al., The Fastest Similarity Search Algorithm for Time Series Subsequences). A fast pass finds
what may reach the threshold; whatever then counts is computed anew from its own bars, so that neither the
order nor the threshold hangs on the dust of the fast pass. Pure.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from services.scanner import constants as k

Floats = NDArray[np.float64]

_DIRECT_WINDOW = 96  # up to here products of matrices are faster than a Fourier transform
_WIDTH = 32  # of those matrices at least
_PRODUCTS_MAX = 1 << 18  # multiplications of matrices at a time: above, their library wakes threads
_CHUNK = 1 << 13  # bars of candidates that are computed anew at a time
_HEAD, _HEAD_GROWTH = 512, 8  # candidates that are put in order at a time
_BLOCK = 1 << 13  # bars at a time: what fits a core's cache, and is not asked of the system each time
_EPS = float(np.finfo(np.float64).eps)
_MARGIN = 1e-8  # of a similarity, for the dust of the products
_SUM_DUST = 128.0  # of a sum of a window, in roundings
_TRANSFORM_DUST = 128.0  # of a transform, in roundings of what it transformed


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

    ``bounds`` is what a candidate can reach at most. A candidate is decided once nothing that was not
    computed yet can be as similar; one too close to an accepted match is never computed.
    """
    apart = len(query) // 2
    free = np.ones(len(close), dtype=bool)
    taken: list[tuple[int, float]] = []
    waiting: list[tuple[float, int]] = []  # minus the similarity and the end: the best first
    for places, reach in _in_turn(bounds, max(_CHUNK // len(query), 1)):
        chunk = ends[places]
        chunk = chunk[free[chunk]]
        if len(chunk):
            found = _exact(close, query, chunk)
            enough = found >= k.ANALOG_SIMILARITY
            waiting += zip((-found[enough]).tolist(), (-chunk[enough]).tolist(), strict=True)
            waiting.sort()
        decided = bisect_left(waiting, (-reach, -len(close)))
        for similarity, end in waiting[:decided]:
            if free[-end]:
                taken.append((-end, -similarity))
                free[max(-end - apart + 1, 0) : max(-end + apart, -end + 1)] = False
                if len(taken) == k.ANALOG_MATCHES_MAX:
                    return taken
        waiting = waiting[decided:]
    return taken


def _in_turn(bounds: Floats, chunk: int) -> Iterator[tuple[NDArray[np.int64], float]]:
    """Chunks of candidates, the most hopeful first, and what all that come later can reach at most.

    Most searches end among the first: the others are never put in order.
    """
    rest, size = np.arange(len(bounds)), _HEAD
    while len(rest):
        cut = max(len(rest) - size, 0)
        order = np.argpartition(bounds[rest], cut)
        head, rest, size = rest[order[cut:]], rest[order[:cut]], _HEAD_GROWTH * size
        head = head[np.argsort(bounds[head])[::-1]]  # of equal bounds any may come first
        beyond = float(bounds[rest].max()) if len(rest) else -np.inf
        for start in range(0, len(head), chunk):
            later = start + chunk
            yield head[start:later], float(bounds[head[later]]) if later < len(head) else beyond


def _hopeful(close: Floats, query: Floats) -> tuple[NDArray[np.int64], Floats]:
    """The ends of the windows that may reach the threshold, and what each can reach at most."""
    window, count = len(query), len(close) - len(query) + 1
    size = min(_BLOCK, 1 << len(close).bit_length())
    products = _Direct(query, size) if window <= _DIRECT_WINDOW else _Transform(query, size)
    step = size - window + 1
    ends, bounds = [], []
    for start in range(0, count, step):
        places, reach = _hopeful_in(close[start : start + size], window, products)
        ends.append(places + (start + window - 1))
        bounds.append(reach)
    return np.concatenate(ends), np.concatenate(bounds)


def _hopeful_in(close: Floats, window: int, products_of: _Products) -> tuple[NDArray[np.int64], Floats]:
    """The windows of a block that may reach the threshold (where they begin), and what each can reach.

    With P the product of a window and the query, and S1 and S2 the window's sum and square sum, the
    similarity is P / sqrt(window * S2 - S1 * S1), over closes centred once. The divisor is made smaller by
    what rounding may have added to it, and by so much that P's own rounding is below the margin wherever
    something is left of it: the quotient is the most it can be. A divisor of 0 or less bounds nothing.
    """
    x = close - close.mean()
    squares = np.square(x)
    spread = _sums(squares, window)
    spread *= window * (1.0 - products_of.dust)
    sums = _sums(x, window)
    spread -= np.square(sums, out=sums)
    spread -= products_of.dust_of_all * window * float(squares.sum())
    products = products_of.of(x)
    np.maximum(products, 0.0, out=products)
    least = np.multiply(spread, (k.ANALOG_SIMILARITY - _MARGIN) ** 2, out=sums)
    places = np.flatnonzero(np.square(products) >= least)
    below = spread[places]
    sure = below > 0
    reach = products[places] / np.sqrt(np.where(sure, below, 1.0))
    return places, np.where(sure, reach + _MARGIN, np.inf)


def _sums(values: Floats, window: int) -> Floats:
    """The sum of every window, from sums of 1, 2, 4, ... values: nothing is ever subtracted, so that the
    dust of a sum is that of its own values."""
    count = len(values) - window + 1
    total: Floats | None = None
    part, length, done = values, 1, 0
    while True:
        if window & length:
            piece = part[done : done + count]
            total = piece.copy() if total is None else np.add(total, piece, out=total)
            done += length
        if total is not None and done == window:
            return total
        part = part[:-length] + part[length:]
        length *= 2


class _Products(Protocol):
    """The sliding dot products of a block and the query; what of a divisor their rounding may outweigh:
    shares of the window's own square sum, and of that of all the block."""

    dust: float
    dust_of_all: float

    def of(self, x: Floats) -> Floats:
        """One product per window, of a block not longer than said at the start."""


class _Direct:
    """Rows of bars times the query moved along a row: what windows take of their row and of the next one."""

    def __init__(self, query: Floats, size: int) -> None:
        self.dust = _SUM_DUST * _EPS + (2.0 * len(query) * _EPS / _MARGIN) ** 2
        self.dust_of_all = 0.0
        self._window = len(query)
        self._width = max(len(query), _WIDTH)
        self._step = max(_PRODUCTS_MAX // self._width**2, 1)
        self._rows = np.zeros((-(-size // self._width) + 1, self._width))
        self._moved = np.zeros((2 * self._width, self._width))
        for column in range(self._width):
            self._moved[column : column + len(query), column] = query

    def of(self, x: Floats) -> Floats:
        count, width = -(-len(x) // self._width), self._width
        rows, flat = self._rows, self._rows.reshape(-1)
        flat[: len(x)] = x
        flat[len(x) :] = 0.0
        out = np.empty((count, width))
        for start in range(0, count, self._step):
            end = min(start + self._step, count)
            np.matmul(rows[start:end], self._moved[:width], out=out[start:end])
            out[start:end] += rows[start + 1 : end + 1] @ self._moved[width:]
        return out.reshape(-1)[: len(x) - self._window + 1]


class _Transform:
    """By the Fourier transform of the block; its rounding goes with all of the block, not with a window."""

    def __init__(self, query: Floats, size: int) -> None:
        self.dust = _SUM_DUST * _EPS
        self.dust_of_all = (_TRANSFORM_DUST * _EPS / _MARGIN) ** 2
        self._window, self._size = len(query), size
        self._spectrum = np.conj(np.fft.rfft(query, size))

    def of(self, x: Floats) -> Floats:
        found = np.fft.irfft(np.fft.rfft(x, self._size) * self._spectrum, self._size)
        return found[: len(x) - self._window + 1]
