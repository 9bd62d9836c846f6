"""Closing positions: whole, in part, against each other, by group. Pure.

A position closes at bid (buy) or ask (sell); its profit, commission and swap are posted then. Closing
keeps the order's comment, a close comment is appended after a space.

In part: the closed part keeps the order number (state 4) and takes its share by volume of commission
and swap, rounded; the rest goes on under a new number at the same open price and time, with the
comment ``from #<old>`` and what is left of both. close_fifo closes the oldest of a symbol's side
first; a group without partial_close closes positions only as a whole.

Close-by: ``order`` closes at the open price of ``order_by`` and carries the profit, ``order_by`` closes
at its own open price with 0; both end in state 5 and keep their own commission and swap. What is left
of the larger goes on under a new number.
"""

from __future__ import annotations

import msgspec

from libs.common.errors import AppError, InvalidData
from services.trading import orders
from services.trading import refusals as no
from services.trading.commands import CloseBy, CloseGroup, CloseTrade
from services.trading.draft import Draft, Failure
from services.trading.events import TradeClosed, TradePartlyClosed
from services.trading.exact import rounded
from services.trading.fills import CLOSES, PaperFill, at_limit, simulate
from services.trading.instrument import Market, Terms
from services.trading.margin import margin_of
from services.trading.position import BUY, CLOSED_BY, CLOSED_NORMAL, CLOSED_PART, OPEN_NORMAL, Trade, noted
from services.trading.profit import Valuation, profit_of, rate_of, realised, valuation

GROUP_COMMENT = "GROUP_CLOSE"


def close_trade(draft: Draft, asked: CloseTrade) -> None:
    """Close a position or a part of it at the market, or refuse it."""
    if asked.volume is not None and asked.volume <= 0:
        raise InvalidData(f"volume was {asked.volume}")
    orders.check_session(draft.account, draft.market.rules, read_only=asked.read_only)
    trade = orders.position_for(draft.account, asked.order)
    close_checked(draft, trade, asked.volume, asked.comment)


def close_checked(draft: Draft, trade: Trade, volume: int | None, note: str) -> None:
    """Close at the market after every check that belongs to the position."""
    market = draft.market
    terms = orders.terms_for(market, trade.symbol)
    tick = orders.quote_for(market, terms, draft.now_ms, opening=False)
    if volume is not None and volume != trade.volume:
        _check_part(market, terms, trade, volume)
    orders.check_oldest(draft.account, market.rules, trade)
    orders.check_not_frozen(trade, tick, terms)
    worth = worth_or_refuse(draft, terms, trade)
    price, paper = slipped(draft, trade, orders.closing_price(trade.cmd, tick), volume)
    close_at(draft, trade, price, worth, volume=volume, note=note, fill=paper)


def close_by(draft: Draft, asked: CloseBy) -> None:
    """Close two opposite positions against each other, or refuse it."""
    account, market = draft.account, draft.market
    orders.check_session(account, market.rules, read_only=asked.read_only)
    first = orders.position_for(account, asked.order)
    second = orders.position_for(account, asked.order_by)
    if first.symbol != second.symbol or first.cmd == second.cmd:
        raise no.IncorrectOrder
    terms = orders.terms_for(market, first.symbol)
    if terms.close_by_denied:
        raise no.TradeDisabled
    tick = orders.quote_for(market, terms, draft.now_ms, opening=False)
    volume = min(first.volume, second.volume)
    if first.volume != second.volume and not market.rules.partial_close:
        raise no.ProhibitedByFifo
    for trade in (first, second):
        orders.check_oldest(account, market.rules, trade)
        orders.check_not_frozen(trade, tick, terms)
    worth = worth_or_refuse(draft, terms, first)
    price = second.open_points
    close_at(draft, first, price, worth, volume=volume, state=CLOSED_BY)
    close_at(draft, second, price, worth, volume=volume, state=CLOSED_BY)


def close_group(draft: Draft, asked: CloseGroup) -> None:
    """Close every position that matches, each on its own; what is refused stays."""
    if asked.type not in (-1, 0, 1):
        raise InvalidData(f"type was {asked.type}")
    account, market = draft.account, draft.market
    orders.check_session(account, market.rules, read_only=asked.read_only)
    chosen = [trade for trade in account.positions() if _matches(draft, trade, asked)]
    chosen.sort(key=lambda trade: (trade.open_ms * market.rules.close_fifo, trade.order))
    draft.matched = len(chosen)
    note = "" if asked.comment is None else GROUP_COMMENT
    for trade in chosen:
        try:
            close_checked(draft, trade, None, note)
        except AppError as refusal:
            draft.failures.append(Failure(trade.order, refusal))
    draft.failures.sort(key=lambda failure: failure.order)


