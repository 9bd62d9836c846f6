"""Rows about money: balance, usage and invoices, paying in, plans, affiliates, and what staff does."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from libs.common import subjects
from libs.common.errors import PermissionDenied
from libs.common.messages import billing as m
from libs.common.messages import billing_payments as p
from libs.common.messages.house import Done
from libs.common.principal import SessionType
from services.gateway.endpoints.admin import READERS
from services.gateway.endpoints.fields import Count, Line, Text
from services.gateway.endpoints.row import ADMIN_ONLY, KIB, PUBLIC, Access, Answer, Caller, Endpoint
from services.gateway.pacing import holder
from services.gateway.wallets import wallet_of

PERSON = Access(frozenset({SessionType.CUSTOMER}))
PERSON_OR_KEY = Access(frozenset({SessionType.CUSTOMER}), scope="read")
PAYMENT_BYTES_MAX = 16 * KIB
STRIPE_SIGNATURE = "stripe-signature"
IPN_SIGNATURE = "x-nowpayments-sig"

Amount = Annotated[int, Meta(ge=1, le=10**15)]
_encode = msgspec.json.Encoder().encode


class UsageRequest(msgspec.Struct, frozen=True, kw_only=True):
    """How many days back, today included."""

    days: Annotated[int, Meta(ge=1, le=366)] = 30


class TopupRequest(msgspec.Struct, frozen=True, kw_only=True):
    """How much to pay in; absent: the default."""

    amount_micros: Amount | None = msgspec.field(name="amountMicros", default=None)


class InvoiceRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One invoice."""

    number: Count


class PlanRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A plan and for how long: go, plus or pro; month or year."""

    plan: Line
    period: Line = "month"


class PlanStatusRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One invoice of NOWPayments."""

    invoice_id: Line


class CommissionsRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A page of commissions, newest first."""

    limit: Annotated[int, Meta(ge=1, le=100)] = 20
    cursor: Line = ""


class CreditsRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Add or take credit: of a key or a customer, in micros or in credits of 10,000."""

    key_id: Line | None = msgspec.field(name="keyId", default=None)
    customer_id: Count | None = msgspec.field(name="customerId", default=None)
    delta_micros: int | None = msgspec.field(name="deltaMicros", default=None)
    delta_credits: int | None = msgspec.field(name="deltaCredits", default=None)
    reason: Text = ""


class PaymentsRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Payments of a status; without one, those that wait for staff or for an answer."""

    status: Line = ""
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    offset: Count = 0


class PaymentDecision(msgspec.Struct, frozen=True, kw_only=True):
    """grant delivers what a held payment was for, drop ends it."""

    id: Line
    decision: Line
    transaction: Line = ""


class PayoutRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Which transfer paid what is owed; the same name again is the same payout."""

    customer_id: Count
    ref: Line


class ToppedUp(msgspec.Struct, frozen=True, kw_only=True):
    """Paid in; ``key`` is a new key for a payer without one, shown this once."""

    ok: bool
    credited_micros: int = msgspec.field(name="creditedMicros")
    balance_micros: int = msgspec.field(name="balanceMicros")
    transaction: str
    network: str
    payer: str
    key: str | msgspec.UnsetType = msgspec.UNSET


class PlanBought(msgspec.Struct, frozen=True, kw_only=True):
    """The plan runs; the token acts like a session of its tier until then."""

    access_token: str
    token_type: str
    tier: str
    expires_at: str


def _person(caller: Caller) -> int:
    if caller.principal.person_id is None:
        raise PermissionDenied("this key belongs to no person")
    return caller.principal.person_id


def _wallet(caller: Caller) -> str:
    return wallet_of(caller.principal)


def _balance(request: Any, caller: Caller) -> m.BalanceAsk:
    return m.BalanceAsk(wallet=_wallet(caller))


