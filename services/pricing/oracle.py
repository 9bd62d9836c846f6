"""The anchor's price from several sources, and how far it can be believed. Pure: time comes with each call.

- One source: its price, confidence 0.9. Two: the mean weighted by place, ``p̄ = Σ p_i/(i+1) / Σ 1/(i+1)`` in
  the order of priority. Three and more: whoever is more than 5 % off the median is left out; the median of
  at least three that agree, else the weighted mean of two.
- Confidence: ``1 − 10 · mean|p_i − p̄|/p̄`` within 0 and 1.
- Three failures in a row open a source's circuit: it is not asked for a minute, then gets a new chance.
- Where nobody answers, the last good price goes on as a backup: its confidence halves every half hour, and
  after six hours it is no price any more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple

ALONE_CONFIDENCE = 0.9
OFF_SHARE_MAX = 0.05
FAILURES_MAX = 3
OPEN_MS = 60_000
FRESH_MS = 330_000  # five minutes, and half a minute to ask again
HALF_MS = 1_800_000.0
USABLE_MS = 6 * 3_600_000


class SourcePrice(NamedTuple):
    """What a source said; a lower priority comes first."""

    source: str
    price: float
    priority: int = 1


class Agreed(NamedTuple):
    """The price the sources agree on, from these, the first named first."""

    price: float
    confidence: float
    sources: tuple[str, ...]


class Reading(NamedTuple):
    """The price that counts at a moment; ``at_ms`` is when the sources last gave it."""

    price: float
    confidence: float
    source: str
    at_ms: int
    backup: bool


def is_price(price: float) -> bool:
    """Whether a number can be a price."""
    return math.isfinite(price) and price > 0


def agree(said: Sequence[SourcePrice]) -> Agreed | None:
    """The agreed price; None when nobody gave a usable one."""
    ranked = sorted((s for s in said if is_price(s.price)), key=lambda s: (s.priority, s.source))
    if not ranked:
        return None
    if len(ranked) >= 3:
        middle = median(s.price for s in ranked)
        near = [s for s in ranked if abs(s.price - middle) / middle <= OFF_SHARE_MAX]
        if len(near) >= 2:
            ranked = near
    names = tuple(s.source for s in ranked)
    if len(ranked) == 1:
        return Agreed(ranked[0].price, ALONE_CONFIDENCE, names)
    price = median(s.price for s in ranked) if len(ranked) >= 3 else _by_place(ranked)
    off = sum(abs(s.price - price) / price for s in ranked) / len(ranked)
    return Agreed(price, min(1.0, max(0.0, 1.0 - 10.0 * off)), names)


def _by_place(ranked: Sequence[SourcePrice]) -> float:
    weights = [1.0 / (place + 1) for place in range(len(ranked))]
    return sum(s.price * weight for s, weight in zip(ranked, weights, strict=True)) / sum(weights)


def named(sources: Sequence[str]) -> str:
    """``coingecko``, ``coingecko +1 other``, ``coingecko +2 others``."""
    if len(sources) <= 1:
        return "".join(sources)
    more = len(sources) - 1
    return f"{sources[0]} +{more} other{'s' if more > 1 else ''}"


@dataclass(slots=True)
class Circuit:
    """Whether a source is asked."""

    failures: int = 0
    closed_again_ms: int = 0

    def lets_through(self, now_ms: int) -> bool:
        """Whether to ask it now; a circuit whose time is over starts anew."""
        if self.failures < FAILURES_MAX:
            return True
        if now_ms < self.closed_again_ms:
            return False
        self.failures = 0
        return True

    def succeeded(self) -> None:
        """It gave a price."""
        self.failures = 0

    def failed(self, now_ms: int) -> None:
        """It gave none."""
        self.failures += 1
        if self.failures >= FAILURES_MAX:
            self.closed_again_ms = now_ms + OPEN_MS


@dataclass(slots=True)
class Oracle:
    """What is known of the anchor's price, across rounds of asking."""

    circuits: dict[str, Circuit] = field(default_factory=dict)
    last: Agreed | None = None
    last_ms: int = 0
    failures_in_row: int = 0
    last_error: str = ""

    def to_ask(self, names: Sequence[str], now_ms: int) -> list[str]:
        """The sources whose circuit lets a question through."""
        return [name for name in names if self.circuits.setdefault(name, Circuit()).lets_through(now_ms)]

    def heard(self, said: Sequence[SourcePrice], errors: dict[str, str], now_ms: int) -> None:
        """A round is over: prices, and errors by source. A price that is none is an error."""
        for price in said:
            circuit = self.circuits.setdefault(price.source, Circuit())
            if is_price(price.price):
                circuit.succeeded()
            else:
                errors = {**errors, price.source: f"{price.price} is no price"}
        for name, error in errors.items():
            self.circuits.setdefault(name, Circuit()).failed(now_ms)
            self.last_error = f"{name}: {error}"
        agreed = agree(said)
        if agreed is None:
            self.failures_in_row += 1
            return
        self.last, self.last_ms, self.failures_in_row = agreed, now_ms, 0

    def reading(self, now_ms: int) -> Reading | None:
        """The price that counts now; None without any, and when the backup is too old."""
        if self.last is None:
            return None
        age_ms = max(0, now_ms - self.last_ms)
        if age_ms >= USABLE_MS:
            return None
        backup = self.failures_in_row > 0 or age_ms > FRESH_MS
        confidence = self.last.confidence * (2.0 ** (-age_ms / HALF_MS) if backup else 1.0)
        return Reading(self.last.price, confidence, named(self.last.sources), self.last_ms, backup)

    def available(self, names: Sequence[str], now_ms: int) -> list[str]:
        """Sources that are asked and did not fail the last time."""
        return [
            name
            for name in names
            if (known := self.circuits.get(name)) is None
            or (known.failures == 0 and known.lets_through(now_ms))
        ]
