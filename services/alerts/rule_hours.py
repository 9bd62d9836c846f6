"""When a rule may speak: days, active hours and quiet hours on the wall of its time zone. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from libs.common.messages.alert_rules import Clock, Schedule

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ZoneUnknown(Exception):
    """There is no time zone of this name."""


@lru_cache(maxsize=1_024)
def zone(name: str) -> tzinfo:
    """The IANA time zone."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as e:
        raise ZoneUnknown(name) from e


def may_speak(schedule: Schedule, at_ms: int) -> bool:
    """Whether a rule may tell at an instant. A night belongs to the day on which it began."""
    shown = (_EPOCH + timedelta(milliseconds=at_ms)).astimezone(zone(schedule.timezone))
    minute = shown.hour * 60 + shown.minute
    day = shown.isoweekday()
    if schedule.quiet is not None and _within(schedule.quiet, minute):
        return False
    if schedule.active is not None:
        if not _within(schedule.active, minute):
            return False
        start, end = _minutes(schedule.active)
        if end <= start and minute < end:
            day = (day - 2) % 7 + 1
    return day in schedule.days


def _minutes(clock: Clock) -> tuple[int, int]:
    start, end = (int(text[:2]) * 60 + int(text[3:]) for text in (clock.start, clock.end))
    return start, end


def _within(clock: Clock, minute: int) -> bool:
    start, end = _minutes(clock)
    if start < end:
        return start <= minute < end
    return minute >= start or minute < end
