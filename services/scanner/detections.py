"""What a closed bar makes known: formations, a flipped regime, broken levels. Pure.

A bar is judged by the window of the 200 closed bars that ends with it, and by nothing later. What ends at
the bar itself (candlesticks) or at a swing point three bars earlier becomes known now; everything else in
the window became known before, or never.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from services.scanner import candlesticks, chart_patterns
from services.scanner.bars import Bars
from services.scanner.catalogue import BY_ID, DIRECTIONS
from services.scanner.constants import CONFIDENCE_MIN, PIVOT_SIDE
from services.scanner.levels import Level
from services.scanner.outcomes import Plan, plan_of
from services.scanner.patterns import Found
from services.scanner.snapshot import Snapshot

WINDOW = 200


class Detection(NamedTuple):
    """A formation that became known on a closed bar; times are open times, ``known_ms`` that bar's."""

    pattern: str
    direction: str
    confidence: float
    start_ms: int
    end_ms: int
    known_ms: int
    span: int
    price: float
    atr: float
    plan: Plan | None


class Broken(NamedTuple):
    """A level a bar closed beyond."""

    kind: str
    direction: str
    level: Level


@dataclass(frozen=True, slots=True)
class Judged:
    """A bar and what its window says; ``hits`` is TA-Lib's column of that bar."""

    bars: Bars
    snapshot: Snapshot
    hits: candlesticks.Hits


def detected(judged: Judged) -> list[Detection]:
    """The formations the window's last bar makes known, in a fixed order."""
    bars, snap = judged.bars, judged.snapshot
    return [_detection(bars, snap.atr, found) for found in sorted(_newly(judged), key=lambda f: f.name)]


def _newly(judged: Judged) -> Iterator[Found]:
    bars, snap = judged.bars, judged.snapshot
    if snap.atr <= 0:
        return
    n = len(bars)
    for found in snap.patterns:
        # Swing points are known three bars after them; candlesticks on their own bar.
        if found.at == n - 1 - BY_ID[found.name].lag:
            yield found
    for found in candlesticks.at(bars, judged.hits, n - 1, snap.atr):
        if found.confidence >= CONFIDENCE_MIN:
            yield found
    if chart_patterns.turned(bars):
        yield from chart_patterns.ending_at(chart_patterns.shape_of(bars, snap.atr), n - 1 - PIVOT_SIDE)


def _detection(bars: Bars, atr: float, found: Found) -> Detection:
    direction, price = DIRECTIONS[found.name], float(bars.close[-1])
    return Detection(
        pattern=found.name,
        direction=direction,
        confidence=found.confidence,
        start_ms=int(bars.open_ms[found.at - found.span + 1]),
        end_ms=int(bars.open_ms[found.at]),
        known_ms=int(bars.open_ms[-1]),
        span=found.span,
        price=price,
        atr=atr,
        plan=plan_of(direction, price, atr),
    )


def in_window(bars: Bars, snap: Snapshot, wanted: frozenset[str] | None = None) -> list[Found]:
    """The newest formation of each name in a window, as a scan shows it: latest first, then surest, then
    by name. ``wanted`` None is all."""
    if snap.atr <= 0:
        return []
    found = [
        *snap.patterns,
        *candlesticks.newest(bars, snap.atr),
        *chart_patterns.newest(bars, snap.atr),
    ]
    kept = [f for f in found if wanted is None or f.name in wanted]
    return sorted(kept, key=lambda f: (-f.at, -f.confidence, f.name))


def broken(before: Sequence[Level], close_before: float, close: float) -> list[Broken]:
    """The levels of the bar before that this close lies beyond, where the close before did not."""
    return [
        Broken("resistance", "bullish", level) if close > level.price else Broken("support", "bearish", level)
        for level in before
        if close_before <= level.price < close or close < level.price <= close_before
    ]