def _usage(request: UsageRequest, caller: Caller) -> m.UsageAsk:
    principal = caller.principal
    return m.UsageAsk(
        wallet=_wallet(caller),
        subject=holder(principal, principal.address),
        tier=principal.tier,
        days=request.days,
    )


def _topup(request: TopupRequest, caller: Caller) -> p.X402Topup:
    return p.X402Topup(
        wallet=_wallet(caller),
        resource=caller.sent.url,
        amount_micros=request.amount_micros,
        payment=caller.sent.payment,
        address=caller.principal.address,
    )


def _topup_card(request: TopupRequest, caller: Caller) -> p.CardTopup:
    return p.CardTopup(
        wallet=_wallet(caller), person_id=caller.principal.person_id, amount_micros=request.amount_micros
    )


def _callback(signature: str) -> Any:
    def message(request: Any, caller: Caller) -> p.Callback:
        return p.Callback(body=caller.sent.body, signature=caller.sent.headers.get(signature, ""))

    return message


def _invoices(request: Any, caller: Caller) -> p.InvoicesAsk:
    return p.InvoicesAsk(wallet=_wallet(caller), person_id=caller.principal.person_id)


def _invoice(request: InvoiceRequest, caller: Caller) -> p.InvoiceAsk:
    return p.InvoiceAsk(number=request.number, wallet=_wallet(caller), person_id=caller.principal.person_id)


def _plan(request: PlanRequest, caller: Caller) -> p.PlanOrder:
    return p.PlanOrder(person_id=_person(caller), plan=request.plan, period=request.period)


def _plan_status(request: PlanStatusRequest, caller: Caller) -> p.PlanInvoiceAsk:
    return p.PlanInvoiceAsk(person_id=_person(caller), invoice_id=request.invoice_id)


def _plan_x402(request: PlanRequest, caller: Caller) -> p.X402Plan:
    return p.X402Plan(
        plan=request.plan,
        period=request.period,
        resource=caller.sent.url,
        person_id=caller.principal.person_id,
        payment=caller.sent.payment,
        address=caller.principal.address,
    )


def _affiliate(request: Any, caller: Caller) -> p.AffiliateAsk:
    return p.AffiliateAsk(person_id=_person(caller))


def _commissions(request: CommissionsRequest, caller: Caller) -> p.CommissionsAsk:
    return p.CommissionsAsk(person_id=_person(caller), limit=request.limit, cursor=request.cursor)


def _credits(request: CreditsRequest, caller: Caller) -> m.CreditsAdd:
    return m.CreditsAdd(**msgspec.structs.asdict(request), actor=caller.login)


def _payments(request: PaymentsRequest, caller: Caller) -> p.PaymentsAsk:
    return p.PaymentsAsk(**msgspec.structs.asdict(request))


def _decide(request: PaymentDecision, caller: Caller) -> p.PaymentDecide:
    return p.PaymentDecide(**msgspec.structs.asdict(request), actor=caller.login)


def _payout(request: PayoutRequest, caller: Caller) -> p.PayoutAsk:
    return p.PayoutAsk(person_id=request.customer_id, ref=request.ref, actor=caller.login)


_topped_up = msgspec.json.Decoder(p.ToppedUp)
_bought = msgspec.json.Decoder(p.PlanBought)
_page = msgspec.json.Decoder(p.Page)


def _shown_topup(reply: bytes) -> Answer:
    made = _topped_up.decode(reply)
    shown = {name: getattr(made, name) for name in ToppedUp.__struct_fields__}
    return Answer(_encode(ToppedUp(**shown)), headers=made.headers)


def _shown_plan(reply: bytes) -> Answer:
    made = _bought.decode(reply)
    shown = {name: getattr(made, name) for name in PlanBought.__struct_fields__}
    return Answer(_encode(PlanBought(**shown)), headers=made.headers)


def _shown_page(reply: bytes) -> Answer:
    return Answer(_page.decode(reply).html.encode())


def _nothing(reply: bytes) -> Answer:
    return Answer(b"")


