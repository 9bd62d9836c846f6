"""Closed bars in bulk, and the bars that are being made: what the scanner reads.

A bar is closed when no tick can change it any more, or when it was written from outside and no tick has
come into it. What is not stored yet is stored first, so one query holds everything.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from libs.common.bulk import BARS_MAX, ROW, PlaceBars, pack
from libs.common.candles import Timeframe, timeframe
from libs.common.db import Database
from libs.common.errors import InvalidData
from libs.common.messages.market import CandlesBulk, Forming, FormingAsk
from services.market.catalogue import Catalogue
from services.market.quotes import Line, QuoteBook
from services.market.store import Store
from services.market.telling import BarTeller
from services.market.writer import Writer

PLACES_MAX = 5_000
TIME_MAX = 2**53


class BulkReader:
    """Answers ``CANDLES_BULK`` and ``FORMING``."""

    def __init__(
        self,
        catalogue: Catalogue,
        book: QuoteBook,
        writer: Writer,
        teller: BarTeller,
        database: Database,
        store: Store,
    ) -> None:
        self._catalogue = catalogue
        self._book = book
        self._writer = writer
        self._teller = teller
        self._database = database
        self._store = store

    def forming(self, ask: FormingAsk) -> Forming:
        """The bar that ticks are making; None when there is none."""
        line, frame = self._place(ask.symbol, ask.timeframe)
        rows = [row for row in line.builder.forming() if row.timeframe_id == frame.id]
        return Forming(
            symbol=line.symbol,
            bar=rows[0].candle if rows else None,
            run=self._teller.run,
            seq=self._teller.seq,
        )

    async def closed(self, ask: CandlesBulk) -> bytes:
        """The newest closed bars of each place; places that do not fit any more are left out."""
        if not 1 <= ask.limit <= BARS_MAX or len(ask.places) > PLACES_MAX:
            raise InvalidData(f"limit was not 1 to {BARS_MAX}, or more than {PLACES_MAX} places were asked")
        wanted = [
            (*self._place(symbol, name), max(0, a), min(b, TIME_MAX)) for symbol, name, a, b in ask.places
        ]
        found: list[PlaceBars] = []
        room = BARS_MAX
        while len(found) < len(wanted) and room >= ask.limit:
            some = wanted[len(found) : len(found) + room // ask.limit]
            for place in await self._read(some, ask.limit):
                found.append(place)
                room -= len(place.rows)
        return pack(found)

    async def _read(self, wanted: Sequence[tuple[Line, Timeframe, int, int]], limit: int) -> list[PlaceBars]:
        before = [line.builder.forming_open_ms(frame.id) for line, frame, _, _ in wanted]
        await self._writer.flush()
        # One more than asked: the newest may be the bar that is being made.
        places = [(line.instrument_id, frame.id, a, b) for line, frame, a, b in wanted]
        async with self._database.connection() as connection:
            stored = await self._store.candles_bulk(connection, places, limit + 1)
        found = []
        for (line, frame, _, _), forming_ms, (packed, source) in zip(wanted, before, stored, strict=True):
            rows = np.frombuffer(packed, dtype=ROW)
            closed = _without_forming(rows, forming_ms, line.builder.forming_open_ms(frame.id))
            found.append(PlaceBars(line.symbol, frame.name, source, closed[-limit:]))
        return found

    def _place(self, symbol: str, name: str) -> tuple[Line, Timeframe]:
        frame = timeframe(name)
        if frame is None:
            raise InvalidData("timeframe was none of 1m 5m 15m 30m 1h 4h 1d 1w 1M")
        return self._book.lines[self._catalogue.find(symbol).instrument.symbol], frame


def _without_forming(rows: NDArray[np.void], before_ms: int, after_ms: int) -> NDArray[np.void]:
    if not len(rows) or before_ms == 0 == after_ms:
        return rows
    if before_ms == after_ms:
        return rows if rows["open_ms"][-1] < before_ms else rows[rows["open_ms"] != before_ms]
    # A bar closed meanwhile: which of the newer rows are whole is known to the next call only.
    return rows[rows["open_ms"] < (before_ms or after_ms)]
