"""Buying plans: an invoice at NOWPayments, or at once by x402; invoices to look at."""

from __future__ import annotations

import msgspec

from libs.common.bus import Bus
from libs.common.clock import from_unix_ms
from libs.common.errors import InvalidData
from libs.common.messages import billing_payments as m
from libs.common.messages.auth_people import AccessGrant, WalletPersonAsk
from libs.common.plans import PERIODS, TIERS
from libs.common.subjects import ACCESS_GRANT, WALLET_PERSON
from services.billing import invoices
from services.billing.errors import InvoiceUnknown, ProviderNotConfigured
from services.billing.invoices import usd, usd_text
from services.billing.money_in import MoneyIn
from services.billing.payment import Payment, Status
from services.billing.payment_store import PaymentStore
from services.billing.plan_store import InvoiceRow, PlanStore
from services.billing.providers.base import Hosted, Wanted
from services.billing.terms import Offer
from services.billing.tiers import Tiers
from services.billing.writer import Ground

IPN_PATH = "/payments/nowpayments/ipn"
_SHOWN = {
    Status.CREATED: "waiting",
    Status.PENDING: "confirming",
    Status.UNKNOWN: "confirming",
    Status.HELD: "partially_paid",
    Status.SETTLED: "finished",
    Status.FAILED: "failed",
    Status.EXPIRED: "expired",
    Status.REFUNDED: "refunded",
}


