"""The isotonic fit by its min-max formula (Robertson, Wright and Dykstra 1988, 1.4.4), in exact fractions."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction


def fitted(points: Sequence[tuple[float, int, int]]) -> dict[float, Fraction]:
    """confidence → rate: the largest over starts up to it of the smallest mean over ends from it on."""
    merged: dict[float, tuple[int, int]] = {}
    for confidence, n, hits in points:
        held = merged.get(confidence, (0, 0))
        merged[confidence] = held[0] + n, held[1] + hits
    known = [(confidence, *merged[confidence]) for confidence in sorted(merged) if merged[confidence][0]]

    def mean(first: int, last: int) -> Fraction:
        part = known[first : last + 1]
        return Fraction(sum(hits for *_, hits in part), sum(n for _, n, _ in part))

    return {
        known[at][0]: max(min(mean(s, e) for e in range(at, len(known))) for s in range(at + 1))
        for at in range(len(known))
    }
