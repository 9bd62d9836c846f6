"""Metering: a call is held, done, and charged only when it succeeded; never twice.

The ledger is billing's. A call with a price costs one bus round trip before the work (the hold) and one
after it (the charge), inside what an Idempotency-Key keeps: an answer that is given again is free. When
this process dies in between, billing gives the hold back after a while. When billing does not answer the
charge, the answer is given (its money is held) and the charge is tried again for as long as the hold lives.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import structlog

from libs.common.bus import Bus
from libs.common.errors import AppError, InvalidData, NotAuthenticated, OutcomeUnknown, ServiceUnavailable
from libs.common.messages.billing import (
    Admit,
    Admitted,
    Capture,
    Captured,
    Charge,
    Payment,
    Release,
    Terms,
    TermsAsk,
)
from libs.common.messages.scan import SymbolResolve
from libs.common.subjects import ADMIT, CAPTURE, CHARGE, RELEASE, SYMBOL_RESOLVE, TERMS
from services.gateway.endpoints.metered import Cost, Metered
from services.gateway.endpoints.row import Caller
from services.gateway.errors import PaymentRequired
from services.gateway.metrics import CHARGES
from services.gateway.surfaces.base import Reply
from services.gateway.wallets import wallet_of

log = structlog.get_logger()

CHARGED = "X-Credits-Charged"
REMAINING = "X-Credits-Remaining"
QUOTA = "X-Quota-"  # Limit, Remaining, and Reset in Unix seconds
CREDIT_MICROS = 10_000
PAYMENT_HEADERS = (("PAYMENT-SIGNATURE", 2), ("X-PAYMENT", 1))
SETTLE_TRIES = 20
SETTLE_WAIT_S = 5.0


class Order(NamedTuple):
    """One call that costs something. ``request_id`` is ours: a client's would be charged once for ever."""

    metered: Metered
    operation: str
    request_id: str
    asked: Any
    caller: Caller
    resource: str
    subject: str


class Done(NamedTuple):
    """The owner's reply, and what the surface makes of it."""

    answer: bytes
    reply: Reply


Act = Callable[[Caller], Awaitable[Done]]


def payment_in(headers: Mapping[str, str]) -> Payment | None:
    """The x402 payment a request carries; version 2's header counts when there are both."""
    for name, version in PAYMENT_HEADERS:
        header = headers.get(name)
        if header is not None:
            return Payment(version=version, header=header)
    return None


