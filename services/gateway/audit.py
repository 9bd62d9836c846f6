"""What staff does is written down before it is done, and its outcome after."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import structlog

from libs.common.bus import Bus
from libs.common.errors import AppError
from libs.common.messages.auth import AuditAppend
from libs.common.subjects import AUDIT_APPEND
from services.gateway.endpoints.row import Caller, Endpoint
from services.gateway.errors import NotAudited
from services.gateway.metrics import AUDIT_LOST

log = structlog.get_logger()

SECRETS = frozenset({"password", "new_password", "secret", "token"})
HIDDEN = "***"
DETAIL_CHARS_MAX = 4000


class Audit:
    """Appends to auth's chain."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def intend(self, row: Endpoint, path: str, request: Any, caller: Caller) -> int:
        """Write the intent; its id. NotAudited when it can't be written: then nothing may be done."""
        intent = AuditAppend(
            kind="intent",
            actor=caller.principal.login or 0,
            session_type=caller.principal.session_type,
            method=row.method,
            path=path,
            detail=detail_of(row, request),
            address=caller.principal.address,
        )
        try:
            return (await self._bus.request(AUDIT_APPEND, intent)).id
        except AppError as e:
            log.error("admin call not audited", path=path, code=e.code, error=str(e))
            raise NotAudited from e

    async def conclude(
        self, row: Endpoint, path: str, caller: Caller, intent: int, status: int, code: str
    ) -> None:
        """Write the outcome of an intent. The act is done: a failure is logged and counted."""
        outcome = AuditAppend(
            kind="outcome",
            actor=caller.principal.login or 0,
            session_type=caller.principal.session_type,
            method=row.method,
            path=path,
            detail=code,
            status=status,
            ref=intent,
            address=caller.principal.address,
        )
        try:
            await self._bus.request(AUDIT_APPEND, outcome)
        except AppError as e:
            AUDIT_LOST.inc()
            log.error("outcome of an admin call not audited", path=path, intent=intent, error=str(e))


def detail_of(row: Endpoint, request: Any) -> str:
    """What was asked, without secrets, as JSON of a bounded length."""
    said = row.detail(request) if row.detail else msgspec.to_builtins(request)
    return msgspec.json.encode(hidden(said)).decode()[:DETAIL_CHARS_MAX]


def hidden(value: Any) -> Any:
    """``value`` with every secret replaced, however deep."""
    if isinstance(value, Mapping):
        return {key: HIDDEN if key in SECRETS else hidden(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [hidden(inner) for inner in value]
    return value
