"""The tables of notes, simulated fills and the house's kill switch. Methods take the caller's connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from libs.common.db import Connection, Record
from services.trading.fills import PaperFill
from services.trading.store import QUERIES

_FILL = (
    "order",
    "login",
    "deal",
    "at_ms",
    "profile",
    "latency_ms",
    "quoted_points",
    "points",
    "asked_volume",
    "volume",
    "rejected",
)


class Filled(NamedTuple):
    """A simulated fill of an order."""

    order: int
    login: int
    at_ms: int
    fill: PaperFill


class ExtrasStore:
    """See the module's text."""

    async def add_fills(self, tx: Connection, filled: Sequence[Filled]) -> None:
        """Keep how orders were filled."""
        await tx.copy_records_to_table(
            "fill", schema_name="trading", columns=_FILL, records=[_fill_row(one) for one in filled]
        )

    async def fills(self, connection: Connection, login: int, order: int) -> list[Record]:
        """How an order was filled."""
        rows: list[Record] = await connection.fetch(QUERIES["fills"], login, order)
        return rows

    async def put_note(self, tx: Connection, login: int, order: int, note: str, now_ms: int) -> None:
        """Write a note, or take it away when it is empty."""
        if note:
            await tx.execute(QUERIES["put_note"], login, order, note, now_ms)
        else:
            await tx.execute(QUERIES["remove_note"], login, order)

    async def notes(
        self, connection: Connection, login: int, order: int | None, limit: int, offset: int
    ) -> list[Record]:
        """Notes of an account."""
        rows: list[Record] = await connection.fetch(QUERIES["notes"], login, order, limit, offset)
        return rows

    async def is_halted(self, connection: Connection) -> bool:
        """Whether the house's kill switch is pulled."""
        halted: bool = await connection.fetchval(QUERIES["house"])
        return halted

    async def halt(self, tx: Connection, halted: bool) -> None:
        """Pull the house's kill switch, or let go of it."""
        await tx.execute(QUERIES["halt_house"], halted)


def _fill_row(one: Filled) -> tuple[Any, ...]:
    fill = one.fill
    return (
        one.order,
        one.login,
        fill.deal,
        one.at_ms,
        fill.profile,
        fill.latency_ms,
        fill.quoted_points,
        fill.points,
        fill.asked_volume,
        fill.volume,
        fill.rejected,
    )
