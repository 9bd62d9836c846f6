"""Paying credit in: by x402 (verify, settle, credit once), and by card (credited by Stripe's webhook)."""

from __future__ import annotations

from libs.common.bus import Bus
from libs.common.errors import InvalidData
from libs.common.messages import billing_payments as m
from libs.common.messages.auth_people import AgentKeyIssue
from libs.common.subjects import AGENT_KEY_ISSUE
from services.billing.credits import WALLET_EMAIL
from services.billing.errors import ProviderNotConfigured
from services.billing.ledger import USD, wallet_account
from services.billing.money_in import MoneyIn
from services.billing.payment import Payment, Status
from services.billing.payment_store import PaymentStore
from services.billing.providers.base import Hosted, Wanted
from services.billing.providers.stripe_checkout import MICROS_PER_CENT
from services.billing.terms import Offer
from services.billing.writer import Ground


class Topups:
    """Both ways to pay in."""

    def __init__(
        self, ground: Ground, bus: Bus, payments: PaymentStore, money: MoneyIn, stripe: Hosted, base_url: str
    ) -> None:
        self._ground = ground
        self._bus = bus
        self._payments = payments
        self._money = money
        self._stripe = stripe
        self._base_url = base_url

    async def x402(self, ask: m.X402Topup) -> m.ToppedUp:
        """402 with the terms without a payment; else credit what was settled, to a new key if need be."""
        if not self._money.selling.on:
            raise ProviderNotConfigured("x402 is not set up here")
        rules = self._ground.plans.now().topup
        micros = rules.default_micros if ask.amount_micros is None else ask.amount_micros
        _check(micros, rules.min_micros, rules.max_micros)
        _check_live(ask.wallet)
        offer = Offer(micros, ask.resource, "Credit")
        if ask.payment is None:
            raise self._money.selling.asked(offer)
        brought = self._money.brought(ask.payment, offer)
        wallet = ask.wallet or f"x402:{brought.payer}"
        payment = await self._money.reserve(brought, offer, purpose="topup", wallet=wallet)
        settled, headers = await self._money.settle(payment)
        if not settled.success:
            raise self._money.selling.failed(offer, settled.reason or "unexpected_settle_error", headers)
        if not await self._money.book(payment, settled):
            raise self._money.selling.failed(offer, "invalid_transaction_state")
        made = m.ToppedUp(
            ok=True,
            credited_micros=brought.micros,
            balance_micros=await self._balance(wallet),
            transaction=settled.transaction,
            network=self._money.selling.network.name,
            payer=brought.payer,
            headers=headers,
        )
        return made if ask.wallet else await self._with_key(made, payment, ask.address)

    async def card(self, ask: m.CardTopup) -> m.CardPage:
        """A checkout page; nothing is credited before its webhook."""
        if not self._stripe.configured:
            raise ProviderNotConfigured("Stripe is not set up here")
        rules = self._ground.plans.now().topup
        micros = rules.card_min_micros if ask.amount_micros is None else ask.amount_micros
        _check(micros, rules.card_min_micros, rules.max_micros)
        if micros % MICROS_PER_CENT:
            raise InvalidData("amountMicros: a card pays whole cents", field="amountMicros")
        _check_live(ask.wallet)
        now_ms = self._ground.clock.now_ms()
        order_id = f"top_{self._ground.ids.event_id().replace('-', '')}"
        payment = Payment(
            id=order_id,
            provider=self._stripe.name,
            ref=order_id,
            purpose="topup",
            status=Status.CREATED,
            wallet=ask.wallet,
            person_id=ask.person_id,
            plan="",
            period="",
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
        async with self._ground.database.transaction() as tx:
            await self._payments.add(tx, payment)  # first: its webhook may be faster than the answer
        page = await self._stripe.open(
            Wanted(
                order_id,
                micros,
                "Tradewind credit",
                f"{self._base_url}/docs/billing?paid={order_id}",
                f"{self._base_url}/docs/billing?cancelled={order_id}",
            )
        )
        async with self._ground.database.transaction() as tx:
            await self._payments.set_external(tx, payment.id, page.external)
        return m.CardPage(url=page.url, session_id=page.external)

    async def _balance(self, wallet: str) -> int:
        async with self._ground.database.connection() as db:
            return (await self._ground.store.wallet(db, wallet)).available_micros

    async def _with_key(self, made: m.ToppedUp, payment: Payment, address: str) -> m.ToppedUp:
        """A key for the paying wallet: its credit goes over to the key."""
        issue = AgentKeyIssue(email=f"{made.payer}{WALLET_EMAIL}", name="x402", ip=address)
        key = await self._bus.request(AGENT_KEY_ISSUE, issue)
        balance = await self._money.hand_over(payment, f"key:{key.key_id}")
        return m.ToppedUp(
            ok=True,
            credited_micros=made.credited_micros,
            balance_micros=balance,
            transaction=made.transaction,
            network=made.network,
            payer=made.payer,
            key=key.key,
            headers=made.headers,
        )


def _check(micros: int, least: int, most: int) -> None:
    if not least <= micros <= most:
        raise InvalidData(f"amountMicros is {least} to {most}", field="amountMicros")


def _check_live(wallet: str) -> None:
    if wallet_account(wallet).currency != USD:
        raise InvalidData("a test key spends play money: nothing is paid in for it")
