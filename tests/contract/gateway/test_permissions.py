"""Every row of the table, for every kind of caller: 401, 403, or its owner is reached."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from libs.common.principal import SessionType
from libs.common.subjects import ACCOUNT_OF
from services.gateway.endpoints import ENDPOINTS
from services.gateway.surfaces.dialects import SURFACES
from tests.contract.gateway.edge import KINDS, Client, Edge
from tests.contract.gateway.samples import SAMPLES

REACHED = b'{"error":"REACHED","message":"reached"}'
COMMANDS = [row for row in ENDPOINTS if row.command is not None]


def test_every_row_with_a_command_has_a_sample() -> None:
    assert {row.name for row in COMMANDS} == set(SAMPLES)


def said_by(surface: str, status: int, code: str) -> tuple[int, str]:
    """The same outcome in the words of a surface: codes it does not know have the word of their status."""
    if surface in ("broker", "admin"):
        return status, code
    if surface == "signals":  # has no codes: the error is the status in words
        return status, HTTPStatus(status).phrase
    words = SURFACES[surface].codes
    return status, words.get(status, words[500])


async def test_every_row_is_open_to_its_callers_and_closed_to_all_others(
    at_edge: tuple[Edge, Client],
) -> None:
    edge, client = at_edge
    tokens = {"nobody": "", **{kind: edge.signer.token(kind) for kind in KINDS}}
    wrong: list[Any] = []
    for row in COMMANDS:
        path, body = SAMPLES[row.name]
        for kind, token in tokens.items():
            answer = await client.call(row.method, path, body, token and f"Bearer {token}")
            if (
                row.access.public
                or (row.keyless and kind == "nobody")
                or (kind != "nobody" and SessionType(KINDS[kind]) in row.access.sessions)
            ):
                expected = (418, "REACHED")
            else:
                expected = (401 if kind == "nobody" else 403, "PERMISSION_DENIED")
            if answer.status == 429 and row.limits and row.access.public:
                continue  # open, and asked too often by now
            if answer.status == 200 and row.command is ACCOUNT_OF:
                answer.status, answer.body = 418, REACHED  # the edge knows every account
            got = answer.error if row.surface in ("broker", "admin") else (answer.status, answer.code)
            if row.tier and expected[0] == 418:  # every customer of the edge is on the free plan
                wrong += [] if got == (403, "tier_insufficient") else [(row.name, kind, got, row.tier)]
                continue
            said = said_by(row.surface, *expected)
            if got != (said if kind != "nobody" or not row.agents else (401, "missing_agent_key")):
                wrong.append((row.name, kind, got, expected))
            if answer.headers["Cache-Control"] != "no-store":
                wrong.append((row.name, kind, "may be stored"))
    assert wrong == []


async def test_a_foreign_login_is_refused_wherever_an_account_is_meant(at_edge: tuple[Edge, Client]) -> None:
    edge, client = at_edge
    wrong: list[Any] = []
    for row in (row for row in COMMANDS if row.access.account):
        path, body = SAMPLES[row.name]
        foreign = path.replace("login=7", "login=666"), body and {**body, "login": 666}
        left_out = path.replace("login=7", "x=7"), body and {k: v for k, v in body.items() if k != "login"}
        cases = [
            ("user", foreign, (403, "PERMISSION_DENIED")),
            ("user", left_out, (418, "REACHED")),
            ("customer", foreign, (403, "PERMISSION_DENIED")),
            ("customer", left_out, (400, "INVALID_LOGIN")),
            ("admin", left_out, (400, "INVALID_LOGIN")),
        ]
        for kind, (where, what), expected in cases:
            if SessionType(KINDS[kind]) not in row.access.sessions:
                continue
            answer = await client.call(row.method, where, what, edge.signer.token(kind))
            if answer.error != expected:
                wrong.append((row.name, kind, where, answer.error, expected))
    assert wrong == []
