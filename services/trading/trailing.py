"""Stop losses that trail the price. Pure.

The stop stands ``trail_points`` from the position's closing price and follows it in the client's favour
only, by at least ``trail_step_points`` at a time, so that a quiet market does not move it with every tick.
It starts at once and never behind a stop that is there. Removing the stop ends the trailing; setting
another leaves it on. Within a tick a stop is judged before it is moved, and nothing moves in a closed
market.
"""

from __future__ import annotations

import msgspec

from services.trading import orders
from services.trading import refusals as no
from services.trading.commands import TrailTrade
from services.trading.conversion import Tick
from services.trading.draft import Draft
from services.trading.events import TradeModified
from services.trading.position import BUY, Trade

_STEPS = 10  # of a distance, where no step is said


def trail_trade(draft: Draft, asked: TrailTrade) -> None:
    """Begin, change or end the trailing of a position's stop loss, or refuse it."""
    orders.check_numbers(asked.distance_points, asked.step_points)
    account, market = draft.account, draft.market
    orders.check_session(account, market.rules, read_only=asked.read_only)
    trade = orders.position_for(account, asked.order)
    terms = orders.terms_for(market, trade.symbol)
    tick = orders.quote_for(market, terms, draft.now_ms, opening=False)
    if not market.rules.trailing_allowed:
        raise no.NotEnoughRights
    orders.check_not_frozen(trade, tick, terms)
    distance = asked.distance_points
    if not distance:
        changed = msgspec.structs.replace(trade, trail_points=0, trail_step_points=0)
    else:
        price = orders.closing_price(trade.cmd, tick)
        if distance < max(terms.stops_level, 1) or price <= distance:
            raise no.InvalidStops
        changed = msgspec.structs.replace(
            trade,
            trail_points=distance,
            trail_step_points=asked.step_points or max(distance // _STEPS, 1),
            sl_points=_nearer(trade, _behind(trade.cmd, price, distance)),
        )
    draft.record(TradeModified(login=account.login, at_ms=draft.now_ms, trade=changed))


def next_stop(trade: Trade, tick: Tick) -> int:
    """Where a quote moves the stop of a position to; 0 when it leaves it."""
    if not trade.trail_points:
        return 0
    stop = _behind(trade.cmd, orders.closing_price(trade.cmd, tick), trade.trail_points)
    gained = stop - trade.sl_points if trade.cmd == BUY else trade.sl_points - stop
    return stop if gained >= trade.trail_step_points else 0


def follow(draft: Draft, trade: Trade, stop: int) -> None:
    """Record that the stop was moved."""
    moved = msgspec.structs.replace(trade, sl_points=stop)
    draft.record(TradeModified(login=draft.account.login, at_ms=draft.now_ms, trade=moved))


def _behind(cmd: int, price: int, distance: int) -> int:
    return price - distance if cmd == BUY else price + distance


def _nearer(trade: Trade, stop: int) -> int:
    """The stop that protects more: ``stop``, or the one that is there."""
    if not trade.sl_points:
        return stop
    return max(trade.sl_points, stop) if trade.cmd == BUY else min(trade.sl_points, stop)
