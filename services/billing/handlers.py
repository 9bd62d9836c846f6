"""What billing hears: one function per command, and auth's facts about keys and people."""

from __future__ import annotations

from typing import Any, NamedTuple

from libs.common.bus import Ack, Call, ConsumeHandler, Handler, Inbound
from libs.common.messages import billing as m
from libs.common.messages import billing_payments as p
from libs.common.messages.auth_people import KeyIssued, PersonJoined
from libs.common.messages.house import Done
from libs.common.subjects import (
    ADMIT,
    AFFILIATE_CODES,
    AFFILIATE_COMMISSIONS,
    AFFILIATE_ME,
    BILLING_BALANCE,
    BILLING_PAYMENTS,
    BILLING_USAGE,
    CAPTURE,
    CHARGE,
    CREDITS_ADD,
    INVOICE,
    INVOICE_PAGE,
    INVOICES,
    KEY_ISSUED,
    NOWPAYMENTS_CALLBACK,
    PAYMENT_DECIDE,
    PAYOUT,
    PLAN_INVOICE,
    PLAN_INVOICE_STATE,
    PLAN_X402,
    PRICE_LIST,
    QUOTA_STATE,
    RELEASE,
    STARTER_GRANT,
    STRIPE_CALLBACK,
    TERMS,
    TOPUP_CARD,
    TOPUP_X402,
    Command,
)
from services.billing.affiliate_desk import AffiliateDesk
from services.billing.callbacks import Callbacks
from services.billing.credits import Credits
from services.billing.plans import PlanShop
from services.billing.providers.base import Hosted
from services.billing.service import MeterService
from services.billing.staff_desk import StaffDesk
from services.billing.topups import Topups

Handlers = list[tuple[Command[Any, Any], Handler]]


class Desks(NamedTuple):
    """Everybody who answers."""

    meter: MeterService
    credits: Credits
    topups: Topups
    plans: PlanShop
    affiliates: AffiliateDesk
    staff: StaffDesk
    callbacks: Callbacks
    stripe: Hosted
    nowpayments: Hosted


def handlers_of(desks: Desks) -> Handlers:
    """The commands billing answers."""
    return [*_metering(desks), *_paying(desks), *_looking(desks)]


def _metering(desks: Desks) -> Handlers:
    async def admit(message: m.Admit, call: Call) -> m.Admitted:
        return await desks.meter.admit(message)

    async def capture(message: m.Capture, call: Call) -> m.Captured:
        return await desks.meter.capture(message)

    async def release(message: m.Release, call: Call) -> Done:
        await desks.meter.release(message)
        return Done()

    async def charge(message: m.Charge, call: Call) -> m.Captured:
        return await desks.meter.charge(message)

    async def terms(message: m.TermsAsk, call: Call) -> m.Terms:
        return await desks.meter.terms(message)

    async def starter(message: m.StarterGrant, call: Call) -> m.StarterGranted:
        return m.StarterGranted(micros=await desks.credits.asked(message))

    async def add_credits(message: m.CreditsAdd, call: Call) -> m.CreditsAdded:
        return await desks.credits.add(message)

    return [
        (ADMIT, admit),
        (CAPTURE, capture),
        (RELEASE, release),
        (CHARGE, charge),
        (TERMS, terms),
        (STARTER_GRANT, starter),
        (CREDITS_ADD, add_credits),
    ]


