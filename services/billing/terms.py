"""x402 terms: what a call or a top-up asks for, in both versions of the protocol, and what a payment must
hold to meet them. Pure. (x402 specification v1 and v2, scheme ``exact`` on EVM: EIP-3009.)

Terms are always made here again and compared: nothing a client says about price, asset, network or receiver
counts. USDC has six decimals, so atomic units are micros of USD.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from libs.common.messages.billing import Payment, Terms
from services.billing.errors import PaymentFailed, PaymentRequired, PaymentUnreadable

HEADER_BYTES_MAX = 16 * 1024
MICROS_MAX = 10**15
TIMEOUT_S = 300  # how long an authorization must stay good: settlement comes after the work
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_NONCE = re.compile(r"0x[0-9a-fA-F]{64}")
_UINT = re.compile(r"[0-9]{1,78}")
TAKEN = "Paid in USDC by x402; ETH and other coins go through NOWPayments, cards through Stripe."


@dataclass(frozen=True, slots=True)
class Network:
    """A chain and its USDC. ``name`` is that of version 1, ``caip2`` that of version 2."""

    name: str
    caip2: str
    asset: str
    token_name: str
    domain_version: str = "2"  # of the token's EIP-712 domain


NETWORKS: Mapping[str, Network] = {
    n.name: n
    for n in (
        Network("base", "eip155:8453", "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913", "USD Coin"),
        Network("base-sepolia", "eip155:84532", "0x036CbD53842c5426634e7929541eC2318f3dCF7e", "USDC"),
    )
}


@dataclass(frozen=True, slots=True)
class Offer:
    """What must be paid, to whom, for what."""

    micros: int
    resource: str
    description: str


class _Authorization(msgspec.Struct, frozen=True):
    sender: str = msgspec.field(name="from")
    to: str
    value: str
    valid_after: str = msgspec.field(name="validAfter")
    valid_before: str = msgspec.field(name="validBefore")
    nonce: str


class _Exact(msgspec.Struct, frozen=True):
    signature: str
    authorization: _Authorization


class _V1(msgspec.Struct, frozen=True):
    x402_version: int = msgspec.field(name="x402Version")
    scheme: str
    network: str
    payload: _Exact


class _Resource(msgspec.Struct, frozen=True):
    url: str


class _V2(msgspec.Struct, frozen=True):
    x402_version: int = msgspec.field(name="x402Version")
    accepted: dict[str, Any]
    payload: _Exact
    resource: _Resource | None = None


@dataclass(frozen=True, slots=True)
class Brought:
    """A payment that meets the terms: what the facilitator is asked about, and what makes it unique."""

    version: int
    payload: dict[str, Any]
    requirements: dict[str, Any]
    payer: str
    nonce: str
    micros: int
    valid_before_s: int


class Selling:
    """The house's terms. ``pay_to`` "" : x402 is off."""

    def __init__(self, pay_to: str, network: str) -> None:
        self.pay_to = pay_to
        self.network = NETWORKS.get(network) or NETWORKS["base"]

    @property
    def on(self) -> bool:
        return bool(self.pay_to)

    def v1(self, offer: Offer) -> dict[str, Any]:
        """Requirements of version 1."""
        return {
            "scheme": "exact",
            "network": self.network.name,
            "maxAmountRequired": str(offer.micros),
            "resource": offer.resource,
            "description": offer.description,
            "mimeType": "application/json",
            "payTo": self.pay_to,
            "maxTimeoutSeconds": TIMEOUT_S,
            "asset": self.network.asset,
            "extra": self._extra(),
        }

    def v2(self, offer: Offer) -> dict[str, Any]:
        """Requirements of version 2."""
        return {
            "scheme": "exact",
            "network": self.network.caip2,
            "amount": str(offer.micros),
            "asset": self.network.asset,
            "payTo": self.pay_to,
            "maxTimeoutSeconds": TIMEOUT_S,
            "extra": self._extra(),
        }

    def terms(self, micros: int, resource: str, description: str = "One call") -> Terms:
        """Both versions of the terms; empty where x402 is off or nothing costs anything."""
        if not self.on or not micros or not resource:
            return Terms(message=PaymentRequired.__doc__ or "", accepts=[])
        offer = Offer(micros, resource, description)
        return Terms(message=TAKEN, accepts=[self.v1(offer)], header=self.required(offer))

    def required(self, offer: Offer, error: str = "") -> str:
        """The PAYMENT-REQUIRED header of version 2."""
        body = {
            "x402Version": 2,
            **({"error": error} if error else {}),
            "resource": {
                "url": offer.resource,
                "description": offer.description,
                "mimeType": "application/json",
            },
            "accepts": [self.v2(offer)],
        }
        return encode_header(body)

    def refusal(self, micros: int, resource: str, *, short: Mapping[str, Any]) -> PaymentRequired:
        """Out of credit: the price, what there is, and how else it may be paid."""
        terms = self.terms(micros, resource)
        text = f"The call costs {micros} micros, the balance is {short.get('balance_micros', 0)}."
        if terms.accepts:
            text = f"{text} {TAKEN}"
        return PaymentRequired(text, accepts=terms.accepts, payment_required=terms.header)

    def asked(self, offer: Offer, why: str = "") -> PaymentRequired:
        """402 with the terms of an offer."""
        return PaymentRequired(
            why or TAKEN, accepts=[self.v1(offer)], payment_required=self.required(offer, why)
        )

    def failed(self, offer: Offer, why: str, receipt: Mapping[str, str] | None = None) -> PaymentFailed:
        """402: a payment was brought and not taken."""
        return PaymentFailed(
            f"The payment was not taken: {why}.",
            accepts=[self.v1(offer)],
            payment_required=self.required(offer, why),
            **({"receipt": dict(receipt)} if receipt else {}),
        )

    def read(self, payment: Payment, offer: Offer, now_s: int) -> Brought:
        """The payment, if it meets the terms; PaymentUnreadable (400) or PaymentFailed (402) otherwise."""
        body = decode_header(payment.header)
        version = body.get("x402Version")
        if version == 1:
            return self._read_v1(body, offer, now_s)
        if version == 2:
            return self._read_v2(body, offer, now_s)
        raise PaymentUnreadable("x402Version is 1 or 2")

    def _read_v1(self, body: dict[str, Any], offer: Offer, now_s: int) -> Brought:
        payment = _convert(body, _V1)
        if payment.scheme != "exact":
            raise self.failed(offer, "unsupported_scheme")
        if payment.network != self.network.name:
            raise self.failed(offer, "invalid_network")
        return self._brought(1, body, self.v1(offer), payment.payload, offer, now_s)

    def _read_v2(self, body: dict[str, Any], offer: Offer, now_s: int) -> Brought:
        payment, wanted = _convert(body, _V2), self.v2(offer)
        for name, why in (
            ("scheme", "unsupported_scheme"),
            ("network", "invalid_network"),
            ("amount", "invalid_exact_evm_payload_authorization_value_mismatch"),
            ("asset", "invalid_payment_requirements"),
            ("payTo", "invalid_exact_evm_payload_recipient_mismatch"),
        ):
            if str(payment.accepted.get(name)).lower() != str(wanted[name]).lower():
                raise self.failed(offer, why)
        if payment.resource is not None and payment.resource.url != offer.resource:
            raise self.failed(offer, "invalid_payment_requirements")
        return self._brought(2, body, wanted, payment.payload, offer, now_s)

    def _brought(
        self,
        version: int,
        body: dict[str, Any],
        requirements: dict[str, Any],
        exact: _Exact,
        offer: Offer,
        now_s: int,
    ) -> Brought:
        said = exact.authorization
        if not (_ADDRESS.fullmatch(said.sender) and _NONCE.fullmatch(said.nonce)):
            raise PaymentUnreadable("authorization: from or nonce is not of its form")
        if not all(_UINT.fullmatch(text) for text in (said.value, said.valid_after, said.valid_before)):
            raise PaymentUnreadable("authorization: value and times are decimal texts")
        if said.to.lower() != self.pay_to.lower():
            raise self.failed(offer, "invalid_exact_evm_payload_recipient_mismatch")
        value = int(said.value)  # version 1 may pay more, version 2 exactly what is asked
        if value < offer.micros or (version == 2 and value != offer.micros) or value > MICROS_MAX:
            raise self.failed(offer, "invalid_exact_evm_payload_authorization_value_mismatch")
        if int(said.valid_after) > now_s:
            raise self.failed(offer, "invalid_exact_evm_payload_authorization_valid_after")
        if int(said.valid_before) <= now_s:
            raise self.failed(offer, "invalid_exact_evm_payload_authorization_valid_before")
        return Brought(
            version=version,
            payload=body,
            requirements=requirements,
            payer=said.sender.lower(),
            nonce=said.nonce.lower(),
            micros=value,
            valid_before_s=int(said.valid_before),
        )

    def _extra(self) -> dict[str, str]:
        return {"name": self.network.token_name, "version": self.network.domain_version}


def encode_header(body: Mapping[str, Any]) -> str:
    """Base64 of JSON: what the protocol's headers carry."""
    return base64.b64encode(msgspec.json.encode(body)).decode()


def decode_header(text: str) -> dict[str, Any]:
    """The object a header carries: strict base64, at most 16 KiB; PaymentUnreadable otherwise."""
    if len(text) > HEADER_BYTES_MAX:
        raise PaymentUnreadable("the payment is larger than 16 KiB")
    try:
        return msgspec.json.decode(base64.b64decode(text.encode(), validate=True), type=dict[str, Any])
    except (binascii.Error, msgspec.DecodeError, UnicodeError, RecursionError, ValueError) as e:
        raise PaymentUnreadable("the payment is no base64 of a JSON object") from e


def receipt_headers(version: int, settled: Mapping[str, Any]) -> dict[str, str]:
    """The settlement as a response header of the payment's version."""
    name = "PAYMENT-RESPONSE" if version == 2 else "X-PAYMENT-RESPONSE"
    return {name: encode_header(settled)}


def _convert(body: dict[str, Any], kind: Any) -> Any:
    try:
        return msgspec.convert(body, kind)
    except msgspec.ValidationError as e:
        raise PaymentUnreadable(str(e)) from e
