"""Stripe and NOWPayments: pages are opened, callbacks grant once, in any order, and forged ones nothing."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
import json
import random
import time
from typing import Any

import pytest
import stripe

from services.billing.providers.nowpayments import canonical
from tests.conftest import wait_until
from tests.contract.auth.people import Answer, Caller
from tests.contract.billing.conftest import IPN_SECRET, STRIPE_SECRET, Till, ledger_is_sound
from tests.contract.billing.test_metered_rows import balance, key_of

_events = itertools.count(1)


def event_of(kind: str, **thing: Any) -> bytes:
    """A Stripe event."""
    body = {"id": f"evt_{next(_events)}", "object": "event", "type": kind, "data": {"object": thing}}
    return json.dumps(body).encode()


def session_of(till: Till, **changes: Any) -> dict[str, Any]:
    """The session of the last page that was opened, as Stripe would send it."""
    asked = till.providers.sessions[-1]
    number = len(till.providers.sessions)
    return {
        "id": f"cs_test_{number}",
        "object": "checkout.session",
        "client_reference_id": asked["client_reference_id"],
        "metadata": {"order_id": asked["metadata[order_id]"]},
        "amount_total": int(asked["line_items[0][price_data][unit_amount]"]),
        "currency": "usd",
        "payment_status": "paid",
        "payment_intent": f"pi_{number}",
        **changes,
    }


async def webhook(till: Till, body: bytes, *, secret: str = STRIPE_SECRET, at: int | None = None) -> Answer:
    """Send an event, signed by Stripe's own helper."""
    signature = stripe.WebhookSignature.generate_signature_header(body.decode(), secret, at)
    headers = {"Stripe-Signature": signature, "Content-Type": "application/json; charset=utf-8"}
    return await till.town.stranger().call("POST", "/v1/stripe/webhook", data=body, headers=headers)


async def test_a_card_pays_credit_in_once_whatever_is_repeated(till: Till) -> None:
    caller = await key_of(till.town)
    page = await caller.done("POST", "/v1/topup/stripe", {"amountMicros": 7_500_000})
    assert page["url"] and page["sessionId"] == f"cs_test_{len(till.providers.sessions)}"
    assert till.providers.sessions[-1]["line_items[0][price_data][unit_amount]"] == "750"
    for name in ("success_url", "cancel_url"):  # where the customer is sent to is a page
        back = till.providers.sessions[-1][name].removeprefix(till.house.url)
        assert (await till.town.stranger().call("GET", back)).status == 200
    unpaid = session_of(till, payment_status="unpaid")
    assert (await webhook(till, event_of("checkout.session.completed", **unpaid))).status == 200
    assert await balance(caller) == 50_000
    body = event_of("checkout.session.completed", **session_of(till))
    answers = await asyncio.gather(*(webhook(till, body) for _ in range(5)))
    assert {a.status for a in answers} == {200}
    await webhook(till, event_of("checkout.session.async_payment_succeeded", **session_of(till)))
    await webhook(till, event_of("checkout.session.expired", **session_of(till)))
    assert await balance(caller) == 7_550_000
    refund = session_of(till)
    await webhook(till, event_of("charge.refunded", **charge_of(refund, 750)))
    assert await balance(caller) == 50_000
    await webhook(till, event_of("checkout.session.async_payment_succeeded", **session_of(till)))
    assert await balance(caller) == 50_000
    await ledger_is_sound(till)


def charge_of(session: dict[str, Any], cents: int) -> dict[str, Any]:
    return {
        "id": "ch_1",
        "metadata": session["metadata"],
        "payment_intent": session["payment_intent"],
        "currency": "usd",
        "amount_refunded": cents,
    }


async def test_a_refund_of_spent_credit_is_the_houses_loss_and_never_a_debt(till: Till) -> None:
    caller = await key_of(till.town)
    await caller.done("POST", "/v1/topup/stripe", {})
    await webhook(till, event_of("checkout.session.completed", **session_of(till)))
    admin = await till.town.admin()
    id = caller.headers["key-id"]
    await admin.done("POST", "/admin/credits", {"keyId": id, "deltaMicros": -4_000_000, "reason": "spent"})
    euros = charge_of(session_of(till), 500) | {"currency": "eur"}
    for odd in (euros, charge_of(session_of(till), 499), charge_of(session_of(till), 501)):
        await webhook(till, event_of("charge.refunded", **odd))
        assert await balance(caller) == 1_050_000  # staff looks at it
    await webhook(till, event_of("charge.refunded", **charge_of(session_of(till), 500)))
    assert await balance(caller) == 0
    await ledger_is_sound(till)


