"""Changing a position's levels, changing and cancelling pending orders. Pure.

Only levels that change are judged, from the closing price of a position and from the own price of a
pending order; when a pending price changes, its stops are judged from the new one. Cancelling reduces
what is at risk, so it asks neither for an open market nor for a quote; only a frozen order is refused.
"""

from __future__ import annotations

import msgspec

from libs.common.errors import AppError, InvalidData
from services.trading import orders
from services.trading import refusals as no
from services.trading.commands import CancelGroup, CancelPending, ModifyPending, ModifyTrade
from services.trading.draft import Draft, Failure
from services.trading.events import PendingModified, TradeModified
from services.trading.links import check_price, end_pending
from services.trading.opening import check_expiration
from services.trading.position import Trade, with_stops


def modify_trade(draft: Draft, asked: ModifyTrade) -> None:
    """Set or remove SL and TP of a position, or refuse it."""
    if asked.sl_points is None and asked.tp_points is None:
        raise InvalidData("there was nothing to change")
    orders.check_numbers(asked.sl_points, asked.tp_points)
    account, market = draft.account, draft.market
    orders.check_session(account, market.rules, read_only=asked.read_only)
    trade = orders.position_for(account, asked.order)
    terms = orders.terms_for(market, trade.symbol)
    tick = orders.quote_for(market, terms, draft.now_ms, opening=False)
    orders.check_not_frozen(trade, tick, terms)
    sl = trade.sl_points if asked.sl_points is None else asked.sl_points
    tp = trade.tp_points if asked.tp_points is None else asked.tp_points
    around = orders.closing_price(trade.cmd, tick)
    orders.check_stops(
        trade.cmd, around, sl if sl != trade.sl_points else 0, tp if tp != trade.tp_points else 0, terms
    )
    changed = with_stops(trade, sl, tp)
    draft.record(TradeModified(login=account.login, at_ms=draft.now_ms, trade=changed))


def modify_pending(draft: Draft, asked: ModifyPending) -> None:
    """Change price, levels or expiration of a pending order, or refuse it."""
    given = (asked.open_points, asked.sl_points, asked.tp_points, asked.expiration_ms)
    if all(value is None for value in given):
        raise InvalidData("there was nothing to change")
    orders.check_numbers(asked.open_points, asked.sl_points, asked.tp_points)
    if asked.expiration_ms:
        check_expiration(asked.expiration_ms, draft.now_ms)
    account, market = draft.account, draft.market
    orders.check_session(account, market.rules, read_only=asked.read_only)
    trade = orders.pending_for(account, asked.order)
    terms = orders.terms_for(market, trade.symbol)
    tick = orders.quote_for(market, terms, draft.now_ms, opening=False)
    orders.check_not_frozen(trade, tick, terms)
    changed = msgspec.structs.replace(
        trade,
        open_points=trade.open_points if asked.open_points is None else asked.open_points,
        sl_points=trade.sl_points if asked.sl_points is None else asked.sl_points,
        tp_points=trade.tp_points if asked.tp_points is None else asked.tp_points,
        expiration_ms=trade.expiration_ms if asked.expiration_ms is None else asked.expiration_ms,
    )
    moved = changed.open_points != trade.open_points
    if moved:
        check_price(changed, tick, terms)
        changed = msgspec.structs.replace(changed, deferred="")
    sl = changed.sl_points if moved or changed.sl_points != trade.sl_points else 0
    tp = changed.tp_points if moved or changed.tp_points != trade.tp_points else 0
    orders.check_stops(trade.cmd, changed.open_points, sl, tp, terms)
    if changed.expiration_ms not in (0, trade.expiration_ms) and not market.rules.expiration_allowed:
        raise no.ExpirationDenied
    draft.record(PendingModified(login=account.login, at_ms=draft.now_ms, trade=changed))


def cancel_pending(draft: Draft, asked: CancelPending) -> None:
    """Cancel a pending order, or refuse it."""
    orders.check_session(draft.account, draft.market.rules, read_only=asked.read_only)
    _cancel(draft, orders.pending_for(draft.account, asked.order))


def cancel_group(draft: Draft, asked: CancelGroup) -> None:
    """Cancel every pending order that matches, each on its own; what is refused stays."""
    orders.check_session(draft.account, draft.market.rules, read_only=asked.read_only)
    chosen = [t for t in draft.account.pendings if asked.symbol is None or t.symbol == asked.symbol]
    draft.matched = len(chosen)
    for trade in sorted(chosen, key=lambda trade: trade.order):
        if draft.account.pendings.get(trade.order) is None:  # it went with another
            continue
        try:
            _cancel(draft, trade)
        except AppError as refusal:
            draft.failures.append(Failure(trade.order, refusal))


def _cancel(draft: Draft, trade: Trade) -> None:
    terms, tick = draft.market.terms.get(trade.symbol), draft.market.quotes.get(trade.symbol)
    if terms is not None and tick is not None:
        orders.check_not_frozen(trade, tick, terms)
    end_pending(draft, trade)
