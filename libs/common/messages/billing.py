"""Messages owned by billing: metering, balances, quotas and staff's acts. Major 1 of each.

Money is an integer in micros of USD (test wallets: in micros of play money). A *wallet* names whose money:
``person:<id>`` for a person and every key of theirs, ``key:<id>`` for a key that belongs to nobody,
``test:<key id>`` for a test key, ``""`` for somebody who only brings a payment along.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """An x402 payment that came with a request: the header's text and which of the two headers it was."""

    version: int
    header: str


class QuotaState(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a daily quota is used, this call included."""

    limit: int
    used: int
    resets_ms: int


class Admit(msgspec.Struct, frozen=True, kw_only=True):
    """May this call be done? Its price is held, its quota taken. ``request_id`` is the gateway's own.

    ``price`` names an entry of the price list ("": costs nothing), ``quota`` a daily quota of ``tier``
    that counts for ``subject``. ``resource`` is the URL an x402 payment must be for. The same
    ``request_id`` again changes nothing.
    """

    request_id: str
    operation: str
    wallet: str = ""
    price: str = ""
    units: int = 1
    quota: str = ""
    subject: str = ""
    tier: str = "free"
    resource: str = ""
    payment: Payment | None = None


class Admitted(msgspec.Struct, frozen=True, kw_only=True):
    """The call may be done. ``available_micros`` is what the wallet has beside this hold and others."""

    held_micros: int
    available_micros: int
    quota: QuotaState | None = None


class Capture(msgspec.Struct, frozen=True, kw_only=True):
    """The call succeeded: charge it. ``price`` and ``units`` say what it cost, at most what was held;
    "" is what was held. The same again answers the same."""

    request_id: str
    price: str = ""
    units: int = 1


class Captured(msgspec.Struct, frozen=True, kw_only=True):
    """Charged. ``headers`` go with the answer (the receipt of an x402 payment)."""

    charged_micros: int
    available_micros: int
    headers: dict[str, str] = {}


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """The call did not succeed: nothing is charged. Again, or of what is charged, it changes nothing."""

    request_id: str


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """Hold and charge in one step, for calls whose price is known only with their answer."""

    request_id: str
    operation: str
    wallet: str
    price: str
    units: int = 1


class TermsAsk(msgspec.Struct, frozen=True, kw_only=True):
    """How may a call of this price be paid? For answers to somebody who brought nothing."""

    price: str
    resource: str
    units: int = 1


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """The terms: ``accepts`` of an x402 v1 body, ``header`` is v2's PAYMENT-REQUIRED, ``message`` says what
    is taken. Empty where no provider is set up."""

    message: str
    accepts: list[dict[str, Any]]
    header: str = ""


class BalanceAsk(msgspec.Struct, frozen=True, kw_only=True):
    """What a wallet has."""

    wallet: str


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """``{"balanceMicros":…}``: what can be spent, holds of calls under way taken off.

    ``credits`` is the same in credits of 10,000 micros, rounded down.
    """

    balance_micros: int = msgspec.field(name="balanceMicros")
    held_micros: int = msgspec.field(name="heldMicros")
    credits: int
    mode: str = "live"


class UsageAsk(msgspec.Struct, frozen=True, kw_only=True):
    """What a wallet was charged, by day, and the state of the tier's quotas."""

    wallet: str
    subject: str
    tier: str = "free"
    days: int = 30


class UsageDay(msgspec.Struct, frozen=True, kw_only=True):
    """One operation on one day (UTC)."""

    day: str
    operation: str
    calls: int
    charged_micros: int = msgspec.field(name="chargedMicros")


class UsageQuota(msgspec.Struct, frozen=True, kw_only=True):
    """A daily quota as it stands."""

    limit: int
    used: int
    resets_at: str


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Balance, quotas and a table by day, newest first."""

    balance_micros: int = msgspec.field(name="balanceMicros")
    tier: str
    quotas: dict[str, UsageQuota]
    days: list[UsageDay]


class QuotaAsk(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a daily quota somebody has used."""

    subject: str
    quota: str
    tier: str = "free"


class CreditsAdd(msgspec.Struct, frozen=True, kw_only=True):
    """Staff adds or takes credit. One of ``key_id`` and ``customer_id``; one of the two deltas."""

    key_id: str | None = None
    customer_id: int | None = None
    delta_micros: int | None = None
    delta_credits: int | None = None
    reason: str = ""
    actor: int = 0
    ref: str = ""


class CreditsAdded(msgspec.Struct, frozen=True, kw_only=True):
    """The wallet after it."""

    wallet: str
    delta_micros: int = msgspec.field(name="deltaMicros")
    balance_micros: int = msgspec.field(name="balanceMicros")


class StarterGrant(msgspec.Struct, frozen=True, kw_only=True):
    """A key was made: give its wallet the starter credit, if its e-mail never had it and the address not too
    often today. The same key again answers the same."""

    key_id: str
    person_id: int | None = None
    email_key: str = ""
    mode: str = "live"
    address: str = ""
    issued_ms: int = 0


class StarterGranted(msgspec.Struct, frozen=True, kw_only=True):
    """What was given: 0 when it had been given before, or too often today."""

    micros: int


class PriceList(msgspec.Struct, frozen=True, kw_only=True):
    """The price list in force."""

    version: str
    prices: dict[str, int]


class PriceListAsk(msgspec.Struct, frozen=True):
    """What do calls cost?"""
