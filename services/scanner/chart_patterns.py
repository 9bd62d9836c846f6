"""Chart patterns beyond the seven: formations of swing points and the lines through them. Pure.

Every rule is written once, for the side that turns down or whose pole rises; its mirror looks at the bars
upside down (``Shape.mirrored``), so both sides are the same rule. Distances are in ATR of the window. A
formation ends at a swing point and is known three bars after it, never earlier.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.scanner.bars import Bars
from services.scanner.constants import CONFIDENCE_MIN, PIVOT_SIDE
from services.scanner.lines import Line, fit, parabola
from services.scanner.patterns import Found
from services.scanner.pivots import swing_highs, swing_lows

Floats = NDArray[np.float64]

SPAN_MAX = 120  # bars a formation may cover
DOUBLE_SPAN_MIN, DOUBLE_SPAN_MAX = 5, 60  # between two tops of a triple
SHOULDERS_PROMINENCE, SHOULDERS_APART, SHOULDERS_NECK, SHOULDERS_LEGS = 0.5, 1.5, 2.0, 0.4
LINE_SPAN_MIN = 15
LINE_MISS = 0.5  # how far a swing point may lie from its line
FLAT, SLOPED = 0.75, 1.0  # a line is flat below, sloped from so much over the formation
CONVERGED, PARALLEL = 0.7, (0.8, 1.25)  # the width at the end as a part of that at the start
CHANNEL_RISE = 2.0
WIDTH_MIN = 1.5
POLE_BARS, POLE_RISE, POLE_FULL = 15, 4.0, 8.0
FLAG_BARS = (4, 20)
FLAG_GIVES = (0.1, 0.5)  # what a flag may give back of its pole
CUP_BARS, CUP_DEPTH, CUP_RIMS, CUP_ROUND = (20, 120), 3.0, 1.5, 0.5
HANDLE_BARS, HANDLE_GIVES = (3, 20), 0.5
ROUND_BARS, ROUND_DEPTH, ROUND_FIT, ROUND_RIMS = (20, 120), 3.0, 0.7, 2.0


@dataclass(frozen=True, slots=True)
class Shape:
    """A window as the rules see it: highs, lows and closes, and its swing points up to an end."""

    high: Floats
    low: Floats
    close: Floats
    tops: list[int]
    bottoms: list[int]
    atr: float

    def mirrored(self) -> Shape:
        """The same bars upside down."""
        return Shape(-self.low, -self.high, -self.close, self.bottoms, self.tops, self.atr)


def shape_of(bars: Bars, atr: float) -> Shape:
    """The window's shape, with every swing point known at its end."""
    tops = np.flatnonzero(swing_highs(bars.high)).tolist()
    bottoms = np.flatnonzero(swing_lows(bars.low)).tolist()
    return Shape(bars.high, bars.low, bars.close, tops, bottoms, atr)


def turned(bars: Bars) -> bool:
    """Whether the window's last bar makes a swing point known: the bar three before it."""
    seen = 2 * PIVOT_SIDE + 1
    last = bars.last(seen)
    if len(last) < seen:
        return False
    return bool(swing_highs(last.high)[PIVOT_SIDE] or swing_lows(last.low)[PIVOT_SIDE])


def ending_at(shape: Shape, end: int) -> Iterator[Found]:
    """The formations whose last swing point is bar ``end``, by both readings."""
    if shape.atr <= 0:
        return
    seen = Shape(
        shape.high,
        shape.low,
        shape.close,
        [i for i in shape.tops if i <= end],
        [i for i in shape.bottoms if i <= end],
        shape.atr,
    )
    upside_down = seen.mirrored()
    for plain, mirror, rule in RULES:
        for name, view in ((plain, seen), (mirror, upside_down)):
            if not name:
                continue
            found = rule(view, end)
            if found is not None and found[0] >= CONFIDENCE_MIN:
                confidence, start = found
                yield Found(name, min(1.0, confidence), end, end - start + 1)


def newest(bars: Bars, atr: float) -> Iterator[Found]:
    """The newest formation of each name in the window."""
    shape = shape_of(bars, atr)
    seen: set[str] = set()
    for end in sorted({*shape.tops, *shape.bottoms}, reverse=True):
        for found in ending_at(shape, end):
            if found.name not in seen:
                seen.add(found.name)
                yield found


# ── the rules: (confidence, first bar) or None ─────────────────────────────────────────────────────

Verdict = tuple[float, int] | None


