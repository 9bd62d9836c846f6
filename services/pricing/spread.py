"""Between which prices a token trades: weighted quartiles over its paths. Pure."""

from __future__ import annotations

from collections.abc import Sequence


def weighted_quantile(pairs: Sequence[tuple[float, float]], share: float) -> float:
    """The first value, from below, at which ``share`` of the weight is reached; pairs are (value, weight)."""
    ordered = sorted(pairs)
    total = sum(weight for _, weight in ordered)
    reached = 0.0
    for value, weight in ordered:
        reached += weight
        if reached >= share * total:
            return value
    return ordered[-1][0]


def quartiles(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The weighted first and third quartile."""
    return weighted_quantile(pairs, 0.25), weighted_quantile(pairs, 0.75)
