"""The scan surface: ``{code, detail, hint, meta}``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from libs.common.errors import AppError
from services.gateway.surfaces.base import Surface

_HEADERS_META = {"retry_after_s", "allow"}


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

    def render(self, error: AppError) -> tuple[int, dict[str, Any]]:
        meta = {key: value for key, value in error.meta.items() if key not in _HEADERS_META}
        hint = meta.pop("hint", None)
        if "retry_after_s" in error.meta:
            meta["retry_after"] = error.meta["retry_after_s"]
        body = {"code": self.code_of(error), "detail": str(error), "hint": hint, "meta": meta}
        return error.http_status, body
