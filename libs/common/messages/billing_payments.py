"""Messages owned by billing: payments, plans, invoices and affiliates. Major 1 of each.

Money is an integer in micros of USD; what the scan surface prints in dollars is a number of USD.
"""

from __future__ import annotations

import msgspec

from libs.common.messages.billing import Payment


class X402Topup(msgspec.Struct, frozen=True, kw_only=True):
    """Pay credit in by x402. Without a wallet a key is made for the paying wallet."""

    wallet: str
    resource: str
    amount_micros: int | None = None
    payment: Payment | None = None
    address: str = ""


class ToppedUp(msgspec.Struct, frozen=True, kw_only=True):
    """Paid in. ``key`` is the new key, shown this once; ``headers`` go with the answer."""

    ok: bool
    credited_micros: int = msgspec.field(name="creditedMicros")
    balance_micros: int = msgspec.field(name="balanceMicros")
    transaction: str
    network: str
    payer: str
    key: str | msgspec.UnsetType = msgspec.UNSET
    headers: dict[str, str] = {}


class CardTopup(msgspec.Struct, frozen=True, kw_only=True):
    """Pay credit in by card: open a checkout page."""

    wallet: str
    person_id: int | None = None
    amount_micros: int | None = None


class CardPage(msgspec.Struct, frozen=True, kw_only=True):
    """The page to send the customer to."""

    url: str
    session_id: str = msgspec.field(name="sessionId")


class Callback(msgspec.Struct, frozen=True, kw_only=True):
    """A provider calls back: the body as it came, and its signature header."""

    body: bytes
    signature: str


class PlanOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A person wants a plan; an invoice is opened at NOWPayments."""

    person_id: int
    plan: str
    period: str


class PlanInvoice(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice that waits to be paid, as the scan surface shows it."""

    invoice_id: str
    invoice_url: str
    order_id: str
    plan: str
    period: str
    price_amount: float
    price_currency: str
    status: str


class PlanInvoiceAsk(msgspec.Struct, frozen=True, kw_only=True):
    """How an invoice stands."""

    person_id: int
    invoice_id: str


class PlanInvoiceState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``paid_at`` and ``subscription_expires_at`` once it is paid."""

    invoice_id: str
    status: str
    plan: str
    paid_at: str | None = None
    subscription_expires_at: str | None = None


class X402Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Buy a plan by x402. Without a person one is made for the paying wallet."""

    plan: str
    period: str
    resource: str
    person_id: int | None = None
    payment: Payment | None = None
    address: str = ""


class PlanBought(msgspec.Struct, frozen=True, kw_only=True):
    """The plan runs; ``access_token`` is good until ``expires_at``. ``headers`` go with the answer."""

    access_token: str
    token_type: str
    tier: str
    expires_at: str
    headers: dict[str, str] = {}


class InvoicesAsk(msgspec.Struct, frozen=True, kw_only=True):
    """The invoices of a person, or of a wallet that belongs to nobody."""

    wallet: str
    person_id: int | None = None
    limit: int = 100


class InvoiceAsk(msgspec.Struct, frozen=True, kw_only=True):
    """One invoice of the caller."""

    number: int
    wallet: str
    person_id: int | None = None


class InvoiceLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line of an invoice."""

    text: str
    amount_usd: str


class Invoice(msgspec.Struct, frozen=True, kw_only=True):
    """A paid invoice. Amounts are decimal texts in USD."""

    number: int
    issued_at: str
    status: str
    customer: str
    lines: list[InvoiceLine]
    total_usd: str
    payment_id: str


class Invoices(msgspec.Struct, frozen=True, kw_only=True):
    """``{"invoices":[…]}``, newest first."""

    invoices: list[Invoice]


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """An HTML page, ready to print."""

    html: str


class AffiliateAsk(msgspec.Struct, frozen=True, kw_only=True):
    """What a person has earned by bringing others; ``base_url`` is for the links."""

    person_id: int


class AffiliateState(msgspec.Struct, frozen=True, kw_only=True):
    """As the scan surface shows it."""

    enabled: bool
    referrals: int
    paid_referrals: int
    commission_rate: float
    earned_usd: float
    pending_usd: float
    paid_usd: float


class AffiliateCode(msgspec.Struct, frozen=True, kw_only=True):
    """A code and what came by it."""

    code: str
    url: str
    created_at: str
    signups: int
    conversions: int


class AffiliateCodes(msgspec.Struct, frozen=True, kw_only=True):
    """``{"codes":[…]}``; one is made for who has none."""

    codes: list[AffiliateCode]


class CommissionsAsk(msgspec.Struct, frozen=True, kw_only=True):
    """A page of a person's commissions."""

    person_id: int
    limit: int = 20
    cursor: str = ""


class Commission(msgspec.Struct, frozen=True, kw_only=True):
    """One share of a paid invoice."""

    id: str
    referred_masked: str
    plan: str
    amount_usd: float
    status: str
    created_at: str
    paid_at: str | None


class Commissions(msgspec.Struct, frozen=True, kw_only=True):
    """A page, newest first."""

    commissions: list[Commission]
    has_more: bool
    next_cursor: str | None


class PaymentsAsk(msgspec.Struct, frozen=True, kw_only=True):
    """Payments for staff; no status: those that wait for staff or for an answer."""

    status: str = ""
    limit: int = 100
    offset: int = 0


class PaymentView(msgspec.Struct, frozen=True, kw_only=True):
    """A payment as staff sees it."""

    id: str
    provider: str
    ref: str
    purpose: str
    status: str
    wallet: str
    customer_id: int | None
    plan: str
    period: str
    amount_micros: int = msgspec.field(name="amountMicros")
    paid_micros: int = msgspec.field(name="paidMicros")
    transaction: str | None
    note: str
    created_at: str


class Payments(msgspec.Struct, frozen=True, kw_only=True):
    """``{"payments":[…]}``, oldest first."""

    payments: list[PaymentView]


class PaymentDecide(msgspec.Struct, frozen=True, kw_only=True):
    """Staff decides about a held payment: grant what it was for, or drop it."""

    id: str
    decision: str
    actor: int
    transaction: str = ""


class PayoutAsk(msgspec.Struct, frozen=True, kw_only=True):
    """Everything owed to a person was paid to them; ``ref`` names the transfer, once."""

    person_id: int
    ref: str
    actor: int


class Payout(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """``{"customerId":7,"ref":"wire 17","commissions":2,"paidMicros":7600000}``."""

    customer_id: int
    ref: str
    commissions: int
    paid_micros: int