def _analysis(**row: Any) -> Endpoint:
    return Endpoint(**{"surface": "analysis", "tags": ("billing",), "access": PERSON_OR_KEY, **row})


def _scan(**row: Any) -> Endpoint:
    return Endpoint(**{"surface": "scan", "tags": ("billing",), "body_bytes_max": PAYMENT_BYTES_MAX, **row})


ACCOUNT = (
    _analysis(
        method="GET",
        path="/v1/balance",
        summary="What the caller can spend; calls under way are taken off",
        repeat="safe",
        command=subjects.BILLING_BALANCE,
        message=_balance,
        response=m.Balance,
    ),
    _analysis(
        method="GET",
        path="/v1/usage",
        summary="Calls and what they cost, by day, and the day's quotas",
        repeat="safe",
        request=UsageRequest,
        command=subjects.BILLING_USAGE,
        message=_usage,
        response=m.Usage,
    ),
    _analysis(
        method="GET",
        path="/v1/invoices",
        summary="What was paid, newest first",
        repeat="safe",
        command=subjects.INVOICES,
        message=_invoices,
        response=p.Invoices,
    ),
    _analysis(
        method="GET",
        path="/v1/invoices/{number}",
        summary="One invoice",
        repeat="safe",
        request=InvoiceRequest,
        command=subjects.INVOICE,
        message=_invoice,
        response=p.Invoice,
        errors=("NOT_FOUND",),
    ),
    _analysis(
        method="GET",
        path="/v1/invoices/{number}/page",
        summary="One invoice as a page to print",
        repeat="safe",
        request=InvoiceRequest,
        command=subjects.INVOICE_PAGE,
        message=_invoice,
        response=p.Page,
        render=_shown_page,
        content_type="text/html; charset=utf-8",
        errors=("NOT_FOUND",),
    ),
)

PAYING_IN = (
    _analysis(
        method="POST",
        path="/v1/topup",
        summary="Pay credit in by x402 (USDC); without a key one is made for the paying wallet",
        description="Without a payment: 402 with the terms of x402 versions 1 (body) and 2 (header).",
        repeat="key",
        request=TopupRequest,
        command=subjects.TOPUP_X402,
        message=_topup,
        response=ToppedUp,
        render=_shown_topup,
        keyless=True,
        unkeyed=True,  # the authorization's nonce makes it happen once
        body_bytes_max=PAYMENT_BYTES_MAX,
        errors=("PAYMENT_REQUIRED", "provider_not_configured"),
    ),
    _analysis(
        method="POST",
        path="/v1/topup/stripe",
        summary="Pay credit in by card: opens a Stripe page",
        repeat="key",
        request=TopupRequest,
        command=subjects.TOPUP_CARD,
        message=_topup_card,
        response=p.CardPage,
        body_bytes_max=PAYMENT_BYTES_MAX,
        errors=("provider_not_configured",),
    ),
    _analysis(
        method="POST",
        path="/v1/stripe/webhook",
        summary="Stripe calls back",
        access=PUBLIC,
        repeat="idempotent",
        command=subjects.STRIPE_CALLBACK,
        message=_callback(STRIPE_SIGNATURE),
        response=Done,
        headers=(STRIPE_SIGNATURE,),
        raw=True,
        unkeyed=True,
        everywhere=True,
        errors=("provider_not_configured",),
    ),
)

