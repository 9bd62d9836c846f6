"""NOWPayments: an invoice payable in many coins, and the callback (IPN) that says how it stands.

Facts (their API documentation): ``POST /v1/invoice`` with ``x-api-key``; the callback's ``x-nowpayments-sig``
is hex HMAC-SHA512(IPN secret, the JSON with keys sorted at every depth, compact). Numbers are signed as they
were written, so the body is sorted as text: nothing is parsed into floats and printed again.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from decimal import Decimal, InvalidOperation
from typing import Any

import aiohttp
import msgspec

from services.billing.errors import CallbackUnsigned, ProviderFailed, ProviderNotConfigured
from services.billing.payment import Status
from services.billing.providers.base import Heard, Page, Wanted

CALL_S = 15.0
STATUSES = {
    "waiting": Status.PENDING,
    "confirming": Status.PENDING,
    "confirmed": Status.PENDING,
    "sending": Status.PENDING,
    "partially_paid": Status.HELD,
    "finished": Status.SETTLED,
    "failed": Status.FAILED,
    "expired": Status.EXPIRED,
    "cancelled": Status.EXPIRED,
    "refunded": Status.REFUNDED,
}


class NowPayments:
    """Off until its key and its IPN secret are set. The session is opened with the first call."""

    name = "nowpayments"

    def __init__(self, api_key: str, ipn_secret: str, api_url: str) -> None:
        self._api_key = api_key
        self._ipn_secret = ipn_secret
        self._api_url = api_url.rstrip("/").removesuffix("/v1")
        self._session: aiohttp.ClientSession | None = None

    @property
    def configured(self) -> bool:
        return bool(self._api_key and self._ipn_secret)

    async def close(self) -> None:
        """Give the connections back."""
        if self._session is not None:
            await self._session.close()

    async def open(self, wanted: Wanted) -> Page:
        """A new invoice; ProviderFailed when none was made."""
        if not self.configured:
            raise ProviderNotConfigured("NOWPayments is not set up here")
        body = {
            "price_amount": float(Decimal(wanted.micros) / 1_000_000),
            "price_currency": "usd",
            "order_id": wanted.order_id,
            "order_description": wanted.title,
            "ipn_callback_url": wanted.callback_url,
            "success_url": wanted.success_url,
            "cancel_url": wanted.cancel_url,
        }
        try:
            status, answer = await self._post("/v1/invoice", body)
        except (aiohttp.ClientError, TimeoutError, OSError) as e:
            raise ProviderFailed("NOWPayments does not answer") from e
        if status >= 400 or not answer.get("id") or not answer.get("invoice_url"):
            raise ProviderFailed(f"NOWPayments made no invoice ({status})")
        return Page(str(answer["id"]), str(answer["invoice_url"]))

    def read(self, body: bytes, signature: str, now_s: int) -> Heard:
        """A callback, if it is signed with our secret; CallbackUnsigned (401) otherwise."""
        if not self.configured:
            raise ProviderNotConfigured("NOWPayments is not set up here")
        try:
            expected = digest(body, self._ipn_secret)
        except (ValueError, RecursionError) as e:
            raise CallbackUnsigned("the callback can't be read") from e
        if not hmac.compare_digest(expected.encode(), signature.strip().lower().encode()):
            raise CallbackUnsigned
        said: dict[str, Any] = json.loads(body)
        return _heard(said, hashlib.sha256(body).hexdigest())

    async def _post(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if self._session is None:
            self._session = aiohttp.ClientSession(headers={"x-api-key": self._api_key})
        limits = aiohttp.ClientTimeout(total=CALL_S, connect=5.0)
        async with self._session.post(
            self._api_url + path, json=body, timeout=limits, allow_redirects=False
        ) as response:
            said = await response.read()
        try:
            return response.status, msgspec.json.decode(said, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeError):
            return response.status, {}


class _Lexeme(str):
    """A number as it was written."""

    __slots__ = ()


def digest(body: bytes, secret: str) -> str:
    """The signature of a callback; ValueError for what is no JSON object."""
    return hmac.new(secret.encode(), canonical(body), hashlib.sha512).hexdigest()


def canonical(body: bytes) -> bytes:
    """The JSON with keys sorted at every depth, no spaces, numbers and non-ASCII text as they came."""
    said = json.loads(body.decode(), parse_float=_Lexeme, parse_int=_Lexeme, parse_constant=_Lexeme)
    if not isinstance(said, dict):
        raise ValueError("a callback is a JSON object")
    return _sorted(said).encode()


def _sorted(value: Any) -> str:
    if isinstance(value, dict):
        pairs = (f"{_text(key)}:{_sorted(value[key])}" for key in sorted(value))
        return "{" + ",".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_sorted(item) for item in value) + "]"
    if isinstance(value, _Lexeme):
        return str(value)
    return _text(value)


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _heard(said: dict[str, Any], fingerprint: str) -> Heard:
    """The same body again is the same event."""
    price = _micros(said.get("price_amount"))
    if str(said.get("price_currency") or "").lower() != "usd":
        price = -1
    payment_id = str(said.get("payment_id") or "")
    return Heard(
        event_id=fingerprint,
        order_id=str(said.get("order_id") or ""),
        external=str(said.get("invoice_id") or ""),
        status=STATUSES.get(str(said.get("payment_status") or "")),
        paid_micros=price,
        transaction=payment_id,
        note=f"{said.get('payment_status')} {said.get('actually_paid')} {said.get('pay_currency')}",
    )


def _micros(amount: Any) -> int:
    """A price in micros; -1 for what is no whole number of them."""
    try:
        micros = Decimal(str(amount)) * 1_000_000
        return int(micros) if micros == micros.to_integral_value() else -1
    except (InvalidOperation, ValueError, OverflowError):
        return -1