class Metering:
    """One per process; owned by the event loop."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._late: set[asyncio.Task[None]] = set()

    async def run(self, order: Order, act: Act) -> Reply:
        """What ``act`` answers, paid for. Billing's refusals are raised, and then nothing is charged."""
        if order.metered.after:
            return await self._charged_after(order, act)
        try:
            admitted = await self._admit(order)
        except AppError as e:
            if e.http_status == 402:
                await self._doubt(order)
            raise
        caller = replace_quota(order.caller, admitted)
        try:
            done = await act(caller)
            cost = order.metered.came_to(done.answer, order.asked)
        except BaseException:
            await asyncio.shield(self._release(order.request_id))  # the balance is whole before the refusal
            raise
        if not admitted.held_micros and admitted.quota is None and order.caller.sent.payment is None:
            return done.reply
        return await self._captured(order, admitted, done, cost)

    async def terms(self, metered: Metered, resource: str) -> Terms | None:
        """How the call could be paid by somebody who brought nothing; None when it can't."""
        if not metered.payable or not metered.keyless:
            return None
        try:
            terms = await self._bus.request(TERMS, TermsAsk(price=metered.price, resource=resource))
        except AppError as e:
            log.info("terms can't be told", error=str(e))
            return None
        return terms if terms.accepts else None

    async def close(self) -> None:
        """Let charges and releases under way finish, within a bound."""
        if self._late:
            await asyncio.wait(self._late, timeout=SETTLE_WAIT_S)
        for task in self._late:
            task.cancel()

    async def _doubt(self, order: Order) -> None:
        """A request that makes no sense is told so before its price; what can't be found out is let be."""
        symbol = order.metered.doubtful(order.asked) if order.metered.doubtful is not None else ""
        if not symbol:
            return
        try:
            await self._bus.request(SYMBOL_RESOLVE, SymbolResolve(symbol=symbol))
        except AppError as e:
            if e.http_status == 404:
                text = f"ticker: {symbol!r} is no known symbol and not of the form BASE/QUOTE"
                raise InvalidData(text) from None

    # ── the steps ─────────────────────────────────────────────────────────────────────────────────

    async def _admit(self, order: Order) -> Admitted:
        principal, metered = order.caller.principal, order.metered
        payment = order.caller.sent.payment if metered.payable else None
        wallet = wallet_of(principal)
        if not wallet and payment is None and metered.price:
            raise NotAuthenticated("a key is needed")
        try:
            return await self._bus.request(
                ADMIT,
                Admit(
                    request_id=order.request_id,
                    operation=order.operation,
                    wallet=wallet,
                    price=metered.price,
                    units=metered.held(order.asked),
                    quota=metered.quota,
                    subject=order.subject,
                    tier=principal.tier,
                    resource=order.resource,
                    payment=payment,
                ),
            )
        except OutcomeUnknown:
            self._later(self._release(order.request_id))
            raise

    async def _captured(self, order: Order, admitted: Admitted, done: Done, cost: Cost) -> Reply:
        capture = Capture(request_id=order.request_id, price=cost.price, units=cost.units)
        try:
            captured = await self._bus.request(CAPTURE, capture)
        except (ServiceUnavailable, OutcomeUnknown) as e:
            log.warning("a charge is late", request_id=order.request_id, error=str(e))
            CHARGES.labels("late").inc()
            self._later(self._settle(capture))
            return with_quota(done.reply, admitted)
        CHARGES.labels("charged").inc()
        reply = with_quota(done.reply, admitted)
        return with_receipt(reply, captured) if order.metered.price else reply

    async def _charged_after(self, order: Order, act: Act) -> Reply:
        done = await act(order.caller)
        cost = order.metered.came_to(done.answer, order.asked)
        charge = Charge(
            request_id=order.request_id,
            operation=order.operation,
            wallet=wallet_of(order.caller.principal),
            price=cost.price,
            units=cost.units,
        )
        captured = await self._bus.request(CHARGE, charge)
        CHARGES.labels("charged").inc()
        return with_receipt(done.reply, captured)

    # ── what goes on after the answer ─────────────────────────────────────────────────────────────

    def _later(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def _settle(self, capture: Capture) -> None:
        for _ in range(SETTLE_TRIES):
            await asyncio.sleep(SETTLE_WAIT_S)
            try:
                await self._bus.request(CAPTURE, capture)
            except (ServiceUnavailable, OutcomeUnknown):
                continue
            except AppError as e:
                log.error("a late charge was refused", request_id=capture.request_id, error=str(e))
                CHARGES.labels("lost").inc()
                return
            CHARGES.labels("charged").inc()
            return
        log.error("a late charge was given up", request_id=capture.request_id)
        CHARGES.labels("lost").inc()

    async def _release(self, request_id: str) -> None:
        CHARGES.labels("released").inc()
        try:
            await self._bus.request(RELEASE, Release(request_id=request_id))
        except AppError as e:  # the hold ends by itself
            log.info("a hold was not released", request_id=request_id, error=str(e))


def replace_quota(caller: Caller, admitted: Admitted) -> Caller:
    """The caller with the state of the quota this call took from."""
    if admitted.quota is None:
        return caller
    return Caller(caller.principal, caller.login, caller.group, caller.token, caller.sent, admitted.quota)


def with_quota(reply: Reply, admitted: Admitted) -> Reply:
    """The answer with the state of the daily quota this call took from, if it did."""
    quota = admitted.quota
    if quota is None:
        return reply
    headers = {
        **reply.headers,
        f"{QUOTA}Limit": str(quota.limit),
        f"{QUOTA}Remaining": str(max(quota.limit - quota.used, 0)),
        f"{QUOTA}Reset": str(quota.resets_ms // 1000),
    }
    return reply._replace(headers=headers)


def with_receipt(reply: Reply, captured: Captured) -> Reply:
    """The answer with what was charged and what is left, in credits."""
    headers = {
        **reply.headers,
        CHARGED: _credits(captured.charged_micros),
        REMAINING: _credits(captured.available_micros),
        **captured.headers,
    }
    return reply._replace(headers=headers)


def refusal(terms: Terms) -> PaymentRequired:
    """402 with the terms."""
    return PaymentRequired(terms.message, accepts=terms.accepts, payment_required=terms.header)


def _credits(micros: int) -> str:
    whole, part = divmod(micros, CREDIT_MICROS)
    return f"{whole}.{part:04d}".rstrip("0").rstrip(".") if part else str(whole)
