"""The OAuth endpoints: ``{"error","error_description"}`` with the codes of RFC 6749, 7009, 7591 and 8707."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from libs.common.errors import AppError
from services.gateway.surfaces.base import NO_STORE, Surface


class OAuthSurface(Surface):
    """What OAuth clients speak under ``/oauth``."""

    name: ClassVar[str] = "oauth"
    headers: ClassVar[Mapping[str, str]] = {**NO_STORE, "Pragma": "no-cache"}
    codes: ClassVar[Mapping[int, str]] = {
        400: "invalid_request",
        401: "invalid_client",
        403: "access_denied",
        404: "not_found",
        408: "invalid_request",
        413: "invalid_request",
        429: "temporarily_unavailable",
        500: "server_error",
        503: "temporarily_unavailable",
        504: "temporarily_unavailable",
    }
    own: ClassVar[Mapping[str, int]] = {
        "invalid_client": 400,
        "invalid_client_metadata": 400,
        "invalid_grant": 400,
        "invalid_redirect_uri": 400,
        "invalid_target": 400,
        "unsupported_grant_type": 400,
    }

    def render(self, error: AppError) -> tuple[int, dict[str, Any]]:
        return error.http_status, {"error": self.code_of(error), "error_description": str(error)}

    def code_of(self, error: AppError) -> str:
        """Its own codes pass."""
        return error.code if error.code in self.own else super().code_of(error)
