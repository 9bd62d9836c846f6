"""Alerts' tables: one method per named query. Methods take the caller's connection."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from libs.common.db import Connection, Record, load_queries
from libs.common.errors import invariant
from libs.common.lease import partition_of
from services.alerts.alert import Alert, Told
from services.alerts.watch import Hit, Referenced, Watch

QUERIES = load_queries(Path(__file__).parent / "sql/queries.sql")
CURSOR_ROWS = 5_000
CURSOR_PLACES = 50
COPY_FROM = 500  # hits of one call from which on COPY is worth its round trips

_FIELDS = tuple(field.name for field in msgspec.structs.fields(Alert))


# The first eight fields of ``Told`` stand between the row's id and the price.
_LOGGED = (
    "id",
    "alert_id",
    "login",
    "symbol",
    "indicator_name",
    "message",
    "side",
    "condition",
    "target_price",
    "triggered_price",
    "triggered_ms",
    "comment",
)


class Struck(NamedTuple):
    """A hit with its alert as it is afterwards, the owner's note, and the id of its log row."""

    hit: Hit
    log_id: int
    told: Told
    comment: str

    @property
    def note(self) -> str:
        """The comment of its log row."""
        return f"{self.comment} [{self.hit.mark}]".strip(" ") if self.hit.mark else self.comment.strip(" ")


class Seen(NamedTuple):
    """How far the ticks of a symbol have been judged in a profile."""

    profile: str
    symbol: str
    seq: int
    bid: float
    ask: float
    tick_ms: int
    high: float
    low: float


class Plain(NamedTuple):
    """Many active alerts of one symbol, profile, side and condition."""

    profile: str
    symbol: str
    side: int
    condition: int
    repeat_mode: int
    ids: list[int]
    targets: list[float]


