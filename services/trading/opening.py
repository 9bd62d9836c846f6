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
from services.trading.account import Numbers
from services.trading.commands import OpenTrade, PlaceLinked, PlacePending
from services.trading.commission import commission_of
from services.trading.draft import Draft
from services.trading.events import (
    AccountEvent,
    OrderRejected,
    PendingActivated,
    PendingPlaced,
    TradeOpened,
    TradeRejected,
)
from services.trading.fills import OPENS, PaperFill, at_limit, simulate
from services.trading.instrument import Terms
from services.trading.limits import check_exposure, check_rate, check_running
from services.trading.links import check_form, linked
from services.trading.margin import margin_of, unit_margin
from services.trading.netting import added_volume, net_out
from services.trading.position import ACTIVATION_CANCEL, BUY, DELETED, Trade, noted, side_of
from services.trading.profit import mid_rate


def open_trade(draft: Draft, asked: OpenTrade) -> None:
    """Fill a market order or refuse it."""
    account, market = draft.account, draft.market
    orders.check_cmd(asked.cmd, pending=False)
    orders.check_numbers(asked.sl_points, asked.tp_points, asked.requested_points)
    check_size(asked.volume)
    orders.check_session(account, market.rules, read_only=asked.read_only)
    check_running(account, market)
    check_rate(draft)
    terms = orders.terms_for(market, asked.symbol)
    tick = orders.quote_for(market, terms, draft.now_ms, opening=True)
    price = orders.opening_price(asked.cmd, tick)
    orders.check_requested(terms, asked.requested_points, price, asked.volume)
    orders.check_volume(terms, asked.volume)
    added = check_long_only(draft, terms, asked.cmd, asked.volume)
    around = orders.closing_price(asked.cmd, tick)
    orders.check_stops(asked.cmd, around, asked.sl_points, asked.tp_points, terms)
    check_limits(draft, terms, asked.cmd, added)
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
    deal(draft, trade, terms)


def place_pending(draft: Draft, asked: PlacePending) -> None:
    """Put a pending order in wait or refuse it."""
    check_session_and_form(draft, asked)
    check_rate(draft)
    _place(draft, checked_pending(draft, asked))


def place_linked(draft: Draft, asked: PlaceLinked) -> None:
    """Put pending orders that know of each other in wait, or refuse them all."""
    check_form(asked)
    wanted = asked.then if asked.first is None else (asked.first, *asked.then)
    for each in wanted:
        check_session_and_form(draft, each, read_only=asked.read_only)
    check_rate(draft, len(wanted))
    trades = []
    for each in wanted:
        held = asked.first is not None and each is not asked.first
        trades.append(checked_pending(draft, each, held=held))
    for trade in linked(asked, trades):
        _place(draft, trade)


def check_session_and_form(draft: Draft, asked: PlacePending, *, read_only: bool = False) -> None:
    """What a pending order says at all, and who asks."""
    orders.check_cmd(asked.cmd, pending=True)
    orders.check_numbers(asked.open_points, asked.sl_points, asked.tp_points)
    check_size(asked.volume)
    check_expiration(asked.expiration_ms, draft.now_ms)
    orders.check_session(draft.account, draft.market.rules, read_only=read_only or asked.read_only)
    check_running(draft.account, draft.market)


