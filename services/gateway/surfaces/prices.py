"""The token prices surface: ``{status:"error", error, message}``, open to every origin."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar

from libs.common.errors import AppError
from services.gateway.surfaces.base import NO_STORE, Reply, Surface

_STATUSES = (400, 401, 404, 405, 408, 409, 413, 422, 429, 500, 503, 504)
_PAGE = (
    b"<!doctype html><html lang=en><meta charset=utf-8><title>Rate Limit Exceeded</title>"
    b"<h1>Rate Limit Exceeded</h1><p>100 requests a minute are served to one address; the Retry-After header"
    b" says when to come back.</p></html>"
)


class PricesSurface(Surface):
    """What clients of ``/api/v1/prices`` and ``/api/health`` speak."""

    name: ClassVar[str] = "prices"
    headers: ClassVar[Mapping[str, str]] = {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Expose-Headers": (
            "Retry-After, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, ETag, Age"
        ),
    }
    preflight: ClassVar[Mapping[str, str]] = {
        "Access-Control-Allow-Methods": "GET, POST, PUT, DELETE, PATCH, OPTIONS",
        "Access-Control-Allow-Headers": "*, X-Requested-With, Content-Type, Authorization",
        "Cache-Control": "public, s-maxage=30, stale-while-revalidate=60",
    }
    codes: ClassVar[Mapping[int, str]] = {
        **{status: HTTPStatus(status).phrase for status in _STATUSES},
        413: "Payload Too Large",
    }

    def render(self, error: AppError) -> tuple[int, dict[str, Any]]:
        title = self.codes.get(error.http_status, self.codes[500])
        return error.http_status, {"status": "error", "error": title, "message": str(error)}

    def too_many(self, error: AppError, accept: str) -> Reply:
        """429: a page for who would rather read one than JSON."""
        reply = self.error(error)
        if not prefers_page(accept):
            return reply
        headers = {**self.headers, **self.error_headers(error), **NO_STORE}
        return Reply(reply.status, _PAGE, headers, "text/html; charset=utf-8")


def prefers_page(accept: str) -> bool:
    """Whether an Accept header puts ``text/html`` before JSON."""
    page, json = "text/html", "application/json"
    weights = {page: 0.0, json: 0.0}
    named = set()
    for part in accept.split(","):
        kind, *parameters = (piece.strip() for piece in part.lower().split(";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    weight = float(parameter[2:])
                except ValueError:
                    weight = 0.0
        for known in (page, json):
            if kind == known:
                weights[known] = weight
                named.add(known)
            elif known not in named and kind in ("*/*", f"{known.partition('/')[0]}/*"):
                weights[known] = max(weights[known], weight)
    if weights[page] == weights[json]:
        return weights[page] > 0 and page in named and json not in named
    return weights[page] > weights[json]