class Store:
    """See the module's text. What is watched is that of one partition; lists and logs are of all."""

    def __init__(self, partition: int = 0, partitions: int = 1) -> None:
        self._of = (partitions, partition)

    def owns(self, symbol: str) -> bool:
        """Whether a symbol is of this partition."""
        partitions, partition = self._of
        return partitions == 1 or partition_of(symbol, partitions) == partition

    async def alerts_of(self, connection: Connection, login: int) -> list[Alert]:
        """An account's alerts, oldest first."""
        return [_alert(row) for row in await connection.fetch(QUERIES["alerts_of"], login)]

    async def alert(self, connection: Connection, id: int) -> Alert | None:
        """One alert."""
        row = await connection.fetchrow(QUERIES["alert"], id)
        return _alert(row) if row is not None else None

    async def locked(self, tx: Connection, id: int) -> Alert | None:
        """One alert, which nobody else changes until ``tx`` ends."""
        row = await tx.fetchrow(QUERIES["locked"], id)
        return _alert(row) if row is not None else None

    async def lock_logins(self, tx: Connection, logins: Iterable[int]) -> None:
        """Where partitions are written side by side, count what accounts have one after the other."""
        if self._of[0] > 1 and (wanted := sorted(set(logins))):
            await tx.execute(QUERIES["lock_login"], wanted)

    async def count_of(self, connection: Connection, login: int, bound: int) -> int:
        """How many alerts an account has, at most ``bound``."""
        count: int = await connection.fetchval(QUERIES["count_of"], login, bound)
        return count

    async def add(self, tx: Connection, alert: Alert) -> int:
        """Write a new alert; its id."""
        id: int = await tx.fetchval(QUERIES["add"], *_columns(alert))
        return id

    async def put(self, tx: Connection, alert: Alert) -> None:
        """Write a changed alert."""
        await tx.execute(QUERIES["put"], *_columns(alert), alert.id)

    async def remove(self, tx: Connection, id: int) -> None:
        """Take an alert away."""
        await tx.execute(QUERIES["remove"], id)

    async def hit(self, connection: Connection, hits: Sequence[Hit]) -> list[Struck]:
        """What hits tell, in their order; those of alerts that are not active any more are left out."""
        rows = await connection.fetch(QUERIES["hit"], [hit.alert_id for hit in hits])
        return [Struck(hits[row[1]], row[0], Told(*row[2:-1]), row[-1]) for row in rows]

    async def fire(self, tx: Connection, struck: Iterable[Struck], now_ms: int) -> None:
        """Write the last hit of each alert; they are active, since nobody else writes."""
        last = {hit.alert_id: hit for hit, *_ in struck}
        count = await tx.fetchval(
            QUERIES["fire"],
            list(last),
            [hit.price for hit in last.values()],
            [hit.seq for hit in last.values()],
            now_ms,
        )
        invariant(count == len(last), "an alert was changed while its hit was written")

    async def log_hits(self, tx: Connection, struck: Sequence[Struck], now_ms: int) -> None:
        """A log row per hit."""
        if len(struck) >= COPY_FROM:  # it takes a third of the time
            rows = ((s.log_id, *s.told[:8], s.hit.price, now_ms, s.note) for s in struck)
            await tx.copy_records_to_table("alert_log", schema_name="alerts", columns=_LOGGED, records=rows)
            return
        await tx.execute(
            QUERIES["log_hits"],
            [s.log_id for s in struck],
            [s.hit.alert_id for s in struck],
            [s.hit.price for s in struck],
            [s.note for s in struck],
            now_ms,
        )

    async def set_references(self, tx: Connection, referenced: Sequence[Referenced], now_ms: int) -> None:
        """Write references that the first price set."""
        await tx.execute(
            QUERIES["set_references"], [r.alert_id for r in referenced], [r.price for r in referenced], now_ms
        )

    async def expire(self, tx: Connection, now_s: int, from_s: int) -> list[Alert]:
        """End the alerts whose time is over; those before ``from_s`` have ended."""
        return [_alert(row) for row in await tx.fetch(QUERIES["expire"], now_s, from_s, *self._of)]

    async def next_expiry(self, connection: Connection, now_s: int) -> int | None:
        """When the next active alert expires, Unix s."""
        at: int | None = await connection.fetchval(QUERIES["next_expiry"], now_s)
        return at

    async def groups(self, connection: Connection) -> list[str]:
        """The groups that have active alerts."""
        return [row["group_name"] for row in await connection.fetch(QUERIES["groups"], *self._of)]

    async def profiles(self, connection: Connection) -> list[str]:
        """The price profiles that are watched."""
        return [row["profile"] for row in await connection.fetch(QUERIES["profiles"], *self._of)]

    async def places_of_group(self, connection: Connection, group: str) -> list[tuple[str, str]]:
        """(symbol, profile) of a group's active alerts."""
        return [tuple(row) for row in await connection.fetch(QUERIES["places_of_group"], group, *self._of)]

    async def active_at(self, connection: Connection, group: str, symbol: str, profile: str) -> list[Alert]:
        """A group's active alerts of one symbol and profile, which nobody else changes until the end."""
        return [_alert(row) for row in await connection.fetch(QUERIES["active_at"], group, symbol, profile)]

    async def move(
        self, tx: Connection, ids: Sequence[int], profile: str, armed_seq: int, fired_seq: int
    ) -> None:
        """Watch alerts at another profile from now on."""
        await tx.execute(QUERIES["move"], ids, profile, armed_seq, fired_seq)

    async def seen(self, connection: Connection) -> list[Seen]:
        """How far the ticks have been judged."""
        return [Seen(*row) for row in await connection.fetch(QUERIES["seen"], *self._of)]

    async def put_seen(self, tx: Connection, watches: Iterable[Watch]) -> None:
        """Remember how far the ticks of ``watches`` have been judged."""
        rows = [
            Seen(*watch.key, watch.seq, *watch.prices, watch.tick_ms, watch.high, watch.low)
            for watch in watches
            if watch.prices is not None
        ]
        if rows:
            await tx.execute(QUERIES["put_seen"], *map(list, zip(*sorted(rows), strict=True)))

    async def load_plain(self, tx: Connection) -> AsyncIterator[Plain]:
        """Active alerts that are one level and were judged before; needs a transaction for its cursor.

        A few at a time, since with very many the process must get to renew its lease in between.
        """
        async for row in tx.cursor(QUERIES["load_plain"], *self._of, prefetch=CURSOR_PLACES):
            yield Plain(*row)

    async def load_others(self, tx: Connection) -> AsyncIterator[Alert]:
        """The other active alerts; needs a transaction for its cursor."""
        async for row in tx.cursor(QUERIES["load_others"], *self._of, prefetch=CURSOR_ROWS):
            yield _alert(row)

    async def log_of(self, connection: Connection, login: int, limit: int, offset: int) -> list[Record]:
        """An account's log, newest first."""
        rows: list[Record] = await connection.fetch(QUERIES["log_of"], login, limit, offset)
        return rows

    async def log_login(self, connection: Connection, id: int) -> int | None:
        """Whose a log row is."""
        login: int | None = await connection.fetchval(QUERIES["log_login"], id)
        return login

    async def remove_log(self, tx: Connection, id: int) -> None:
        """Take one log row away."""
        await tx.execute(QUERIES["remove_log"], id)

    async def clear_log(self, tx: Connection, login: int) -> None:
        """Take an account's log away."""
        await tx.execute(QUERIES["clear_log"], login)


def _alert(row: Record) -> Alert:
    """The queries give the columns in the order of the struct's fields."""
    return Alert(**dict(zip(_FIELDS, row.values(), strict=True)))


def _columns(alert: Alert) -> list[Any]:
    return [getattr(alert, name) for name in _FIELDS if name != "id"]
