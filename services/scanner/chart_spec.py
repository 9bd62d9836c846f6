"""What a chart shows: the message to the drawing process, and what is computed for it. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
from numpy.typing import NDArray

from libs.common.candles import DAY_MS
from libs.common.indicators import ema

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LABELS = 9


class ChartSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A chart. ``candles`` are (open_ms, o, h, l, c, v); ``formation`` the positions of its first and last
    bar. ``plain`` leaves out indicators, levels and the plan; ``code`` is printed where it is given."""

    candles: Sequence[tuple[float, float, float, float, float, float]]
    span_ms: int
    digits: int
    title: str
    subtitle: str
    footer: str
    pattern_name: str
    direction: str
    formation: tuple[int, int]
    support: Sequence[tuple[float, float]] = ()
    resistance: Sequence[tuple[float, float]] = ()
    entry: float | None = None
    stop: float | None = None
    targets: Sequence[float] = ()
    plain: bool = False
    code: str = ""


def ema_of(close: NDArray[np.float64], period: int) -> NDArray[np.float64]:
    """An exponential average, NaN until it exists."""
    return ema(close, period)


def price_steps(low: float, high: float, about: int = 8) -> list[float]:
    """Round numbers inside a range: multiples of 1, 2, 2.5 or 5 times a power of ten, about eight of them."""
    if not high > low:
        return []
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1.0, 2.0, 2.5, 5.0, 10.0) if power * factor >= raw * 0.999)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [number * step for number in range(first, last + 1) if low < number * step < high]


def time_labels(open_ms: NDArray[np.float64], span_ms: int) -> tuple[list[int], list[str]]:
    """Positions and texts for the time axis: evenly over the bars, the day shown where it says something."""
    count = len(open_ms)
    step = max(1, count // LABELS)
    positions = list(range(step // 2, count, step))
    form = "%d %b %Y" if span_ms == 0 or span_ms >= DAY_MS else "%d %b %H:%M"
    texts = [(_EPOCH + timedelta(milliseconds=float(open_ms[at]))).strftime(form) for at in positions]
    return positions, texts


def spread(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Where labels stand that belong to ascending places: at least ``gap`` apart and between the bounds if
    there is room, in their order, and together as near to their places as can be (least squares)."""
    pools: list[tuple[float, int]] = []  # the mean of places moved together, and how many they are
    for number, place in enumerate(places):
        mean, count = place - number * gap, 1
        while pools and pools[-1][0] > mean:
            before, more = pools.pop()
            mean, count = (before * more + mean * count) / (more + count), more + count
        pools.append((mean, count))
    last = high - (len(places) - 1) * gap
    moved = [min(max(mean, low), last) for mean, count in pools for _ in range(count)]
    return [place + number * gap for number, place in enumerate(moved)]