async def test_a_wrong_amount_or_currency_is_held_and_a_forged_event_refused(till: Till) -> None:
    caller = await key_of(till.town)
    await caller.done("POST", "/v1/topup/stripe", {"amountMicros": 5_000_000})
    for changes in ({"amount_total": 499}, {"currency": "eur"}, {"amount_total": 50_000}):
        body = event_of("checkout.session.completed", **session_of(till, **changes))
        assert (await webhook(till, body)).status == 200
    good = event_of("checkout.session.completed", **session_of(till))
    assert (await webhook(till, good, secret="whsec_other")).status == 400
    assert (await webhook(till, good, at=int(time.time()) - 301)).status == 400
    assert (await webhook(till, good, at=int(time.time()) + 301)).status == 400
    unsigned = await till.town.stranger().call("POST", "/v1/stripe/webhook", data=good)
    assert unsigned.status == 400
    unknown = event_of("checkout.session.completed", **session_of(till, client_reference_id="top_none"))
    assert (await webhook(till, unknown)).status == 200
    assert (await webhook(till, event_of("invoice.paid", id="in_1"))).status == 200
    assert await balance(caller) == 50_000
    admin = await till.town.admin()
    listed = (await admin.done("GET", "/admin/payments?status=held"))["payments"]
    stray = [one for one in listed if one["purpose"] == "callback" and "top_none" in one["note"]]
    assert len(stray) == 1 and stray[0]["status"] == "held"
    where = f"/admin/payments/{stray[0]['id']}"
    assert (await admin.call("POST", where, {"decision": "grant"})).status == 400  # of what?
    assert (await admin.done("POST", where, {"decision": "drop"}))["status"] == "failed"
    assert (await admin.call("POST", where, {"decision": "drop"})).status == 404
    assert (await webhook(till, unknown)).status == 200  # said again, it is not news
    listed = (await admin.done("GET", "/admin/payments?status=held"))["payments"]
    assert stray[0]["id"] not in [one["id"] for one in listed]
    assert (await webhook(till, good)).status == 200  # staff need not decide any more
    assert await balance(caller) == 5_050_000


async def test_amounts_a_card_can_not_pay_are_400(till: Till) -> None:
    caller = await key_of(till.town)
    for micros in (4_999_999, 5_000_001, 1_000_000_001):
        assert (await caller.call("POST", "/v1/topup/stripe", {"amountMicros": micros})).status == 400


# ── NOWPayments ───────────────────────────────────────────────────────────────────────────────────


async def customer_of(till: Till, **fields: Any) -> Caller:
    """A signed-in person of the scan surface."""
    return await till.town.browser(await till.town.user(**fields))


async def order(till: Till, buyer: Caller, plan: str = "plus", period: str = "month") -> dict[str, Any]:
    """An invoice for a plan."""
    asked = {"plan": plan, "period": period}
    made: dict[str, Any] = await buyer.done("POST", "/payments/nowpayments/invoice", asked)
    return made


def ipn_of(invoice: dict[str, Any], status: str, **changes: Any) -> dict[str, Any]:
    """A callback about an invoice, nested as theirs are."""
    return {
        "payment_id": 5_077_000_000 + int(invoice["invoice_id"]),
        "invoice_id": int(invoice["invoice_id"]),
        "payment_status": status,
        "price_amount": invoice["price_amount"],
        "price_currency": "usd",
        "pay_amount": 0.0035,
        "actually_paid": 0.0035,
        "pay_currency": "eth",
        "order_id": invoice["order_id"],
        "order_description": "Größe ≥ 1",
        "fee": {"withdrawalFee": 1e-05, "currency": "eth", "depositFee": 0.0},
        "updated_at": next(_events),
        **changes,
    }


async def ipn(till: Till, said: dict[str, Any], *, secret: str = IPN_SECRET) -> Answer:
    """Send it with its keys in any order; the signature is over the sorted form."""
    keys = list(said)
    random.shuffle(keys)
    body = json.dumps({key: said[key] for key in keys}, ensure_ascii=False).encode()
    signature = hmac.new(secret.encode(), canonical(body), hashlib.sha512).hexdigest()
    headers = {"x-nowpayments-sig": signature, "Content-Type": "application/json"}
    return await till.town.stranger().call("POST", "/payments/nowpayments/ipn", data=body, headers=headers)


async def tier_of(buyer: Caller) -> str:
    tier: str = (await buyer.done("GET", "/auth/me"))["user"]["tier"]
    return tier


async def until_tier(buyer: Caller, tier: str) -> None:
    async def there() -> bool:
        return await tier_of(buyer) == tier

    await wait_until(there)


