"""Messages about Idempotency-Key, owned by auth. Major 1 of each."""

from __future__ import annotations

from typing import Literal

import msgspec

BODY_BYTES_MAX = 65_536  # a longer answer is given, but not kept


class RequestAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a request was answered with: kept for as long as its key counts."""

    status: int
    content_type: str
    body: bytes
    headers: dict[str, str] = {}


class RequestBegin(msgspec.Struct, frozen=True, kw_only=True):
    """A request with a key comes in. ``principal`` is who asks, by the gateway's word for them;
    ``fingerprint`` is the SHA-256 of what is asked."""

    surface: str
    principal: str
    key: str
    fingerprint: bytes


class RequestBegun(msgspec.Struct, frozen=True, kw_only=True):
    """Whether to do it. ``new``: yes, under ``lease_ms``, which ``RequestFinish`` must name.
    ``replay``: it was done, ``answer`` is what was said."""

    outcome: Literal["new", "replay", "mismatch", "in_flight"]
    lease_ms: int = 0
    answer: RequestAnswer | None = None


class RequestFinish(msgspec.Struct, frozen=True, kw_only=True):
    """The request begun under ``lease_ms`` is over: keep its answer, or without one free the key."""

    surface: str
    principal: str
    key: str
    lease_ms: int
    answer: RequestAnswer | None = None