def _triple_top(s: Shape, end: int) -> Verdict:
    if len(s.tops) < 3 or s.tops[-1] != end:
        return None
    a, b, e = s.tops[-3:]
    if not all(DOUBLE_SPAN_MIN <= gap <= DOUBLE_SPAN_MAX for gap in (b - a, e - b)):
        return None
    heights = s.high[[a, b, e]]
    apart = float(heights.max() - heights.min())
    depth = float(heights.min() - max(s.low[a + 1 : b].min(), s.low[b + 1 : e].min()))
    if apart > s.atr or depth < 2 * s.atr:
        return None
    return 0.5 * (1 - apart / s.atr) + 0.5 * min(1.0, depth / (4 * s.atr)), a


def _head_and_shoulders(s: Shape, end: int) -> Verdict:
    if len(s.tops) < 3 or s.tops[-1] != end:
        return None
    a, b, e = s.tops[-3:]
    prominence = float(s.high[b] - max(s.high[a], s.high[e]))
    apart = float(abs(s.high[a] - s.high[e]))
    neck = float(abs(s.low[a + 1 : b].min() - s.low[b + 1 : e].min()))
    legs = min(b - a, e - b) / max(b - a, e - b)
    if (
        e - a > SPAN_MAX
        or prominence < SHOULDERS_PROMINENCE * s.atr
        or apart > SHOULDERS_APART * s.atr
        or neck > SHOULDERS_NECK * s.atr
        or legs < SHOULDERS_LEGS
    ):
        return None
    parts = (
        1 - apart / (SHOULDERS_APART * s.atr),
        1 - neck / (SHOULDERS_NECK * s.atr),
        min(1.0, prominence / (2 * s.atr)),
    )
    return sum(parts) / 3, a


@dataclass(frozen=True, slots=True)
class _Band:
    """Two lines, one through the last tops and one through the last bottoms."""

    upper: Line
    lower: Line
    start: int
    end: int
    miss: float  # the largest distance of a swing point from its line, in ATR
    touches: int
    atr: float

    def change(self, line: Line) -> float:
        """How far a line goes over the formation, in ATR."""
        return line.slope * (self.end - self.start) / self.atr

    @property
    def narrowing(self) -> float:
        """The width at the end as a part of the width at the start; 0 where the lines have crossed."""
        first = self.upper.at(self.start) - self.lower.at(self.start)
        last = self.upper.at(self.end) - self.lower.at(self.end)
        return last / first if first > 0 and last > 0 else 0.0

    @property
    def confidence(self) -> float:
        """How well the points lie on the lines, and how many there are."""
        return 0.6 * (1 - self.miss / LINE_MISS) + 0.4 * min(1.0, (self.touches - 3) / 3)


def _band(s: Shape, end: int) -> _Band | None:
    """The lines of the last five or six swing points, three of one side at least."""
    for tops, bottoms in ((3, 3), (3, 2), (2, 3)):
        if len(s.tops) < tops or len(s.bottoms) < bottoms:
            continue
        above, below = s.tops[-tops:], s.bottoms[-bottoms:]
        start = min(above[0], below[0])
        if max(above[-1], below[-1]) != end or not LINE_SPAN_MIN <= end - start <= SPAN_MAX:
            continue
        # Both lines must cover most of the formation, or one of them is a guess.
        if min(above[-1] - above[0], below[-1] - below[0]) < 0.5 * (end - start):
            continue
        upper, lower = fit(above, s.high[above]), fit(below, s.low[below])
        miss = max(upper.miss(above, s.high[above]), lower.miss(below, s.low[below])) / s.atr
        width = upper.at(start) - lower.at(start)
        if miss <= LINE_MISS and width >= WIDTH_MIN * s.atr and upper.at(end) > lower.at(end):
            return _Band(upper, lower, start, end, miss, tops + bottoms, s.atr)
    return None


def _descending_triangle(s: Shape, end: int) -> Verdict:
    band = _band(s, end)
    if band is None or band.narrowing > CONVERGED:
        return None
    if abs(band.change(band.lower)) > FLAT or band.change(band.upper) > -SLOPED:
        return None
    return band.confidence, band.start


def _symmetrical_triangle(s: Shape, end: int) -> Verdict:
    band = _band(s, end)
    if band is None or band.narrowing > CONVERGED:
        return None
    if band.change(band.lower) < SLOPED or band.change(band.upper) > -SLOPED:
        return None
    return band.confidence, band.start


def _rising_wedge(s: Shape, end: int) -> Verdict:
    band = _band(s, end)
    if band is None or band.narrowing > CONVERGED:
        return None
    if band.change(band.upper) < SLOPED or band.change(band.lower) < SLOPED:
        return None
    return band.confidence, band.start


