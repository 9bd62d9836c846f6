"""Times as clients send them."""

from __future__ import annotations

from datetime import UTC, datetime

from libs.common.clock import unix_ms
from libs.common.errors import InvalidData


def read_iso(field: str, text: str) -> int:
    """Unix milliseconds of a time in ISO 8601 with its offset; a time without one is UTC."""
    try:
        moment = datetime.fromisoformat(text)
        aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as e:
        raise InvalidData(f"{field}: Expected a time in ISO 8601") from e
    return unix_ms(aware)


def iso_ms(at_ms: int) -> str:
    """Unix milliseconds as ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
