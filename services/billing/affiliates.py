"""Affiliates: whose customer somebody is, and what a paid invoice brings. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from libs.common.plans import Affiliate
from services.billing.subscriptions import after_months

DAY_MS = 86_400_000
CODE_CHARS = 8
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # none that look alike


def make_code(entropy: str) -> str:
    """Eight characters from a fresh token."""
    number = int.from_bytes(hashlib.sha256(entropy.encode()).digest())
    made = []
    for _ in range(CODE_CHARS):
        number, place = divmod(number, len(_LETTERS))
        made.append(_LETTERS[place])
    return "".join(made)


def read_code(text: str) -> str | None:
    """A code as it is kept; None for what can't be one."""
    code = text.strip().upper()
    return code if len(code) == CODE_CHARS and all(c in _LETTERS for c in code) else None


def mask(email: str) -> str:
    """What a referrer sees of an e-mail: ``a***@e***.com``."""
    name, _, host = email.partition("@")
    label, _, rest = host.rpartition(".")
    return f"{name[:1]}***@{label[:1]}***.{rest}" if rest else f"{name[:1]}***"


@dataclass(frozen=True, slots=True)
class Share:
    """What a referrer gets of a payment, and when it is no longer held back."""

    micros: int
    approves_ms: int


def share_of(rules: Affiliate, *, paid_micros: int, joined_ms: int, paid_ms: int) -> Share | None:
    """The share of a paid invoice, rounded down; None when the customer came too long ago."""
    if paid_ms >= after_months(joined_ms, rules.months):
        return None
    micros = paid_micros * rules.percent // 100
    return Share(micros, paid_ms + rules.hold_days * DAY_MS) if micros else None