async def test_a_plan_is_granted_on_finished_alone_and_once(till: Till) -> None:
    buyer = await customer_of(till)
    made = await order(till, buyer)
    assert (made["price_amount"], made["price_currency"], made["status"]) == (19, "usd", "waiting")
    assert till.providers.invoices[-1]["ipn_callback_url"].endswith("/payments/nowpayments/ipn")
    for status in ("waiting", "confirming", "sending", "partially_paid", "waiting"):
        answer = await ipn(till, ipn_of(made, status))
        assert (answer.status, answer.body) == (200, b"")
    assert await tier_of(buyer) == "free"
    where = f"/payments/nowpayments/status?invoice_id={made['invoice_id']}"
    assert (await buyer.done("GET", where))["status"] == "partially_paid"
    for status in ("finished", "finished", "confirming", "failed", "expired"):
        await ipn(till, ipn_of(made, status))
    await until_tier(buyer, "plus")
    said = await buyer.done("GET", where)
    assert said["status"] == "finished" and said["paid_at"] < said["subscription_expires_at"]
    stranger = await customer_of(till)
    assert (await stranger.call("GET", where)).status == 404
    await ipn(till, ipn_of(made, "refunded"))
    await until_tier(buyer, "free")
    await ipn(till, ipn_of(made, "finished"))
    assert await tier_of(buyer) == "free"
    await ledger_is_sound(till)


async def test_another_price_or_order_or_signature_grants_nothing(till: Till) -> None:
    buyer = await customer_of(till)
    made = await order(till, buyer, "pro", "year")
    for changes in ({"price_amount": 1}, {"price_currency": "eur"}, {"order_id": "ord_none"}):
        assert (await ipn(till, ipn_of(made, "finished", **changes))).status == 200
    assert (await ipn(till, ipn_of(made, "finished"), secret="other")).status == 401
    for body in (b"", b"[]", b"{", b'{"a":NaN}'):
        answer = await till.town.stranger().call("POST", "/payments/nowpayments/ipn", data=body)
        assert answer.status == 401
    big = {"order_id": "x" * 70_000}
    assert (await ipn(till, big)).status == 413
    assert await tier_of(buyer) == "free"


async def test_one_payment_never_buys_two_plans(till: Till) -> None:
    buyer, other = await customer_of(till), await customer_of(till)
    one, two = await order(till, buyer), await order(till, other)
    await ipn(till, ipn_of(one, "finished"))
    await until_tier(buyer, "plus")
    await ipn(till, ipn_of(two, "finished", payment_id=5_077_000_000 + int(one["invoice_id"])))
    where = f"/payments/nowpayments/status?invoice_id={two['invoice_id']}"
    assert (await other.done("GET", where))["status"] == "partially_paid"
    assert await tier_of(other) == "free"


async def strays_about(till: Till, text: str) -> list[Any]:
    """Callbacks that wait for staff by themselves."""
    admin = await till.town.admin()
    listed = (await admin.done("GET", "/admin/payments?status=held&limit=1000"))["payments"]
    return [one for one in listed if one["purpose"] == "callback" and text in one["note"]]


async def test_an_invoice_that_is_paid_twice_buys_one_plan_and_staff_sees_the_other_payment(
    till: Till,
) -> None:
    buyer = await customer_of(till)
    made = await order(till, buyer)
    await ipn(till, ipn_of(made, "finished"))
    await until_tier(buyer, "plus")
    where = f"/payments/nowpayments/status?invoice_id={made['invoice_id']}"
    ends = (await buyer.done("GET", where))["subscription_expires_at"]
    again = ipn_of(made, "finished", payment_id=7_000_000_000 + int(made["invoice_id"]))
    assert (await ipn(till, again)).status == 200
    assert (await buyer.done("GET", where))["subscription_expires_at"] == ends
    assert len(await strays_about(till, made["order_id"])) == 1
    # That one paid back is no reason to end the plan; nor is a refund that says another currency or amount.
    await ipn(till, {**again, "payment_status": "refunded"})
    await ipn(till, ipn_of(made, "refunded", price_currency="eur"))
    await ipn(till, ipn_of(made, "refunded", price_amount=1))
    assert await tier_of(buyer) == "plus"
    assert len(await strays_about(till, made["order_id"])) == 4
    await ledger_is_sound(till)


async def test_bad_plans_are_400_and_name_what_is_allowed(till: Till) -> None:
    buyer = await customer_of(till)
    for body in ({"plan": "free"}, {"plan": "gold"}, {"plan": "pro", "period": "week"}):
        answer = await buyer.call("POST", "/payments/nowpayments/invoice", body)
        assert (answer.status, answer.code) == (400, "invalid_param")
        assert answer.json["meta"]["allowed"]


@pytest.mark.parametrize("value", [19, 19.0, "19", "19.00"])
async def test_a_price_may_be_written_in_any_way(till: Till, value: Any) -> None:
    buyer = await customer_of(till)
    made = await order(till, buyer)
    await ipn(till, ipn_of(made, "finished", price_amount=value))
    await until_tier(buyer, "plus")
