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
        title = HTTPStatus(error.http_status).phrase
        body: dict[str, Any] = {"statusCode": error.http_status, "message": str(error), "error": title}
        if "details" in error.meta:
            body["details"] = error.meta["details"]
        return error.http_status, body

    def error_headers(self, error: AppError) -> Mapping[str, str]:
        headers = super().error_headers(error)
        return {**headers, "WWW-Authenticate": "Bearer"} if error.http_status == 401 else headers
