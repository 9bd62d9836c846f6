"""A tool call becomes the call of its row: the same validation, permissions, limits, price and answer."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from libs.common.errors import AppError, InvalidData
from libs.common.messages.billing import Payment
from libs.common.principal import Principal
from services.gateway import metrics
from services.gateway.endpoints.row import Endpoint
from services.gateway.keyed import read_key
from services.gateway.mcp.catalogue import KEY_ARGUMENT, ToolRow
from services.gateway.mcp.watch import CallStopped, Watch
from services.gateway.surfaces.base import Reply
from services.gateway.surfaces.dialects import SURFACES

PAYMENT = "x402/payment"
RECEIPT = "x402/payment-response"
PAYMENT_BYTES_MAX = 16 * 1024
_encode = msgspec.json.Encoder(order="deterministic").encode


@dataclass(frozen=True, slots=True)
class RowCall:
    """A call of a row from inside: its fields as JSON, who calls, the key and the payment that came along,
    and who watches it."""

    row: Endpoint
    arguments: bytes
    principal: Principal
    key: str | None = None
    payment: Payment | None = None
    watch: Watch | None = None
    counted: bool = False  # the request it came in counted in the limits of the same surface


Perform = Callable[[RowCall], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Visit:
    """One MCP request as its handlers see it: who asks (nobody for what needs no key), and how rows are
    called for them. ``pays``: somebody without a key may bring the money along. Calls have a ``watch``."""

    principal: Principal | None
    perform: Perform
    pays: bool = False
    watch: Watch | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a tool answered: the text, the same as a value, and whether it is an error."""

    text: str
    value: Any = None
    failed: bool = False
    meta: Mapping[str, Any] | None = None
    picture: tuple[str, bytes] | None = None  # its media type and bytes, where the answer is one


async def call_tool(
    made: ToolRow, given: Mapping[str, Any], meta: Mapping[str, Any], visit: Visit, nobody: Principal
) -> Outcome:
    """Call the row; a refusal is an answer with the row's own code. CallStopped passes: nobody waits."""
    surface = SURFACES[made.row.surface]
    try:
        principal = visit.principal or nobody
        arguments, key = _arguments(made, given, principal)
        call = RowCall(made.row, arguments, principal, key, payment_in(meta), visit.watch)
        reply = await visit.perform(call)
    except CallStopped:
        metrics.TOOLS.labels(made.tool.name, "stopped").inc()
        raise
    except AppError as e:
        metrics.TOOLS.labels(made.tool.name, "refused").inc()
        said = surface.error(e)
        terms = e.meta.get("payment_required") if e.http_status == 402 else None
        value = _read_base64(str(terms)) if terms else msgspec.json.decode(said.body)
        return Outcome(_encode(value).decode(), value, failed=True)
    metrics.TOOLS.labels(made.tool.name, "ok").inc()
    if reply.content_type.startswith("image/"):
        return Outcome("", meta=_receipt(reply), picture=(reply.content_type, reply.body))
    value = msgspec.json.decode(reply.body) if reply.body else {}
    return Outcome(reply.body.decode() or "{}", value, meta=_receipt(reply))


def _arguments(made: ToolRow, given: Mapping[str, Any], principal: Principal) -> tuple[bytes, str | None]:
    tool, row = made.tool, made.row
    fields = {name: value for name, value in given.items() if name not in tool.hidden}
    key = fields.pop(KEY_ARGUMENT, None) if row.keyed else None
    if key is not None and not isinstance(key, str):
        raise InvalidData(f"{KEY_ARGUMENT}: a text is needed")
    if key is None and tool.key_required:
        raise InvalidData(f"{KEY_ARGUMENT}: this field is required")
    fields.update(tool.fixed)
    if row.access.account and "login" not in fields and len(principal.logins) == 1:
        fields["login"] = principal.logins[0]  # who has one account means that one
    return _encode(fields), None if key is None else read_key(key)


def payment_in(meta: Mapping[str, Any]) -> Payment | None:
    """The x402 payment of ``_meta``, in the form a header has."""
    payload = meta.get(PAYMENT)
    if payload is None:
        return None
    text = _encode(payload)
    if not isinstance(payload, dict) or len(text) > PAYMENT_BYTES_MAX:
        raise InvalidData(f"_meta {PAYMENT}: an x402 payment payload is needed")
    version = 1 if payload.get("x402Version") == 1 else 2
    return Payment(version=version, header=base64.b64encode(text).decode())


def _receipt(reply: Reply) -> Mapping[str, Any] | None:
    header = reply.headers.get("PAYMENT-RESPONSE") or reply.headers.get("X-PAYMENT-RESPONSE")
    return {RECEIPT: _read_base64(header)} if header else None


def _read_base64(text: str) -> Any:
    try:
        return msgspec.json.decode(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError, msgspec.DecodeError):
        return {"error": "PAYMENT_REQUIRED"}
