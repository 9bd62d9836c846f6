"""The scanner's tables: one method per named query. Methods take the caller's connection."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from libs.common.db import Connection, Record, load_queries
from libs.common.ids import Uuid
from services.scanner.detections import Detection
from services.scanner.errors import PlacesMoved
from services.scanner.outcomes import Plan, Track
from services.scanner.places import Opened, Place

QUERIES = load_queries(Path(__file__).parent / "sql/queries.sql")
OUTCOMES = ("open", "win", "loss", "expired")
DIRECTIONS = {"bullish": 1, "bearish": -1, "neutral": 0}
DIRECTION_NAMES = {number: name for name, number in DIRECTIONS.items()}
NEWEST = (2**62, Uuid(int=2**128 - 1))  # before the first page of records


class Store:
    """See the module's text."""

    async def places(self, connection: Connection) -> list[tuple[str, int, int, str, int]]:
        """(symbol, timeframe id, open time of the last judged bar, trend, open time of the first)."""
        return [tuple(row) for row in await connection.fetch(QUERIES["places"])]

    async def advance(self, tx: Connection, steps: Sequence[tuple[Place, int]]) -> None:
        """Places have been judged up to their ``done_ms``; each with where it stood before.

        Raises PlacesMoved when one stands elsewhere: somebody else has judged it.
        """
        ordered = sorted(steps, key=lambda step: (step[0].symbol, step[0].frame.id))
        rows = await tx.fetch(
            QUERIES["advance"],
            [place.symbol for place, _ in ordered],
            [place.frame.id for place, _ in ordered],
            [expected for _, expected in ordered],
            [place.done_ms for place, _ in ordered],
            [place.trend for place, _ in ordered],
            [place.first_ms for place, _ in ordered],
        )
        if len(rows) != len(ordered):
            raise PlacesMoved

    async def reach_back(self, tx: Connection, place: Place, first_ms: int) -> None:
        """The past of a place has been judged from ``first_ms`` on; PlacesMoved when it was meanwhile."""
        key = place.symbol, place.frame.id
        if await tx.fetchval(QUERIES["reach_back"], *key, place.first_ms, first_ms) is None:
            raise PlacesMoved

    async def add_detections(
        self, tx: Connection, opened: Sequence[tuple[Place, Opened]], now_ms: int
    ) -> set[Uuid]:
        """Write detections, with their end where they have come to it; the ids that were new."""
        if not opened:
            return set()
        rows = [_columns(place, line) for place, line in opened]
        found = await tx.fetch(QUERIES["add_detections"], *map(list, zip(*rows, strict=True)), now_ms)
        return {row["id"] for row in found}

    async def close_records(self, tx: Connection, ended: Iterable[Opened]) -> None:
        """Write the end of records an earlier round opened."""
        rows = [
            (
                o.id,
                OUTCOMES.index(c.outcome),
                o.exit_ms,
                c.exit_price,
                c.return_pct,
                c.mfe_pct,
                c.mae_pct,
                c.bars,
            )
            for o in ended
            if (c := o.closed) is not None
        ]
        if rows:
            await tx.execute(QUERIES["close_records"], *map(list, zip(*rows, strict=True)))

    async def open_records(self, connection: Connection) -> list[tuple[tuple[str, int], Opened, Track]]:
        """((symbol, timeframe id), the record, its beginning) of every open record, oldest first."""
        return [_open(row) for row in await connection.fetch(QUERIES["open_records"])]

    async def detection(self, connection: Connection, id_: Uuid) -> Record | None:
        """One detection, or None."""
        return await connection.fetchrow(QUERIES["detection"], id_)

    async def known(self, connection: Connection, ids: Sequence[Uuid]) -> dict[Uuid, Record]:
        """The plans of those detections that are stored."""
        rows = await connection.fetch(QUERIES["known"], ids)
        return {row["id"]: row for row in rows}

    async def records(
        self,
        connection: Connection,
        *,
        limit: int,
        symbol: str | None = None,
        timeframe_id: int | None = None,
        patterns: Sequence[str] | None = None,
        outcomes: Sequence[int] | None = None,
        from_ms: int = 0,
        to_ms: int = 2**62,
        before: tuple[int, Uuid] = NEWEST,
    ) -> list[Record]:
        """Records, newest first, below ``before``."""
        rows: list[Record] = await connection.fetch(
            QUERIES["records"], symbol, timeframe_id, patterns, outcomes, from_ms, to_ms, *before, limit
        )
        return rows

    async def contexts(
        self, connection: Connection, symbol: str, timeframe_id: int, limit: int
    ) -> list[Record]:
        """The newest detections of a place, neutral ones too."""
        rows: list[Record] = await connection.fetch(QUERIES["contexts"], symbol, timeframe_id, limit)
        return rows

    async def performance(
        self, connection: Connection, patterns: Sequence[str], symbol: str | None, timeframe_id: int | None
    ) -> list[Record]:
        """Outcomes of closed records: in all, by timeframe, by symbol, by hour."""
        rows: list[Record] = await connection.fetch(QUERIES["performance"], patterns, symbol, timeframe_id)
        return rows

    async def performance_counts(
        self, connection: Connection, patterns: Sequence[str], symbol: str | None, timeframe_id: int | None
    ) -> list[Record]:
        """Closed records and wins in the parts of ``performance``."""
        rows: list[Record] = await connection.fetch(
            QUERIES["performance_counts"], patterns, symbol, timeframe_id
        )
        return rows

    async def tallies(self, connection: Connection) -> list[tuple[str, str, int, int, int]]:
        """(pattern, symbol, timeframe id, closed records, wins)."""
        return [tuple(row) for row in await connection.fetch(QUERIES["tallies"])]

    async def forget(self, tx: Connection, before_ms: int) -> None:
        """What is older than a moment goes; open records stay."""
        await tx.execute(QUERIES["forget"], before_ms)
        await tx.execute(QUERIES["forget_feed"], before_ms)


def _columns(place: Place, opened: Opened) -> tuple[Any, ...]:
    d, closed = opened.detection, opened.closed
    plan: tuple[float | None, ...] = (None,) * 4
    outcome = None
    end: tuple[Any, ...] = (None,) * 6
    if d.plan is not None:
        plan = d.plan.entry, d.plan.stop, *d.plan.targets
        outcome = 0
    if closed is not None:
        outcome = OUTCOMES.index(closed.outcome)
        end = (
            opened.exit_ms,
            closed.exit_price,
            closed.return_pct,
            closed.mfe_pct,
            closed.mae_pct,
            closed.bars,
        )
    return (
        opened.id,
        place.symbol,
        place.frame.id,
        d.pattern,
        DIRECTIONS[d.direction],
        opened.is_baseline,
        d.start_ms,
        d.end_ms,
        d.known_ms,
        opened.detected_ms,
        d.span,
        d.confidence,
        d.price,
        d.atr,
        *plan,
        outcome,
        *end,
    )


def _open(row: Record) -> tuple[tuple[str, int], Opened, Track]:
    plan = Plan(row["entry"], row["stop"], (row["target1"], row["target2"]))
    direction = DIRECTION_NAMES[row["direction"]]
    detection = Detection(
        pattern=row["pattern"],
        direction=direction,
        confidence=row["confidence"],
        start_ms=row["start_ms"],
        end_ms=row["end_ms"],
        known_ms=row["known_ms"],
        span=row["span"],
        price=row["price"],
        atr=row["atr"],
        plan=plan,
    )
    opened = Opened(row["id"], detection, row["detected_ms"], stored=True)
    return (row["symbol"], row["timeframe"]), opened, Track(direction, plan)
