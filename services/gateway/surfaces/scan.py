"""The scan surface: ``{code, detail, hint, meta}``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from libs.common.errors import AppError
from libs.common.messages.scan import KEY_RECOVERY
from services.gateway.errors import ForeignOrigin
from services.gateway.surfaces.base import Surface

_FIELD = re.compile(r"^([a-z_]\w*(?:[.\[\]\w]*)): ")
_KEY_TROUBLE = ("missing_agent_key", "invalid_agent_key")
_HEADERS_META = {"retry_after_s", "allow", "accepts", "payment_required", "receipt"}


class ScanSurface(Surface):
    """What scan clients speak under ``/api/v1``, ``/auth`` and ``/payments``."""

    name: ClassVar[str] = "scan"
    cookie: ClassVar[str] = "session"
    codes: ClassVar[Mapping[int, str]] = {
        400: "invalid_param",
        401: "not_authenticated",
        402: "payment_required",
        403: "forbidden",
        404: "not_found",
        405: "method_not_allowed",
        408: "request_timeout",
        413: "request_too_large",
        422: "insufficient_data",
        429: "rate_limited",
        500: "internal_error",
        502: "upstream_error",
        503: "server_busy",
        504: "service_timeout",
    }

    key_codes: ClassVar[Mapping[str, str]] = {
        "IDEMPOTENCY_IN_FLIGHT": "idempotency_in_flight",
        "IDEMPOTENCY_MISMATCH": "idempotency_mismatch",
    }
    own: ClassVar[Mapping[str, int]] = {
        "invalid_token": 400,
        "invalid_agent_key": 401,
        "invalid_credentials": 401,
        "missing_agent_key": 401,
        "payment_failed": 402,
        "email_not_verified": 403,
        "tier_insufficient": 403,
        "action_not_found": 404,
        "not_found": 404,
        "pattern_not_found": 404,
        "record_not_found": 404,
        "symbol_not_supported": 404,
        "watchlist_not_found": 404,
        "channel_already_bound": 409,
        "email_taken": 409,
        "idempotency_in_flight": 409,
        "key_limit_reached": 409,
        "limit_reached": 409,
        "watchlist_name_taken": 409,
        "response_too_large": 413,
        "idempotency_mismatch": 422,
        "visual_confirmation_failed": 422,
        "chart_context_quota_exceeded": 429,
        "provider_not_configured": 503,
        "quota_exceeded": 429,
        "server_busy": 503,
    }

    def render(self, error: AppError) -> tuple[int, dict[str, Any]]:
        meta = {key: value for key, value in error.meta.items() if key not in _HEADERS_META}
        hint = meta.pop("hint", None)
        if "retry_after_s" in error.meta:
            meta["retry_after"] = error.meta["retry_after_s"]
        actions = meta.pop("guidance", None)
        code = self.code_of(error)
        if code in _KEY_TROUBLE:
            actions = actions or ["get_status"]
        named = _FIELD.match(str(error))
        if code == "invalid_param" and named is not None:
            meta.setdefault("field", named[1])  # the door's own refusals begin with the field's name
        body: dict[str, Any] = {"code": code, "detail": str(error), "hint": hint, "meta": meta}
        if actions:
            body["guidance"] = {"do_not_guess": True, "next_actions": [{"action": name} for name in actions]}
        if code in _KEY_TROUBLE:
            body["recovery"] = KEY_RECOVERY
        return error.http_status, body

    def error_headers(self, error: AppError) -> Mapping[str, str]:
        """A used up quota is said in headers, too, as every scan says it."""
        headers = super().error_headers(error)
        if error.code != "quota_exceeded" or "quota_limit" not in error.meta:
            return headers
        quota = {"X-Quota-Limit": str(error.meta["quota_limit"]), "X-Quota-Remaining": "0"}
        resets_at = error.meta.get("resets_at")
        if resets_at is not None:
            quota["X-Quota-Reset"] = str(int(datetime.fromisoformat(resets_at).timestamp()))
        return {**headers, **quota}

    def code_of(self, error: AppError) -> str:
        """Its own codes pass; a write by a page of another origin has a word of its own."""
        if isinstance(error, ForeignOrigin):
            return "forbidden_origin"
        return error.code if error.code in self.own else super().code_of(error)
