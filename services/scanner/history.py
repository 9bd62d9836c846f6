"""Bars for whoever asks: from the rings where they hold enough, else from market in bulk.

What was written before a question began is in its answer: market says with the forming bar how far it has
told its changes, and the rings wait for that.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from libs.common.bulk import columns
from services.scanner.asking import ALWAYS_MS, Market
from services.scanner.bars import Bars
from services.scanner.following import Following
from services.scanner.rings import RING_BARS, bars_of_columns

PATIENCE_S = 2.0


class History:
    """The ``Source`` of briefs, scans and charts."""

    def __init__(self, market: Market, following: Following) -> None:
        self._market = market
        self._following = following

    async def find(self, ticker: str) -> str | None:
        """The symbol a caller means, or None."""
        return await self._market.find(ticker)

    async def source(self, symbol: str, timeframe: str) -> str:
        """Where the newest bar came from; empty when there is none."""
        place = self._following.places.get((symbol, timeframe))
        if place is not None and place.source:
            return place.source
        return (await self._market.closed(symbol, timeframe, 1)).source

    async def window(self, symbol: str, timeframe: str, limit: int) -> Bars:
        """The newest ``limit`` bars, the one being made included; none when there are none."""
        forming = await self._market.forming(symbol, timeframe)
        closed = await self._closed(symbol, timeframe, limit, forming.run, forming.seq)
        if forming.bar is not None and (not closed.shape[1] or forming.bar[0] > closed[0, -1]):
            closed = np.append(closed, np.array(forming.bar, dtype=np.float64)[:, None], axis=1)
        return bars_of_columns(closed[:, -limit:])

    async def closed(self, symbol: str, timeframe: str, limit: int) -> Bars:
        """The newest ``limit`` closed bars."""
        forming = await self._market.forming(symbol, timeframe)
        return bars_of_columns(await self._closed(symbol, timeframe, limit, forming.run, forming.seq))

    async def around(self, symbol: str, timeframe: str, to_ms: int, limit: int) -> Bars:
        """The newest ``limit`` closed bars that open at ``to_ms`` or earlier."""
        found = await self._market.closed(symbol, timeframe, limit, to_ms=min(to_ms, ALWAYS_MS))
        return bars_of_columns(columns(found.rows))

    async def _closed(
        self, symbol: str, timeframe: str, limit: int, run: str, seq: int
    ) -> NDArray[np.float64]:
        key = symbol, timeframe
        if limit <= RING_BARS and await self._following.caught_up(key, run, seq, PATIENCE_S):
            place = self._following.places.get(key)
            return np.empty((6, 0)) if place is None else place.ring.columns()[:, -limit:].copy()
        return columns((await self._market.closed(symbol, timeframe, limit)).rows)
