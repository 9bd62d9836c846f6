"""Stripe Checkout: a page for one payment by card, and the webhook that says it was paid.

Facts (Stripe's API reference): ``Stripe-Signature: t=<unix>,v1=<hex>[,v1=…]`` with
HMAC-SHA256(endpoint secret, ``t + "." + raw body``); a session is paid when ``payment_status`` is ``paid``
in ``checkout.session.completed``, or with ``checkout.session.async_payment_succeeded``. The success page
proves nothing. Our order id goes along as ``client_reference_id`` and as metadata of session and payment.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import msgspec

from services.billing.errors import ProviderFailed, ProviderNotConfigured, SignatureInvalid
from services.billing.payment import Status
from services.billing.providers.base import Heard, Page, Wanted

TOLERANCE_S = 300
CALL_S = 20
MICROS_PER_CENT = 10_000
_SIGNATURES_MAX = 16
_REFUNDED = "charge.refunded"


class StripeCheckout:
    """Off until its key is set. The library is loaded with the first page."""

    name = "stripe"

    def __init__(self, secret_key: str, webhook_secret: str, api_url: str) -> None:
        self._secret_key = secret_key
        self._webhook_secret = webhook_secret
        self._api_url = api_url.rstrip("/")
        self._client: Any = None

    @property
    def configured(self) -> bool:
        return bool(self._secret_key and self._webhook_secret)

    async def close(self) -> None:
        """Give the connections back."""
        if self._client is not None:
            await self._http.close_async()

    async def open(self, wanted: Wanted) -> Page:
        """A new checkout page; ProviderFailed when Stripe opens none."""
        import stripe

        client = self._connected()
        about = {"order_id": wanted.order_id}
        try:
            session = await client.v1.checkout.sessions.create_async(
                params={
                    "mode": "payment",
                    "line_items": [
                        {
                            "price_data": {
                                "currency": "usd",
                                "unit_amount": wanted.micros // MICROS_PER_CENT,
                                "product_data": {"name": wanted.title},
                            },
                            "quantity": 1,
                        }
                    ],
                    "success_url": wanted.success_url,
                    "cancel_url": wanted.cancel_url,
                    "client_reference_id": wanted.order_id,
                    "metadata": about,
                    "payment_intent_data": {"metadata": about},
                },
                options={"idempotency_key": wanted.order_id},
            )
        except stripe.StripeError as e:
            raise ProviderFailed(f"Stripe opened no page: {e.user_message or type(e).__name__}") from e
        return Page(str(session.id), str(session.url))

    def read(self, body: bytes, signature: str, now_s: int) -> Heard:
        """A webhook, if it is signed with our secret and fresh; SignatureInvalid (400) otherwise."""
        if not self.configured:
            raise ProviderNotConfigured("Stripe is not set up here")
        verify_signature(body, signature, self._webhook_secret, now_s)
        try:
            event = msgspec.json.decode(body, type=_Event)
        except (msgspec.DecodeError, UnicodeError) as e:
            raise SignatureInvalid("the event can't be read") from e
        return _heard(event)

    def _connected(self) -> Any:
        if not self.configured:
            raise ProviderNotConfigured("Stripe is not set up here")
        if self._client is None:
            import stripe

            self._http = stripe.AIOHTTPClient(timeout=CALL_S)
            self._client = stripe.StripeClient(
                self._secret_key,
                base_addresses={"api": self._api_url},
                http_client=self._http,
                max_network_retries=1,
            )
        return self._client


class _Event(msgspec.Struct, frozen=True):
    id: str
    type: str
    data: dict[str, Any]


def verify_signature(body: bytes, header: str, secret: str, now_s: int) -> None:
    """SignatureInvalid unless one of the header's signatures is ours and its time is near."""
    stamp = ""
    signatures: list[str] = []
    for part in header.split(","):
        name, _, value = part.strip().partition("=")
        if name == "t":
            stamp = value
        elif name == "v1" and len(signatures) < _SIGNATURES_MAX:
            signatures.append(value)
    if not (stamp.isascii() and stamp.isdecimal() and len(stamp) < 16) or not signatures:
        raise SignatureInvalid
    expected = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    good = [hmac.compare_digest(expected.encode(), given.encode()) for given in signatures]
    if not any(good):
        raise SignatureInvalid
    if abs(now_s - int(stamp)) > TOLERANCE_S:
        raise SignatureInvalid("the callback is too old")


def _heard(event: _Event) -> Heard:
    thing = event.data.get("object")
    if not isinstance(thing, dict):
        return Heard(event.id, "", "", None, 0)
    status = _status(event.type, thing)
    amount = thing.get("amount_refunded") if event.type == _REFUNDED else thing.get("amount_total")
    currency = str(thing.get("currency") or "").lower()
    metadata = thing.get("metadata")
    named = metadata.get("order_id") if isinstance(metadata, dict) else None
    return Heard(
        event_id=event.id,
        order_id=str(thing.get("client_reference_id") or named or ""),
        external=str(thing.get("id") or ""),
        status=status,
        paid_micros=amount * MICROS_PER_CENT if isinstance(amount, int) and currency == "usd" else -1,
        transaction=str(thing.get("payment_intent") or ""),
        note=event.type,
    )


def _status(kind: str, thing: dict[str, Any]) -> Status | None:
    match kind:
        case "checkout.session.completed":
            return Status.SETTLED if thing.get("payment_status") == "paid" else Status.PENDING
        case "checkout.session.async_payment_succeeded":
            return Status.SETTLED
        case "checkout.session.async_payment_failed":
            return Status.FAILED
        case "checkout.session.expired":
            return Status.EXPIRED
        case "charge.refunded":
            return Status.REFUNDED
    return None
