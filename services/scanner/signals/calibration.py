"""How often signals of a confidence are right: an isotonic fit of hits over confidence. Pure.

Pool adjacent violators (Ayer et al. 1955; Barlow et al. 1972): of all curves that never fall, the one with
the least weighted squared error. A fit that is judged on what it was made of flatters itself, so the Brier
score beside it is that of a fit over the earlier half of the outcomes, taken on the later half.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

ENOUGH = 200  # outcomes from which on a fit is shown


class Bin(NamedTuple):
    """``n`` signals of about one confidence, ``hits`` of them right."""

    confidence: float
    n: int
    hits: int


class Step(NamedTuple):
    """From this confidence on, until the next step, so many were right: ``rate`` in [0, 1]."""

    confidence: float
    rate: float
    n: int


class Calibration(NamedTuple):
    """The steps over all outcomes; Brier scores of the later half, as told and by the earlier half's fit."""

    n: int
    steps: list[Step]
    brier: float
    brier_calibrated: float


def fit(bins: Iterable[Bin]) -> list[Step]:
    """The steps, confidence ascending; equal confidences may come in several bins."""
    pooled: list[tuple[float, int, int]] = []
    for confidence, known in groupby(sorted(bins), key=lambda one: one.confidence):
        its = list(known)
        block = confidence, sum(one.n for one in its), sum(one.hits for one in its)
        if not block[1]:
            continue
        while pooled and pooled[-1][2] * block[1] >= block[2] * pooled[-1][1]:
            before = pooled.pop()
            block = before[0], before[1] + block[1], before[2] + block[2]
        pooled.append(block)
    return [Step(confidence, hits / n, n) for confidence, n, hits in pooled]


def rate_at(steps: Sequence[Step], confidence: float) -> float:
    """What the fit says of a confidence; below the first step what that one says."""
    at = bisect_right(steps, confidence, key=lambda step: step.confidence)
    return steps[max(at - 1, 0)].rate


def calibration_of(earlier: Sequence[Bin], later: Sequence[Bin]) -> Calibration | None:
    """The fit over both halves; None below 200 outcomes or where a half has none."""
    total, judged = (sum(one.n for one in bins) for bins in ((*earlier, *later), later))
    if total < ENOUGH or not judged or total == judged:
        return None
    known = fit(earlier)
    return Calibration(
        n=total,
        steps=fit((*earlier, *later)),
        brier=_brier((one, one.confidence) for one in later) / judged,
        brier_calibrated=_brier((one, rate_at(known, one.confidence)) for one in later) / judged,
    )


def _brier(told: Iterable[tuple[Bin, float]]) -> float:
    """Σ (p - hit)² over bins and what was told of them."""
    return math.fsum(one.hits * (1.0 - p) ** 2 + (one.n - one.hits) * p * p for one, p in told)
