"""The indicators as their books define them, bar by bar in 40-digit decimals. Slow, and shares no code."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from decimal import Decimal, localcontext
from itertools import pairwise
from math import log

D = Decimal
Line = list[Decimal | None]


def decimals(values: Sequence[float]) -> list[Decimal]:
    """The exact value of every float."""
    return [D(float(v)) for v in values]


def average(values: list[Decimal], period: int, keep: Decimal) -> Line:
    """The first ``period`` values' mean, then keep * before + (1 - keep) * value."""
    out: Line = [None] * len(values)
    with localcontext() as context:
        context.prec = 40
        for i, value in enumerate(values):
            if i == period - 1:
                out[i] = sum(values[:period], D(0)) / period
            elif i >= period:
                before = out[i - 1]
                assert before is not None
                out[i] = keep * before + (1 - keep) * value
    return out


def ema(values: Sequence[float], period: int) -> Line:
    """The exponential average with k = 2 / (period + 1)."""
    return average(decimals(values), period, 1 - D(2) / D(period + 1))


def sma(values: Sequence[float], period: int) -> Line:
    """The mean of the last ``period``."""
    exact = decimals(values)
    return [
        None if i < period - 1 else sum(exact[i - period + 1 : i + 1], D(0)) / period
        for i in range(len(exact))
    ]


def rsi(close: Sequence[float], period: int = 14) -> Line:
    """Wilder's RSI: avg = (13 * avg + x) / 14 over gains and over losses."""
    exact = decimals(close)
    with localcontext() as context:
        context.prec = 40
        moves = [b - a for a, b in pairwise(exact)]
        keep = D(period - 1) / D(period)
        gains = average([max(m, D(0)) for m in moves], period, keep)
        losses = average([max(-m, D(0)) for m in moves], period, keep)
        return [None, *(_strength(up, down) for up, down in zip(gains, losses, strict=True))][: len(exact)]


def _strength(gain: Decimal | None, loss: Decimal | None) -> Decimal | None:
    if gain is None or loss is None:
        return None
    if loss == 0:
        return D(100) if gain > 0 else D(50)
    return 100 - 100 / (1 + gain / loss)


def true_range(high: Sequence[float], low: Sequence[float], close: Sequence[float]) -> list[Decimal]:
    """max(h - l, |h - c before|, |l - c before|)."""
    tops, bottoms, closes = decimals(high), decimals(low), decimals(close)
    first = [tops[0] - bottoms[0]] if tops else []
    gaps = [
        max(tops[i] - bottoms[i], abs(tops[i] - closes[i - 1]), abs(bottoms[i] - closes[i - 1]))
        for i in range(1, len(tops))
    ]
    return first + gaps


def atr(high: Sequence[float], low: Sequence[float], close: Sequence[float], period: int = 14) -> Line:
    """Wilder's average of the true range, the first bar's included."""
    return average(true_range(high, low, close), period, D(period - 1) / D(period))


def volume_z(volume: Sequence[float], window: int = 96) -> list[float | None]:
    """(ln V - median) / (1.4826 * MAD) over the ``window`` volumes before; 0 when the MAD is 0."""
    out: list[float | None] = []
    for i, v in enumerate(volume):
        if i < window:
            out.append(None)
            continue
        before = [log(max(x, 1e-9)) for x in volume[i - window : i]]
        middle = statistics.median(before)
        mad = statistics.median([abs(x - middle) for x in before])
        out.append(0.0 if mad == 0 else (log(max(v, 1e-9)) - middle) / (1.4826 * mad))
    return out


def crosses(fast: Sequence[float], slow: Sequence[float]) -> list[int]:
    """+1 where ``fast`` is above for the first time since it was below, -1 for the mirror."""
    out: list[int] = []
    last = 0
    for f, s in zip(fast, slow, strict=True):
        side = (f > s) - (f < s)
        out.append(side if side and last and side != last else 0)
        last = side or last
    return out
