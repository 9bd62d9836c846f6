"""The row of the agents' door."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from services.gateway.endpoints.row import KIB, PUBLIC, Endpoint, Limit

BODY_BYTES_MAX = 256 * KIB
MESSAGES = (Limit("mcp", 1_200),)
# What the SDK looks at; it is passed on as it came.
PASSED = (
    "accept",
    "content-type",
    "mcp-protocol-version",
    "mcp-method",
    "mcp-name",
    "mcp-session-id",
    "last-event-id",
)


class McpRequest(msgspec.Struct, frozen=True, kw_only=True):
    """``pay=x402``: a tool may be called without a key, and is answered with the terms of payment."""

    pay: Annotated[str, Meta(max_length=20)] = ""


ROWS = (
    Endpoint(
        method="POST",
        path="/mcp",
        surface="mcp",
        tags=("mcp",),
        summary="The MCP server: JSON-RPC over Streamable HTTP, without sessions",
        description=(
            "Versions 2026-07-28, 2025-11-25 and 2025-06-18. `tools/call` needs an API key or an OAuth token;"
            " see `/docs/api/mcp.md`."
        ),
        access=PUBLIC,
        repeat="key",
        request=McpRequest,
        local="mcp",
        response=dict[str, Any],
        body_bytes_max=BODY_BYTES_MAX,
        limits=MESSAGES,
        unkeyed=True,
        raw=True,
        headers=(*PASSED, "authorization", "host", "origin"),
    ),
)
