"""What market knows when it starts: instruments, groups, last quotes and forming candles, as stored."""

from __future__ import annotations

from libs.common.candles import TIMEFRAMES
from libs.common.db import Connection, Database
from services.market import builtins
from services.market.catalogue import Catalogue
from services.market.quotes import Line, QuoteBook
from services.market.store import Place, Store


async def load(database: Database, store: Store, catalogue: Catalogue, book: QuoteBook, now_ms: int) -> None:
    """Fill the catalogue and the book; built-ins are made known when they are not."""
    async with database.transaction() as tx:
        await store.add_instruments(tx, list(builtins.INSTRUMENTS))
        await store.add_groups(tx, list(builtins.GROUPS))
        for id_, symbol, said in await store.instruments(tx):
            catalogue.take_instrument(id_, symbol, said)
        for name, said in await store.groups(tx):
            catalogue.take_group(name, said)
        last = {quote.instrument_id: quote for quote in await store.quotes(tx)}
        for known in catalogue.known():
            quote = last.get(known.id)
            line = Line(
                known.instrument.symbol, known.id, known.instrument.digits, quote.seq_spent if quote else 0
            )
            if quote is not None:
                line.bid, line.ask, line.ctm_ms = quote.bid, quote.ask, quote.ctm_ms
            book.add(line)
        await _restore_candles(tx, store, book, now_ms)


async def _restore_candles(tx: Connection, store: Store, book: QuoteBook, now_ms: int) -> None:
    """Forming bars go on from the last quote; a stored bar that is still open is found by the next one."""
    forming: dict[Place, Line] = {}
    still_open: dict[Place, Line] = {}
    for line in book.lines.values():
        for frame in TIMEFRAMES:
            now_open = Place(line.instrument_id, frame.id, frame.open_ms(now_ms))
            still_open[now_open] = line
            if line.quoted:
                forming[Place(line.instrument_id, frame.id, frame.open_ms(line.ctm_ms))] = line
    found = await store.candles_at(tx, {**forming, **still_open})
    for place, line in forming.items():
        if place in found:
            line.builder.begin(place.timeframe_id, found[place])
    for place, line in still_open.items():
        if place in found and place not in forming:
            line.builder.set(place.timeframe_id, found[place])
