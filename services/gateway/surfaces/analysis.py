"""The analysis surface: ``{"error","message"}`` with its own codes, a disclaimer on every answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from libs.common.errors import AppError
from services.gateway.surfaces.base import Surface


class AnalysisSurface(Surface):
    """What agents and developers speak under ``/v1``."""

    name: ClassVar[str] = "analysis"
    headers: ClassVar[Mapping[str, str]] = {
        "X-Disclaimer": "Informational market data only; not investment advice."
    }
    codes: ClassVar[Mapping[int, str]] = {
        400: "INVALID_PARAM",
        401: "UNAUTHORIZED",
        402: "PAYMENT_REQUIRED",
        403: "FORBIDDEN",
        404: "NOT_FOUND",
        408: "INVALID_PARAM",
        413: "INVALID_PARAM",
        422: "INSUFFICIENT_DATA",
        429: "RATE_LIMITED",
        451: "GEO_BLOCKED",
        500: "INTERNAL",
        502: "UPSTREAM_ERROR",
        503: "UPSTREAM_ERROR",
        504: "UPSTREAM_ERROR",
    }

    own: ClassVar[Mapping[str, int]] = {
        "INVALID_PARAM": 400,
        "PAYMENT_REQUIRED": 402,
        "INSUFFICIENT_DATA": 422,
        "GEO_BLOCKED": 451,
        "UPSTREAM_ERROR": 502,
        "NOT_FOUND": 404,
        "provider_not_configured": 503,
    }

    def render(self, error: AppError) -> tuple[int, dict[str, Any]]:
        if error.http_status == 405:  # a wrong method is no route here
            return 404, {"error": self.codes[404], "message": "There is no such route."}
        code = self.code_of(error)
        status = self.status_of(error.http_status) if code == "UPSTREAM_ERROR" else error.http_status
        return status, {"error": code, "message": str(error)}

    def status_of(self, status: int) -> int:
        """Whatever is away or late behind the door, there is one word and one status for it."""
        return 502 if self.codes.get(status) == "UPSTREAM_ERROR" else status

    def error_headers(self, error: AppError) -> Mapping[str, str]:
        headers = super().error_headers(error)
        return {k: v for k, v in headers.items() if k != "Allow"} if error.http_status == 405 else headers


class McpSurface(AnalysisSurface):
    """The agents' door outside of JSON-RPC: the same words, and a wrong method is one."""

    name: ClassVar[str] = "mcp"
    codes: ClassVar[Mapping[int, str]] = {**AnalysisSurface.codes, 405: "METHOD_NOT_ALLOWED"}

    def render(self, error: AppError) -> tuple[int, dict[str, Any]]:
        return error.http_status, {"error": self.code_of(error), "message": str(error)}

    def error_headers(self, error: AppError) -> Mapping[str, str]:
        return Surface.error_headers(self, error)
