"""The prices at which a quote concerns an order: what a trigger book is armed with. Pure.

Every order that a quote may set off has its levels here, on the side of the market that it looks at:
SL and TP of positions, the price of a pending order, and the next step of a trailing stop. An order whose
level has been met and that is still there (no money, market closed) has to be named again on every tick
that still meets it.
"""

from __future__ import annotations

from typing import NamedTuple

from services.trading.position import BUY, BUY_LIMIT, BUY_STOP, SELL_LIMIT, Trade

BID, ASK = 0, 1


class Level(NamedTuple):
    """``side`` BID or ASK; met at or above ``points`` when ``up``, else at or below."""

    side: int
    up: bool
    points: int


def levels_of(trade: Trade) -> tuple[Level, ...]:
    """Every level of an open position or a pending order; a held one (``after``) has none."""
    if trade.is_pending:
        return () if trade.after else (_pending(trade),)
    buys = trade.cmd == BUY
    side = BID if buys else ASK
    found = []
    if trade.sl_points:
        found.append(Level(side, not buys, trade.sl_points))
    if trade.tp_points:
        found.append(Level(side, buys, trade.tp_points))
    if trade.trail_points:
        away = trade.trail_points + trade.trail_step_points
        found.append(Level(side, buys, trade.sl_points + (away if buys else -away)))
    return tuple(found)


def _pending(trade: Trade) -> Level:
    if trade.cmd in (BUY_LIMIT, BUY_STOP):
        return Level(ASK, trade.cmd == BUY_STOP, trade.open_points)
    return Level(BID, trade.cmd == SELL_LIMIT, trade.open_points)