def _channel_up(s: Shape, end: int) -> Verdict:
    band = _band(s, end)
    if band is None or not PARALLEL[0] <= band.narrowing <= PARALLEL[1]:
        return None
    if min(band.change(band.upper), band.change(band.lower)) < CHANNEL_RISE:
        return None
    return band.confidence, band.start


def _rectangle(s: Shape, end: int) -> Verdict:
    band = _band(s, end)
    if band is None or not PARALLEL[0] <= band.narrowing <= PARALLEL[1]:
        return None
    if max(abs(band.change(band.upper)), abs(band.change(band.lower))) > FLAT:
        return None
    return band.confidence, band.start


def _bull_flag(s: Shape, end: int) -> Verdict:
    """A steep rise, then a short slide that gives back little of it."""
    if not s.tops or not s.bottoms or s.bottoms[-1] != end or s.tops[-1] >= end:
        return None
    top = s.tops[-1]
    if not FLAG_BARS[0] <= end - top <= FLAG_BARS[1] or top < 2:
        return None
    foot = max(0, top - POLE_BARS)
    foot += int(np.argmin(s.low[foot:top]))
    pole = float(s.high[top] - s.low[foot])
    if pole < POLE_RISE * s.atr:
        return None
    given = float(s.high[top] - s.low[end]) / pole
    if not FLAG_GIVES[0] <= given <= FLAG_GIVES[1]:
        return None
    middle = sum(FLAG_GIVES) / 2
    shape = 1 - abs(given - middle) / (FLAG_GIVES[1] - middle)
    return 0.6 * min(1.0, pole / (POLE_FULL * s.atr)) + 0.4 * shape, foot


def _cup_and_handle(s: Shape, end: int) -> Verdict:
    """Two rims of one height with a round cup between them, then a small dip."""
    if not s.tops or not s.bottoms or s.bottoms[-1] != end:
        return None
    right = s.tops[-1]
    if not HANDLE_BARS[0] <= end - right <= HANDLE_BARS[1]:
        return None
    for left in reversed(s.tops[:-1]):
        if right - left > CUP_BARS[1]:
            break
        if right - left < CUP_BARS[0]:
            continue
        rim = float(min(s.high[left], s.high[right]))
        depth = rim - float(s.low[left:right].min())
        apart = float(abs(s.high[left] - s.high[right]))
        if float(s.high[left + 1 : right].max()) > max(s.high[left], s.high[right]):
            continue
        handle = float(s.high[right] - s.low[end])
        if depth < CUP_DEPTH * s.atr or apart > CUP_RIMS * s.atr or handle > HANDLE_GIVES * depth:
            continue
        bend, roundness, _ = parabola(s.close[left : right + 1])
        if bend <= 0 or roundness < CUP_ROUND:
            continue
        return 0.5 * roundness + 0.5 * (1 - apart / (CUP_RIMS * s.atr)), left
    return None


def _rounding_bottom(s: Shape, end: int) -> Verdict:
    """A slow turn from falling to rising that a parabola describes."""
    if len(s.tops) < 2 or s.tops[-1] != end:
        return None
    for left in reversed(s.tops[:-1]):
        if end - left > ROUND_BARS[1]:
            break
        if end - left < ROUND_BARS[0] or abs(s.high[left] - s.high[end]) > ROUND_RIMS * s.atr:
            continue
        depth = float(min(s.high[left], s.high[end]) - s.low[left:end].min())
        bend, roundness, vertex = parabola(s.close[left : end + 1])
        if depth >= ROUND_DEPTH * s.atr and bend > 0 and roundness >= ROUND_FIT and 1 / 3 <= vertex <= 2 / 3:
            return roundness, left
    return None


# The name of the rule as it is written, the name of its mirror ("" where it is the same formation), the rule.
RULES: tuple[tuple[str, str, Callable[[Shape, int], Verdict]], ...] = (
    ("triple_top", "triple_bottom", _triple_top),
    ("", "inverse_head_and_shoulders", _head_and_shoulders),
    ("descending_triangle", "ascending_triangle", _descending_triangle),
    ("symmetrical_triangle", "", _symmetrical_triangle),
    ("rising_wedge", "falling_wedge", _rising_wedge),
    ("channel_up", "channel_down", _channel_up),
    ("rectangle", "", _rectangle),
    ("bull_flag", "bear_flag", _bull_flag),
    ("cup_and_handle", "inverse_cup_and_handle", _cup_and_handle),
    ("rounding_bottom", "rounding_top", _rounding_bottom),
)
