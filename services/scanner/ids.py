"""Ids made of what they name: the same formation has the same id wherever and whenever it is seen. Pure."""

from __future__ import annotations

from libs.common.ids import Uuid, named_uuid


def detection_uuid(symbol: str, timeframe: str, pattern: str, end_ms: int) -> Uuid:
    """The id of a formation: one per symbol, timeframe, pattern and last bar."""
    return named_uuid("detection", symbol, timeframe, pattern, end_ms)


def event_uuid(kind: str, *parts: object) -> Uuid:
    """The id of a fact about something with an id or a place."""
    return named_uuid("scanner", kind, *parts)


def shown(prefix: str, id_: Uuid) -> str:
    """An id as clients see it: ``det_…``, ``rec_…``, ``ctx_…``, ``wl_…``, ``mon_…``, ``evt_…``."""
    return f"{prefix}_{id_.hex}"


def read(prefix: str, text: str) -> Uuid | None:
    """The id in a client's text; None when it is none of that kind."""
    head, _, digits = text.partition("_")
    if head != prefix or len(digits) != 32 or not set(digits) <= set("0123456789abcdef"):
        return None
    return Uuid(hex=digits)
