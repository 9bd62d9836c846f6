"""Times as the scan surface writes them."""

from __future__ import annotations

from libs.common.clock import from_unix_ms


def iso(ms: int) -> str:
    """ISO 8601 in UTC with ``Z``, to the second: ``2026-01-31T12:00:00Z``."""
    return from_unix_ms(ms).strftime("%Y-%m-%dT%H:%M:%SZ")


def iso_or_none(ms: int) -> str | None:
    """The same; none for 0, which stands for never."""
    return iso(ms) if ms else None
