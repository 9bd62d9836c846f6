"""Support and resistance: prices at which the market turned more than once. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from services.scanner.constants import LEVEL_TOLERANCE_ATR, LEVEL_TOLERANCE_CLOSE, LEVELS_PER_SIDE


class Level(NamedTuple):
    """A level: the mean of the swing prices that joined it; ``strength`` 0..1 beside the most touched one
    of its side."""

    price: float
    strength: float
    touches: int


class Levels(NamedTuple):
    """At most three of each side, the strongest first, then the nearest."""

    support: tuple[Level, ...]
    resistance: tuple[Level, ...]


def levels_of(swings: Sequence[float], atr: float, close: float) -> Levels:
    """The levels of swing prices (highs and lows together) around the last close.

    Ascending, a price joins the open cluster when it lies at most the tolerance above the mean of it.
    A level below the close is support, any other resistance.
    """
    tolerance = max(LEVEL_TOLERANCE_ATR * atr, LEVEL_TOLERANCE_CLOSE * close)
    clusters: list[tuple[float, int]] = []
    mean, touches = 0.0, 0
    for price in sorted(swings):
        if touches and price - mean <= tolerance:
            touches += 1
            # Moved by its share: equal prices leave the mean exactly where it is.
            mean += (price - mean) / touches
            continue
        if touches:
            clusters.append((mean, touches))
        mean, touches = price, 1
    if touches:
        clusters.append((mean, touches))
    return Levels(
        _side([c for c in clusters if c[0] < close], close),
        _side([c for c in clusters if c[0] >= close], close),
    )


def _side(clusters: list[tuple[float, int]], close: float) -> tuple[Level, ...]:
    if not clusters:
        return ()
    most = max(touches for _, touches in clusters)
    clusters.sort(key=lambda c: (-c[1], abs(c[0] - close)))
    return tuple(Level(price, touches / most, touches) for price, touches in clusters[:LEVELS_PER_SIDE])
