"""Bars of token prices, the mean over time and changes. Pure.

Bars are kept per minute for two days and per hour for two years; wider ones are made of them when asked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000
INTERVALS = {
    "1m": MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "1h": HOUR_MS,
    "4h": 4 * HOUR_MS,
    "1d": DAY_MS,
    "1w": 7 * DAY_MS,
}
CHANGES = {"1h": HOUR_MS, "24h": DAY_MS, "7d": 7 * DAY_MS}
KEPT_MS = {MINUTE_MS: 2 * DAY_MS, HOUR_MS: 730 * DAY_MS}
TWAP_MS = 30 * MINUTE_MS
TWAP_COVER_MS = 5 * MINUTE_MS  # a shorter past says nothing
GUARD_SHARE = 0.1
GUARD_FACTOR = 0.5


class Sample(NamedTuple):
    """A price at a moment."""

    at_ms: int
    usd: float
    ratio: float
    confidence: float


@dataclass(frozen=True, slots=True)
class PriceBar:
    """A bar in USD; ``ratio`` and ``confidence`` at its end."""

    begin_ms: int
    open: float
    high: float
    low: float
    close: float
    ratio: float
    confidence: float

    def with_sample(self, sample: Sample) -> PriceBar:
        """The bar after one more price."""
        return PriceBar(
            self.begin_ms,
            self.open,
            max(self.high, sample.usd),
            min(self.low, sample.usd),
            sample.usd,
            sample.ratio,
            sample.confidence,
        )


def begin_of(at_ms: int, width_ms: int) -> int:
    """When the bar of a moment begins."""
    return at_ms - at_ms % width_ms


def opened(sample: Sample, width_ms: int) -> PriceBar:
    """The bar a first price makes."""
    usd = sample.usd
    return PriceBar(begin_of(sample.at_ms, width_ms), usd, usd, usd, usd, sample.ratio, sample.confidence)


def merged(bars: Iterable[PriceBar], width_ms: int) -> list[PriceBar]:
    """Wider bars of bars in order."""
    made: list[PriceBar] = []
    for bar in bars:
        begin_ms = begin_of(bar.begin_ms, width_ms)
        if not made or made[-1].begin_ms != begin_ms:
            made.append(PriceBar(begin_ms, bar.open, bar.high, bar.low, bar.close, bar.ratio, bar.confidence))
            continue
        last = made[-1]
        made[-1] = PriceBar(
            begin_ms,
            last.open,
            max(last.high, bar.high),
            min(last.low, bar.low),
            bar.close,
            bar.ratio,
            bar.confidence,
        )
    return made


class Recent:
    """The prices of the last half hour of one token: each holds until the next."""

    def __init__(self) -> None:
        self._samples: deque[tuple[int, float]] = deque()

    def add(self, at_ms: int, usd: float) -> None:
        """A price; times do not go back."""
        if self._samples and at_ms <= self._samples[-1][0]:
            self._samples[-1] = (self._samples[-1][0], usd)
            return
        self._samples.append((at_ms, usd))
        while len(self._samples) > 1 and self._samples[1][0] <= at_ms - TWAP_MS:
            self._samples.popleft()

    def mean(self, now_ms: int) -> float | None:
        """The time-weighted mean over the half hour before ``now_ms``; None where less than five minutes
        are known."""
        begin_ms = now_ms - TWAP_MS
        total = covered = 0.0
        points = [*self._samples, (now_ms, 0.0)]
        for (at_ms, usd), (next_ms, _) in pairwise(points):
            held = next_ms - max(at_ms, begin_ms)
            if held > 0:
                total += usd * held
                covered += held
        return total / covered if covered >= TWAP_COVER_MS else None


def is_guarded(usd: float, mean: float | None) -> bool:
    """Whether a price is too far from its mean to be believed as it is."""
    return mean is not None and abs(usd - mean) > GUARD_SHARE * mean


def change_pct(now: float, before: float | None) -> float | None:
    """Change in per cent."""
    return None if before is None or before <= 0 else (now / before - 1.0) * 100.0


def resolution(interval_ms: int) -> int:
    """Which stored bars an interval is made of."""
    return HOUR_MS if interval_ms >= HOUR_MS else MINUTE_MS


def latest(bars: Sequence[PriceBar], at_ms: int) -> PriceBar | None:
    """The last bar that had begun at a moment."""
    found = [bar for bar in bars if bar.begin_ms <= at_ms]
    return found[-1] if found else None
