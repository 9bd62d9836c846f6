"""Reading candles: what is stored, with what is not stored yet laid over it."""

from __future__ import annotations

from collections.abc import Sequence

from libs.common.candles import Candle, Timeframe
from libs.common.db import Database
from services.market.quotes import Line
from services.market.store import Store
from services.market.writer import Writer

TRIES = 5


class CandleReader:
    """Every tick that was published before a read began is in what it gives."""

    def __init__(self, database: Database, store: Store, writer: Writer) -> None:
        self._database = database
        self._store = store
        self._writer = writer

    async def range(self, line: Line, frame: Timeframe, from_ms: int, to_ms: int, limit: int) -> list[Candle]:
        """The newest ``limit`` candles that open in [from, to], oldest first."""
        for _ in range(TRIES):
            generation = self._writer.generation
            async with self._database.connection() as connection:
                stored = await self._store.candles(
                    connection, line.instrument_id, frame.id, from_ms, to_ms, limit
                )
            # The writer keeps what it stored last, so one flush meanwhile hides nothing.
            if self._writer.generation - generation <= 1:
                break
        return self._laid_over(line, frame, stored, from_ms, to_ms, limit)

    async def latest(self, lines: Sequence[Line], frame: Timeframe, limit: int) -> dict[int, list[Candle]]:
        """Instrument → its newest ``limit`` candles, oldest first."""
        for _ in range(TRIES):
            generation = self._writer.generation
            async with self._database.connection() as connection:
                stored = await self._store.latest_candles(
                    connection, [line.instrument_id for line in lines], frame.id, limit
                )
            if self._writer.generation - generation <= 1:
                break
        return {
            line.instrument_id: self._laid_over(
                line, frame, stored.get(line.instrument_id, []), 0, 2**62, limit
            )
            for line in lines
        }

    def _laid_over(
        self, line: Line, frame: Timeframe, stored: list[Candle], from_ms: int, to_ms: int, limit: int
    ) -> list[Candle]:
        over = self._writer.overlay(line, frame.id, from_ms, to_ms)
        if not over:
            return stored
        merged = {candle.open_ms: candle for candle in stored} | over
        return [merged[at] for at in sorted(merged)][-limit:]
