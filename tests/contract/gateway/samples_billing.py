"""One good request per row about money that becomes a command: path and body."""

from __future__ import annotations

from typing import Any

BILLING: dict[str, tuple[str, dict[str, Any] | None]] = {
    "GET /v1/balance": ("/v1/balance", None),
    "GET /v1/usage": ("/v1/usage?days=7", None),
    "GET /v1/invoices": ("/v1/invoices", None),
    "GET /v1/invoices/{number}": ("/v1/invoices/1", None),
    "GET /v1/invoices/{number}/page": ("/v1/invoices/1/page", None),
    "POST /v1/topup": ("/v1/topup", {"amountMicros": 1_000_000}),
    "POST /v1/topup/stripe": ("/v1/topup/stripe", {"amountMicros": 5_000_000}),
    "POST /v1/stripe/webhook": ("/v1/stripe/webhook", {"id": "evt_1"}),
    "POST /payments/nowpayments/invoice": (
        "/payments/nowpayments/invoice",
        {"plan": "pro", "period": "month"},
    ),
    "GET /payments/nowpayments/status": ("/payments/nowpayments/status?invoice_id=1", None),
    "POST /payments/nowpayments/ipn": ("/payments/nowpayments/ipn", {"order_id": "ord_1"}),
    "POST /payments/x402": ("/payments/x402", {"plan": "pro", "period": "month"}),
    "GET /api/v1/affiliate/me": ("/api/v1/affiliate/me", None),
    "GET /api/v1/affiliate/codes": ("/api/v1/affiliate/codes", None),
    "GET /api/v1/affiliate/commissions": ("/api/v1/affiliate/commissions?limit=5", None),
    "POST /admin/credits": ("/admin/credits", {"keyId": "key_1", "deltaCredits": 5}),
    "GET /admin/payments": ("/admin/payments", None),
    "POST /admin/payments/{id}": ("/admin/payments/pay_1", {"decision": "drop"}),
    "POST /admin/affiliates/{customer_id}/payout": ("/admin/affiliates/999999/payout", {"ref": "wire 1"}),
}
