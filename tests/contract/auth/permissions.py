"""The documented outcome of every route for every kind of caller: ``tests/contract/permissions.csv``.

Columns: nobody signed in; a trading account on its own things; the same kind of session on somebody else's;
a session of the read-only password; a customer (on the scan surface: a cookie session) of that account; each
kind of staff; an API key without the scope. On the scan surface the user columns are broker sessions.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from libs.common.principal import SessionType
from services.gateway.endpoints.row import Endpoint

KINDS = ("anonymous", "user", "other", "read_only", "customer", "manager", "dealer", "admin", "key")
_SESSIONS = {
    "user": SessionType.USER,
    "read_only": SessionType.USER,
    "customer": SessionType.CUSTOMER,
    "manager": SessionType.MANAGER,
    "dealer": SessionType.DEALER,
    "admin": SessionType.ADMIN,
}
Documented = dict[str, dict[str, int]]


def documented() -> Documented:
    """Route → kind of caller → status."""
    path = Path(__file__).parents[1] / "permissions.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {f"{row['method']} {row['path']}": {kind: int(row[kind]) for kind in KINDS} for row in rows}


def faults(rows: Iterable[Endpoint], said: Documented) -> list[str]:
    """Where the guards of the table are not those of the document; a route it does not name is a fault."""
    found = []
    for row in rows:
        if row.name not in said:
            found.append(f"{row.name} is not in permissions.csv")
            continue
        outcome = said[row.name]
        if (row.access.public or row.keyless) == (outcome["anonymous"] == 401):
            found.append(f"{row.name}: anonymous is documented as {outcome['anonymous']}")
        for kind, session in _SESSIONS.items():
            taken = row.access.public or session in row.access.sessions
            # A session that is taken may still be refused by the owner: the read-only one is, for writes.
            agrees = outcome[kind] != 403 or kind == "read_only" if taken else outcome[kind] == 403
            if not agrees:
                found.append(f"{row.name}: {kind} is documented as {outcome[kind]}")
        if row.access.account and outcome["other"] != 403:
            found.append(f"{row.name}: a foreign account is documented as {outcome['other']}")
        if not row.access.public and outcome["key"] != 403:
            found.append(f"{row.name}: a key without the scope is documented as {outcome['key']}")
    return found
