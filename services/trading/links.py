"""Pending orders that know of each other: held until another is filled, or cancelled when it is. Pure.

A held order (``after``) waits for no price, so its price may stand on either side of the market; when the
order it waits for is filled it becomes an ordinary pending order, judged from the next tick on. When that
one ends unfilled (cancelled, expired, refused), it goes too. Of the orders that share an ``oco`` number the
first that is filled cancels the others, in the same decision; cancelling one by hand leaves the others.
"""

from __future__ import annotations

import msgspec

from libs.common.errors import InvalidData
from services.trading import orders
from services.trading.commands import PlaceLinked
from services.trading.conversion import Tick
from services.trading.draft import Draft
from services.trading.events import PendingCancelled, PendingModified
from services.trading.instrument import Terms
from services.trading.position import DELETED, Trade, noted

ORDERS_MAX = 10
NOTE_OCO = "[oco]"
NOTE_LINKED = "[linked]"


def check_form(asked: PlaceLinked) -> None:
    """Two to ten orders that are linked somehow."""
    count = len(asked.then) + (asked.first is not None)
    if not 2 <= count <= ORDERS_MAX or not asked.then:
        raise InvalidData(f"{count} orders were given, 2 to {ORDERS_MAX} can be linked")
    if asked.first is None and not asked.one_cancels_other:
        raise InvalidData("nothing linked these orders")


def linked(asked: PlaceLinked, trades: list[Trade]) -> list[Trade]:
    """The checked orders of a request, in its order, with their links."""
    held = trades if asked.first is None else trades[1:]
    after = 0 if asked.first is None else trades[0].order
    oco = held[0].order if asked.one_cancels_other and len(held) > 1 else 0
    tied = [msgspec.structs.replace(trade, after=after, oco=oco) for trade in held]
    return tied if asked.first is None else [trades[0], *tied]


def on_filled(draft: Draft, trade: Trade) -> None:
    """A pending order was filled: let go of what it held, cancel what it excludes."""
    if not draft.account.pendings.linked:
        return
    for other in _others(draft):
        if other.after == trade.order:
            free = msgspec.structs.replace(other, after=0)
            draft.record(PendingModified(login=draft.account.login, at_ms=draft.now_ms, trade=free))
        elif trade.oco and other.oco == trade.oco and draft.account.pendings.get(other.order) is not None:
            end_pending(draft, other, NOTE_OCO)


def on_ended(draft: Draft, trade: Trade) -> None:
    """A pending order ended without being filled: what it held goes with it."""
    if not draft.account.pendings.linked:
        return
    for other in _others(draft):
        if other.after == trade.order and draft.account.pendings.get(other.order) is not None:
            end_pending(draft, other, NOTE_LINKED)


def end_pending(draft: Draft, trade: Trade, note: str = "") -> None:
    """Record that a pending order was cancelled, and what goes with it."""
    gone = msgspec.structs.replace(
        trade, state=DELETED, close_ms=draft.now_ms, comment=noted(trade.comment, note)
    )
    draft.record(PendingCancelled(login=draft.account.login, at_ms=draft.now_ms, trade=gone))
    on_ended(draft, gone)


def _others(draft: Draft) -> list[Trade]:
    return sorted((t for t in draft.account.pendings if t.after or t.oco), key=lambda trade: trade.order)


def check_price(trade: Trade, tick: Tick, terms: Terms) -> None:
    """The price of a pending order stands on its side of the market, unless another order holds it."""
    if trade.after:
        orders.check_some_price(trade.open_points)
    else:
        orders.check_pending_price(trade.cmd, trade.open_points, tick, terms)
