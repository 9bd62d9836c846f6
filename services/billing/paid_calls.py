"""Metered calls that bring their own x402 payment: reserved and verified before the work, settled after it.

When a settlement's answer gets lost the call's answer is given all the same: the authorization was good and
is settled again later; what could be lost is one call's price, what the other way could be lost is a
customer's money.
"""

from __future__ import annotations

from libs.common.errors import InvalidData, OutcomeUnknown
from libs.common.messages import billing as m
from services.billing.errors import CallUnknown
from services.billing.money_in import MoneyIn
from services.billing.payment import Payment, Status
from services.billing.terms import Offer

REMEMBERED_MAX = 10_000


class PaidCalls:
    """Calls under way are remembered by request id; after a restart they are found in the table."""

    def __init__(self, money: MoneyIn) -> None:
        self._money = money
        self._offers: dict[str, Offer] = {}

    async def admit(self, ask: m.Admit, micros: int) -> m.Admitted:
        """The payment is good and taken for this call; PaymentFailed with the terms otherwise."""
        if ask.payment is None or not micros:
            raise InvalidData("this call costs nothing")
        if not self._money.selling.on:
            raise self._money.selling.refusal(micros, ask.resource, short={})
        offer = Offer(micros, ask.resource, "One call")
        brought = self._money.brought(ask.payment, offer)
        await self._money.reserve(
            brought, offer, purpose="call", request_id=ask.request_id, wallet=f"x402:{brought.payer}"
        )
        if len(self._offers) >= REMEMBERED_MAX:
            self._offers.pop(next(iter(self._offers)))
        self._offers[ask.request_id] = offer
        return m.Admitted(held_micros=brought.micros, available_micros=0)

    async def capture(self, ask: m.Capture) -> m.Captured:
        """Settle and book; PaymentFailed when it does not settle: then the answer must not be given."""
        payment = await self._payment(ask.request_id)
        if payment.status is Status.SETTLED:
            return m.Captured(charged_micros=payment.paid_micros, available_micros=0)
        if payment.status is Status.UNKNOWN:  # asked for before, and no answer came: it is asked again later
            return m.Captured(charged_micros=payment.amount_micros, available_micros=0)
        if payment.status is not Status.PENDING:
            raise self._money.selling.failed(self._offer(ask.request_id, payment), payment.note)
        try:
            settled, headers = await self._money.settle(payment)
        except OutcomeUnknown:
            return m.Captured(charged_micros=payment.amount_micros, available_micros=0)
        finally:
            offer = self._offer(ask.request_id, payment)
            self._offers.pop(ask.request_id, None)
        if not settled.success:
            raise self._money.selling.failed(offer, settled.reason or "unexpected_settle_error", headers)
        if not await self._money.book(payment, settled):
            raise self._money.selling.failed(offer, "invalid_transaction_state")
        return m.Captured(charged_micros=payment.amount_micros, available_micros=0, headers=headers)

    async def release(self, request_id: str) -> bool:
        """The work failed: the authorization was not used. False when the call came with none."""
        self._offers.pop(request_id, None)
        payment = await self.find(request_id)
        if payment is None:
            return False
        await self._money.give_back(payment.id, "the call failed")
        return True

    async def find(self, request_id: str) -> Payment | None:
        """The payment a call came with."""
        async with self._money.ground.database.transaction() as tx:
            return await self._money.payments.by_request(tx, request_id)

    def remembers(self, request_id: str) -> bool:
        """Whether this process has admitted the call with a payment."""
        return request_id in self._offers

    async def _payment(self, request_id: str) -> Payment:
        payment = await self.find(request_id)
        if payment is None:
            raise CallUnknown
        return payment

    def _offer(self, request_id: str, payment: Payment) -> Offer:
        return self._offers.get(request_id) or Offer(payment.amount_micros, "", "One call")
