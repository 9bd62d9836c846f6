"""Monitors: which detections and ends of records go into whose feed. Pure but for the list it holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from libs.common.ids import Uuid
from services.scanner.ids import event_uuid
from services.scanner.places import Opened, Place

CONTEXT_READY, RECORD_CLOSED = "context_ready", "record_closed"


@dataclass(frozen=True, slots=True)
class Monitor:
    """What a person watches; an empty filter takes everything. ``channels`` hear of it beside the feed."""

    id: Uuid
    person_id: int
    name: str
    symbols: tuple[str, ...]
    patterns: tuple[str, ...]
    timeframes: tuple[str, ...]
    is_active: bool
    created_ms: int
    channels: tuple[str, ...] = ()

    def hears(self, symbol: str, timeframe: str, pattern: str) -> bool:
        """Whether a detection passes every filter."""
        return (
            (not self.symbols or symbol in self.symbols)
            and (not self.patterns or pattern in self.patterns)
            and (not self.timeframes or timeframe in self.timeframes)
        )


@dataclass(frozen=True, slots=True)
class FeedRow:
    """An event for one person's feed, with the monitor that heard it and what it heard."""

    id: Uuid
    person_id: int
    created_ms: int
    monitor_id: Uuid
    detection_id: Uuid
    kind: str
    symbol: str
    timeframe: str
    pattern: str
    monitor: Monitor
    heard: Opened


class Watching:
    """The active monitors, as they were last read."""

    def __init__(self) -> None:
        self._monitors: Sequence[Monitor] = ()
        self.is_stale = True  # somebody changed a monitor

    def take(self, monitors: Iterable[Monitor]) -> None:
        """Replace the monitors."""
        self._monitors = tuple(monitors)
        self.is_stale = False

    def events(self, place: Place, opened: Opened, kind: str, now_ms: int) -> list[FeedRow]:
        """The events of a detection or of its record's end: one for each monitor that hears it."""
        pattern = opened.detection.pattern
        return [
            FeedRow(
                id=event_uuid(kind, monitor.id, opened.id),
                person_id=monitor.person_id,
                created_ms=now_ms,
                monitor_id=monitor.id,
                detection_id=opened.id,
                kind=kind,
                symbol=place.symbol,
                timeframe=place.frame.name,
                pattern=pattern,
                monitor=monitor,
                heard=opened,
            )
            for monitor in self._monitors
            if monitor.hears(place.symbol, place.frame.name, pattern)
        ]
