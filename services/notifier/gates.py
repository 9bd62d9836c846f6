"""What holds a delivery to a person back (quiet hours, digests), and what is said of many at once. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from enum import StrEnum

from services.notifier.wallclock import minute_of_day, next_at

URGENT_LEVEL = 20  # from here on nothing is held back
SUMMARY_ABOVE = 5  # due at once for one person: more than this become one message
SUMMARY_ROWS_MAX = 500
SUMMARY_LINES_MAX = 15
DAILY_MINUTE = 8 * 60
HOUR_MS = 3_600_000


class Digest(StrEnum):
    """How often a person wants to hear what is not urgent."""

    OFF = "off"
    HOURLY = "hourly"
    DAILY = "daily"


@dataclass(frozen=True, slots=True)
class Quiet:
    """A span of the day in minutes since midnight on a person's wall; it may pass midnight. Equal: never."""

    start: int
    end: int

    def holds(self, minute: int) -> bool:
        """Whether a minute of the day is inside."""
        if self.start <= self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end


@dataclass(frozen=True, slots=True)
class Gate:
    """A person's wishes, as far as they hold deliveries back."""

    where: tzinfo
    quiet: Quiet | None = None
    digest: Digest = Digest.OFF


def open_at_ms(gate: Gate, *, created_ms: int, now_ms: int, level: int) -> int:
    """When a delivery made at ``created_ms`` may go: at most ``now_ms`` means now."""
    if level >= URGENT_LEVEL:
        return now_ms
    due_ms = max(_digest_ms(gate, created_ms), now_ms)
    if gate.quiet is not None and gate.quiet.holds(minute_of_day(due_ms, gate.where)):
        due_ms = next_at(due_ms, gate.quiet.end, gate.where)
    return due_ms


def _digest_ms(gate: Gate, created_ms: int) -> int:
    match gate.digest:
        case Digest.HOURLY:
            return (created_ms // HOUR_MS + 1) * HOUR_MS
        case Digest.DAILY:
            return next_at(created_ms, DAILY_MINUTE, gate.where)
        case _:
            return created_ms


def is_summarised(count: int, digest: Digest) -> bool:
    """Whether so many deliveries due at once become one message."""
    return count > 1 if digest is not Digest.OFF else count > SUMMARY_ABOVE


def summary_lines(titles: Sequence[str]) -> tuple[list[str], int]:
    """The lines a summary shows, equal titles counted once, and how many notifications it leaves unnamed."""
    counted: dict[str, int] = {}
    for title in titles:
        counted[title] = counted.get(title, 0) + 1
    shown = list(counted.items())[:SUMMARY_LINES_MAX]
    lines = [title if count == 1 else f"{title} (×{count})" for title, count in shown]
    return lines, len(titles) - sum(count for _, count in shown)
