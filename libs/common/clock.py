"""Time, passed in: wall clock for records, monotonic clock for timeouts."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """The only source of time outside this package."""

    def now(self) -> datetime:
        """The current time for records: UTC and aware."""
        ...

    def now_ms(self) -> int:
        """The current time for records, Unix milliseconds."""
        ...

    def monotonic_s(self) -> float:
        """Seconds for timeouts and measuring; never goes backwards."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        return time.monotonic()


class ManualClock:
    """A clock that moves only when told to: simulation and tests."""

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError("start was naive, not UTC")
        self._now = start
        self._elapsed_s = 0.0

    def now(self) -> datetime:
        return self._now

    def now_ms(self) -> int:
        return unix_ms(self._now)

    def monotonic_s(self) -> float:
        return self._elapsed_s

    def advance(self, seconds: float) -> None:
        """Move both clocks forward by ``seconds`` (>= 0)."""
        if seconds < 0:
            raise ValueError(f"seconds was {seconds}, time does not go backwards")
        self._now += timedelta(seconds=seconds)
        self._elapsed_s += seconds


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def unix_ms(moment: datetime) -> int:
    """Unix milliseconds of an aware datetime, without float rounding."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def from_unix_ms(ms: int) -> datetime:
    """The aware UTC datetime of Unix milliseconds."""
    return _EPOCH + timedelta(milliseconds=ms)
