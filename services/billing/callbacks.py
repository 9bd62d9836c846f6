"""Callbacks of Stripe and NOWPayments: each event once, each payment only upwards, oddities to staff.

A forged callback changes nothing and is answered so. A signed one is always answered 200, also when it is
about an order we do not know or says another price: then it is kept for staff.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from libs.common.db import Connection
from libs.common.errors import AppError
from services.billing import metrics
from services.billing.errors import ProviderNotConfigured
from services.billing.fulfilment import Fulfilment
from services.billing.payment import Payment, Status
from services.billing.payment_store import PaymentStore
from services.billing.providers.base import Heard, Hosted
from services.billing.writer import Ground

log = structlog.get_logger()

STRAY = "stray"  # waits for staff by itself: there is no payment it could be seen at


class Callbacks:
    """One for both hosted providers."""

    def __init__(
        self,
        ground: Ground,
        payments: PaymentStore,
        fulfilment: Fulfilment,
        on_applied: Callable[[], None] = lambda: None,
    ) -> None:
        self._on_applied = on_applied
        self._ground = ground
        self._payments = payments
        self._fulfilment = fulfilment

    async def take(self, provider: Hosted, body: bytes, signature: str) -> str:
        """What became of it: applied, repeated, ignored, held or stray; a forged one is refused."""
        now_ms = self._ground.clock.now_ms()
        try:
            heard = provider.read(body, signature, now_ms // 1000)
        except ProviderNotConfigured:
            raise
        except AppError:
            metrics.callbacks.labels(provider.name, "forged").inc()
            raise
        text = body.decode("utf-8", "replace").replace("\x00", "")
        async with self._ground.database.transaction() as tx:
            payment = await self._find(tx, provider.name, heard)
            outcome = await self._apply(tx, heard, payment)
            fresh = await self._payments.add_callback(
                tx, provider.name, heard.event_id, outcome, now_ms, text
            )
        outcome = outcome if fresh or outcome == "applied" else "repeated"
        if outcome == "applied":
            self._on_applied()
        metrics.callbacks.labels(provider.name, outcome).inc()
        log.info("callback", provider=provider.name, outcome=outcome, order=heard.order_id, said=heard.note)
        return outcome

    async def _find(self, tx: Connection, provider: str, heard: Heard) -> Payment | None:
        """By our order id alone: a provider's own ids only help where it has left ours out."""
        if heard.order_id:
            return await self._payments.by_ref(tx, provider, heard.order_id)
        if heard.external:
            return await self._payments.by_external(tx, provider, heard.external)
        return None

    async def _apply(self, tx: Connection, heard: Heard, payment: Payment | None) -> str:
        if heard.status is None:
            return "ignored"
        if payment is None:
            return STRAY
        match heard.status:
            case Status.SETTLED:
                return await self._settle(tx, heard, payment)
            case Status.REFUNDED:
                return await self._refund(tx, heard, payment)
            case status:
                done = await self._fulfilment.moved(tx, payment, status, note=heard.note)
                return "applied" if done else "ignored"

    async def _settle(self, tx: Connection, heard: Heard, payment: Payment) -> str:
        transaction = heard.transaction or None
        if _is_more(payment, transaction):
            return STRAY
        if heard.paid_micros != payment.amount_micros:
            note = f"paid {heard.paid_micros} of {payment.amount_micros} micros ({heard.note})"
            done = await self._fulfilment.moved(tx, payment, Status.HELD, note=note)
            return "held" if done else "ignored"
        done = await self._fulfilment.settled(tx, payment, transaction=transaction, note=heard.note)
        return "applied" if done else "ignored"

    async def _refund(self, tx: Connection, heard: Heard, payment: Payment) -> str:
        """All of it, in its currency. A part, or another amount, is for staff: a plan can't be taken back in
        part. So is money that went back which this payment was not settled with."""
        if heard.paid_micros != payment.amount_micros or _is_more(payment, heard.transaction or None):
            return STRAY
        done = await self._fulfilment.refunded(tx, payment, heard.note)
        return "applied" if done else "ignored"


def _is_more(payment: Payment, transaction: str | None) -> bool:
    """Whether money moved beside that which settled the payment: a customer may pay an invoice twice."""
    booked = payment.status in (Status.SETTLED, Status.REFUNDED)
    return booked and None not in (transaction, payment.transaction) and transaction != payment.transaction