def close_at(
    draft: Draft,
    trade: Trade,
    points: int,
    worth: Valuation,
    *,
    volume: int | None = None,
    state: int = CLOSED_NORMAL,
    activation: int | None = None,
    note: str = "",
    fill: PaperFill | None = None,
) -> None:
    """Record the close of a position, or of ``volume`` of it, at ``points``. No checks."""
    part = trade if volume is None or volume == trade.volume else share_of(trade, volume)
    if part is not trade and state == CLOSED_NORMAL:
        state = CLOSED_PART
    profit = realised(part, points, part.volume, worth)
    rate = rate_of(draft.market, draft.market.terms[trade.symbol], draft.account.currency, profit)
    closed = msgspec.structs.replace(
        part,
        state=state,
        activation=part.activation if activation is None else activation,
        close_ms=draft.now_ms,
        close_points=points,
        profit_minor=profit,
        rate_num=rate[0],
        rate_den=rate[1],
        comment=noted(part.comment, note),
    )
    record_closed(draft, trade, closed, fill)


def slipped(
    draft: Draft, trade: Trade, points: int, volume: int | None = None, *, limit: int = 0
) -> tuple[int, PaperFill | None]:
    """The price a close at the quoted ``points`` comes to by the account's profile of fills, and the fill.

    With a ``limit`` it is never worse than that.
    """
    buys = trade.cmd != BUY
    fill = simulate(
        draft.account.fill_profile,
        order=trade.order,
        deal=CLOSES,
        buys=buys,
        points=points,
        volume=volume or trade.volume,
        lot_min=1,
        lot_step=1,
    )
    if fill is None:
        return points, None
    if limit:
        fill = at_limit(fill, limit, buys=buys)
    return fill.points, fill


def record_closed(draft: Draft, trade: Trade, closed: Trade, fill: PaperFill | None = None) -> None:
    """Record ``closed`` as what became of ``trade``, or of a part of it."""
    login, at_ms = draft.account.login, draft.now_ms
    if closed.volume == trade.volume:
        draft.record(TradeClosed(login=login, at_ms=at_ms, trade=closed, fill=fill))
        return
    rest = remainder_of(trade, share_of(trade, closed.volume), draft.take_order())
    draft.record(TradePartlyClosed(login=login, at_ms=at_ms, trade=closed, remainder=rest, fill=fill))


def share_of(trade: Trade, volume: int) -> Trade:
    """The part of a position that is ``volume`` of it, with its rounded share of commission and swap."""
    return msgspec.structs.replace(
        trade,
        volume=volume,
        margin_minor=margin_of((trade.margin_num, trade.margin_den), volume),
        commission_minor=rounded(trade.commission_minor * volume, trade.volume),
        storage_minor=rounded(trade.storage_minor * volume, trade.volume),
    )


def remainder_of(trade: Trade, part: Trade, order: int) -> Trade:
    """What goes on after ``part`` of a position was closed, under a new number."""
    volume = trade.volume - part.volume
    return msgspec.structs.replace(
        trade,
        order=order,
        parent=trade.order,
        state=OPEN_NORMAL,
        volume=volume,
        margin_minor=margin_of((trade.margin_num, trade.margin_den), volume),
        commission_minor=trade.commission_minor - part.commission_minor,
        storage_minor=trade.storage_minor - part.storage_minor,
        comment=f"from #{trade.order}",
    )


def worth_or_refuse(draft: Draft, terms: Terms, trade: Trade) -> Valuation:
    """The valuation of a position's symbol now."""
    tick = draft.market.quotes[trade.symbol]
    worth = valuation(draft.market, terms, tick, draft.account.currency)
    if worth is None:
        raise no.OffQuotes
    return worth


def _check_part(market: Market, terms: Terms, trade: Trade, volume: int) -> None:
    if volume > trade.volume:
        raise no.BadVolume(f"volume was {volume}, the position has {trade.volume}")
    orders.check_part(terms, volume)
    if not market.rules.partial_close:
        raise no.ProhibitedByFifo


def _matches(draft: Draft, trade: Trade, asked: CloseGroup) -> bool:
    """By symbol, and by the sign of ``profit`` alone; one without a price has no sign."""
    if asked.symbol is not None and trade.symbol != asked.symbol:
        return False
    if not asked.type:
        return True
    terms, tick = draft.market.terms.get(trade.symbol), draft.market.quotes.get(trade.symbol)
    if terms is None or tick is None or tick.bid <= 0:
        return False
    worth = valuation(draft.market, terms, tick, draft.account.currency)
    return worth is not None and profit_of(trade, worth) * asked.type > 0
