"""Deliveries as values, and which of them go out as one message. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.notifier.gates import URGENT_LEVEL, Digest, is_summarised

PENDING, SENT, FAILED, DEAD = "pending", "sent", "failed", "dead"


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message on its way to the claimed recipient."""

    id: int
    event_id: str
    login: int
    type: str
    level: int
    title: str
    body: str
    data: Mapping[str, Any]
    sealed: bytes | None
    traceparent: str
    attempts: int
    batch_id: str | None
    created_ms: int
    due_ms: int
    expires_ms: int


@dataclass(frozen=True, slots=True)
class Draft:
    """A message to be written for its recipients."""

    event_id: str
    type: str
    level: int
    created_ms: int
    expires_ms: int
    login: int = 0
    title: str = ""
    body: str = ""
    data: Mapping[str, Any] | None = None
    sealed: bytes | None = None
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class Unit:
    """What goes out as one message: one delivery, or several as a summary under one id."""

    deliveries: tuple[Delivery, ...]
    batch_id: str | None

    @property
    def ids(self) -> list[int]:
        return [delivery.id for delivery in self.deliveries]

    @property
    def attempts(self) -> int:
        """How often it was tried, the attempt to come included."""
        return max(delivery.attempts for delivery in self.deliveries) + 1


def units_of(ready: Sequence[Delivery], digest: Digest, new_id: Callable[[], str]) -> list[Unit]:
    """How deliveries go out together: those begun together as they were, many new ones as a summary."""
    begun: dict[str, list[Delivery]] = {}
    fresh: list[Delivery] = []
    for delivery in ready:
        if delivery.batch_id is not None:
            begun.setdefault(delivery.batch_id, []).append(delivery)
        else:
            fresh.append(delivery)
    units = [Unit(tuple(group), batch_id) for batch_id, group in begun.items()]
    # A delivery that was tried alone stays alone: its receiver may have it under its own id.
    alone = [delivery for delivery in fresh if delivery.attempts > 0]
    units += [Unit((delivery,), None) for delivery in alone]
    new = [delivery for delivery in fresh if delivery.attempts == 0]
    urgent = [delivery for delivery in new if delivery.level >= URGENT_LEVEL]
    rest = [delivery for delivery in new if delivery.level < URGENT_LEVEL]
    for group, wish in ((urgent, Digest.OFF), (rest, digest)):
        if is_summarised(len(group), wish):
            units.append(Unit(tuple(group), new_id()))
        else:
            units += [Unit((delivery,), None) for delivery in group]
    return units
