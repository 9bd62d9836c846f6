"""What a quote sets off: stop losses, take profits, pending orders. Pure.

A buy's SL and TP look at the bid, a sell's at the ask; a buy pending order looks at the ask, a sell's
at the bid. A level is met when the price is at or beyond it, however it came there, so a gap meets
every level it jumps over. What is met fills at the price of the tick that met it: the first price at
or beyond the level, which for a TP or a limit order is as good as the level or better. With
allow_sl_tp_slippage 0 it fills at the level itself. If both SL and TP are met, SL goes first.

Order within a tick: stops that trail move, positions close ascending by number, then pending orders are
judged ascending by number; a position that a tick opened is judged from the next tick on. Positions close
with activation 1 or 2 and the comment ``[sl]`` or ``[tp]``, only while the symbol's market is open; until
then they wait.

A pending order that is met goes through the checks again: account enabled, symbol, security group, trade
mode, market open, fresh quote, long only, position limit, hedge rule, margin. Without money, market or
quote, or while a kill switch is pulled, it stays and is tried on every later tick that still meets it.
Any other refusal cancels it (activation 5, ``[ACTIVATION_CANCEL: <code>]``) and tells TRADE_REJECTED. What
has expired does not fill.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from libs.common.errors import AppError
from libs.common.sessions import OPEN, market_state
from services.trading import orders
from services.trading import refusals as no
from services.trading.closing import close_at, slipped
from services.trading.conversion import Tick
from services.trading.draft import Draft
from services.trading.events import ActivationDeferred, PendingCancelled, PendingExpired, TradeRejected
from services.trading.instrument import Terms
from services.trading.limits import check_running
from services.trading.links import on_ended, on_filled
from services.trading.opening import check_room, deal
from services.trading.position import (
    ACTIVATION_CANCEL,
    ACTIVATION_NONE,
    ACTIVATION_PENDING,
    ACTIVATION_SL,
    ACTIVATION_TP,
    BUY,
    BUY_LIMIT,
    DELETED,
    SELL_LIMIT,
    Trade,
    noted,
    side_of,
)
from services.trading.profit import valuation
from services.trading.trailing import follow, next_stop

_NOTES = {ACTIVATION_SL: "[sl]", ACTIVATION_TP: "[tp]"}


def on_quote(draft: Draft, symbol: str, candidates: Iterable[int] | None) -> None:
    """Close and fill what the symbol's quote meets; ``candidates`` None asks of every order on it."""
    terms = draft.market.terms.get(symbol)
    tick = orders.fresh_tick(draft.market, terms, draft.now_ms) if terms is not None else None
    if terms is None or tick is None:
        return
    positions, trailing, pendings = _met(draft, symbol, tick, candidates)
    if positions or trailing:
        _close_met(draft, terms, tick, positions, trailing)
    for pending in pendings:
        if draft.account.pendings.get(pending.order) is None:  # it went with another
            continue
        if 0 < pending.expiration_ms <= draft.now_ms:
            expire(draft, pending)
        else:
            _activate(draft, pending, terms, tick)


def expire_due(draft: Draft) -> None:
    """Expire every pending order whose time has come."""
    due = [t for t in draft.account.pendings if 0 < t.expiration_ms <= draft.now_ms]
    for trade in sorted(due, key=lambda trade: trade.order):
        if draft.account.pendings.get(trade.order) is not None:  # else it went with another
            expire(draft, trade)


def expire(draft: Draft, trade: Trade) -> None:
    """Record that a pending order ended without being filled."""
    gone = msgspec.structs.replace(trade, state=DELETED, close_ms=draft.now_ms)
    draft.record(PendingExpired(login=draft.account.login, at_ms=draft.now_ms, trade=gone))
    on_ended(draft, gone)


def level_met(trade: Trade, tick: Tick) -> int:
    """Which level of a position the quote meets: ACTIVATION_SL, ACTIVATION_TP or none."""
    if trade.cmd == BUY:
        if trade.sl_points and tick.bid <= trade.sl_points:
            return ACTIVATION_SL
        if trade.tp_points and tick.bid >= trade.tp_points:
            return ACTIVATION_TP
    else:
        if trade.sl_points and tick.ask >= trade.sl_points:
            return ACTIVATION_SL
        if trade.tp_points and tick.ask <= trade.tp_points:
            return ACTIVATION_TP
    return ACTIVATION_NONE


