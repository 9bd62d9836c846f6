"""The object graph of billing, opened top to bottom and closed bottom to top."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import structlog

from libs.common.plans import PlansFile
from libs.common.service import App, Base
from libs.common.streams import BILLING_AUTH
from services.billing import metrics
from services.billing.affiliate_desk import AffiliateDesk
from services.billing.callbacks import Callbacks
from services.billing.chores import Chores
from services.billing.config import BillingConfig
from services.billing.credits import Credits
from services.billing.fulfilment import Fulfilment
from services.billing.handlers import Desks, handlers_of, on_auth_fact
from services.billing.money_in import MoneyIn
from services.billing.paid_calls import PaidCalls
from services.billing.payment_store import PaymentStore
from services.billing.plan_store import PlanStore
from services.billing.plans import PlanShop
from services.billing.providers.nowpayments import NowPayments
from services.billing.providers.stripe_checkout import StripeCheckout
from services.billing.providers.x402_facilitator import Facilitator
from services.billing.service import MeterService, Prices
from services.billing.staff_desk import StaffDesk
from services.billing.store import Store
from services.billing.terms import Selling
from services.billing.tiers import Tiers
from services.billing.topups import Topups
from services.billing.writer import Batcher, Ground

log = structlog.get_logger()

STOP_S = 5.0


@asynccontextmanager
async def build(config: BillingConfig, base: Base) -> AsyncIterator[App]:
    """Everything billing is made of."""
    metrics.zero()
    async with AsyncExitStack() as stack:
        plans_file = PlansFile(config.plans_file, base.clock)
        ground = Ground(base.database, Store(), base.clock, base.ids, plans_file)
        selling = Selling(config.x402_pay_to, config.x402_network)
        facilitator = Facilitator(config.x402_facilitator_url, on=selling.on)
        stripe = StripeCheckout(config.stripe_secret_key, config.stripe_webhook_secret, config.stripe_api_url)
        nowpayments = NowPayments(
            config.nowpayments_api_key, config.nowpayments_ipn_secret, config.nowpayments_api_url
        )
        for provider in (facilitator, stripe, nowpayments):
            stack.push_async_callback(provider.close)
        payments, plans = PaymentStore(), PlanStore()
        fulfilment = Fulfilment(ground, payments, plans)
        money = MoneyIn(ground, payments, fulfilment, selling, facilitator)
        tiers = Tiers(ground, base.bus, plans)
        batcher = Batcher(ground)
        chores = Chores(ground, batcher, money, payments, plans, tiers)
        prices = Prices(plans_file, signals_metered=config.signals_metered == "on")
        desks = Desks(
            meter=MeterService(ground, batcher, prices, PaidCalls(money), selling),
            credits=Credits(ground, base.bus),
            topups=Topups(ground, base.bus, payments, money, stripe, config.base_url),
            plans=PlanShop(ground, base.bus, payments, plans, money, nowpayments, tiers, config.base_url),
            affiliates=AffiliateDesk(ground, plans, config.base_url),
            staff=StaffDesk(ground, payments, fulfilment),
            callbacks=Callbacks(ground, payments, fulfilment, chores.wake),
            stripe=stripe,
            nowpayments=nowpayments,
        )
        await chores.note_plans()
        batching = asyncio.create_task(_run(batcher, base), name="billing batches")
        stack.push_async_callback(_end, batcher, batching)
        facts = await base.bus.consume(BILLING_AUTH, on_auth_fact(desks))
        stack.push_async_callback(facts.stop)
        going_on = asyncio.create_task(chores.run(), name="billing chores")
        stack.push_async_callback(_cancel, going_on)
        yield App(handlers=handlers_of(desks))


async def _run(batcher: Batcher, base: Base) -> None:
    """When the writing task ends by itself the process must not go on without it."""
    try:
        await batcher.run()
    except Exception as e:
        log.exception("billing stopped writing")
        base.fail(f"{type(e).__name__}: {e}")


async def _end(batcher: Batcher, batching: asyncio.Task[None]) -> None:
    batcher.stop()
    await asyncio.wait([batching], timeout=STOP_S)
    await _cancel(batching)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
