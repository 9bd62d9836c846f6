"""x402 payments from the header to the ledger: reserved, verified, settled, booked; each once.

An authorization is named by network, payer and nonce, and its row is written before the facilitator is asked:
of a hundred requests with one payment, one goes on. A settlement whose answer got lost is *unknown*: it is
settled again (the chain takes a nonce once, so that moves nothing twice) until the facilitator answers or
the authorization is over, and then staff decides. Nothing is credited without a transaction.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import structlog

from libs.common.errors import AppError, OutcomeUnknown
from services.billing import ledger, metrics
from services.billing.fulfilment import Fulfilment
from services.billing.payment import Payment, Status, rises
from services.billing.payment_store import PaymentStore
from services.billing.providers.base import Settled, Settling
from services.billing.terms import Brought, Offer, Selling, receipt_headers
from services.billing.writer import Ground

log = structlog.get_logger()

PROVIDER = "x402"
FORGOTTEN_MS = 60_000  # longer than a key takes to be made


class Detail(msgspec.Struct, frozen=True, kw_only=True):
    """What is needed to settle again."""

    version: int
    payload: dict[str, Any]
    requirements: dict[str, Any]
    valid_before_s: int


class MoneyIn:
    """What calls, top-ups and plans paid by x402 share."""

    def __init__(
        self,
        ground: Ground,
        payments: PaymentStore,
        fulfilment: Fulfilment,
        selling: Selling,
        facilitator: Settling,
    ) -> None:
        self.ground = ground
        self.payments = payments
        self._fulfilment = fulfilment
        self.selling = selling
        self._facilitator = facilitator

    def brought(self, payment: Any, offer: Offer) -> Brought:
        """The payment, if it meets the terms."""
        return self.selling.read(payment, offer, self.ground.clock.now_ms() // 1000)

    async def reserve(self, brought: Brought, offer: Offer, **what: Any) -> Payment:
        """Take the authorization for one purpose and ask whether it would settle; PaymentFailed otherwise."""
        now_ms = self.ground.clock.now_ms()
        network = self.selling.network.caip2
        id = f"pay_{self.ground.ids.event_id().replace('-', '')}"  # names this reservation, if no call does
        detail = Detail(
            version=brought.version,
            payload=brought.payload,
            requirements=brought.requirements,
            valid_before_s=brought.valid_before_s,
        )
        fields: dict[str, Any] = {
            "purpose": "call",
            "wallet": "",
            "person_id": None,
            "plan": "",
            "period": "",
            "request_id": id,
            **what,
        }
        payment = Payment(
            id=id,
            provider=PROVIDER,
            ref=f"{network}:{brought.payer}:{brought.nonce}",
            status=Status.PENDING,
            amount_micros=brought.micros,
            paid_micros=0,
            external="",
            transaction=None,
            payer=brought.payer,
            detail=msgspec.json.encode(detail).decode(),
            note="",
            created_ms=now_ms,
            settled_ms=0,
            tried_ms=now_ms,
            **fields,
        )
        async with self.ground.database.transaction() as tx:
            if not await self.payments.add(tx, payment):
                raise self.selling.failed(offer, "invalid_transaction_state")
            kept = await self.payments.by_ref(tx, PROVIDER, payment.ref)
        payment = kept or payment
        await self._verify(payment, detail, offer)
        return payment

    async def _verify(self, payment: Payment, detail: Detail, offer: Offer) -> None:
        try:
            said = await self._facilitator.verify(detail.version, detail.payload, detail.requirements)
        except AppError:
            await self.give_back(payment.id, "not verified")
            raise
        if not said.valid:
            await self.give_back(payment.id, said.reason)
            raise self.selling.failed(offer, said.reason or "unexpected_verify_error")

    async def give_back(self, payment_id: str, note: str) -> None:
        """The authorization was not used: it may be brought again."""
        async with self.ground.database.transaction() as tx:
            payment = await self.payments.payment(tx, payment_id)
            if payment is not None and payment.status is Status.PENDING:
                await self.payments.put(tx, replace(payment, status=Status.FAILED, note=note))
        metrics.payments.labels(PROVIDER, "failed").inc()

    async def settle(self, payment: Payment, *, again: bool = False) -> tuple[Settled, dict[str, str]]:
        """Ask for the settlement. That it is asked for is written first: whatever happens to this process,
        the payment is asked about again. A refusal ends it; of a second try it may hide a first that went
        through, so then staff decides."""
        detail = msgspec.json.decode(payment.detail, type=Detail)
        if not again and not await self._begin(payment):
            refused = Settled(False, "", "invalid_transaction_state", _refused(self.selling, payment))
            return refused, receipt_headers(detail.version, refused.body)
        try:
            settled = await self._facilitator.settle(detail.version, detail.payload, detail.requirements)
        except OutcomeUnknown:
            metrics.payments.labels(PROVIDER, "unknown").inc()
            raise
        except AppError:  # it was not sent: whoever is told so must not be charged by a later try
            if not again:
                await self._mark(payment.id, Status.FAILED, "not sent")
            raise
        if settled.success and not settled.transaction:
            raise OutcomeUnknown("the facilitator named no transaction")
        if not settled.success:
            await self._mark(payment.id, Status.HELD if again else Status.FAILED, settled.reason)
            metrics.payments.labels(PROVIDER, "failed").inc()
        return settled, receipt_headers(detail.version, settled.body)

    async def settle_again(self, payment_id: str) -> None:
        """Ask about a payment whose outcome is open; one that was never sent is given back."""
        async with self.ground.database.transaction() as tx:
            payment = await self.payments.payment(tx, payment_id)
        if payment is None:
            return
        if payment.status is Status.PENDING:
            await self.give_back(payment_id, "nobody came back for it")
        if payment.status is not Status.UNKNOWN:
            return
        try:
            settled, _ = await self.settle(payment, again=True)
        except AppError as e:
            log.info("a settlement is still open", payment=payment_id, error=str(e))
            return
        if settled.success:
            await self.book(payment, settled)

    async def book(self, payment: Payment, settled: Settled) -> bool:
        """Write that it is settled, and what it paid for; False when that happened before, or when its
        transaction has paid for something else."""
        transaction = f"{self.selling.network.caip2}:{settled.transaction.lower()}"
        async with self.ground.database.transaction() as tx:
            now = await self.payments.payment(tx, payment.id)
            return now is not None and await self._fulfilment.settled(tx, now, transaction=transaction)

    async def hand_over(self, payment: Payment, wallet: str) -> int:
        """What was paid in goes over to the key that was made for it, with its invoice; the key's balance.
        Another payment of the same payer that is on its way goes to a key of its own; one that nobody came
        for goes along."""
        ground, source, now_ms = self.ground, payment.wallet, self.ground.clock.now_ms()
        async with ground.database.transaction() as tx:
            from_wallet = await ground.store.open_wallet(tx, source)
            before_ms = now_ms - FORGOTTEN_MS
            claimed = await self.payments.claim_topups(tx, source, wallet, payment.id, before_ms)
            micros = min(sum(claimed.values()), from_wallet.available_micros)
            if micros:
                entry = ledger.handed_over(ground.ids.event_id(), source, wallet, micros)
                await ground.store.post(tx, entry, now_ms=now_ms, plans=ground.plans.version)
            await self.payments.hand_over_invoices(tx, claimed, wallet)
            return (await ground.store.wallet(tx, wallet)).available_micros

    async def _begin(self, payment: Payment) -> bool:
        """The settlement is asked for: once for a reservation. False when it was given back meanwhile, and
        perhaps brought again for something else."""
        async with self.ground.database.transaction() as tx:
            now = await self.payments.payment(tx, payment.id)
            if now is None or now.status is not Status.PENDING or now.request_id != payment.request_id:
                return False
            note = "the settlement was asked for"
            await self.payments.put(tx, replace(now, status=Status.UNKNOWN, note=note))
            return True

    async def _mark(self, payment_id: str, status: Status, note: str) -> None:
        async with self.ground.database.transaction() as tx:
            now = await self.payments.payment(tx, payment_id)
            if now is not None and rises(now.status, status):
                await self.payments.put(tx, replace(now, status=status, note=note))


def _refused(selling: Selling, payment: Payment) -> dict[str, Any]:
    """What a facilitator says of a settlement it did not make."""
    return {
        "success": False,
        "errorReason": "invalid_transaction_state",
        "payer": payment.payer,
        "transaction": "",
        "network": selling.network.caip2,
    }
