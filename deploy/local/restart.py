"""When a crashed process is tried again. Pure: time is passed in."""

from __future__ import annotations

from dataclasses import dataclass

from libs.common.clock import Clock


@dataclass(slots=True)
class RestartPolicy:
    """A growing delay: ``first_s`` doubling to ``most_s``; from the start again after ``healthy_s``."""

    clock: Clock
    first_s: float = 0.5
    most_s: float = 30.0
    healthy_s: float = 60.0
    crashes: int = 0
    _started_s: float | None = None

    def started(self) -> None:
        """The process was started now."""
        self._started_s = self.clock.monotonic_s()

    def delay_s(self) -> float:
        """The process crashed now: how long to wait before the next start."""
        ran_s = self.clock.monotonic_s() - self._started_s if self._started_s is not None else 0.0
        if ran_s >= self.healthy_s:
            self.crashes = 0
        # The exponent is bounded: a service that fails for days must not overflow it.
        delay = min(self.first_s * 2.0 ** min(self.crashes, 32), self.most_s)
        self.crashes += 1
        return delay
