"""Messages of monitors, their feed, usage and time zone: the people's part of the scan surface.

Major 1 of each; owned by scanner. As in ``messages/scan.py`` the replies are the client's JSON.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec


class MonitorMake(msgspec.Struct, frozen=True, kw_only=True):
    """Watch for detections; an empty filter takes everything."""

    person_id: int
    tier: str
    name: str
    symbol_filters: Sequence[str] = ()
    pattern_filters: Sequence[str] = ()
    timeframe_filters: Sequence[str] = ()
    channels: Sequence[str] = ()  # 1.1: where its events are told beside the feed


class MonitorChange(msgspec.Struct, frozen=True, kw_only=True):
    """Let a monitor watch (``active``), rest (``paused``), or go (empty)."""

    person_id: int
    id: str
    status: str = ""


class MonitorView(msgspec.Struct, frozen=True, kw_only=True):
    """A monitor."""

    id: str
    name: str
    symbol_filters: Sequence[str]
    pattern_filters: Sequence[str]
    timeframe_filters: Sequence[str]
    status: str
    created_at: str
    channels: Sequence[str] = ()  # 1.1


class MonitorsView(msgspec.Struct, frozen=True, kw_only=True):
    """``{monitors}``."""

    monitors: Sequence[MonitorView]


class FeedAsk(msgspec.Struct, frozen=True, kw_only=True):
    """A page of a person's feed, newest first."""

    person_id: int
    limit: int = 50
    unread_only: bool = False
    cursor: str = ""


class FeedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something a monitor heard."""

    id: str
    monitor_id: str
    type: str
    symbol: str
    timeframe: str
    pattern: str
    context_id: str
    detection_id: str
    created_at: str
    read: bool


class MonitorHeard(msgspec.Struct, frozen=True, kw_only=True):
    """A fact: a monitor that tells on channels heard something. ``event`` is what stands in the feed, its id
    that of every message about it; ``price`` that of the bar, or of the exit. ``symbol`` is market's name."""

    event_id: str
    person_id: int
    heard_ms: int
    channels: Sequence[str]
    monitor_name: str
    symbol: str
    pattern_name: str
    direction: str
    confidence: float
    price: float
    event: FeedEvent
    outcome: str | None = None
    return_pct: float | None = None


class FeedFrame(msgspec.Struct, frozen=True, kw_only=True):
    """A new event, as the feed's socket sends it."""

    event: FeedEvent


class FeedPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the feed."""

    events: Sequence[FeedEvent]
    returned_count: int
    has_more: bool
    next_cursor: str | None


class FeedAck(msgspec.Struct, frozen=True, kw_only=True):
    """These events were read."""

    person_id: int
    event_ids: Sequence[str]


class FeedAcked(msgspec.Struct, frozen=True, kw_only=True):
    """How many of them are the person's."""

    acknowledged: int


class UsageAsk(msgspec.Struct, frozen=True, kw_only=True):
    """How much of what the tier allows is used."""

    person_id: int
    tier: str


class UsageView(msgspec.Struct, frozen=True, kw_only=True):
    """Quota, monitors, records and feed of a person."""

    tier: str
    quota: dict[str, Any]
    monitors: dict[str, int]
    records: dict[str, Any]
    feed: dict[str, int]


class TimezonePut(msgspec.Struct, frozen=True, kw_only=True):
    """Change a person's time zone."""

    person_id: int
    timezone: str


class TimezoneView(msgspec.Struct, frozen=True, kw_only=True):
    """``{timezone}``, an IANA name."""

    timezone: str
