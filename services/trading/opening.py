"""Opening a position at the market and placing a pending order. Pure.

A position opens at ask (buy) or bid (sell). Its margin and commission are fixed then. It needs free
margin (by the group's margin_mode) of at least 0 with itself counted, its spread and commission
included. A group that allows a negative margin hedge lets one through that does not raise the margin,
unless the symbol hedges strongly.
"""

from __future__ import annotations

import msgspec

from libs.common.errors import InvalidData
from services.trading import orders
from services.trading import refusals as no
from services.trading.commands import OpenTrade, PlacePending
from services.trading.commission import commission_of
from services.trading.draft import Draft
from services.trading.events import PendingActivated, PendingPlaced, TradeOpened
from services.trading.instrument import Terms
from services.trading.margin import margin_of, unit_margin
from services.trading.position import Trade


def open_trade(draft: Draft, asked: OpenTrade) -> None:
    """Fill a market order or refuse it."""
    account, market = draft.account, draft.market
    orders.check_cmd(asked.cmd, pending=False)
    orders.check_numbers(asked.sl_points, asked.tp_points, asked.requested_points)
    check_size(asked.volume)
    orders.check_session(account, market.rules, read_only=asked.read_only)
    terms = orders.terms_for(market, asked.symbol)
    tick = orders.quote_for(market, terms, draft.now_ms, opening=True)
    price = orders.opening_price(asked.cmd, tick)
    orders.check_requested(terms, asked.requested_points, price, asked.volume)
    orders.check_volume(terms, asked.volume)
    orders.check_side(terms, asked.cmd)
    around = orders.closing_price(asked.cmd, tick)
    orders.check_stops(asked.cmd, around, asked.sl_points, asked.tp_points, terms)
    orders.check_limits(account, market, terms, asked.cmd, asked.volume)
    orders.check_hedge(account, market.rules, terms, asked.cmd)
    trade = Trade(
        order=draft.take_order(),
        login=account.login,
        symbol=asked.symbol,
        digits=terms.digits,
        cmd=asked.cmd,
        volume=asked.volume,
        open_ms=draft.now_ms,
        open_points=price,
        sl_points=asked.sl_points,
        tp_points=asked.tp_points,
        reason=asked.reason,
        comment=asked.comment,
    )
    fill(draft, trade, terms)


def place_pending(draft: Draft, asked: PlacePending) -> None:
    """Put a pending order in wait or refuse it."""
    account, market = draft.account, draft.market
    orders.check_cmd(asked.cmd, pending=True)
    orders.check_numbers(asked.open_points, asked.sl_points, asked.tp_points)
    check_size(asked.volume)
    check_expiration(asked.expiration_ms, draft.now_ms)
    orders.check_session(account, market.rules, read_only=asked.read_only)
    terms = orders.terms_for(market, asked.symbol)
    tick = orders.quote_for(market, terms, draft.now_ms, opening=True)
    orders.check_volume(terms, asked.volume)
    orders.check_side(terms, asked.cmd)
    orders.check_pending_price(asked.cmd, asked.open_points, tick, terms)
    orders.check_stops(asked.cmd, asked.open_points, asked.sl_points, asked.tp_points, terms)
    if asked.expiration_ms and not market.rules.expiration_allowed:
        raise no.ExpirationDenied
    orders.check_limits(account, market, terms, asked.cmd, asked.volume)
    orders.check_hedge(account, market.rules, terms, asked.cmd)
    trade = Trade(
        order=draft.take_order(),
        login=account.login,
        symbol=asked.symbol,
        digits=terms.digits,
        cmd=asked.cmd,
        volume=asked.volume,
        open_ms=draft.now_ms,
        open_points=asked.open_points,
        sl_points=asked.sl_points,
        tp_points=asked.tp_points,
        expiration_ms=asked.expiration_ms,
        reason=asked.reason,
        comment=asked.comment,
    )
    draft.record(PendingPlaced(login=account.login, at_ms=draft.now_ms, trade=trade))


def fill(draft: Draft, trade: Trade, terms: Terms, *, commission_minor: int | None = None) -> None:
    """Make ``trade`` a position with its margin and commission, if the account can bear it."""
    account, market = draft.account, draft.market
    unit = unit_margin(market, terms, trade.open_points, account.leverage, account.currency)
    if commission_minor is None:
        commission_minor = commission_of(market, terms, trade.volume, trade.open_points, account.currency)
    if unit is None or commission_minor is None:
        raise no.OffQuotes
    filled = msgspec.structs.replace(
        trade,
        margin_minor=margin_of(unit, trade.volume),
        margin_num=unit[0],
        margin_den=unit[1],
        commission_minor=commission_minor,
    )
    kind = TradeOpened if account.pendings.get(trade.order) is None else PendingActivated
    event = kind(login=account.login, at_ms=draft.now_ms, trade=filled)
    _check_money(draft, event, terms)
    draft.record(event)


def check_size(volume: int) -> None:
    """A volume is a positive number at all; its limits are checked in their turn."""
    if volume <= 0:
        raise InvalidData(f"volume was {volume}")


def check_expiration(expiration_ms: int, now_ms: int) -> None:
    """An expiration lies ahead; 0 is none."""
    if expiration_ms < 0 or 0 < expiration_ms <= now_ms:
        raise InvalidData("expiration was not in the future")


def _check_money(draft: Draft, event: TradeOpened | PendingActivated, terms: Terms) -> None:
    after = draft.foresee(event)
    if after is None:
        raise no.OffQuotes
    if after.margin_free_minor >= 0:
        return
    if draft.market.rules.negative_margin_hedge and not terms.hedged_strong:
        before = draft.numbers()
        if before is not None and after.margin_minor <= before.margin_minor:
            return
    raise no.NoMoney
