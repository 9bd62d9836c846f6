"""What people keep at the scanner: one method per named query. Methods take the caller's connection."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from libs.common.db import Connection, Record, load_queries
from libs.common.ids import Uuid
from services.scanner.watching import FeedRow, Monitor

QUERIES = load_queries(Path(__file__).parent / "sql/people.sql")


class PeopleStore:
    """See the module's text."""

    async def lock_person(self, tx: Connection, person_id: int) -> None:
        """Let nobody else change this person's things until the transaction ends."""
        await tx.execute(QUERIES["lock_person"], person_id)

    # ── watchlists ────────────────────────────────────────────────────────────────────────────────

    async def watchlists(self, connection: Connection, person_id: int) -> list[Record]:
        """A person's watchlists, the default first."""
        rows: list[Record] = await connection.fetch(QUERIES["watchlists"], person_id)
        return rows

    async def watchlist(self, tx: Connection, person_id: int, id_: Uuid) -> Record | None:
        """One watchlist, locked; None when it is not the person's."""
        return await tx.fetchrow(QUERIES["watchlist"], person_id, id_)

    async def default_watchlist(self, tx: Connection, person_id: int) -> Record | None:
        """The default watchlist, locked."""
        return await tx.fetchrow(QUERIES["default_watchlist"], person_id)

    async def put_watchlist(
        self,
        tx: Connection,
        id_: Uuid,
        person_id: int,
        name: str,
        symbols: Sequence[str],
        is_default: bool,
        created_ms: int,
        updated_ms: int,
    ) -> bool:
        """Write a watchlist; False when the person has another one of that name."""
        row = await tx.fetchrow(
            QUERIES["put_watchlist"], id_, person_id, name, symbols, is_default, created_ms, updated_ms
        )
        return row is not None

    async def remove_watchlist(self, tx: Connection, person_id: int, id_: Uuid) -> bool:
        """Take a watchlist away; False when it is not the person's."""
        return await tx.fetchval(QUERIES["remove_watchlist"], person_id, id_) is not None

    # ── monitors and the feed ─────────────────────────────────────────────────────────────────────

    async def monitors(self, connection: Connection, person_id: int) -> list[Monitor]:
        """A person's monitors, oldest first."""
        return [_monitor(row) for row in await connection.fetch(QUERIES["monitors"], person_id)]

    async def active_monitors(self, connection: Connection) -> list[Monitor]:
        """Every monitor that watches."""
        return [_monitor(row) for row in await connection.fetch(QUERIES["active_monitors"])]

    async def add_monitor(self, tx: Connection, monitor: Monitor) -> None:
        """Write a new monitor."""
        await tx.execute(
            QUERIES["add_monitor"],
            monitor.id,
            monitor.person_id,
            monitor.name,
            list(monitor.symbols),
            list(monitor.patterns),
            list(monitor.timeframes),
            monitor.created_ms,
            list(monitor.channels),
        )

    async def set_monitor(
        self, tx: Connection, person_id: int, id_: Uuid, *, is_active: bool
    ) -> Monitor | None:
        """Let a monitor watch or rest; None when it is not the person's."""
        row = await tx.fetchrow(QUERIES["set_monitor"], person_id, id_, is_active)
        return None if row is None else _monitor(row)

    async def remove_monitor(self, tx: Connection, person_id: int, id_: Uuid) -> bool:
        """Take a monitor away; False when it is not the person's."""
        return await tx.fetchval(QUERIES["remove_monitor"], person_id, id_) is not None

    async def add_events(self, tx: Connection, rows: Iterable[FeedRow]) -> list[FeedRow]:
        """Write feed events; those that were not told before."""
        events = list(rows)
        if not events:
            return []
        found = await tx.fetch(
            QUERIES["add_events"],
            [e.id for e in events],
            [e.person_id for e in events],
            [e.created_ms for e in events],
            [e.monitor_id for e in events],
            [e.detection_id for e in events],
            [e.kind for e in events],
            [e.symbol for e in events],
            [e.timeframe for e in events],
            [e.pattern for e in events],
        )
        new = {row["id"] for row in found}
        return [event for event in events if event.id in new]

    async def feed(
        self, connection: Connection, person_id: int, *, unread_only: bool, before: int, limit: int
    ) -> list[Record]:
        """A person's feed, newest first, below a position."""
        rows: list[Record] = await connection.fetch(QUERIES["feed"], person_id, unread_only, before, limit)
        return rows

    async def feed_count(self, connection: Connection, person_id: int) -> tuple[int, int]:
        """(events, unread ones)."""
        row = await connection.fetchrow(QUERIES["feed_count"], person_id)
        return row["events"], row["unread"]

    async def acknowledge(self, tx: Connection, person_id: int, ids: Sequence[Uuid]) -> int:
        """Mark events as read; how many are the person's."""
        return len(await tx.fetch(QUERIES["acknowledge"], person_id, ids))

    # ── the rest ──────────────────────────────────────────────────────────────────────────────────

    async def confirm(
        self, tx: Connection, person_id: int, id_: Uuid, now_ms: int, method: str, observations: str
    ) -> None:
        """A person has seen a context's chart; the first word holds."""
        await tx.execute(QUERIES["confirm"], person_id, id_, now_ms, method, observations)

    async def confirmed_ms(self, connection: Connection, person_id: int, id_: Uuid) -> int | None:
        """When a person confirmed a context."""
        at: int | None = await connection.fetchval(QUERIES["confirmed"], person_id, id_)
        return at

    async def timezone(self, connection: Connection, person_id: int) -> str | None:
        """A person's time zone, or None."""
        name: str | None = await connection.fetchval(QUERIES["timezone"], person_id)
        return name

    async def put_timezone(self, tx: Connection, person_id: int, timezone: str) -> None:
        """Keep a person's time zone."""
        await tx.execute(QUERIES["put_timezone"], person_id, timezone)


def _monitor(row: Record) -> Monitor:
    return Monitor(
        id=row["id"],
        person_id=row["person_id"],
        name=row["name"],
        symbols=tuple(row["symbols"]),
        patterns=tuple(row["patterns"]),
        timeframes=tuple(row["timeframes"]),
        is_active=row["is_active"],
        created_ms=row["created_ms"],
        channels=tuple(row["channels"]),
    )
