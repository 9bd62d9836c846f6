"""The ledger of account money: double entry. Pure.

Every amount stands twice, so the sum over all ledger accounts of a currency is zero after every entry
and a balance is the sum of its postings. A client's money is positive on its own accounts; what came
from outside is negative on the house's.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from libs.common.errors import invariant

HOUSE = 0  # the login of the house's own ledger accounts


class Kind(StrEnum):
    """What a ledger account holds. The first two are a client's, the others the house's."""

    BALANCE = "balance"
    CREDIT = "credit"
    DEPOSITS = "deposits"  # money that came from outside and went there again
    CREDITS = "credits"  # credit the house gave
    DEALING = "dealing"  # the other side of clients' profit and loss
    COMMISSION = "commission"
    SWAP = "swap"


class Reason(StrEnum):
    """Why an entry was made."""

    BALANCE_IN = "balance_in"
    BALANCE_OUT = "balance_out"
    CREDIT_IN = "credit_in"
    CREDIT_OUT = "credit_out"
    TRADE_CLOSED = "trade_closed"
    CORRECTION = "correction"


@dataclass(frozen=True, slots=True)
class LedgerAccount:
    """One account of the ledger."""

    kind: Kind
    login: int
    currency: str


@dataclass(frozen=True, slots=True)
class Posting:
    """An amount on one ledger account."""

    account: LedgerAccount
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Entry:
    """Postings that belong together and sum to zero in their one currency."""

    reason: Reason
    postings: tuple[Posting, ...]

    def __post_init__(self) -> None:
        invariant(sum(p.amount_minor for p in self.postings) == 0, "an entry sums to zero")
        invariant(len({p.account.currency for p in self.postings}) == 1, "an entry has one currency")
        invariant(len({p.account for p in self.postings}) == len(self.postings), "an account stands once")


_SIDES = {
    Reason.BALANCE_IN: (Kind.BALANCE, Kind.DEPOSITS),
    Reason.BALANCE_OUT: (Kind.BALANCE, Kind.DEPOSITS),
    Reason.CREDIT_IN: (Kind.CREDIT, Kind.CREDITS),
    Reason.CREDIT_OUT: (Kind.CREDIT, Kind.CREDITS),
}


def finance(reason: Reason, login: int, currency: str, amount_minor: int) -> Entry:
    """A balance or credit operation of ``login``: positive in, negative out."""
    own, other = _SIDES[reason]
    inwards = reason in (Reason.BALANCE_IN, Reason.CREDIT_IN)
    invariant(
        amount_minor > 0 if inwards else amount_minor < 0, "the sign of an amount is that of its reason"
    )
    return Entry(
        reason,
        (
            Posting(LedgerAccount(own, login, currency), amount_minor),
            Posting(LedgerAccount(other, HOUSE, currency), -amount_minor),
        ),
    )
