"""The tables of notes, simulated fills and the house's kill switch. Methods take the caller's connection."""

from __future__ import annotations

from libs.common.db import Connection, Record
from services.trading.store import QUERIES


class ExtrasStore:
    """See the module's text."""

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
