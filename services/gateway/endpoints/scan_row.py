"""What the rows of the scan surface have in common."""

from __future__ import annotations

from typing import Any

from libs.common.errors import PermissionDenied
from libs.common.principal import SessionType
from services.gateway.endpoints.row import KIB, Access, Caller, Endpoint

PERSON_OR_KEY = Access(frozenset({SessionType.CUSTOMER}), scope="read")


def person_of(caller: Caller) -> int:
    """Whose things: a key that belongs to nobody has none."""
    if caller.principal.person_id is None:
        raise PermissionDenied("this key belongs to no person")
    return caller.principal.person_id


def scan_row(method: str, path: str, summary: str, **row: Any) -> Endpoint:
    """A row under ``/api/v1`` for people and their keys, unless it says otherwise."""
    defaults = {
        "surface": "scan",
        "tags": ("scan",),
        "access": PERSON_OR_KEY,
        "repeat": "safe" if method == "GET" else "key",
        "body_bytes_max": 64 * KIB,
    }
    return Endpoint(**{**defaults, "method": method, "path": f"/api/v1{path}", "summary": summary, **row})
