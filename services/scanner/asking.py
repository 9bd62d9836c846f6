"""What the scanner asks of market: the symbols, closed bars in bulk, the bar that is being made."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from libs.common.bulk import PlaceBars, unpack
from libs.common.bus import Bus, encode
from libs.common.messages.market import CandlesBulk, Forming, FormingAsk, Instrument, SymbolList
from libs.common.subjects import CANDLES_BULK, FORMING, SYMBOL_LIST
from libs.common.symbols import SymbolIndex

ALWAYS_MS = 2**52


class Market:
    """The symbols as they were last heard of, and questions."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._asking: asyncio.Task[None] | None = None
        self._index = SymbolIndex(())
        self.instruments: Mapping[str, Instrument] = {}

    async def refresh(self) -> None:
        """Ask for the symbols; whoever asks meanwhile waits for a question that began after his."""
        if self._asking is not None:
            await asyncio.wait([self._asking])
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._refresh(), name="symbols")
        await asyncio.shield(self._asking)

    async def _refresh(self) -> None:
        answer = await self._bus.request(SYMBOL_LIST, SymbolList())
        self.instruments = {instrument.symbol: instrument for instrument in answer.symbols}
        self._index = SymbolIndex(self.instruments)

    def take(self, instrument: Instrument) -> None:
        """An instrument was made or changed."""
        self.instruments = {**self.instruments, instrument.symbol: instrument}
        self._index = SymbolIndex(self.instruments)

    def known(self, text: str) -> str | None:
        """The symbol a caller means, among those heard of."""
        return self._index.find(text)

    async def find(self, text: str) -> str | None:
        """The symbol a caller means; market is asked before it is said to be unknown."""
        found = self._index.find(text)
        if found is None:
            await self.refresh()
            found = self._index.find(text)
        return found

    def digits(self, symbol: str) -> int:
        """Decimals of a symbol's prices; 8 when it is unknown."""
        instrument = self.instruments.get(symbol)
        return 8 if instrument is None else instrument.digits

    async def forming(self, symbol: str, timeframe: str) -> Forming:
        """The bar ticks are making, and the last told change."""
        return await self._bus.request(FORMING, FormingAsk(symbol=symbol, timeframe=timeframe))

    async def closed(
        self, symbol: str, timeframe: str, limit: int, *, from_ms: int = 0, to_ms: int = ALWAYS_MS
    ) -> PlaceBars:
        """The newest closed bars of one place in a range."""
        (found,) = await self.bulk([(symbol, timeframe, from_ms, to_ms)], limit)
        return found

    async def bulk(self, places: Sequence[tuple[str, str, int, int]], limit: int) -> list[PlaceBars]:
        """The newest closed bars of each place, in as many questions as it takes."""
        found: list[PlaceBars] = []
        while len(found) < len(places):
            ask = CandlesBulk(places=places[len(found) :][:500], limit=limit)
            found += unpack(await self._bus.request_bytes(CANDLES_BULK, encode(ask)))
        return found