def _paying(desks: Desks) -> Handlers:
    async def topup_x402(message: p.X402Topup, call: Call) -> p.ToppedUp:
        return await desks.topups.x402(message)

    async def topup_card(message: p.CardTopup, call: Call) -> p.CardPage:
        return await desks.topups.card(message)

    async def stripe(message: p.Callback, call: Call) -> Done:
        await desks.callbacks.take(desks.stripe, message.body, message.signature)
        return Done()

    async def nowpayments(message: p.Callback, call: Call) -> Done:
        await desks.callbacks.take(desks.nowpayments, message.body, message.signature)
        return Done()

    async def plan_invoice(message: p.PlanOrder, call: Call) -> p.PlanInvoice:
        return await desks.plans.order(message)

    async def plan_x402(message: p.X402Plan, call: Call) -> p.PlanBought:
        return await desks.plans.x402(message)

    async def decide(message: p.PaymentDecide, call: Call) -> p.PaymentView:
        return await desks.staff.decide(message)

    async def pay_out(message: p.PayoutAsk, call: Call) -> p.Payout:
        return await desks.affiliates.pay_out(message)

    return [
        (TOPUP_X402, topup_x402),
        (TOPUP_CARD, topup_card),
        (STRIPE_CALLBACK, stripe),
        (NOWPAYMENTS_CALLBACK, nowpayments),
        (PLAN_INVOICE, plan_invoice),
        (PLAN_X402, plan_x402),
        (PAYMENT_DECIDE, decide),
        (PAYOUT, pay_out),
    ]


def _looking(desks: Desks) -> Handlers:
    async def balance(message: m.BalanceAsk, call: Call) -> m.Balance:
        return await desks.meter.balance(message)

    async def usage(message: m.UsageAsk, call: Call) -> m.Usage:
        return await desks.meter.usage(message)

    async def quota(message: m.QuotaAsk, call: Call) -> m.QuotaState:
        return await desks.meter.quota(message)

    async def prices(message: m.PriceListAsk, call: Call) -> m.PriceList:
        return desks.meter.price_list()

    async def plan_state(message: p.PlanInvoiceAsk, call: Call) -> p.PlanInvoiceState:
        return await desks.plans.state(message)

    async def invoices(message: p.InvoicesAsk, call: Call) -> p.Invoices:
        return await desks.plans.invoices(message)

    async def invoice(message: p.InvoiceAsk, call: Call) -> p.Invoice:
        return await desks.plans.invoice(message)

    async def invoice_page(message: p.InvoiceAsk, call: Call) -> p.Page:
        return await desks.plans.page(message)

    async def affiliate(message: p.AffiliateAsk, call: Call) -> p.AffiliateState:
        return await desks.affiliates.me(message)

    async def codes(message: p.AffiliateAsk, call: Call) -> p.AffiliateCodes:
        return await desks.affiliates.codes(message)

    async def commissions(message: p.CommissionsAsk, call: Call) -> p.Commissions:
        return await desks.affiliates.commissions(message)

    async def payments(message: p.PaymentsAsk, call: Call) -> p.Payments:
        return await desks.staff.payments(message)

    return [
        (BILLING_BALANCE, balance),
        (BILLING_USAGE, usage),
        (QUOTA_STATE, quota),
        (PRICE_LIST, prices),
        (PLAN_INVOICE_STATE, plan_state),
        (INVOICES, invoices),
        (INVOICE, invoice),
        (INVOICE_PAGE, invoice_page),
        (AFFILIATE_ME, affiliate),
        (AFFILIATE_CODES, codes),
        (AFFILIATE_COMMISSIONS, commissions),
        (BILLING_PAYMENTS, payments),
    ]


def on_auth_fact(desks: Desks) -> ConsumeHandler:
    """Keys get their wallets, also where the door's own request got lost; people their referrers. Both are
    named by what they are about, so a repeat changes nothing."""
    keys = KEY_ISSUED.template.partition(".{")[0]

    async def handle(inbound: Inbound) -> Ack:
        if inbound.subject.startswith(keys):
            key = inbound.decode(KeyIssued)
            await desks.credits.key_made(
                m.StarterGrant(
                    key_id=key.key_id,
                    person_id=key.person_id,
                    email_key=key.email_key,
                    mode=key.mode,
                    address=key.address,
                    issued_ms=key.issued_ms,
                )
            )
        else:
            await desks.affiliates.joined(inbound.decode(PersonJoined))
        return Ack.DONE

    return handle
