"""The token prices surface: ``{status:"error", error, message}``, open to every origin."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar

from libs.common.errors import AppError
from services.gateway.surfaces.base import Surface


class PricesSurface(Surface):
    """What clients of ``/api/v1/prices`` and ``/api/health`` speak."""

    name: ClassVar[str] = "prices"
    headers: ClassVar[Mapping[str, str]] = {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Expose-Headers": (
            "Retry-After, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, ETag, Age"
        ),
    }

    def render(self, error: AppError) -> tuple[int, dict[str, Any]]:
        title = HTTPStatus(error.http_status).phrase
        return error.http_status, {"status": "error", "error": title, "message": str(error)}