def checked_pending(draft: Draft, asked: PlacePending, *, held: bool = False) -> Trade:
    """A pending order that passed its checks; a ``held`` one may stand on either side of the market."""
    account, market = draft.account, draft.market
    terms = orders.terms_for(market, asked.symbol)
    tick = orders.quote_for(market, terms, draft.now_ms, opening=True)
    orders.check_volume(terms, asked.volume)
    added = check_long_only(draft, terms, asked.cmd, asked.volume)
    if held:
        orders.check_some_price(asked.open_points)
    else:
        orders.check_pending_price(asked.cmd, asked.open_points, tick, terms)
    orders.check_stops(asked.cmd, asked.open_points, asked.sl_points, asked.tp_points, terms)
    if asked.expiration_ms and not market.rules.expiration_allowed:
        raise no.ExpirationDenied
    check_limits(draft, terms, asked.cmd, added)
    orders.check_hedge(account, market.rules, terms, asked.cmd)
    return Trade(
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


def check_long_only(draft: Draft, terms: Terms, cmd: int, volume: int) -> int:
    """What the order adds to its side; only that needs the symbol to allow the side."""
    added = added_volume(draft.account, draft.market.rules, terms.symbol, cmd, volume)
    if added:
        orders.check_side(terms, cmd)
    return added


def check_limits(draft: Draft, terms: Terms, cmd: int, added: int) -> None:
    """The limits of group, symbol and account for what the order adds."""
    if added:
        orders.check_limits(draft.account, draft.market, terms, cmd, added)
        check_exposure(draft, added)


def check_room(draft: Draft, terms: Terms, cmd: int, volume: int) -> None:
    """Side and limits of a pending order that is met."""
    check_limits(draft, terms, cmd, check_long_only(draft, terms, cmd, volume))


def deal(draft: Draft, trade: Trade, terms: Terms, *, exact: bool = False, limit: int = 0) -> None:
    """Fill an order that passed its checks, as the account's profile of fills has it.

    ``exact``: at its price, which is its level, by the group's promise; ``limit``: no price beyond it.
    """
    buys = side_of(trade.cmd) == BUY
    paper = simulate(
        draft.account.fill_profile,
        order=trade.order,
        deal=OPENS,
        buys=buys,
        points=trade.open_points,
        volume=trade.volume,
        lot_min=terms.lot_min,
        lot_step=terms.lot_step,
    )
    if paper is None:
        fill(draft, trade, terms)
        return
    if exact:
        paper = msgspec.structs.replace(paper, points=trade.open_points)
    elif limit:
        paper = at_limit(paper, limit, buys=buys)
    partial = paper.volume != trade.volume
    note = f"[partial: {paper.volume} of {trade.volume}]" if partial else ""
    filled = msgspec.structs.replace(
        trade, open_points=paper.points, volume=paper.volume, comment=noted(trade.comment, note)
    )
    fill(draft, filled, terms, paper=paper)


def fill(
    draft: Draft,
    trade: Trade,
    terms: Terms,
    *,
    commission_minor: int | None = None,
    paper: PaperFill | None = None,
) -> None:
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
        open_rate=mid_rate(market, terms, account.currency),
    )
    activates = account.pendings.get(trade.order) is not None
    kind = PendingActivated if activates else TradeOpened
    event = kind(login=account.login, at_ms=draft.now_ms, trade=filled, fill=paper)
    facts = _netted(draft, event, terms)
    if facts is None:
        _check_money(draft, draft.foresee(event), terms)
        facts = [event]
    if paper is not None and paper.rejected:
        if activates:
            raise no.BrokerBusy
        _reject(draft, filled, paper)
        return
    for fact in facts:
        draft.record(fact)


def _place(draft: Draft, trade: Trade) -> None:
    draft.record(PendingPlaced(login=draft.account.login, at_ms=draft.now_ms, trade=trade))


def _netted(draft: Draft, event: TradeOpened | PendingActivated, terms: Terms) -> list[AccountEvent] | None:
    """Under netting, an opening and what it closes; None where it closes nothing."""
    opened, rules = event.trade, draft.market.rules
    if not rules.netting or not draft.account.book(opened.symbol).volume_of(1 - opened.cmd):
        return None
    trial = draft.branch()
    trial.record(event)
    net_out(trial, opened, terms)
    before, after = draft.numbers(), trial.numbers()
    if before is None or after is None or after.margin_minor > before.margin_minor:
        _check_money(draft, after, terms)
    return trial.events


def _reject(draft: Draft, trade: Trade, paper: PaperFill) -> None:
    """The simulated venue took the order and then rejected it: told, as with a pending order."""
    code, login, at_ms = no.BrokerBusy.code, draft.account.login, draft.now_ms
    gone = msgspec.structs.replace(
        trade,
        state=DELETED,
        activation=ACTIVATION_CANCEL,
        close_ms=at_ms,
        margin_minor=0,
        commission_minor=0,
        comment=noted(trade.comment, f"[ACTIVATION_CANCEL: {code}]"),
    )
    draft.record(OrderRejected(login=login, at_ms=at_ms, trade=gone, fill=paper))
    draft.record(TradeRejected(login=login, at_ms=at_ms, order=trade.order, error=code))


def check_size(volume: int) -> None:
    """A volume is a positive number at all; its limits are checked in their turn."""
    if volume <= 0:
        raise InvalidData(f"volume was {volume}")


def check_expiration(expiration_ms: int, now_ms: int) -> None:
    """An expiration lies ahead; 0 is none."""
    if expiration_ms < 0 or 0 < expiration_ms <= now_ms:
        raise InvalidData("expiration was not in the future")


def _check_money(draft: Draft, after: Numbers | None, terms: Terms) -> None:
    if after is None:
        raise no.OffQuotes
    if after.margin_free_minor >= 0:
        return
    if draft.market.rules.negative_margin_hedge and not terms.hedged_strong:
        before = draft.numbers()
        if before is not None and after.margin_minor <= before.margin_minor:
            return
    raise no.NoMoney
