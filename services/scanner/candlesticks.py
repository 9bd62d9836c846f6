"""TA-Lib's candlestick patterns on a window of bars. Pure.

TA-Lib says yes or no; how much a formation weighs is ours: its reach in ATR. A bar whose range is below
half the ATR starts nothing, as with the seven patterns of the analysis.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.scanner.bars import Bars
from services.scanner.candlestick_names import CANDLESTICKS, Candlestick
from services.scanner.constants import CANDLESTICK_BARS, CANDLESTICK_RANGE_ATR, CONFIDENCE_MIN
from services.scanner.patterns import Found

REACH_FULL = 3.0  # a formation that reaches so many ATR weighs in full
LOOK_BACK = 64  # bars the rules need at most, their averages included, with room
Hits = NDArray[np.int32]


@contextmanager
def _without(*packages: str) -> Iterator[None]:
    """Import without packages TA-Lib would wrap itself for: polars alone costs 30 MB and time per call."""
    held = {name: sys.modules.get(name) for name in packages}
    sys.modules.update(dict.fromkeys(packages))  # type: ignore[arg-type]  # None makes an import fail
    try:
        yield
    finally:
        for name, module in held.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


with _without("polars", "pandas"):
    import talib

_FUNCTIONS: tuple[Callable[..., Any], ...] = tuple(
    getattr(talib, f"CDL{candlestick.function}") for candlestick in CANDLESTICKS
)


class Sided(NamedTuple):
    """A pattern id and its direction."""

    name: str
    direction: str


def _sides(candlestick: Candlestick) -> tuple[Sided, Sided]:
    """What a positive and a negative answer of the function mean."""
    slug, side = candlestick.slug, candlestick.side
    if side == "both":
        return Sided(f"{slug}_bullish", "bullish"), Sided(f"{slug}_bearish", "bearish")
    return Sided(slug, side), Sided(slug, side)


SIDES: tuple[tuple[Sided, Sided], ...] = tuple(_sides(candlestick) for candlestick in CANDLESTICKS)


def hits(bars: Bars) -> Hits:
    """TA-Lib's answers, shape (61, n): 0, ±100; a later confirmation (±200) is no formation of its own."""
    prices = [np.ascontiguousarray(a, dtype=np.float64) for a in (bars.open, bars.high, bars.low, bars.close)]
    found = np.array([function(*prices) for function in _FUNCTIONS], dtype=np.int32)
    found[np.abs(found) != 100] = 0
    return found


def at(bars: Bars, column: Hits, i: int, atr: float) -> Iterator[Found]:
    """The formations that end at bar ``i``; ``column`` is TA-Lib's answers there, ``atr`` the window's."""
    if atr <= 0 or bars.high[i] - bars.low[i] < CANDLESTICK_RANGE_ATR * atr:
        return
    for row in np.flatnonzero(column).tolist():
        span = CANDLESTICKS[row].span
        first = i - span + 1
        if first < 0:
            continue
        reach = float(bars.high[first : i + 1].max() - bars.low[first : i + 1].min()) / atr
        confidence = 0.5 + 0.5 * min(1.0, reach / REACH_FULL)
        yield Found(SIDES[row][int(column[row] < 0)].name, confidence, i, span)


def newest(bars: Bars, atr: float) -> Iterator[Found]:
    """The newest formation of each name among the last 60 bars."""
    n = len(bars)
    answers = hits(bars.last(CANDLESTICK_BARS + LOOK_BACK))
    shift = n - answers.shape[1]
    seen: set[str] = set()
    for i in range(n - 1, max(n - CANDLESTICK_BARS, shift) - 1, -1):
        for found in at(bars, answers[:, i - shift], i, atr):
            if found.name not in seen and found.confidence >= CONFIDENCE_MIN:
                seen.add(found.name)
                yield found
