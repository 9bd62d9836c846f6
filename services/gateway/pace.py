"""When to flush: at once while there is room, joined as the load grows.

One ``send`` costs about the same for one frame as for ten, so waiting saves CPU and costs latency.
The hub tells what each flush cost and delivered; from both, smoothed, follows the *load*: the share
of a core that sending every frame by itself would take. Below ``load_low`` nothing waits. From
there the interval grows to ``interval_s_max`` at ``load_high``. It follows from demand, not from
what joining saves, so it does not swing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

_ELAPSED_S_MIN = 1e-6  # flushes closer than this count as one


@dataclass(frozen=True, slots=True)
class PaceLimits:
    """The curve from load to interval."""

    load_low: float = 0.2
    load_high: float = 0.9
    curve: float = 1.5  # above 1: latency is given up late
    interval_s_max: float = 0.038
    busy_share_max: float = 0.7  # a flush may take this share of its interval, else it is stretched
    memory_s: float = 0.5  # time constant of the averages


class Pace:
    """Turns what flushes cost into the time between them."""

    def __init__(self, limits: PaceLimits) -> None:
        self._limits = limits
        self._flushed_s: float | None = None
        self._cost_s = 0.0  # since _flushed_s
        self._writes = 0
        self._deliveries = 0
        self._cost_share = 0.0  # seconds of CPU per second
        self._writes_rate = 0.0  # per second
        self._deliveries_rate = 0.0  # per second
        self.interval_s = 0.0

    @property
    def load(self) -> float:
        """The share of a core that delivering every frame in its own write would take."""
        if self._writes_rate <= 0.0:
            return 0.0
        return self._deliveries_rate * self._cost_share / self._writes_rate

    def flushed(self, *, now_s: float, cost_s: float, writes: int, deliveries: int) -> None:
        """Learn from one flush: its CPU cost, the writes it made and the frames they carried."""
        if self._flushed_s is None:
            self._flushed_s = now_s
            return
        self._cost_s += cost_s
        self._writes += writes
        self._deliveries += deliveries
        elapsed_s = now_s - self._flushed_s
        if elapsed_s < _ELAPSED_S_MIN:
            return
        weight = -math.expm1(-elapsed_s / self._limits.memory_s)
        self._cost_share += weight * (self._cost_s / elapsed_s - self._cost_share)
        self._writes_rate += weight * (self._writes / elapsed_s - self._writes_rate)
        self._deliveries_rate += weight * (self._deliveries / elapsed_s - self._deliveries_rate)
        self._flushed_s, self._cost_s, self._writes, self._deliveries = now_s, 0.0, 0, 0
        self.interval_s = max(self._wanted_s(), self._affordable_s(cost_s))

    def _wanted_s(self) -> float:
        limits = self._limits
        rise = (self.load - limits.load_low) / (limits.load_high - limits.load_low)
        return float(limits.interval_s_max * min(max(rise, 0.0), 1.0) ** limits.curve)

    def _affordable_s(self, cost_s: float) -> float:
        # Only a flush that is long by itself stretches its interval: small ones may follow each other.
        if cost_s < self._limits.interval_s_max * self._limits.busy_share_max:
            return 0.0
        return cost_s / self._limits.busy_share_max
