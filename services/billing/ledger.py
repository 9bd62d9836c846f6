"""The ledger of the house's own money: double entry in micros. Pure.

Every amount stands twice, so the sum over all accounts of a currency is zero after every entry and a
balance is the sum of its postings. What customers have is positive on their wallets; what came from outside
or was given is negative on its source. A credit is 10,000 micros: a way to print them, no currency.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from libs.common.errors import invariant

USD: Final = "USD"
PLAY: Final = "XTS"  # the ISO 4217 code reserved for testing: what test keys spend
CREDIT_MICROS: Final = 10_000


class Kind(StrEnum):
    """What an account holds. ``ref`` says whose or which: a wallet, a provider, a person."""

    WALLET = "wallet"
    REVENUE = "revenue"  # of calls (ref "") and of plans (ref "plans")
    STARTER = "starter"  # what new e-mails were given
    STAFF = "staff"  # what staff gave and took
    PLAY_MONEY = "play"  # where test wallets are filled from
    PAYMENTS = "payments"  # by provider: what came in, less what went back
    AFFILIATE = "affiliate"  # by person: commissions owed
    COMMISSIONS = "commissions"  # what commissions cost the house
    LOSSES = "losses"  # paid back to somebody who had spent it


class Reason(StrEnum):
    """Why an entry was made; with its ``ref`` it says what happened, once."""

    USAGE = "usage"
    STARTER = "starter"
    STAFF = "staff"
    PLAY_MONEY = "play"
    TOPUP = "topup"
    CALL_PAID = "call_paid"
    PLAN = "plan"
    REFUND = "refund"
    HANDED_OVER = "handed_over"
    COMMISSION = "commission"
    COMMISSION_REVERSED = "commission_reversed"
    COMMISSION_PAID = "commission_paid"


@dataclass(frozen=True, slots=True)
class Account:
    """One account of the ledger."""

    kind: Kind
    ref: str = ""
    currency: str = USD


@dataclass(frozen=True, slots=True)
class Posting:
    """An amount on one account."""

    account: Account
    amount_micros: int


@dataclass(frozen=True, slots=True)
class Entry:
    """Postings that belong together and sum to zero in their one currency."""

    reason: Reason
    ref: str
    postings: tuple[Posting, ...]
    note: str = ""

    def __post_init__(self) -> None:
        invariant(sum(p.amount_micros for p in self.postings) == 0, "an entry sums to zero")
        invariant(len({p.account.currency for p in self.postings}) == 1, "an entry has one currency")
        invariant(len({p.account for p in self.postings}) == len(self.postings), "an account stands once")
        invariant(bool(self.ref), "an entry says what of")


def wallet_account(wallet: str) -> Account:
    """The account of a wallet; test wallets hold play money."""
    return Account(Kind.WALLET, wallet, PLAY if wallet.startswith("test:") else USD)


def revenue_of(wallet: str) -> Account:
    """Where a wallet's charges go."""
    return Account(Kind.REVENUE, "", wallet_account(wallet).currency)


def move(
    reason: Reason, ref: str, *, to: Account, source: Account, amount_micros: int, note: str = ""
) -> Entry:
    """``amount_micros`` from one account to another; negative moves it back."""
    invariant(amount_micros != 0, "an entry moves something")
    return Entry(reason, ref, (Posting(to, amount_micros), Posting(source, -amount_micros)), note)


def usage(ref: str, wallet: str, charged_micros: int) -> Entry:
    """A wallet's charges of one commit."""
    return move(
        Reason.USAGE, ref, to=revenue_of(wallet), source=wallet_account(wallet), amount_micros=charged_micros
    )


def starter(email_key: str, wallet: str, micros: int) -> Entry:
    """The credit an e-mail is given once."""
    source = Account(Kind.STARTER)
    return move(Reason.STARTER, email_key, to=wallet_account(wallet), source=source, amount_micros=micros)


def play_money(key_id: str, wallet: str, micros: int) -> Entry:
    """What a test key may spend."""
    source = Account(Kind.PLAY_MONEY, "", PLAY)
    return move(Reason.PLAY_MONEY, key_id, to=wallet_account(wallet), source=source, amount_micros=micros)


def staff(ref: str, wallet: str, delta_micros: int, note: str) -> Entry:
    """Staff gives, or takes when negative."""
    account = wallet_account(wallet)
    source = Account(Kind.STAFF, "", account.currency)
    return move(Reason.STAFF, ref, to=account, source=source, amount_micros=delta_micros, note=note)


def topup(provider: str, ref: str, wallet: str, micros: int) -> Entry:
    """Money that was paid in for a wallet."""
    source = Account(Kind.PAYMENTS, provider)
    return move(
        Reason.TOPUP, f"{provider}:{ref}", to=wallet_account(wallet), source=source, amount_micros=micros
    )


def handed_over(ref: str, source: str, wallet: str, micros: int) -> Entry:
    """All of one wallet goes over to another."""
    return move(
        Reason.HANDED_OVER,
        ref,
        to=wallet_account(wallet),
        source=wallet_account(source),
        amount_micros=micros,
    )


def call_paid(provider: str, ref: str, micros: int) -> Entry:
    """A call that was paid for by itself."""
    source = Account(Kind.PAYMENTS, provider)
    return move(
        Reason.CALL_PAID, f"{provider}:{ref}", to=Account(Kind.REVENUE), source=source, amount_micros=micros
    )


def plan_sold(provider: str, order_id: str, micros: int) -> Entry:
    """A plan that was paid."""
    source = Account(Kind.PAYMENTS, provider)
    revenue = Account(Kind.REVENUE, "plans")
    return move(Reason.PLAN, order_id, to=revenue, source=source, amount_micros=micros)


def plan_refunded(provider: str, ref: str, micros: int) -> Entry:
    """A plan's price that was paid back."""
    source = Account(Kind.REVENUE, "plans")
    return move(
        Reason.REFUND,
        f"{provider}:{ref}",
        to=Account(Kind.PAYMENTS, provider),
        source=source,
        amount_micros=micros,
    )


def topup_refunded(provider: str, ref: str, wallet: str, micros: int, available_micros: int) -> Entry:
    """A top-up that was paid back: from the wallet what it still has, the rest is the house's loss."""
    taken = min(micros, max(available_micros, 0))
    shares = ((wallet_account(wallet), taken), (Account(Kind.LOSSES), micros - taken))
    given = tuple(Posting(account, -amount) for account, amount in shares if amount)
    back = Posting(Account(Kind.PAYMENTS, provider), micros)
    return Entry(Reason.REFUND, f"{provider}:{ref}", (back, *given))


def commission(ref: str, person_id: int, micros: int) -> Entry:
    """A share of a paid invoice, owed to who brought the customer."""
    owed = Account(Kind.AFFILIATE, str(person_id))
    return move(Reason.COMMISSION, ref, to=owed, source=Account(Kind.COMMISSIONS), amount_micros=micros)


def commission_reversed(ref: str, person_id: int, micros: int) -> Entry:
    """The invoice was paid back, and so the share is not owed."""
    owed = Account(Kind.AFFILIATE, str(person_id))
    return move(
        Reason.COMMISSION_REVERSED, ref, to=Account(Kind.COMMISSIONS), source=owed, amount_micros=micros
    )


def commission_paid(ref: str, person_id: int, micros: int, note: str) -> Entry:
    """What was owed to an affiliate left the house by a transfer."""
    owed = Account(Kind.AFFILIATE, str(person_id))
    gone = Account(Kind.PAYMENTS, "affiliates")
    return move(Reason.COMMISSION_PAID, ref, to=gone, source=owed, amount_micros=micros, note=note)
