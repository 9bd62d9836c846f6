"""How patterns have done: shares with their intervals, beside the baseline. Pure."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from libs.common.messages.scanner import Evidence
from services.scanner.catalogue import BASELINE_LONG, BASELINE_SHORT, DIRECTIONS

Z95 = 1.959963984540054  # the 97.5 % quantile of the normal distribution
SYMBOL_MIN = 30  # from so many closed records on a symbol speaks for itself


class Share(NamedTuple):
    """Hits among n, with Wilson's interval at 95 %; None where nothing was counted."""

    n: int
    rate: float | None
    low: float | None
    high: float | None


def wilson(hits: int, n: int) -> Share:
    """The share and its score interval (Wilson 1927): right also for few and for extreme counts."""
    if n == 0:
        return Share(0, None, None, None)
    rate = hits / n
    spread = Z95 * math.sqrt(rate * (1 - rate) / n + Z95**2 / (4 * n**2))
    centre, scale = rate + Z95**2 / (2 * n), 1 + Z95**2 / n
    low, high = (centre - spread) / scale, (centre + spread) / scale
    return Share(n, rate, max(0.0, low) if hits else 0.0, min(1.0, high) if hits < n else 1.0)


def baseline_of(pattern: str) -> str | None:
    """The baseline a pattern is told beside: that of its direction; none for neutral ones."""
    return {"bullish": BASELINE_LONG, "bearish": BASELINE_SHORT}.get(DIRECTIONS[pattern])


class EvidenceBook:
    """Counts of closed records by pattern, symbol and timeframe, as they were last read."""

    def __init__(self) -> None:
        self._counts: Mapping[tuple[str, str, str], tuple[int, int]] = {}

    def take(self, tallies: Iterable[tuple[str, str, str, int, int]]) -> None:
        """Replace the counts by (pattern, symbol, timeframe, n, wins)."""
        counts: dict[tuple[str, str, str], tuple[int, int]] = {}
        over_all: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
        for pattern, symbol, timeframe, n, wins in tallies:
            counts[pattern, symbol, timeframe] = n, wins
            both = over_all[pattern, timeframe]
            both[0] += n
            both[1] += wins
        counts.update({(p, "", t): (n, wins) for (p, t), (n, wins) in over_all.items()})
        self._counts = counts

    def of(self, pattern: str, symbol: str, timeframe: str) -> Evidence | None:
        """What is known of a pattern on a symbol, or on all symbols where that one has too few records;
        None for neutral patterns."""
        base = baseline_of(pattern)
        if base is None:
            return None
        own = self._counts.get((pattern, symbol, timeframe), (0, 0))
        scope = "symbol" if own[0] >= SYMBOL_MIN else "all"
        where = symbol if scope == "symbol" else ""
        n, wins = self._counts.get((pattern, where, timeframe), (0, 0))
        hit = wilson(wins, n)
        beside = wilson(*reversed(self._counts.get((base, where, timeframe), (0, 0))))
        lift = None if hit.rate is None or beside.rate is None else hit.rate - beside.rate
        return Evidence(
            scope=scope,
            n=n,
            hit_rate=hit.rate,
            ci_low=hit.low,
            ci_high=hit.high,
            baseline=beside.rate,
            lift=lift,
        )
