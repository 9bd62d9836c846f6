"""Market structure as the contract words it: plain Python, one symbol, one bar at a time, no numpy.

Shares no code with the product. Bars are lists of floats; ``atr`` and the averages come from the decimal
oracle of the indicators.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from functools import cached_property
from itertools import pairwise

from tests.oracles import indicators


@dataclass
class Series:
    """Bars, oldest first."""

    open: list[float]
    high: list[float]
    low: list[float]
    close: list[float]
    volume: list[float]

    @property
    def n(self) -> int:
        return len(self.close)

    @cached_property
    def atr(self) -> float:
        return float(indicators.atr(self.high, self.low, self.close)[-1] or 0)


# ── codec ─────────────────────────────────────────────────────────────────────────────────────────


def precision(highs: Sequence[float]) -> int:
    top = max(highs)
    if top >= 1000:
        return 1
    if top >= 1:
        return 2
    return 4 if top >= 0.01 else 8


def text(value: float, decimals: int) -> str:
    """Half away from zero on the shortest decimal, no exponent, no trailing zeros."""
    exact = Decimal(repr(value)).quantize(Decimal(10) ** -decimals, ROUND_HALF_UP)
    shown = format(exact, "f")
    return (shown.rstrip("0").rstrip(".") if "." in shown else shown) or "0"


def volume_text(value: float) -> str:
    return text(value, 0 if value >= 1000 else 2 if value >= 1 else 6)


def rows(series: Series) -> str:
    decimals = precision(series.high)
    lines = []
    for i in range(series.n):
        prices = (series.open[i], series.high[i], series.low[i], series.close[i])
        lines.append(",".join([*(text(p, decimals) for p in prices), volume_text(series.volume[i])]))
    return ";".join(lines)


# ── sax ───────────────────────────────────────────────────────────────────────────────────────────


def sax_segments(close: Sequence[float]) -> list[float]:
    returns = [b / a - 1 for a, b in pairwise(close)]
    mean, deviation = statistics.fmean(returns), statistics.pstdev(returns)
    z = [0.0 if deviation < 1e-12 else (r - mean) / deviation for r in returns]
    m = len(z)
    w = min(8, m)
    return [statistics.fmean(z[j * m // w : (j + 1) * m // w]) for j in range(w)]


BREAKPOINTS = (-1.067571, -0.565949, -0.180012, 0.180012, 0.565949, 1.067571)


def sax(close: Sequence[float]) -> str:
    return "".join("abcdefg"[sum(b <= v for b in BREAKPOINTS)] for v in sax_segments(close))


# ── swings and levels ─────────────────────────────────────────────────────────────────────────────


def swing_highs(high: Sequence[float]) -> list[int]:
    return [
        i
        for i in range(3, len(high) - 3)
        if all(high[i] > high[i - j] for j in (1, 2, 3)) and all(high[i] >= high[i + j] for j in (1, 2, 3))
    ]


def swing_lows(low: Sequence[float]) -> list[int]:
    return [
        i
        for i in range(3, len(low) - 3)
        if all(low[i] < low[i - j] for j in (1, 2, 3)) and all(low[i] <= low[i + j] for j in (1, 2, 3))
    ]


def levels(series: Series) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """(price, strength) of support and of resistance, unrounded."""
    last = series.close[-1]
    pool = [series.high[i] for i in swing_highs(series.high)]
    pool += [series.low[i] for i in swing_lows(series.low)]
    tolerance = max(0.5 * series.atr, 0.002 * last)
    clusters: list[list[float]] = []
    for price in sorted(pool):
        if clusters and price - statistics.fmean(clusters[-1]) <= tolerance:
            clusters[-1].append(price)
        else:
            clusters.append([price])
    means = [(statistics.fmean(c), len(c)) for c in clusters]
    return _side([m for m in means if m[0] < last], last), _side([m for m in means if m[0] >= last], last)


def _side(means: list[tuple[float, int]], last: float) -> list[tuple[float, float]]:
    if not means:
        return []
    most = max(touches for _, touches in means)
    ordered = sorted(((p, t / most) for p, t in means), key=lambda level: (-level[1], abs(level[0] - last)))
    return ordered[:3]


# ── regime ────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Regime:
    trend: str
    strength: float
    vol_pct: float
    r2: float
    move: float


def regime(series: Series) -> Regime:
    w = min(50, series.n)
    y = series.close[-w:]
    x = list(range(w))
    r2 = 0.0
    slope = 0.0
    if max(y) > min(y):
        fit = statistics.linear_regression(x, y)
        slope = fit.slope
        r2 = statistics.correlation(x, y) ** 2
    atr = series.atr
    move = abs(slope) * (w - 1) / atr if atr else 0.0
    trend = "range" if move < 2 or r2 < 0.25 else "up" if slope > 0 else "down"
    return Regime(trend, r2 * min(1.0, move / 8), 100 * atr / series.close[-1], r2, move)


# ── patterns ──────────────────────────────────────────────────────────────────────────────────────

Pattern = tuple[str, float, int, int]  # name, confidence, at, span


def patterns(series: Series) -> list[Pattern]:
    """What the contract lists: the latest of each name with a confidence of at least 0.5, sorted."""
    atr = series.atr
    if atr == 0:
        return []
    every = [p for i in range(max(0, series.n - 60), series.n) for p in candlesticks_at(series, i, atr)]
    every += doubles(series, atr) + heads(series, atr)
    latest: dict[str, Pattern] = {}
    for pattern in every:
        name, confidence, at, _ = pattern
        if confidence >= 0.5 and (name not in latest or latest[name][2] < at):
            latest[name] = pattern
    return sorted(latest.values(), key=lambda p: (-p[2], -p[1], p[0]))


def candlesticks_at(s: Series, i: int, atr: float) -> list[Pattern]:
    o, h, low, c = s.open[i], s.high[i], s.low[i], s.close[i]
    body, rng, up, dn = abs(c - o), h - low, h - max(o, c), min(o, c) - low
    found: list[Pattern] = []
    if rng < 0.5 * atr:
        return found
    if i >= 1:
        po, pc = s.open[i - 1], s.close[i - 1]
        before = abs(pc - po)
        if body > before > 0:
            confidence = min(1.0, body / before / 2)
            if pc < po and c > o and o <= pc and c >= po:
                found.append(("bullish_engulfing", confidence, i, 2))
            if pc > po and c < o and o >= pc and c <= po:
                found.append(("bearish_engulfing", confidence, i, 2))
    if i >= 6 and dn >= 0.6 * rng and up <= 0.15 * rng and dn >= 2 * body and s.close[i - 1] < s.close[i - 6]:
        found.append(("hammer", min(1.0, max(0.0, 0.5 + 0.5 * (dn / rng - 0.6) / 0.3)), i, 1))
    if rng > 0 and body <= 0.1 * rng:
        found.append(("doji", 1 - 0.5 * body / (0.1 * rng), i, 1))
    return found


def doubles(s: Series, atr: float) -> list[Pattern]:
    found: list[Pattern] = []
    tops, bottoms = swing_highs(s.high), swing_lows(s.low)
    for a, b in pairwise(tops):
        depth = min(s.high[a], s.high[b]) - min(s.low[a + 1 : b])
        found += _double("double_top", a, b, abs(s.high[a] - s.high[b]), depth, atr)
    for a, b in pairwise(bottoms):
        depth = max(s.high[a + 1 : b]) - max(s.low[a], s.low[b])
        found += _double("double_bottom", a, b, abs(s.low[a] - s.low[b]), depth, atr)
    return found


def _double(name: str, a: int, b: int, apart: float, depth: float, atr: float) -> list[Pattern]:
    if not 5 <= b - a <= 60 or apart > atr or depth < 2 * atr:
        return []
    return [(name, 0.5 * (1 - apart / atr) + 0.5 * min(1, depth / (4 * atr)), b, b - a + 1)]


def heads(s: Series, atr: float) -> list[Pattern]:
    found: list[Pattern] = []
    tops = swing_highs(s.high)
    for a, b, e in zip(tops[:-2], tops[1:-1], tops[2:], strict=True):
        prominence = s.high[b] - max(s.high[a], s.high[e])
        apart = abs(s.high[a] - s.high[e])
        neck = abs(min(s.low[a + 1 : b]) - min(s.low[b + 1 : e]))
        legs = sorted((b - a, e - b))
        if (
            e - a <= 120
            and prominence >= 0.5 * atr
            and apart <= 1.5 * atr
            and neck <= 2 * atr
            and legs[0] / legs[1] >= 0.4
        ):
            parts = (1 - apart / (1.5 * atr), 1 - neck / (2 * atr), min(1, prominence / (2 * atr)))
            found.append(("head_and_shoulders", statistics.fmean(parts), e, e - a + 1))
    return found


# ── analogs ───────────────────────────────────────────────────────────────────────────────────────


def normalised(window: Sequence[float]) -> list[float] | None:
    mean, deviation = statistics.fmean(window), statistics.pstdev(window)
    return None if deviation < 1e-12 else [(v - mean) / deviation for v in window]


def analogs(close: Sequence[float], window: int, horizon: int) -> list[tuple[int, float, float]]:
    """(end, similarity at 12 decimals, return) of the accepted matches, in the order of acceptance."""
    n = len(close)
    query = normalised(close[-window:])
    if query is None:
        return []
    found = []
    for end in range(window - 1, n):
        if end > n - 1 - window or end + horizon > n - 1:
            continue
        other = normalised(close[end - window + 1 : end + 1])
        if other is None:
            continue
        similarity = round(math.fsum(a * b for a, b in zip(query, other, strict=True)) / window, 12)
        if similarity >= 0.8:
            found.append((end, similarity, close[end + horizon] / close[end] - 1))
    accepted: list[tuple[int, float, float]] = []
    for match in sorted(found, key=lambda m: (-m[1], -m[0])):
        if all(abs(match[0] - other[0]) >= window // 2 for other in accepted):
            accepted.append(match)
        if len(accepted) == 50:
            break
    return accepted