class PlanShop:
    """Plans of people."""

    def __init__(
        self,
        ground: Ground,
        bus: Bus,
        payments: PaymentStore,
        plans: PlanStore,
        money: MoneyIn,
        nowpayments: Hosted,
        tiers: Tiers,
        base_url: str,
    ) -> None:
        self._ground = ground
        self._bus = bus
        self._payments = payments
        self._plans = plans
        self._money = money
        self._nowpayments = nowpayments
        self._tiers = tiers
        self._base_url = base_url

    async def order(self, ask: m.PlanOrder) -> m.PlanInvoice:
        """Open an invoice at NOWPayments; nothing is granted before its callback."""
        micros = self._price(ask.plan, ask.period)
        if not self._nowpayments.configured:
            raise ProviderNotConfigured("NOWPayments is not set up here")
        order_id = f"ord_{self._ground.ids.event_id().replace('-', '')}"
        payment = self._payment(order_id, ask.person_id, ask.plan, ask.period, micros)
        async with self._ground.database.transaction() as tx:
            await self._payments.add(tx, payment)
        page = await self._nowpayments.open(
            Wanted(
                order_id,
                micros,
                f"Tradewind {ask.plan.capitalize()}, one {ask.period}",
                f"{self._base_url}/docs/billing?paid={order_id}",
                f"{self._base_url}/docs/billing?cancelled={order_id}",
                self._base_url + IPN_PATH,
            )
        )
        async with self._ground.database.transaction() as tx:
            await self._payments.set_external(tx, order_id, page.external)
        return m.PlanInvoice(
            invoice_id=page.external,
            invoice_url=page.url,
            order_id=order_id,
            plan=ask.plan,
            period=ask.period,
            price_amount=usd(micros),
            price_currency="usd",
            status="waiting",
        )

    async def state(self, ask: m.PlanInvoiceAsk) -> m.PlanInvoiceState:
        """How an invoice of this person stands; InvoiceUnknown for anybody else's."""
        async with self._ground.database.transaction() as tx:
            payment = await self._payments.by_external(tx, self._nowpayments.name, ask.invoice_id)
            if payment is None:
                payment = await self._payments.by_ref(tx, self._nowpayments.name, ask.invoice_id)
            if payment is None or payment.person_id != ask.person_id:
                raise InvoiceUnknown
            span = await self._plans.span_of(tx, payment.id)
        paid = payment.status is Status.SETTLED
        return m.PlanInvoiceState(
            invoice_id=payment.external,
            status=_SHOWN[payment.status],
            plan=payment.plan,
            paid_at=_iso(payment.settled_ms) if paid else None,
            subscription_expires_at=_iso(span.ends_ms) if paid and span is not None else None,
        )

    async def x402(self, ask: m.X402Plan) -> m.PlanBought:
        """402 with the terms without a payment; else the plan begins, and a token for it."""
        micros = self._price(ask.plan, ask.period)
        if not self._money.selling.on:
            raise ProviderNotConfigured("x402 is not set up here")
        offer = Offer(micros, ask.resource, f"Tradewind {ask.plan.capitalize()}, one {ask.period}")
        if ask.payment is None:
            raise self._money.selling.asked(offer)
        brought = self._money.brought(ask.payment, offer)
        person_id = ask.person_id
        if person_id is None:
            asked = WalletPersonAsk(wallet=brought.payer, address=ask.address)
            person_id = (await self._bus.request(WALLET_PERSON, asked)).person_id
        payment = await self._money.reserve(
            brought, offer, purpose="plan", person_id=person_id, plan=ask.plan, period=ask.period
        )
        settled, headers = await self._money.settle(payment)
        if not settled.success:
            raise self._money.selling.failed(offer, settled.reason or "unexpected_settle_error", headers)
        if not await self._money.book(payment, settled):
            raise self._money.selling.failed(offer, "invalid_transaction_state")
        tier, until_ms = await self._tiers.tell(person_id)
        grant = AccessGrant(person_id=person_id, tier=tier, until_ms=until_ms)
        granted = await self._bus.request(ACCESS_GRANT, grant)
        return m.PlanBought(
            access_token=granted.access_token,
            token_type="Bearer",  # noqa: S106
            tier=tier,
            expires_at=_iso(until_ms),
            headers=headers,
        )

    # ── invoices ──────────────────────────────────────────────────────────────────────────────────

    async def invoices(self, ask: m.InvoicesAsk) -> m.Invoices:
        """What was paid, newest first."""
        async with self._ground.database.connection() as db:
            rows = await self._plans.invoices(db, ask.person_id, ask.wallet, ask.limit)
        return m.Invoices(invoices=[_invoice(row) for row in rows])

    async def invoice(self, ask: m.InvoiceAsk) -> m.Invoice:
        """One invoice; InvoiceUnknown for anybody else's."""
        async with self._ground.database.connection() as db:
            row = await self._plans.invoice(db, ask.number)
        own = row is not None and (
            (row.wallet and row.wallet == ask.wallet)
            or (row.person_id is not None and row.person_id == ask.person_id)
        )
        if row is None or not own:
            raise InvoiceUnknown
        return _invoice(row)

    async def page(self, ask: m.InvoiceAsk) -> m.Page:
        """The same as a page to print."""
        return m.Page(html=invoices.html(await self.invoice(ask)))

    def _price(self, plan: str, period: str) -> int:
        if plan not in TIERS[1:]:
            raise InvalidData("plan is go, plus or pro", field="plan", allowed=list(TIERS[1:]))
        if period not in PERIODS:
            raise InvalidData("period is month or year", field="period", allowed=list(PERIODS))
        return self._ground.plans.now().tiers[plan].price_micros(period)

    def _payment(self, order_id: str, person_id: int, plan: str, period: str, micros: int) -> Payment:
        now_ms = self._ground.clock.now_ms()
        return Payment(
            id=order_id,
            provider=self._nowpayments.name,
            ref=order_id,
            purpose="plan",
            status=Status.CREATED,
            wallet="",
            person_id=person_id,
            plan=plan,
            period=period,
            request_id="",
            amount_micros=micros,
            paid_micros=0,
            external="",
            transaction=None,
            payer="",
            detail="",
            note="",
            created_ms=now_ms,
            settled_ms=0,
            tried_ms=now_ms,
        )


def _invoice(row: InvoiceRow) -> m.Invoice:
    customer = f"Customer {row.person_id}" if row.person_id is not None else row.wallet
    return m.Invoice(
        number=row.number,
        issued_at=_iso(row.issued_ms),
        status=row.status,
        customer=customer,
        lines=msgspec.json.decode(row.lines, type=list[m.InvoiceLine]),
        total_usd=usd_text(row.total_micros),
        payment_id=row.payment_id,
    )


def _iso(ms: int) -> str:
    return from_unix_ms(ms).strftime("%Y-%m-%dT%H:%M:%SZ")
