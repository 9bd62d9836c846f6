"""What billing counts; everything is registered at start."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

batch_calls = Histogram(
    "tradewind_billing_batch_calls",
    "Holds, charges and releases of one commit",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
)
charged_micros = Counter("tradewind_billing_charged_micros", "Charged to wallets, in micros")
refused = Counter("tradewind_billing_refused_calls", "Calls not admitted", ["reason"])
expired = Counter("tradewind_billing_expired_holds", "Holds nobody came back for")
granted = Counter("tradewind_billing_starter_grants", "Starter credits given")
payments = Counter("tradewind_billing_payments", "Payments, by provider and outcome", ["provider", "outcome"])
callbacks = Counter(
    "tradewind_billing_callbacks", "Callbacks of providers, by what became of them", ["provider", "outcome"]
)
reread = Counter(
    "tradewind_billing_reread_batches", "Batches decided again on their rows: what was remembered had changed"
)
pending = Gauge("tradewind_billing_pending_payments", "Payments whose outcome is not known yet")
unsound = Gauge("tradewind_billing_unsound_rows", "Rows of the ledger that do not add up")

PROVIDERS = ("x402", "stripe", "nowpayments")


def zero() -> None:
    """Make every series exist from the start."""
    for reason in ("credit", "quota"):
        refused.labels(reason)
    for provider in PROVIDERS:
        for outcome in ("settled", "failed", "unknown", "refunded"):
            payments.labels(provider, outcome)
        for outcome in ("applied", "repeated", "ignored", "held", "stray", "forged"):
            callbacks.labels(provider, outcome)
