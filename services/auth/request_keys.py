"""What a request's key means: do it, say again what was said, or refuse. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

KEPT_MS = 24 * 3_600_000
LEASE_MS = 60_000  # longer than a gateway waits for any service: after that it has died


class Verdict(Enum):
    """What becomes of a request whose key is known."""

    REPLAY = "replay"
    MISMATCH = "mismatch"
    IN_FLIGHT = "in_flight"
    AGAIN = "again"  # the key's time is over: it counts as a new one


@dataclass(frozen=True, slots=True)
class HeldRequest:
    """A key as it is kept, with the answer if there is one."""

    fingerprint: bytes
    done: bool
    lease_ms: int
    created_ms: int
    status: int
    content_type: str
    headers: dict[str, str]
    body: bytes


def judge(held: HeldRequest, fingerprint: bytes, now_ms: int) -> Verdict:
    """A key outlives its request by a day; one without an answer is free once its lease is over, but
    stays with what it was first used for."""
    if now_ms >= held.created_ms + KEPT_MS:
        return Verdict.AGAIN
    if held.fingerprint != fingerprint:
        return Verdict.MISMATCH
    if held.done:
        return Verdict.REPLAY
    return Verdict.AGAIN if now_ms >= held.lease_ms else Verdict.IN_FLIGHT


def next_lease(held: HeldRequest | None, now_ms: int, lease_ms: int = LEASE_MS) -> int:
    """When a lease that begins now ends: never twice the same for one key, so that it names its holder."""
    return max(now_ms + lease_ms, held.lease_ms + 1 if held is not None else 0)
