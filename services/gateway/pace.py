"""When to flush: at once while there is room, joined as the load grows.

One ``send`` costs about the same for one frame as for ten, so waiting saves CPU and costs latency.
Two things make a flush wait, and the longer wait counts:

- *demand*: frames delivered per second. A core makes some 200,000 sends a second on the machines we
  know, so towards that number each frame by itself would take all of it. Below ``rate_low`` nothing
  waits; from there the interval grows to its longest at ``rate_high``. It follows from what is
  asked, not from what joining saves, so it does not swing. The longest is ``interval_s_max``, or
  less where that already brings the writes down to ``writes_rate_goal``: few sockets that hear much
  need not wait long;
- *cost*: the measured CPU time of the flushes. They may take ``busy_share_max`` of the core, on a
  slow machine or with very many sockets too; where they would take more, the interval is stretched.

A long interval is taken in steps, each for its share of the sockets: the wait is the same, but no
flush is long, so the last socket of a flush is not much later than the first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

_ELAPSED_S_MIN = 1e-6  # flushes closer than this count as one


@dataclass(frozen=True, slots=True)
class PaceLimits:
    """The curve from demand to interval, and the bound of the cost."""

    rate_low: float = 110_000.0
    rate_high: float = 170_000.0
    interval_s_max: float = 0.040  # by demand
    writes_rate_goal: float = 20_000.0  # per second: a tenth of a core; fewer are not worth a wait
    stretched_s_max: float = 0.25  # by cost
    busy_share_max: float = 0.85
    memory_s: float = 0.5  # time constant of the averages
    spread_s: float = 0.008  # from this interval on the sockets take turns within it
    spread_steps: int = 4


class Pace:
    """Turns what flushes delivered and cost into the time between them."""

    def __init__(self, limits: PaceLimits) -> None:
        self._limits = limits
        self._flushed_s: float | None = None
        self._cost_s = 0.0  # since _flushed_s
        self._deliveries = 0
        self._writes = 0
        self._flush_cost_s = 0.0  # averages of one flush
        self._flush_writes = 0.0
        self.rate = 0.0
        self.busy_share = 0.0
        self.interval_s = 0.0
        self.steps = 1

    def flushed(self, *, now_s: float, cost_s: float, writes: int, deliveries: int) -> None:
        """Learn from one flush, which may be one step of an interval: its CPU time, writes and frames."""
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
        self.rate += weight * (self._deliveries / elapsed_s - self.rate)
        self.busy_share += weight * (self._cost_s / elapsed_s - self.busy_share)
        self._flush_cost_s += weight * (self._cost_s - self._flush_cost_s)
        self._flush_writes += weight * (self._writes - self._flush_writes)
        self._flushed_s, self._cost_s, self._writes, self._deliveries = now_s, 0.0, 0, 0
        affordable_s = self.steps * self._flush_cost_s / self._limits.busy_share_max
        self.interval_s = max(self._wanted_s(), min(affordable_s, self._limits.stretched_s_max))
        steps = self._limits.spread_steps if self.interval_s >= self._limits.spread_s else 1
        # What was learnt of a flush holds for the whole interval.
        self._flush_cost_s *= self.steps / steps
        self._flush_writes *= self.steps / steps
        self.steps = steps

    def _wanted_s(self) -> float:
        limits = self._limits
        rise = (self.rate - limits.rate_low) / (limits.rate_high - limits.rate_low)
        longest_s = min(limits.interval_s_max, self.steps * self._flush_writes / limits.writes_rate_goal)
        return longest_s * min(max(rise, 0.0), 1.0)
