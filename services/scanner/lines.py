"""Straight lines and parabolas through prices, by least squares. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Line:
    """price = ``level`` + ``slope`` · (bar − ``origin``)."""

    level: float
    slope: float
    origin: float

    def at(self, bar: float) -> float:
        """The price of the line at a bar."""
        return self.level + self.slope * (bar - self.origin)

    def miss(self, bars: Sequence[int], prices: Floats) -> float:
        """The largest distance of a point from the line."""
        values: list[float] = prices.tolist()
        return max(abs(price - self.at(bar)) for bar, price in zip(bars, values, strict=True))


def fit(bars: Sequence[int], prices: Floats) -> Line:
    """The line of least squares through at least two points at different bars."""
    origin = sum(bars) / len(bars)
    values: list[float] = prices.tolist()
    level = sum(values) / len(values)
    over = sum((bar - origin) ** 2 for bar in bars)
    slope = sum((bar - origin) * (value - level) for bar, value in zip(bars, values, strict=True)) / over
    return Line(level, slope, origin)


def parabola(values: Floats) -> tuple[float, float, float]:
    """(bend, R², place of the vertex as a part of the length) of the parabola through a series.

    Over t from −1 to 1 by the first three orthogonal polynomials of equal steps, which is the
    least-squares parabola without solving anything. R² is 0 for a flat series; a series of fewer than
    three values has no bend.
    """
    n = len(values)
    if n < 3:
        return 0.0, 0.0, 0.5
    t = np.linspace(-1.0, 1.0, n)
    quadratic = t * t - float((t * t).mean())
    centred = values - values.mean()
    total = float(centred @ centred)
    if total <= 0:
        return 0.0, 0.0, 0.5
    slope = float(t @ centred) / float(t @ t)
    bend = float(quadratic @ centred) / float(quadratic @ quadratic)
    explained = slope * slope * float(t @ t) + bend * bend * float(quadratic @ quadratic)
    vertex = -slope / (2 * bend) if bend else 0.0
    return bend, min(1.0, explained / total), (vertex + 1) / 2
