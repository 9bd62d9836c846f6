"""The book built from the tables: at the start, and again when a write failed."""

from __future__ import annotations

from libs.common.db import Connection
from libs.common.tick_reader import Key
from libs.common.trigger_book import Kind
from services.alerts.alert import Condition
from services.alerts.store import Store
from services.alerts.watch import AlertBook

_KINDS = {
    Condition.CROSSING_UP: Kind.TOUCH_UP,
    Condition.CROSSING_DOWN: Kind.TOUCH_DOWN,
    Condition.GREATER: Kind.ABOVE,
    Condition.LESS: Kind.BELOW,
}


async def load(tx: Connection, store: Store) -> tuple[AlertBook, dict[Key, int]]:
    """The book as of the last commit, and for each place the tick up to which it was judged.

    A place with alerts and no such tick is judged from the first one there is.
    """
    book = AlertBook()
    judged: dict[Key, int] = {}
    for seen in await store.seen(tx):
        extremes = (seen.high, seen.low)
        book.watch(seen.profile, seen.symbol).start(seen.bid, seen.ask, seen.seq, seen.tick_ms, extremes)
        judged[seen.profile, seen.symbol] = seen.seq
    async for plain in store.load_plain(tx):
        watch = book.watch(plain.profile, plain.symbol)
        kind = _KINDS[Condition(plain.condition)]
        watch.load(kind, plain.side, plain.targets, plain.ids, plain.repeat_mode == 1)
    async for alert in store.load_others(tx):
        watch = book.watch(alert.profile, alert.symbol)
        watch.arm(alert, fresh=alert.armed_seq >= watch.seq)
    for key in book.watches:
        judged.setdefault(key, 0)
    return book, judged
