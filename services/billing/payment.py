"""A payment and the only ways it may go. Pure.

Providers repeat their callbacks and send them in any order, so a status has a rank and a payment only rises:
what comes late or again changes nothing. Money that arrives after a payment was given up (failed, expired)
still counts; money that went back (refunded) never counts again.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """Where a payment stands."""

    CREATED = "created"  # an offer: nothing was paid
    PENDING = "pending"  # under way
    UNKNOWN = "unknown"  # sent for settlement, and no answer came: it is asked again, never credited blindly
    FAILED = "failed"
    EXPIRED = "expired"
    HELD = "held"  # partly paid, or not what was ordered: staff decides
    SETTLED = "settled"
    REFUNDED = "refunded"


RANK = {
    Status.CREATED: 0,
    Status.PENDING: 1,
    Status.UNKNOWN: 2,
    Status.EXPIRED: 3,
    Status.FAILED: 3,
    Status.HELD: 4,
    Status.SETTLED: 5,
    Status.REFUNDED: 6,
}


@dataclass(frozen=True, slots=True)
class Payment:
    """One payment. ``external`` is the provider's own name of it, ``detail`` what is needed to ask again."""

    id: str
    provider: str
    ref: str
    purpose: str  # topup, plan or call
    status: Status
    wallet: str
    person_id: int | None
    plan: str
    period: str
    request_id: str
    amount_micros: int
    paid_micros: int
    external: str
    transaction: str | None
    payer: str
    detail: str
    note: str
    created_ms: int
    settled_ms: int
    tried_ms: int


def rises(now: Status, then: Status) -> bool:
    """Whether a payment may go from ``now`` to ``then``."""
    return RANK[then] > RANK[now]
