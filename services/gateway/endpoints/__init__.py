"""The endpoint table: every operation of every surface, and the check that the rows fit together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from libs.common.errors import InvariantBroken
from libs.common.plans import TIERS
from services.gateway.endpoints import (
    admin,
    alert_rules,
    analysis,
    billing,
    broker,
    house,
    identity,
    mcp,
    notifications,
    oauth,
    prices,
    scan,
    scan_identity,
    signals,
    site,
    staff,
    trading,
    trading_extras,
    trading_staff,
)
from services.gateway.endpoints.row import Endpoint
from services.gateway.surfaces.dialects import SURFACES
from services.gateway.surfaces.ret_codes import ENDPOINT_STATUS, STATUS

TOLD = ("application/json", "image/png")  # what a tool may answer
ENDPOINTS: tuple[Endpoint, ...] = (
    *broker.ROWS,
    *alert_rules.ROWS,
    *trading.ROWS,
    *trading_extras.ROWS,
    *identity.ROWS,
    *scan_identity.ROWS,
    *scan.ROWS,
    *notifications.ROWS,
    *analysis.ROWS,
    *prices.ROWS,
    *signals.ROWS,
    *admin.ROWS,
    *staff.ROWS,
    *billing.ROWS,
    *trading_staff.ROWS,
    *oauth.ROWS,
    *mcp.ROWS,
    *site.ROWS,
    *house.ROWS,
)


def check(rows: Sequence[Endpoint]) -> None:
    """Refuse a table with a row that contradicts itself or another one."""
    faults = [f"{row.name}: {fault}" for row in rows for fault in _faults(row)]
    seen: dict[tuple[str, str], str] = {}
    for row in rows:
        key = row.method, "/".join("{}" if p.startswith("{") else p for p in row.path.split("/"))
        if key in seen:
            faults.append(f"{row.name}: answers the same calls as {seen[key]}")
        seen[key] = row.name
    names = Counter(tool.name for row in rows for tool in row.tools)
    faults += [f"{name}: {count} rows are this tool" for name, count in names.items() if count > 1]
    if faults:
        raise InvariantBroken("; ".join(faults))


def _faults(row: Endpoint) -> list[str]:
    names = {field.encode_name: field.name for field in msgspec.structs.fields(row.request)}
    rules = [
        (row.surface in SURFACES, "no such surface"),
        (row.fresh is None or (row.surface == "prices" and row.access.public), "what is kept is open"),
        (
            row.path.startswith("/") and (row.path == "/" or not row.path.endswith("/")),
            "path is not canonical",
        ),
        ((row.command is None) != (not row.local), "needs either a command or a local handler"),
        ((row.command is None) == (row.message is None), "a command needs its message"),
        (row.command is None or "gateway" in row.command.callers, "gateway may not call the command"),
        (row.method != "GET" or row.command is None or not row.command.effect, "a GET with an effect"),
        ((row.method == "GET") == (row.repeat == "safe"), "GET and safe go together"),
        (all(p.rstrip("*") in names for p in row.parameters), "a path parameter is no request field"),
        (not row.rest or row.rest in names, "the rest is no request field"),
        (bool(row.rest) == (row.body is not None), "a rest needs its documented body"),
        (not row.access.account or "login" in names, "an account call needs a login field"),
        (row.metered is None or row.command is not None, "only a command can be metered"),
        (row.metered is None or not row.metered.quota or not row.access.public, "nobody's quota"),
        (row.tier in ("", *TIERS) and row.key_tier in ("", *TIERS), "no such tier"),
        (not row.raw or row.unkeyed, "a raw body takes no Idempotency-Key"),
        (all(_has_status(row, code) for code in row.errors), "an error without a status"),
        (row.surface != "admin" or not row.access.public, "an admin call may not be public"),
        (
            row.surface != "admin" or row.audited == (row.method != "GET"),
            "admin writes are audited, reads not",
        ),
        (all(not limit.when or limit.when in names for limit in row.limits), "a limit counts no field"),
        (all({*t.fixed, *t.hidden} <= set(names) for t in row.tools), "a tool fixes or hides no field"),
        (not (row.tools and (row.rest or row.raw)), "a tool has fields of its own"),
        (row.content_type in TOLD or not row.tools, "a tool answers in JSON or with a picture"),
        (all(row.keyed or not t.key_required for t in row.tools), "a tool needs a key its row does not take"),
        (not row.resource or (row.method == "GET" and not names), "a resource is a GET without fields"),
        (
            all(limit.per == "address" or not row.access.public for limit in row.limits),
            "a public call has no principal to count",
        ),
    ]
    return [fault for holds, fault in rules if not holds]


def _has_status(row: Endpoint, code: str) -> bool:
    surface = SURFACES.get(row.surface)
    return code in STATUS or code in ENDPOINT_STATUS or (surface is not None and code in surface.own)
