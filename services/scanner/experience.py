"""What came after earlier formations of a timeframe, all symbols together, beside what any bar did. Pure.

An occurrence counts from the close at which it became known to the close ten bars later; occurrences of one
symbol that overlap count once, the first of them. The baseline is the same move from every tenth bar. A hit
moved with the pattern's direction; not at all is a miss. Nothing is told of patterns without a direction.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.scanner.constants import EVIDENCE_BANDS, EVIDENCE_HORIZON, EVIDENCE_Z

Floats = NDArray[np.float64]
Reading = Literal["above-baseline", "below-baseline", "indistinguishable-from-baseline"]


class Occurrence(NamedTuple):
    """A formation that became known at the close of the bar that opened at ``known_ms``."""

    pattern: str
    sign: int  # 1 bullish, -1 bearish, 0 without a direction
    confidence: float
    known_ms: int


class Evidence(NamedTuple):
    """Figures of one pattern, band and timeframe; shares are fractions, ``outcomes`` the returns."""

    band: str
    n: int
    hit_rate: float
    ci95: float
    outcomes: Floats
    baseline: float
    baseline_n: int
    lift: float
    lift_ci95: float
    reading: Reading


def band_of(confidence: float) -> int:
    """The index of the band a confidence belongs to."""
    return max((i for i, floor in enumerate(EVIDENCE_BANDS) if confidence >= floor), default=0)


def band_name(band: int) -> str:
    """How a band is written: ``0.75-1.00``."""
    edges = (*EVIDENCE_BANDS, 1.0)
    return f"{edges[band]:.2f}-{edges[band + 1]:.2f}"


def returns_after(close: Floats, at: NDArray[np.int64]) -> Floats:
    """The returns over the horizon from each of these bars, all of which have one."""
    return np.asarray(close[at + EVIDENCE_HORIZON] / close[at] - 1.0)


class Experience:
    """Returns by timeframe: after formations, and after any bar. Add each symbol once."""

    def __init__(self) -> None:
        self._outcomes: dict[tuple[str, str, int], list[float]] = defaultdict(list)
        self._signs: dict[str, int] = {}
        self._baselines: dict[str, list[Floats]] = defaultdict(list)

    def __bool__(self) -> bool:
        """Whether any formation was counted."""
        return bool(self._outcomes)

    def add(
        self, timeframe: str, open_ms: NDArray[np.int64], close: Floats, occurrences: Iterable[Occurrence]
    ) -> None:
        """Count the formations of one symbol, oldest first, over its closed bars."""
        usable = len(close) - EVIDENCE_HORIZON
        if usable <= 0:
            return
        self._baselines[timeframe].append(
            returns_after(close, np.arange(0, usable, EVIDENCE_HORIZON, dtype=np.int64))
        )
        free: dict[tuple[str, int], int] = {}  # the first bar at which the next one may begin
        for found in occurrences:
            at = int(np.searchsorted(open_ms, found.known_ms))
            if not found.sign or at >= usable or open_ms[at] != found.known_ms:
                continue
            key = found.pattern, band_of(found.confidence)
            if at < free.get(key, 0):
                continue
            free[key] = at + EVIDENCE_HORIZON
            self._signs[found.pattern] = found.sign
            outcome = float(close[at + EVIDENCE_HORIZON] / close[at] - 1.0)
            self._outcomes[timeframe, *key].append(outcome)

    def of(self, timeframe: str, pattern: str, confidence: float) -> Evidence | None:
        """What is known of formations of this name and about this confidence; None where nothing is."""
        band = band_of(confidence)
        outcomes = np.array(self._outcomes.get((timeframe, pattern, band), ()))
        parts = self._baselines.get(timeframe, [])
        if not len(outcomes) or not parts:
            return None
        return evidence_of(outcomes, np.concatenate(parts), self._signs[pattern], band)


def evidence_of(outcomes: Floats, anything: Floats, sign: int, band: int) -> Evidence:
    """The figures of at least one outcome beside at least one return of any bar."""
    n, beside = len(outcomes), len(anything)
    rate, baseline = float((outcomes * sign > 0).mean()), float((anything * sign > 0).mean())
    lift = rate - baseline
    lift_ci = EVIDENCE_Z * math.sqrt(_variance(rate, n) + _variance(baseline, beside))
    return Evidence(
        band=band_name(band),
        n=n,
        hit_rate=rate,
        ci95=EVIDENCE_Z * math.sqrt(rate * (1.0 - rate) / n),
        outcomes=outcomes,
        baseline=baseline,
        baseline_n=beside,
        lift=lift,
        lift_ci95=lift_ci,
        reading=reading_of(lift, lift_ci),
    )


def _variance(share: float, n: int) -> float:
    """Of a share moved to the middle by two hits and two misses: one hit of one is no proof of anything."""
    moved = (share * n + 2.0) / (n + 4)
    return moved * (1.0 - moved) / n


def reading_of(lift: float, ci95: float) -> Reading:
    """What a lift says beside its interval."""
    if abs(lift) <= ci95:
        return "indistinguishable-from-baseline"
    return "above-baseline" if lift > 0 else "below-baseline"
