"""The tables of rules: one method per named query. Methods take the caller's connection."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from libs.common.db import Connection, Record, load_queries
from libs.common.messages import alert_rules as m
from services.alerts.alert import Status
from services.alerts.rule import Hit, Judged, Memory, PlacedFact, Rule
from services.alerts.rule_tree import Fact
from services.alerts.store import QUERIES

RULE_QUERIES = load_queries(Path(__file__).parent / "sql/rules.sql")


class RuleStore:
    """See the module's text. What is judged is that of one partition; what owners ask is of all."""

    def __init__(self, partition: int = 0, partitions: int = 1) -> None:
        self._of = (partitions, partition)

    async def rules_of(self, connection: Connection, login: int) -> list[Rule]:
        """An account's rules, oldest first."""
        return [_rule(row) for row in await connection.fetch(RULE_QUERIES["rules_of"], login)]

    async def rule(self, connection: Connection, id: int) -> Rule | None:
        """One rule."""
        row = await connection.fetchrow(RULE_QUERIES["rule"], id)
        return None if row is None else _rule(row)

    async def active(self, connection: Connection) -> list[Rule]:
        """Every rule that is judged."""
        return [_rule(row) for row in await connection.fetch(RULE_QUERIES["active"], *self._of)]

    async def lock_login(self, tx: Connection, login: int) -> None:
        """Where partitions are written side by side, count what an account has one after the other."""
        if self._of[0] > 1:
            await tx.execute(QUERIES["lock_login"], [login])

    async def count_of(self, connection: Connection, login: int) -> int:
        """How many rules an account has."""
        count: int = await connection.fetchval(RULE_QUERIES["count_of"], login)
        return count

    async def add(self, tx: Connection, rule: Rule) -> int:
        """Write a new rule; its id."""
        id: int = await tx.fetchval(RULE_QUERIES["add"], rule.login, *_changing(rule), rule.created_ms)
        return id

    async def put(self, tx: Connection, rule: Rule) -> None:
        """Replace a rule."""
        await tx.execute(RULE_QUERIES["put"], rule.id, *_changing(rule), rule.updated_ms)

    async def remove(self, tx: Connection, id: int) -> None:
        """Take a rule away."""
        await tx.execute(RULE_QUERIES["remove"], id)

    async def put_states(
        self, tx: Connection, judged: Sequence[Judged], symbol: str, timeframe: str
    ) -> set[int]:
        """What rules remember after a bar; the ids of those that have left this place or the tables."""
        if not judged:
            return set()
        rows = [(j.id, int(j.status), _encode(j.memory), j.bar_ms, j.fired_ms) for j in judged]
        columns = map(list, zip(*rows, strict=True))
        kept = await tx.fetch(RULE_QUERIES["put_states"], *columns, symbol, timeframe)
        return {j.id for j in judged} - {row[0] for row in kept}

    async def places(self, connection: Connection) -> dict[tuple[str, str], int]:
        """(symbol, timeframe) → the last bar judged."""
        return {(row[0], row[1]): row[2] for row in await connection.fetch(RULE_QUERIES["places"], *self._of)}

    async def put_place(self, tx: Connection, symbol: str, timeframe: str, bar_ms: int) -> None:
        """Remember how far bars have been judged."""
        await tx.execute(RULE_QUERIES["put_place"], symbol, timeframe, bar_ms)

    async def add_hits(self, tx: Connection, hits: Sequence[Hit]) -> None:
        """Hits, in order."""
        if hits:
            await tx.execute(RULE_QUERIES["add_hits"], *map(list, zip(*hits, strict=True)))

    async def hits_of(self, connection: Connection, rule_id: int, limit: int, offset: int) -> list[Hit]:
        """The hits of a rule, newest first."""
        rows = await connection.fetch(RULE_QUERIES["hits_of"], rule_id, limit, offset)
        return [Hit(rule_id, *row) for row in rows]

    async def add_fact(
        self, tx: Connection, symbol: str, timeframe: str, placed: PlacedFact, *, late: bool = False
    ) -> None:
        """What was told of a bar; ``late`` when it counts no more."""
        await tx.execute(RULE_QUERIES["add_fact"], symbol, timeframe, placed.bar_ms, *placed.fact, late)

    async def facts_between(
        self, connection: Connection, symbol: str, timeframe: str, from_ms: int, to_ms: int
    ) -> dict[int, list[Fact]]:
        """Bar → what was told of it in time."""
        found: dict[int, list[Fact]] = {}
        for row in await connection.fetch(RULE_QUERIES["facts_between"], symbol, timeframe, from_ms, to_ms):
            found.setdefault(row[0], []).append(Fact(*list(row)[1:]))
        return found

    async def facts_since(self, connection: Connection, symbol: str, timeframe: str) -> int:
        """The oldest bar of which anything was told, 0 without one."""
        oldest: int | None = await connection.fetchval(RULE_QUERIES["facts_since"], symbol, timeframe)
        return oldest or 0

    async def forget_facts(self, tx: Connection, before_ms: int) -> None:
        """Take away what is too old."""
        await tx.execute(RULE_QUERIES["forget_facts"], before_ms)


def _rule(row: Record) -> Rule:
    fields = dict(row)
    fields["status"] = Status(fields["status"])
    fields["body"] = msgspec.json.decode(fields["body"], type=m.RuleBody)
    fields["memory"] = msgspec.json.decode(fields.pop("state"), type=Memory)
    return Rule(**fields)


def _changing(rule: Rule) -> tuple[object, ...]:
    body = _encode(rule.body)
    return (rule.symbol, rule.timeframe, int(rule.status), body, _encode(rule.memory), rule.bar_ms)


def _encode(value: object) -> bytes:
    return msgspec.json.encode(value)
