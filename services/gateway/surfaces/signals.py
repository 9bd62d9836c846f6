"""The signals surface: ``{statusCode, message, error}``."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar

from libs.common.errors import AppError
from services.gateway.surfaces.base import Surface


class SignalsSurface(Surface):
    """What clients of ``/ai-signal`` speak."""

    name: ClassVar[str] = "signals"

    def render(self, error: AppError) -> tuple[int, dict[str, Any]]:
        # Too little credit is 403 here; 402 is what other surfaces say.
        status = 403 if error.http_status == 402 else error.http_status
        title = HTTPStatus(status).phrase
        body: dict[str, Any] = {"statusCode": status, "message": str(error), "error": title}
        if "details" in error.meta:
            body["details"] = error.meta["details"]
        return status, body

    def error_headers(self, error: AppError) -> Mapping[str, str]:
        headers = super().error_headers(error)
        return {**headers, "WWW-Authenticate": "Bearer"} if error.http_status == 401 else headers
