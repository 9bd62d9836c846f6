"""Taking over the state of places: from the database how far they were judged, from market their bars."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from libs.common.bulk import BARS_MAX, columns
from libs.common.db import Database
from services.scanner.asking import Market
from services.scanner.detections import WINDOW
from services.scanner.outcomes import Track
from services.scanner.places import Opened, Place, Task
from services.scanner.rings import bars_of_columns
from services.scanner.store import Store

PLACE_BARS = 2_000  # new bars of one place in one round
SYNTHETIC_BARS = 100  # of invented history only the newest bars are judged at first sight, see past.py
Columns = NDArray[np.float64]


class Loader:
    """Fills places, and says which of their bars are new."""

    def __init__(self, market: Market, database: Database, store: Store, backfill_bars: int) -> None:
        self._market = market
        self._database = database
        self._store = store
        self._backfill_bars = backfill_bars

    async def load(self, places: Iterable[Place]) -> None:
        """Give places what the database says: how far, in which trend, which records are open."""
        async with self._database.transaction() as tx:
            stood = {row[:2]: row[2:] for row in await self._store.places(tx)}
            records = await self._store.open_records(tx)
        running: dict[tuple[str, int], list[tuple[Opened, Track]]] = defaultdict(list)
        for key, opened, track in records:
            running[key].append((opened, track))
        for place in places:
            key = place.symbol, place.frame.id
            place.done_ms, place.trend, place.first_ms = stood.get(key, (0, "", 0))
            place.before = None
            place.open = running[key]
            if place.open:
                await self._relive(place)

    async def _relive(self, place: Place) -> None:
        """Let open records live again through the bars that were judged since they began."""
        first_ms = min(opened.detection.known_ms for opened, _ in place.open)
        held = await self._since(place, first_ms)
        for open_ms, _open, high, low, close, _volume in held[:, held[0] <= place.done_ms].T.tolist():
            for opened, track in place.open:
                if open_ms > opened.detection.known_ms:
                    track.step(high, low, close)

    async def task(self, place: Place) -> Task | None:
        """The oldest new bars of a place, with what they are judged by; None when there are none."""
        if place.ring.last_ms <= place.done_ms:
            return None
        if place.done_ms:
            held = await self._with_context(place)
            first = int(np.searchsorted(held[0], place.done_ms, side="right"))
        else:
            wanted = SYNTHETIC_BARS if place.source == "synthetic" else self._backfill_bars
            held = place.ring.columns()
            if place.ring.full and held.shape[1] < wanted + WINDOW:
                limit = min(wanted + WINDOW, BARS_MAX)
                held = columns((await self._market.closed(*place.key, limit)).rows)
            first = max(0, held.shape[1] - wanted)
        stop = min(held.shape[1], first + PLACE_BARS)
        begin = max(0, first - WINDOW)
        return Task(place, bars_of_columns(held[:, begin:stop].copy()), first - begin, held.shape[1] - stop)

    async def _with_context(self, place: Place) -> Columns:
        """Every bar that is not judged, and the window before them."""
        held = place.ring.columns()
        before = held.shape[1] - place.ring.after(place.done_ms)
        if before >= WINDOW or not place.ring.full:
            return held
        later = await self._since(place, place.done_ms)
        context = await self._market.closed(*place.key, WINDOW, to_ms=place.done_ms)
        return np.concatenate((columns(context.rows), later), axis=1)

    async def _since(self, place: Place, after_ms: int) -> Columns:
        """Every closed bar that opens after a moment, in pages from the newest back."""
        held = place.ring.columns()
        if not place.ring.full or place.ring.first_ms <= after_ms:
            return held[:, held[0] > after_ms]
        pages = [held.copy()]
        while True:
            to_ms = int(pages[0][0, 0]) - 1
            older = await self._market.closed(*place.key, BARS_MAX // 2, from_ms=after_ms + 1, to_ms=to_ms)
            if not len(older.rows):
                return np.concatenate(pages, axis=1)
            pages.insert(0, columns(older.rows))
