"""Clients that pay by x402: the package's own signer, and headers a test may bend."""

from __future__ import annotations

import base64
import copy
import json
from typing import Any

from x402 import x402Client
from x402.mechanisms.evm.exact import register_exact_evm_client
from x402.schemas import PaymentRequired
from x402.schemas.v1 import PaymentRequiredV1

from deploy.demo.facilitator import new_account
from tests.contract.auth.people import Answer, Caller

HEADERS = {1: "X-PAYMENT", 2: "PAYMENT-SIGNATURE"}
RECEIPTS = {1: "X-PAYMENT-RESPONSE", 2: "PAYMENT-RESPONSE"}


class Payer:
    """A wallet that signs what a 402 asks for."""

    def __init__(self) -> None:
        self.account = new_account()
        self.client = x402Client().set_spend_controls(False)
        register_exact_evm_client(self.client, self.account)

    @property
    def address(self) -> str:
        address: str = self.account.address.lower()
        return address

    async def payload(self, refused: Answer, version: int) -> dict[str, Any]:
        """The payment the terms of a 402 ask for."""
        assert refused.status == 402, (refused.status, refused.body)
        if version == 1:
            terms: Any = PaymentRequiredV1.model_validate(
                {"x402Version": 1, "accepts": refused.json["accepts"]}
            )
        else:
            said = json.loads(base64.b64decode(refused.headers["PAYMENT-REQUIRED"]))
            terms = PaymentRequired.model_validate(said)
        made = await self.client.create_payment_payload(terms)
        body: dict[str, Any] = json.loads(made.model_dump_json(by_alias=True, exclude_none=True))
        return body


def header_of(payload: dict[str, Any]) -> dict[str, str]:
    """The request header of a payment."""
    version: int = payload["x402Version"]
    return {HEADERS.get(version, HEADERS[2]): base64.b64encode(json.dumps(payload).encode()).decode()}


def bent(payload: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The same payment with fields changed: ``payload__authorization__value="1"``."""
    made = copy.deepcopy(payload)
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = made
        for name in parents:
            place = place[name]
        place[last] = value
    return made


async def pay(
    caller: Caller, payer: Payer, method: str, path: str, body: Any, version: int
) -> tuple[Answer, dict[str, Any]]:
    """Ask, be refused, pay; the answer and the payment that bought it."""
    payload = await payer.payload(await caller.call(method, path, body), version)
    return await caller.call(method, path, body, headers=header_of(payload)), payload
