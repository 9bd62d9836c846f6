"""Times as the scan surface writes and reads them. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def iso(at_ms: int) -> str:
    """Unix milliseconds (>= 0) as ISO 8601 in UTC; milliseconds only where there are some."""
    moment = _EPOCH + timedelta(milliseconds=at_ms)
    text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    if at_ms % 1000:
        text += f".{at_ms % 1000:03d}"
    return f"{text}Z"


def read_iso(text: str) -> int | None:
    """Unix milliseconds of a time in ISO 8601 (a date alone is its midnight, no offset is UTC); None when
    it is none."""
    try:
        moment = datetime.fromisoformat(text)
        aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return (aware - _EPOCH) // timedelta(milliseconds=1)
