"""What staff decides: payments that are held, paid in part or with an outcome nobody knows."""

from __future__ import annotations

from dataclasses import replace

from libs.common.clock import from_unix_ms
from libs.common.errors import InvalidData
from libs.common.messages import billing_payments as m
from services.billing.errors import InvoiceUnknown
from services.billing.fulfilment import Fulfilment
from services.billing.payment import Payment, Status
from services.billing.payment_store import PaymentStore
from services.billing.writer import Ground

CALLBACK = "callback:"


class StaffDesk:
    """See the module's text."""

    def __init__(self, ground: Ground, payments: PaymentStore, fulfilment: Fulfilment) -> None:
        self._ground = ground
        self._payments = payments
        self._fulfilment = fulfilment

    async def payments(self, ask: m.PaymentsAsk) -> m.Payments:
        """Payments of a status; without one, those that wait."""
        if ask.status and ask.status not in set(Status):
            raise InvalidData(f"status is one of {', '.join(Status)}", field="status")
        async with self._ground.database.connection() as db:
            found = await self._payments.waiting(db, ask.status, ask.limit, ask.offset)
        return m.Payments(payments=[_view(payment) for payment in found])

    async def decide(self, ask: m.PaymentDecide) -> m.PaymentView:
        """grant delivers what it was for, as if it had been paid in full; drop ends it."""
        if ask.decision not in ("grant", "drop"):
            raise InvalidData("decision is grant or drop", field="decision", allowed=["grant", "drop"])
        if ask.id.startswith(CALLBACK):
            return await self._end_callback(ask)
        note = f"{ask.decision} by {ask.actor}"
        async with self._ground.database.transaction() as tx:
            payment = await self._payments.payment(tx, ask.id)
            if payment is None or payment.status not in (Status.HELD, Status.UNKNOWN):
                raise InvoiceUnknown("no such payment waits for a decision")
            if ask.decision == "grant":
                taken = ask.transaction or payment.transaction
                await self._fulfilment.settled(tx, payment, transaction=taken, note=note)
            else:  # staff alone may take a held payment down again
                await self._payments.put(tx, replace(payment, status=Status.FAILED, note=note))
            after = await self._payments.payment(tx, ask.id)
        return _view(after or payment)

    async def _end_callback(self, ask: m.PaymentDecide) -> m.PaymentView:
        """A callback that fits no payment says nothing that could be granted."""
        if ask.decision != "drop":
            raise InvalidData("a callback without a payment can only be dropped", field="decision")
        async with self._ground.database.transaction() as tx:
            ended = await self._payments.end_callback(tx, ask.id, "dropped")
        if ended is None:
            raise InvoiceUnknown("no such callback waits for a decision")
        return _view(ended)


def _view(payment: Payment) -> m.PaymentView:
    return m.PaymentView(
        id=payment.id,
        provider=payment.provider,
        ref=payment.ref,
        purpose=payment.purpose,
        status=payment.status.value,
        wallet=payment.wallet,
        customer_id=payment.person_id,
        plan=payment.plan,
        period=payment.period,
        amount_micros=payment.amount_micros,
        paid_micros=payment.paid_micros,
        transaction=payment.transaction,
        note=payment.note,
        created_at=from_unix_ms(payment.created_ms).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
