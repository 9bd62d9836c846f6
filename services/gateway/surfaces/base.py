"""What a surface is: a dialect with its own credentials, headers, success and errors.

Inside the house there is one ``AppError``; the surface that received the call renders it. Pure: nothing
here knows the HTTP server.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import msgspec

from libs.common.errors import AppError

JSON = "application/json"
NO_STORE: Mapping[str, str] = {"Cache-Control": "no-store"}

_encode = msgspec.json.Encoder().encode


class Reply(NamedTuple):
    """An answer before it is an HTTP response."""

    status: int
    body: bytes
    headers: Mapping[str, str] = {}
    content_type: str = JSON


class Surface:
    """A dialect. Subclasses say their headers, credentials and error shape."""

    name: ClassVar[str]
    headers: ClassVar[Mapping[str, str]] = {}  # on every answer
    preflight: ClassVar[Mapping[str, str]] = {}  # answered to OPTIONS; empty: a wrong method
    raw_token: ClassVar[bool] = False  # an Authorization header without a scheme is a token
    cookie: ClassVar[str] = ""  # the cookie that may carry a token
    error_type: ClassVar[type[msgspec.Struct] | None] = None  # documents the error shape
    # The dialect's own words for what every surface may have to say, by status.
    codes: ClassVar[Mapping[int, str]] = {}
    # What it says about an Idempotency-Key, by the house's code.
    key_codes: ClassVar[Mapping[str, str]] = {
        "IDEMPOTENCY_IN_FLIGHT": "IDEMPOTENCY_IN_FLIGHT",
        "IDEMPOTENCY_MISMATCH": "IDEMPOTENCY_MISMATCH",
    }
    own: ClassVar[Mapping[str, int]] = {}  # codes of the dialect beyond those words, with their status

    def token_in(self, authorization: str) -> str:
        """The token an Authorization header carries; empty when it carries none of ours."""
        scheme, _, rest = authorization.strip().partition(" ")
        if rest:
            return rest.strip() if scheme.lower() == "bearer" else ""
        return scheme if self.raw_token else ""

    def success(self, body: bytes) -> Reply:
        """The owner's bytes, as this dialect gives them on."""
        return Reply(200, body, self.headers)

    def error(self, error: AppError) -> Reply:
        """The error in this dialect."""
        status, body = self.render(error)
        if error.http_status == 402 and "accepts" in error.meta:
            # Clients of x402 version 1 read the terms in the body, those of version 2 in the header.
            body = {**body, "x402Version": 1, "accepts": error.meta["accepts"]}
        return Reply(status, _encode(body), {**self.headers, **self.error_headers(error), **NO_STORE})

    def render(self, error: AppError) -> tuple[int, dict[str, Any]]:
        """Status and body of an error."""
        raise NotImplementedError

    def error_headers(self, error: AppError) -> Mapping[str, str]:
        """Headers that say what to do next."""
        headers: dict[str, str] = {}
        retry_after_s = error.meta.get("retry_after_s")
        if retry_after_s is not None:
            headers["Retry-After"] = str(retry_after_s)
        terms = error.meta.get("payment_required")
        if terms:
            headers["PAYMENT-REQUIRED"] = str(terms)
        receipt = error.meta.get("receipt")
        if isinstance(receipt, dict):
            headers.update(receipt)
        allow = error.meta.get("allow")
        if allow is not None:
            headers["Allow"] = str(allow)
        return headers

    def status_of(self, status: int) -> int:
        """The status this dialect gives its word for a house status."""
        return status

    def code_of(self, error: AppError) -> str:
        """The dialect's code: the owner's own if the dialect knows it, else the word for its status."""
        if error.code in self.key_codes:
            return self.key_codes[error.code]
        if error.code in self.own:
            return error.code
        if error.code in self.codes.values():
            return error.code
        return self.codes.get(error.http_status, self.codes[500])
