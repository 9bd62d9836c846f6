"""What became of a detection: a record's stop and targets, and its life bar by bar. Pure.

Entry is the close of the bar at which the formation became known; the first bar that counts is the next
one. Risk is 1.5 ATR of that bar's window: the stop lies one risk against the direction, the first target
1.5 and the second 3 risks with it. Stop and target in one bar count as the loss.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

RISK_ATR = 1.5
TARGET_RISKS = (1.5, 3.0)
BARS_MAX = 30

Outcome = Literal["win", "loss", "expired"]


class Plan(NamedTuple):
    """Where a record begins and ends."""

    entry: float
    stop: float
    targets: tuple[float, float]


def plan_of(direction: str, entry: float, atr: float) -> Plan | None:
    """The plan of a detection; None for neutral ones and where nothing moved."""
    if direction == "neutral" or atr <= 0:
        return None
    side = 1.0 if direction == "bullish" else -1.0
    risk = side * RISK_ATR * atr
    near, far = (entry + factor * risk for factor in TARGET_RISKS)
    return Plan(entry, entry - risk, (near, far))


class Closed(NamedTuple):
    """The end of a record; moves are in percent of the entry, with the direction's sign."""

    outcome: Outcome
    exit_price: float
    return_pct: float
    mfe_pct: float
    mae_pct: float
    bars: int


class Track:
    """An open record under way. ``step`` takes each later bar once, in order."""

    __slots__ = ("bars", "entry", "high", "low", "sign", "stop", "target")

    def __init__(self, direction: str, plan: Plan) -> None:
        self.sign = 1.0 if direction == "bullish" else -1.0
        self.entry, self.stop, self.target = plan.entry, plan.stop, plan.targets[0]
        self.high = self.low = plan.entry
        self.bars = 0

    def step(self, high: float, low: float, close: float) -> Closed | None:
        """Count a bar; the end when it is the last one."""
        self.bars += 1
        if high > self.high:  # noqa: PLR1730  # not max(): runs for every open record on every bar
            self.high = high
        if low < self.low:  # noqa: PLR1730
            self.low = low
        long = self.sign > 0
        if (low <= self.stop) if long else (high >= self.stop):
            return self._closed("loss", self.stop)
        if (high >= self.target) if long else (low <= self.target):
            return self._closed("win", self.target)
        if self.bars >= BARS_MAX:
            return self._closed("expired", close)
        return None

    def _closed(self, outcome: Outcome, price: float) -> Closed:
        gain, pain = self.high - self.entry, self.entry - self.low
        best, worst = (gain, pain) if self.sign > 0 else (pain, gain)
        percent = 100.0 / self.entry
        return Closed(
            outcome,
            price,
            self.sign * (price - self.entry) * percent,
            max(0.0, best) * percent,
            max(0.0, worst) * percent,
            self.bars,
        )
