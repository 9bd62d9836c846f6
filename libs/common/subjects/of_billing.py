"""What billing says and is asked: holds and charges, credit, plans, payments, affiliates."""

from __future__ import annotations

from libs.common.messages import billing, house
from libs.common.messages import billing_payments as payments
from libs.common.subjects.kinds import Command

ADMIT = Command("billing.cmd.call.admit.v1", billing.Admit, billing.Admitted, effect=True, timeout_s=20.0)
CAPTURE = Command(
    "billing.cmd.call.capture.v1", billing.Capture, billing.Captured, effect=True, timeout_s=60.0
)
RELEASE = Command("billing.cmd.call.release.v1", billing.Release, house.Done, effect=True)
CHARGE = Command("billing.cmd.call.charge.v1", billing.Charge, billing.Captured, effect=True)
TERMS = Command("billing.cmd.terms.get.v1", billing.TermsAsk, billing.Terms)
BILLING_BALANCE = Command("billing.cmd.balance.get.v1", billing.BalanceAsk, billing.Balance)
BILLING_USAGE = Command("billing.cmd.usage.get.v1", billing.UsageAsk, billing.Usage)
QUOTA_STATE = Command("billing.cmd.quota.get.v1", billing.QuotaAsk, billing.QuotaState)
CREDITS_ADD = Command("billing.cmd.credits.add.v1", billing.CreditsAdd, billing.CreditsAdded, effect=True)
STARTER_GRANT = Command(
    "billing.cmd.starter.grant.v1", billing.StarterGrant, billing.StarterGranted, effect=True
)
PRICE_LIST = Command("billing.cmd.prices.get.v1", billing.PriceListAsk, billing.PriceList)
TOPUP_X402 = Command(
    "billing.cmd.topup.x402.v1", payments.X402Topup, payments.ToppedUp, effect=True, timeout_s=60.0
)
TOPUP_CARD = Command(
    "billing.cmd.topup.card.v1", payments.CardTopup, payments.CardPage, effect=True, timeout_s=30.0
)
STRIPE_CALLBACK = Command("billing.cmd.callback.stripe.v1", payments.Callback, house.Done, effect=True)
NOWPAYMENTS_CALLBACK = Command(
    "billing.cmd.callback.nowpayments.v1", payments.Callback, house.Done, effect=True
)
PLAN_INVOICE = Command(
    "billing.cmd.plan.invoice.v1", payments.PlanOrder, payments.PlanInvoice, effect=True, timeout_s=30.0
)
PLAN_INVOICE_STATE = Command("billing.cmd.plan.status.v1", payments.PlanInvoiceAsk, payments.PlanInvoiceState)
PLAN_X402 = Command(
    "billing.cmd.plan.x402.v1", payments.X402Plan, payments.PlanBought, effect=True, timeout_s=60.0
)
INVOICES = Command("billing.cmd.invoices.list.v1", payments.InvoicesAsk, payments.Invoices)
INVOICE = Command("billing.cmd.invoice.get.v1", payments.InvoiceAsk, payments.Invoice)
INVOICE_PAGE = Command("billing.cmd.invoice.page.v1", payments.InvoiceAsk, payments.Page)
AFFILIATE_ME = Command("billing.cmd.affiliate.me.v1", payments.AffiliateAsk, payments.AffiliateState)
AFFILIATE_CODES = Command("billing.cmd.affiliate.codes.v1", payments.AffiliateAsk, payments.AffiliateCodes)
AFFILIATE_COMMISSIONS = Command(
    "billing.cmd.affiliate.commissions.v1", payments.CommissionsAsk, payments.Commissions
)
BILLING_PAYMENTS = Command("billing.cmd.payments.list.v1", payments.PaymentsAsk, payments.Payments)
PAYMENT_DECIDE = Command(
    "billing.cmd.payment.decide.v1", payments.PaymentDecide, payments.PaymentView, effect=True
)
PAYOUT = Command("billing.cmd.affiliate.payout.v1", payments.PayoutAsk, payments.Payout, effect=True)
