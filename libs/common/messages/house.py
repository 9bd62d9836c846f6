"""Messages every service speaks. Owner: libs.common."""

from __future__ import annotations

import msgspec


class HealthAsk(msgspec.Struct, frozen=True):
    """Are you able to work? Major 1."""


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """What a service says of itself. Major 1. ``problems`` is empty when it can work."""

    service: str
    version: str
    started_ms: int
    problems: tuple[str, ...] = ()


class FactAgain(msgspec.Struct, frozen=True, kw_only=True):
    """Handle a fact again that a consumer gave up. Major 1. ``payload`` is base64 on the wire."""

    consumer: str
    subject: str
    event_id: str
    payload: bytes


class Done(msgspec.Struct, frozen=True):
    """The plain success of the broker surface: ``{"data":"OK"}``. Major 1."""

    data: str = "OK"
