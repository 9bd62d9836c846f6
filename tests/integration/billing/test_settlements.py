"""Settlements that were never sent, and reservations that came to somebody else meanwhile, charge nobody."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import pytest
from aiohttp import web

from deploy.demo.facilitator import FacilitatorServer, open_facilitator
from libs.common.clock import SystemClock
from libs.common.db import Database
from libs.common.errors import AppError
from libs.common.ids import RandomIds
from libs.common.messages import billing as m
from libs.common.plans import PlansFile
from services.billing.errors import PaymentFailed, ProviderFailed
from services.billing.fulfilment import Fulfilment
from services.billing.money_in import MoneyIn
from services.billing.paid_calls import PaidCalls
from services.billing.payment import Status
from services.billing.payment_store import PaymentStore
from services.billing.plan_store import PlanStore
from services.billing.providers.x402_facilitator import Facilitator
from services.billing.store import Store
from services.billing.terms import Offer, Selling
from services.billing.writer import Ground
from tests.contract.auth.people import Answer
from tests.contract.billing.paying import HEADERS, Payer, header_of

PRICE = 10_000
RESOURCE = "http://here/v1/brief"
SELLING = Selling("0x" + "a1" * 20, "base")


class Desk(NamedTuple):
    """Paid calls over one facilitator's address."""

    money: MoneyIn
    calls: PaidCalls

    async def status(self, payer: Payer) -> Status:
        """How the one payment of a wallet stands."""
        async with self.money.ground.database.transaction() as tx:
            id = await tx.fetchval("SELECT id FROM billing.payment WHERE payer = $1", payer.address)
            payment = await self.money.payments.payment(tx, id)
            assert payment is not None
            return payment.status


def desk_of(database: Database, url: str) -> Desk:
    clock = SystemClock()
    ground = Ground(database, Store(), clock, RandomIds(), PlansFile("", clock))
    payments = PaymentStore()
    fulfilment = Fulfilment(ground, payments, PlanStore())
    money = MoneyIn(ground, payments, fulfilment, SELLING, Facilitator(url, on=True))
    return Desk(money, PaidCalls(money))


async def admission(payer: Payer, request_id: str) -> m.Admit:
    """A call that brings a payment of this wallet along."""
    offer = Offer(PRICE, RESOURCE, "One call")
    refused = Answer(402, {"PAYMENT-REQUIRED": SELLING.required(offer)}, b"{}")
    header = header_of(await payer.payload(refused, 2))[HEADERS[2]]
    payment = m.Payment(version=2, header=header)
    return m.Admit(request_id=request_id, operation="POST /v1/brief", resource=RESOURCE, payment=payment)


async def leaving_facilitator(calls: list[str]) -> str:
    """A facilitator that verifies one payment and is gone; its address."""

    async def verify(request: web.Request) -> web.Response:
        calls.append("verify")
        await site.stop()
        answer = web.json_response({"isValid": True})
        answer.force_close()
        return answer

    app = web.Application()
    app.add_routes([web.post("/verify", verify)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return f"http://127.0.0.1:{runner.addresses[0][1]}"


async def test_a_settlement_that_was_never_sent_charges_nobody_later(
    database: Callable[[str], Awaitable[Database]],
) -> None:
    pool, payer = await database("billing"), Payer()
    heard: list[str] = []
    desk = desk_of(pool, await leaving_facilitator(heard))
    asked = await admission(payer, "call 1")
    await desk.calls.admit(asked, PRICE)
    with pytest.raises(ProviderFailed):
        await desk.calls.capture(m.Capture(request_id="call 1"))
    assert heard == ["verify"] and await desk.status(payer) is Status.FAILED
    async with open_facilitator() as facilitator:  # it is back
        later = desk_of(pool, facilitator.url)
        async with pool.transaction() as tx:
            await tx.execute("UPDATE billing.payment SET tried_ms = 0")
            assert await later.money.payments.claim_to_try(tx, 1, 1, 10) == []
        with pytest.raises(PaymentFailed):
            await later.calls.capture(m.Capture(request_id="call 1"))
        assert facilitator.calls == []
        # The customer was told that nothing happened, and may bring the same payment again.
        again = m.Admit(
            request_id="call 2", operation=asked.operation, resource=RESOURCE, payment=asked.payment
        )
        await later.calls.admit(again, PRICE)
        captured = await later.calls.capture(m.Capture(request_id="call 2"))
        assert captured.charged_micros == PRICE
        await ends_well(pool, later, facilitator, payer)
        await later.money._facilitator.close()
    await desk.money._facilitator.close()


async def test_a_payment_that_was_given_back_and_brought_again_buys_one_answer(
    database: Callable[[str], Awaitable[Database]],
) -> None:
    """A call stalls so long that its reservation is given back, and the client tries again."""
    pool, payer = await database("billing"), Payer()
    async with open_facilitator() as facilitator:
        desk = desk_of(pool, facilitator.url)
        first = await admission(payer, "stalled")
        await desk.calls.admit(first, PRICE)
        stalled = await desk.calls.find("stalled")
        assert stalled is not None
        await desk.money.settle_again(stalled.id)
        second = m.Admit(
            request_id="again", operation=first.operation, resource=RESOURCE, payment=first.payment
        )
        await desk.calls.admit(second, PRICE)
        with pytest.raises(AppError):
            await desk.calls.capture(m.Capture(request_id="stalled"))
        settled, headers = await desk.money.settle(stalled)
        assert not settled.success and "PAYMENT-RESPONSE" in headers
        assert facilitator.calls == ["verify", "verify"]
        assert (await desk.calls.capture(m.Capture(request_id="again"))).charged_micros == PRICE
        await ends_well(pool, desk, facilitator, payer)
        await desk.money._facilitator.close()


async def ends_well(pool: Database, desk: Desk, facilitator: FacilitatorServer, payer: Payer) -> None:
    """One settlement, one entry, and books that add up."""
    assert facilitator.calls.count("settle") == 1
    assert facilitator.chain.balances[payer.address] == facilitator.chain.opening - PRICE
    assert await desk.status(payer) is Status.SETTLED
    async with pool.connection() as db:
        rows: list[Any] = await db.fetch("SELECT reason, plans FROM billing.entry")
        assert [row["reason"] for row in rows] == ["call_paid"], json.dumps([dict(row) for row in rows])
        assert await desk.money.ground.store.unsound(db) == []