def _met(
    draft: Draft, symbol: str, tick: Tick, candidates: Iterable[int] | None
) -> tuple[list[Trade], list[tuple[Trade, int]], list[Trade]]:
    """Positions whose level is met, those whose stop moves and where to, pending orders that are met."""
    account = draft.account
    book = account.book(symbol).positions
    positions: Iterable[Trade]
    pendings: Iterable[Trade]
    if candidates is None:
        positions, pendings = book, account.pendings
    else:
        numbers = sorted(set(candidates))
        positions = [trade for order in numbers if (trade := book.get(order)) is not None]
        pendings = [trade for order in numbers if (trade := account.pendings.get(order)) is not None]
    closing, trailing = [], []
    for trade in sorted(positions, key=_number):
        if level_met(trade, tick):
            closing.append(trade)
        elif stop := next_stop(trade, tick):
            trailing.append((trade, stop))
    met = (t for t in pendings if t.symbol == symbol and not t.after and orders.is_met(t, tick))
    return closing, trailing, sorted(met, key=_number)


def _number(trade: Trade) -> int:
    return trade.order


def _close_met(
    draft: Draft, terms: Terms, tick: Tick, positions: list[Trade], trailing: list[tuple[Trade, int]]
) -> None:
    if market_state(terms.trade, terms.sessions, draft.now_ms)[0] != OPEN:
        return
    for trade, stop in trailing:
        follow(draft, trade, stop)
    worth = valuation(draft.market, terms, tick, draft.account.currency)
    if worth is None:
        return
    for trade in positions:
        activation = level_met(trade, tick)
        level = trade.sl_points if activation == ACTIVATION_SL else trade.tp_points
        limit = trade.tp_points if activation == ACTIVATION_TP else 0
        price, paper = slipped(draft, trade, orders.closing_price(trade.cmd, tick), limit=limit)
        if not draft.market.rules.slippage:
            price, paper = level, None
        close_at(draft, trade, price, worth, activation=activation, note=_NOTES[activation], fill=paper)


def _activate(draft: Draft, pending: Trade, terms: Terms, tick: Tick) -> None:
    try:
        _fill_pending(draft, pending, terms, tick)
    except (no.NoMoney, no.MarketClosed, no.OffQuotes, no.Halted) as refusal:
        if pending.deferred != refusal.code:
            waiting = msgspec.structs.replace(pending, deferred=refusal.code)
            draft.record(ActivationDeferred(login=draft.account.login, at_ms=draft.now_ms, trade=waiting))
    except AppError as refusal:
        _reject(draft, pending, refusal)


def _fill_pending(draft: Draft, pending: Trade, terms: Terms, tick: Tick) -> None:
    account, market = draft.account, draft.market
    cmd = side_of(pending.cmd)
    orders.check_session(account, market.rules, read_only=False)
    check_running(account, market)
    orders.terms_for(market, pending.symbol)
    orders.quote_for(market, terms, draft.now_ms, opening=True)
    check_room(draft, terms, cmd, pending.volume)
    orders.check_hedge(account, market.rules, terms, cmd)
    price = orders.opening_price(cmd, tick) if market.rules.slippage else pending.open_points
    limit = pending.open_points if pending.cmd in (BUY_LIMIT, SELL_LIMIT) else 0
    position = msgspec.structs.replace(
        pending,
        cmd=cmd,
        open_ms=draft.now_ms,
        open_points=price,
        activation=ACTIVATION_PENDING,
        deferred="",
        oco=0,
    )
    deal(draft, position, terms, exact=not market.rules.slippage, limit=limit)
    on_filled(draft, pending)


def _reject(draft: Draft, pending: Trade, refusal: AppError) -> None:
    gone = msgspec.structs.replace(
        pending,
        state=DELETED,
        activation=ACTIVATION_CANCEL,
        close_ms=draft.now_ms,
        comment=noted(pending.comment, f"[ACTIVATION_CANCEL: {refusal.code}]"),
    )
    login, at_ms = draft.account.login, draft.now_ms
    draft.record(PendingCancelled(login=login, at_ms=at_ms, trade=gone))
    on_ended(draft, gone)
    draft.record(TradeRejected(login=login, at_ms=at_ms, order=pending.order, error=refusal.code))