PLANS = (
    _scan(
        method="POST",
        path="/payments/nowpayments/invoice",
        summary="Buy a plan in any coin: opens an invoice at NOWPayments",
        access=PERSON_OR_KEY,
        repeat="key",
        request=PlanRequest,
        command=subjects.PLAN_INVOICE,
        message=_plan,
        response=p.PlanInvoice,
        status=201,
        errors=("provider_not_configured",),
    ),
    _scan(
        method="GET",
        path="/payments/nowpayments/status",
        summary="How an invoice stands",
        access=PERSON_OR_KEY,
        repeat="safe",
        request=PlanStatusRequest,
        command=subjects.PLAN_INVOICE_STATE,
        message=_plan_status,
        response=p.PlanInvoiceState,
        errors=("not_found",),
    ),
    _scan(
        method="POST",
        path="/payments/nowpayments/ipn",
        summary="NOWPayments calls back",
        access=PUBLIC,
        repeat="idempotent",
        command=subjects.NOWPAYMENTS_CALLBACK,
        message=_callback(IPN_SIGNATURE),
        response=None,
        render=_nothing,
        headers=(IPN_SIGNATURE,),
        raw=True,
        unkeyed=True,
        body_bytes_max=64 * KIB,
        errors=("provider_not_configured",),
    ),
    _scan(
        method="POST",
        path="/payments/x402",
        summary="Buy a plan by x402 (USDC); the answer is a token that acts like a session of the tier",
        description="ETH and other coins go through NOWPayments.",
        access=PERSON_OR_KEY,
        repeat="key",
        request=PlanRequest,
        command=subjects.PLAN_X402,
        message=_plan_x402,
        response=PlanBought,
        render=_shown_plan,
        keyless=True,
        unkeyed=True,
        errors=("payment_failed", "provider_not_configured"),
    ),
)

AFFILIATES = (
    _scan(
        method="GET",
        path="/api/v1/affiliate/me",
        summary="What the caller has earned by bringing others",
        access=PERSON_OR_KEY,
        repeat="safe",
        command=subjects.AFFILIATE_ME,
        message=_affiliate,
        response=p.AffiliateState,
    ),
    _scan(
        method="GET",
        path="/api/v1/affiliate/codes",
        summary="The caller's codes; the first is made with the first look",
        access=PERSON_OR_KEY,
        repeat="safe",
        command=subjects.AFFILIATE_CODES,
        message=_affiliate,
        response=p.AffiliateCodes,
    ),
    _scan(
        method="GET",
        path="/api/v1/affiliate/commissions",
        summary="The caller's shares of paid invoices, newest first",
        access=PERSON_OR_KEY,
        repeat="safe",
        request=CommissionsRequest,
        command=subjects.AFFILIATE_COMMISSIONS,
        message=_commissions,
        response=p.Commissions,
    ),
)


def _admin(**row: Any) -> Endpoint:
    return Endpoint(surface="admin", tags=("admin",), audited=row["method"] != "GET", **row)


STAFF = (
    _admin(
        method="POST",
        path="/admin/credits",
        summary="Add or take credit",
        access=ADMIN_ONLY,
        repeat="key",
        request=CreditsRequest,
        command=subjects.CREDITS_ADD,
        message=_credits,
        response=m.CreditsAdded,
        errors=("RET_USER_NOT_FOUND", "RET_TRADE_NO_MONEY"),
    ),
    _admin(
        method="GET",
        path="/admin/payments",
        summary="Payments that wait for staff or for an answer",
        access=READERS,
        repeat="safe",
        request=PaymentsRequest,
        command=subjects.BILLING_PAYMENTS,
        message=_payments,
        response=p.Payments,
    ),
    _admin(
        method="POST",
        path="/admin/payments/{id}",
        summary="Decide about a held payment",
        access=ADMIN_ONLY,
        repeat="idempotent",
        request=PaymentDecision,
        command=subjects.PAYMENT_DECIDE,
        message=_decide,
        response=p.PaymentView,
        errors=("NOT_FOUND",),
    ),
    _admin(
        method="POST",
        path="/admin/affiliates/{customer_id}/payout",
        summary="Everything owed to an affiliate was paid, by the transfer named",
        access=ADMIN_ONLY,
        repeat="idempotent",
        request=PayoutRequest,
        command=subjects.PAYOUT,
        message=_payout,
        response=p.Payout,
        errors=("NOT_FOUND",),
    ),
)

ROWS = (*ACCOUNT, *PAYING_IN, *PLANS, *AFFILIATES, *STAFF)
