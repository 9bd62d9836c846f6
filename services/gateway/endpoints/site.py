"""Rows for readers: pages for people and agents, made from the table, the prices and ``docs/``."""

from __future__ import annotations

from typing import Any

from services.gateway.endpoints.row import PUBLIC, Endpoint

PAGES = ("methodology", "glossary", "how-to", "guide", "disclaimer", "terms")


def _row(path: str, local: str, summary: str, **more: Any) -> Endpoint:
    return Endpoint(
        **{
            "method": "GET",
            "path": path,
            "surface": "house",
            "tags": ("pages",),
            "summary": summary,
            "access": PUBLIC,
            "repeat": "safe",
            "local": local,
            "response": str,
            "content_type": "text/html",
            **more,
        }
    )


ROWS = (
    *(_row(f"/{name}", f"page_{name}", f"The page {name} of the documentation") for name in PAGES),
    _row("/pricing", "pricing", "What calls and plans cost"),
    _row("/llms-full.txt", "llms_full", "Everything an agent may want to read", content_type="text/plain"),
    _row(
        "/.well-known/x402.json",
        "x402",
        "Which calls can be paid for by x402, and on which terms",
        response=dict[str, Any],
        content_type="application/json",
        headers=("host",),
    ),
)
