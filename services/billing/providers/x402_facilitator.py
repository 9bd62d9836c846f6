"""An x402 facilitator over HTTP: ``POST /verify`` and ``POST /settle`` with
``{x402Version, paymentPayload, paymentRequirements}``. No key of the chain is held here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aiohttp
import msgspec

from libs.common.errors import OutcomeUnknown
from services.billing.errors import ProviderFailed
from services.billing.providers.base import Settled, Verified

CONNECT_S = 5.0
VERIFY_S = 10.0
SETTLE_S = 30.0


class Facilitator:
    """``base_url`` "" or off: not configured. The session is opened with the first call."""

    name = "x402"

    def __init__(self, base_url: str, *, on: bool, settle_s: float = SETTLE_S) -> None:
        self._base_url = base_url.rstrip("/")
        self._on = on
        self._settle_s = settle_s
        self._session: aiohttp.ClientSession | None = None

    @property
    def configured(self) -> bool:
        return self._on and bool(self._base_url)

    async def close(self) -> None:
        """Give the connections back."""
        if self._session is not None:
            await self._session.close()

    async def verify(
        self, version: int, payload: Mapping[str, Any], requirements: Mapping[str, Any]
    ) -> Verified:
        """Would it settle? ProviderFailed when the facilitator does not say."""
        body = _body(version, payload, requirements)
        try:
            status, answer = await self._post("/verify", body, VERIFY_S)
        except (aiohttp.ClientError, TimeoutError, OSError) as e:
            raise ProviderFailed("the facilitator does not answer") from e
        if "isValid" not in answer:
            raise ProviderFailed(f"the facilitator answered {status}")
        return Verified(answer["isValid"] is True, str(answer.get("invalidReason") or ""))

    async def settle(
        self, version: int, payload: Mapping[str, Any], requirements: Mapping[str, Any]
    ) -> Settled:
        """Settle it. Any end without a clear answer is OutcomeUnknown: it may have happened."""
        body = _body(version, payload, requirements)
        try:
            status, answer = await self._post("/settle", body, self._settle_s)
        except aiohttp.ClientConnectorError as e:
            raise ProviderFailed("the facilitator can't be reached") from e
        except (aiohttp.ClientError, TimeoutError, OSError) as e:
            raise OutcomeUnknown("the facilitator did not answer a settlement") from e
        if not isinstance(answer.get("success"), bool):
            raise OutcomeUnknown(f"the facilitator answered {status} to a settlement")
        reason = str(answer.get("errorReason") or "")
        if not answer["success"] and "pending" in reason:  # sent to the chain, not confirmed there yet
            raise OutcomeUnknown("the settlement is not confirmed yet")
        return Settled(
            success=answer["success"],
            transaction=str(answer.get("transaction") or ""),
            reason=reason,
            body=answer,
        )

    async def _post(self, path: str, body: bytes, seconds: float) -> tuple[int, dict[str, Any]]:
        if self._session is None:
            self._session = aiohttp.ClientSession(headers={"Content-Type": "application/json"})
        limits = aiohttp.ClientTimeout(total=seconds, connect=CONNECT_S)
        async with self._session.post(
            self._base_url + path, data=body, timeout=limits, allow_redirects=False
        ) as response:
            said = await response.read()
        try:
            return response.status, msgspec.json.decode(said, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeError):
            return response.status, {}


def _body(version: int, payload: Mapping[str, Any], requirements: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode(
        {"x402Version": version, "paymentPayload": payload, "paymentRequirements": requirements}
    )
