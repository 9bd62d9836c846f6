"""Wall-clock time of people: the next time a clock on their wall shows something. Pure.

Summer time makes hours that do not exist and hours that come twice; everything here counts real instants and
looks at what the wall shows at each.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

MINUTE_MS = 60_000
DAY_MINUTES = 1440
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class UnknownZone(Exception):
    """There is no time zone of this name, or this machine has no time zone data."""


def zone(name: str) -> tzinfo:
    """The IANA time zone; ``UTC`` needs no data on the machine."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as e:
        raise UnknownZone(name) from e


def local(now_ms: int, where: tzinfo) -> datetime:
    """What the wall shows at an instant."""
    return (_EPOCH + timedelta(milliseconds=now_ms)).astimezone(where)


def minute_of_day(now_ms: int, where: tzinfo) -> int:
    """Minutes since midnight on the wall."""
    shown = local(now_ms, where)
    return shown.hour * 60 + shown.minute


def next_at(now_ms: int, minute: int, where: tzinfo) -> int:
    """The first whole minute after ``now_ms`` at which the wall shows ``minute`` or has just jumped over it.

    Found by going as many minutes as the wall still lacks; if the clock was changed on the way, by stopping
    at the change and looking again.
    """
    at = (now_ms // MINUTE_MS + 1) * MINUTE_MS
    if _crossed(at, minute, where):
        return at
    while True:
        lacking = (minute - minute_of_day(at, where)) % DAY_MINUTES
        if lacking == 0:
            return at
        goal = at + lacking * MINUTE_MS
        if _offset(at, where) == _offset(goal, where):
            return goal
        at = _first_change(at, goal, where)
        if _crossed(at, minute, where):
            return at


def _offset(at_ms: int, where: tzinfo) -> timedelta:
    return local(at_ms, where).utcoffset() or timedelta()


def _crossed(at_ms: int, minute: int, where: tzinfo) -> bool:
    """Whether the wall came to ``minute``, or jumped over it, in the minute that ends at ``at_ms``."""
    before, after = local(at_ms - MINUTE_MS, where), local(at_ms, where)
    gone = (after.replace(tzinfo=None) - before.replace(tzinfo=None)) // timedelta(minutes=1)
    return 0 <= (after.hour * 60 + after.minute - minute) % DAY_MINUTES < gone


def _first_change(start_ms: int, end_ms: int, where: tzinfo) -> int:
    """The first whole minute after ``start_ms`` with another offset than it, known to come before the end."""
    same, other = start_ms // MINUTE_MS, end_ms // MINUTE_MS
    offset = _offset(start_ms, where)
    while other - same > 1:
        middle = (same + other) // 2
        if _offset(middle * MINUTE_MS, where) == offset:
            same = middle
        else:
            other = middle
    return other * MINUTE_MS
