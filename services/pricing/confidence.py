"""How sure a path and a price are. Pure.

Scalars and arrays go through the same functions, in the same order of operations, so a price is the same to
the last bit however many are computed at once. Powers of the path length come from a table: a vectorised
power may differ from a scalar one in its last bit.

Formulas: reliability and confidence of a path, weight, median filter, weighted mean, variation, confidence of
a token, as the reference documents give them (verified against their published sample).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.pricing.rules import DAY_MS, HOUR_MS, Rules

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

TOKENS_MAX = 8
ROOT_SHARE = np.array([1.0, *(1.0 / math.sqrt(hops) for hops in range(1, TOKENS_MAX))])  # by hops
SCORE_LENGTH = np.array([1.0, *(length**1.5 for length in range(1, TOKENS_MAX + 1))])  # by tokens
WEIGHT_LENGTH = np.array([1.0, *(length**1.2 for length in range(1, TOKENS_MAX + 1))])


def reliability(rules: Rules, depth: Floats, age_ms: Floats, hops: Ints) -> Floats:
    """``min(1, Lmin/10000) · max(0, 1 − age/24h) · 1/sqrt(h)``"""
    found: Floats = np.minimum(1.0, depth / rules.reliable_usd) * np.maximum(0.0, 1.0 - age_ms / DAY_MS)
    result: Floats = found * ROOT_SHARE[hops]
    return result


def path_confidence(rules: Rules, liquidity: Floats) -> Floats:
    """``min(1, Lsum/50000)``"""
    found: Floats = np.minimum(1.0, liquidity / rules.confident_usd)
    return found


def weight(rules: Rules, reliable: Floats, sure: Floats, depth: Floats, age_ms: Floats, hops: Ints) -> Floats:
    """What a path counts: reliable, confident, short, deep and fresh ones more."""
    found: Floats = np.maximum(0.01, reliable) * np.maximum(0.01, sure)
    found = found / WEIGHT_LENGTH[hops + 1]
    found = found * (1.0 + np.minimum(rules.boost_max, depth / rules.boost_usd))
    found = found * np.maximum(0.5, 1.0 - age_ms / HOUR_MS)
    return np.maximum(0.001, found)


@dataclass(frozen=True, slots=True)
class Table:
    """The best paths of several tokens: a row per token, a column per rank; beyond ``count`` is nothing."""

    count: Ints
    ratio: Floats
    weight: Floats
    liquidity: Floats  # Lsum
    oldest_ms: Floats

    @property
    def valid(self) -> Bools:
        """Where there is a path."""
        found: Bools = np.arange(self.ratio.shape[1]) < self.count[:, None]
        return found


@dataclass(frozen=True, slots=True)
class Priced:
    """What a row of the table gives; ``keep`` marks the paths within the median filter."""

    ratio: Floats
    variation: Floats
    confidence: Floats
    kept: Ints
    keep: Bools


def price(rules: Rules, table: Table, anchor_confidence: float) -> Priced:
    """Median filter, weighted mean, variation and confidence of each row; ratio 0 where there is no path.

    Sums run in the order of rising ratios, one path after the other.
    """
    valid = table.valid
    ratio = np.where(valid, table.ratio, np.inf)
    order = np.argsort(ratio, axis=1, kind="stable")
    rising = np.take_along_axis(ratio, order, axis=1)
    some = table.count > 0
    median = np.where(some, rising[np.arange(some.size), table.count // 2 * some], 1.0)
    with np.errstate(invalid="ignore"):
        keep = valid & (np.abs(ratio - median[:, None]) / median[:, None] <= rules.outlier_share)
    kept = keep.sum(axis=1)
    ordered_keep = np.take_along_axis(keep, order, axis=1)
    value = np.where(ordered_keep, rising, 0.0)
    weights = np.where(ordered_keep, np.take_along_axis(table.weight, order, axis=1), 0.0)
    liquidity = np.where(ordered_keep, np.take_along_axis(table.liquidity, order, axis=1), 0.0)
    total = _sum(weights)
    total = np.where(some, total, 1.0)
    mean = _sum(weights * value) / total
    off = np.where(ordered_keep, value - mean[:, None], 0.0)
    variance = _sum(weights * (off * off)) / total
    spread = np.where(kept > 1, np.sqrt(variance) / np.where(some, mean, 1.0), 0.0)
    oldest = np.where(keep, table.oldest_ms, 0.0).max(axis=1, initial=0.0)
    sure = token_confidence(rules, spread, _sum(liquidity), kept, anchor_confidence) * freshness(
        rules, oldest
    )
    return Priced(np.where(some, mean, 0.0), spread, np.where(some, sure, 0.0), kept, keep)


def token_confidence(
    rules: Rules, variation: Floats, liquidity: Floats, kept: Ints, anchor_confidence: float
) -> Floats:
    """``(0.4·consistency + 0.4·liquidity + 0.2·paths) · anchor``"""
    consistency = np.maximum(0.0, 1.0 - variation)
    deep = np.minimum(1.0, liquidity / rules.liquid_usd)
    many = np.minimum(1.0, kept / rules.paths_enough)
    found: Floats = (0.4 * consistency + 0.4 * deep + 0.2 * many) * anchor_confidence
    return found


def freshness(rules: Rules, oldest_ms: Floats) -> Floats:
    """``2^(−max(0, age of the oldest reserve − 5 min)/30 min)``; 1 in legacy mode."""
    found = np.ones(oldest_ms.size)
    if rules.legacy:
        return found
    for row in np.flatnonzero(oldest_ms > rules.fresh_ms).tolist():
        found[row] = 2.0 ** (-(float(oldest_ms[row]) - rules.fresh_ms) / rules.fresh_half_ms)
    return found


def band(confidence: float) -> str:
    """How a confidence is shown: high from 0.8, medium from 0.6, else low."""
    return "high" if confidence >= 0.8 else "medium" if confidence >= 0.6 else "low"


def _sum(columns: Floats) -> Floats:
    """Row sums, one column after the other (numpy's own sum pairs them up)."""
    total = columns[:, 0].copy() if columns.shape[1] else np.zeros(columns.shape[0])
    for number in range(1, columns.shape[1]):
        total += columns[:, number]
    return total
