"""Series the analysis is tried on: the contract's shared vectors, random walks, and walks with ties."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

from services.scanner.bars import Bars
from tests.oracles.structure import Series

HOUR_MS = 3_600_000


def bars_of_columns(*columns: Sequence[float]) -> Bars:
    """Bars of open, high, low, close and volume, an hour each."""
    arrays = [np.array(column, dtype=np.float64) for column in columns]
    return Bars(np.arange(len(arrays[0]), dtype=np.int64) * HOUR_MS, *arrays)


def of_closes(closes: Sequence[float]) -> Bars:
    """The candles of the shared vectors: o = the close before, half a unit of shadow on each side."""
    c = np.array(closes, dtype=np.float64)
    o = np.concatenate((c[:1], c[:-1]))
    return bars_of_columns(o, np.maximum(o, c) + 0.5, np.minimum(o, c) - 0.5, c, np.full(len(c), 10.0))


def _leg(start: float, end: float, steps: int) -> list[float]:
    return [start + (end - start) * i / steps for i in range(steps)]


A = of_closes(range(100, 160))
B = bars_of_columns(*[[100.0] * 60] * 4, [0.0] * 60)
C = of_closes([100, 101] * 30)
D = of_closes([round(100 + 5 * math.sin(2 * math.pi * i / 24), 2) for i in range(120)])
F = of_closes(
    [
        *_leg(100, 110, 10),
        *_leg(110, 104, 6),
        *_leg(104, 116, 10),
        *_leg(116, 104, 10),
        *_leg(104, 110, 6),
        *_leg(110, 100, 11),
    ]
)


def plain(bars: Bars) -> Series:
    """The same bars for the oracle."""
    return Series(
        bars.open.tolist(), bars.high.tolist(), bars.low.tolist(), bars.close.tolist(), bars.volume.tolist()
    )


def walk(seed: int, n: int, *, decimals: int = 4, start: float = 100.0, move: float = 0.01) -> Bars:
    """A random walk with shadows; no ties worth speaking of."""
    rng = np.random.default_rng(seed)
    c = start * np.cumprod(1 + rng.normal(0, move, n))
    o = np.concatenate(([start], c[:-1]))
    h = np.maximum(o, c) * (1 + np.abs(rng.normal(0, move / 2, n)))
    low = np.minimum(o, c) * (1 - np.abs(rng.normal(0, move / 2, n)))
    columns = [np.round(a, decimals) for a in (o, h, low, c)]
    return bars_of_columns(*columns, np.round(rng.random(n) * 5000, 3))


@st.composite
def grid_bars(draw: st.DrawFn, least: int = 20, most: int = 130) -> Bars:
    """Bars on a coarse grid of 1/64: ties, flat stretches and gaps in plenty, every sum exact."""
    n = draw(st.integers(least, most))
    # Bytes are drawn and shrunk far faster than lists of integers.
    steps, gaps, tops, bottoms = (
        np.frombuffer(draw(st.binary(min_size=4 * n, max_size=4 * n)), dtype=np.uint8)
        .reshape(4, n)
        .astype(np.int64)
    )
    close = np.cumsum(steps % 17 - 8) + 4096
    opened = np.concatenate((close[:1], close[:-1])) + np.where(gaps < 200, 0, gaps % 7 - 3)
    high, low = np.maximum(opened, close) + tops % 7, np.minimum(opened, close) - bottoms % 7
    return bars_of_columns(*(a / 64 for a in (opened, high, low, close)), tops.astype(np.float64))
