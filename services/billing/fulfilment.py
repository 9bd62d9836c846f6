"""What a payment buys, in the transaction that settles it: credit, or a plan with its invoice and the share
of whoever brought the customer. And what is undone when the money goes back."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from libs.common.db import Connection
from services.billing import affiliates, invoices, ledger, metrics, subscriptions
from services.billing.payment import Payment, Status, rises
from services.billing.payment_store import PaymentStore
from services.billing.plan_store import InvoiceRow, PlanStore
from services.billing.subscriptions import Span
from services.billing.writer import Ground


class Fulfilment:
    """Takes the caller's transaction, in which the payment is locked."""

    def __init__(self, ground: Ground, payments: PaymentStore, plans: PlanStore) -> None:
        self._ground = ground
        self._payments = payments
        self._plans = plans

    async def settled(
        self, tx: Connection, payment: Payment, *, transaction: str | None = None, note: str = ""
    ) -> bool:
        """The money is here. False when that was known, or went back since, or its transaction has paid for
        something else: then staff is shown it."""
        if not rises(payment.status, Status.SETTLED):
            return False
        if transaction and await self._payments.is_taken(tx, payment.provider, transaction, payment.id):
            await self._payments.put(tx, replace(payment, status=Status.HELD, note=f"{transaction} was used"))
            return False
        now_ms = self._ground.clock.now_ms()
        done = replace(
            payment,
            status=Status.SETTLED,
            transaction=transaction,
            paid_micros=payment.amount_micros,
            settled_ms=now_ms,
            note=note,
        )
        await self._payments.put(tx, done)
        await self._deliver(tx, done, now_ms)
        metrics.payments.labels(payment.provider, "settled").inc()
        return True

    async def moved(
        self, tx: Connection, payment: Payment, status: Status, *, note: str = "", paid_micros: int = 0
    ) -> bool:
        """Another status, if the payment may rise to it."""
        if not rises(payment.status, status):
            return False
        changed = replace(payment, status=status, note=note, paid_micros=paid_micros or payment.paid_micros)
        await self._payments.put(tx, changed)
        return True

    async def refunded(self, tx: Connection, payment: Payment, note: str = "") -> bool:
        """The money went back. What was never settled only gets its status: it can't settle any more."""
        if not rises(payment.status, Status.REFUNDED):
            return False
        await self._payments.put(tx, replace(payment, status=Status.REFUNDED, note=note))
        if payment.status is Status.SETTLED:
            await self._take_back(tx, payment, self._ground.clock.now_ms())
        metrics.payments.labels(payment.provider, "refunded").inc()
        return True

    async def _deliver(self, tx: Connection, payment: Payment, now_ms: int) -> None:
        store, version = self._ground.store, self._ground.plans.version
        provider, micros = payment.provider, payment.amount_micros
        match payment.purpose:
            case "call":
                entry = ledger.call_paid(provider, payment.id, micros)
            case "topup":
                entry = ledger.topup(provider, payment.id, payment.wallet, micros)
                await self._invoice(tx, payment, now_ms)
            case _:
                entry = ledger.plan_sold(provider, payment.id, micros)
                await self._invoice(tx, payment, now_ms)
                await self._start_plan(tx, payment, now_ms)
                await self._share(tx, payment, now_ms)
        await store.post(tx, entry, now_ms=now_ms, plans=version)

    async def _start_plan(self, tx: Connection, payment: Payment, now_ms: int) -> None:
        person_id = payment.person_id or 0
        await self._plans.lock_person(tx, person_id)
        spans = await self._plans.spans(tx, person_id, now_ms)
        new = Span(
            f"sub_{self._ground.ids.event_id().replace('-', '')}",
            person_id,
            payment.id,
            payment.plan,
            payment.period,
            payment.amount_micros,
            0,
            0,
            payment.amount_micros,
        )
        change = subscriptions.buy(spans, new, now_ms)
        for span, reason in change.moved:
            await self._plans.move_span(tx, span, reason)
        await self._plans.add_span(tx, change.bought)
        await self._plans.tier_due(tx, person_id, now_ms)

    async def _share(self, tx: Connection, payment: Payment, now_ms: int) -> None:
        """A commission for whoever brought the customer."""
        person_id = payment.person_id or 0
        referral = await self._plans.referral(tx, person_id)
        if referral is None:
            return
        referrer_id, joined_ms = referral
        rules = self._ground.plans.now().affiliate
        share = affiliates.share_of(
            rules, paid_micros=payment.amount_micros, joined_ms=joined_ms, paid_ms=now_ms
        )
        if share is None:
            return
        id = f"com_{self._ground.ids.event_id().replace('-', '')}"
        made = await self._plans.add_commission(
            tx,
            id,
            referrer_id,
            person_id,
            payment.id,
            payment.plan,
            share.micros,
            now_ms,
            share.approves_ms,
        )
        if made:
            entry = ledger.commission(id, referrer_id, share.micros)
            await self._ground.store.post(tx, entry, now_ms=now_ms, plans=self._ground.plans.version)

    async def _invoice(self, tx: Connection, payment: Payment, now_ms: int) -> None:
        line = (
            invoices.topup_line(payment.amount_micros)
            if payment.purpose == "topup"
            else invoices.plan_line(payment.plan, payment.period, payment.amount_micros)
        )
        lines = msgspec.json.encode([line]).decode()
        row = InvoiceRow(
            0,
            payment.id,
            payment.person_id,
            payment.wallet,
            lines,
            payment.amount_micros,
            "paid",
            now_ms,
        )
        await self._plans.add_invoice(tx, row)

    async def _take_back(self, tx: Connection, payment: Payment, now_ms: int) -> None:
        store, version, micros = self._ground.store, self._ground.plans.version, payment.paid_micros
        if payment.purpose == "topup":
            wallet = await store.open_wallet(tx, payment.wallet)
            entry = ledger.topup_refunded(
                payment.provider, payment.id, payment.wallet, micros, wallet.available_micros
            )
        else:
            entry = ledger.plan_refunded(payment.provider, payment.id, micros)
        await store.post(tx, entry, now_ms=now_ms, plans=version)
        await self._plans.set_invoice(tx, payment.id, "refunded")
        reversed_share = await self._plans.reverse_commission(tx, payment.id)
        if reversed_share is not None:
            entry = ledger.commission_reversed(*reversed_share)
            await store.post(tx, entry, now_ms=now_ms, plans=version)
        await self._end_plan(tx, payment, now_ms)

    async def _end_plan(self, tx: Connection, payment: Payment, now_ms: int) -> None:
        span = await self._plans.span_of(tx, payment.id)
        if span is None:
            return
        await self._plans.lock_person(tx, span.person_id)
        spans = await self._plans.spans(tx, span.person_id, 0)
        for moved, reason in subscriptions.refund(spans, span, now_ms):
            await self._plans.move_span(tx, moved, reason)
        await self._plans.tier_due(tx, span.person_id, now_ms)
