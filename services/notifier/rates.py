"""How often a recipient and a channel may be spoken to: the generic cell rate algorithm. Pure.

The whole state is one number, the time at which the bucket is full again (``tat_ms``), so it fits a column.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """``count`` per ``window_s`` in the long run, ``burst`` at once."""

    count: int
    window_s: float
    burst: int = 1

    @property
    def interval_ms(self) -> float:
        return self.window_s * 1000 / self.count


def allowed_at_ms(tat_ms: float, now_ms: int, rate: Rate) -> int:
    """When the next one may go: ``now_ms`` or later."""
    earliest = tat_ms - (rate.burst - 1) * rate.interval_ms
    return now_ms if earliest <= now_ms else -int(-earliest // 1)


def taken(tat_ms: float, now_ms: int, rate: Rate) -> float:
    """The state after one went at ``now_ms``."""
    return max(tat_ms, float(now_ms)) + rate.interval_ms
