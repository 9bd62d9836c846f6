"""What an order must pass, in the contract's order (broker 5). Pure; a refusal is raised.

account enabled → not read-only → symbol exists → security group active → trade mode allows → market
open → fresh quote → volume → long only → stops → position limit → hedge rule → margin

What a request says at all (its cmd, numbers in range) is judged before; an order's number is looked up
after the account's own checks. Distances: a level stands on its side of the market and at least
``stops_level`` points away (always at least one point); stops of a position are measured from its
closing price, those of a pending order from its own price. ``freeze_level``: an order whose pending
price, SL or TP is that close to being met can't be changed, cancelled or closed by its client.
Opening needs the full trade mode; closing, changing and cancelling only that it is not 0. A pending
order is not asked for margin before it is met.
"""

from __future__ import annotations

from libs.common.errors import InvalidData
from libs.common.sessions import OPEN, market_state
from services.trading import refusals as no
from services.trading.conversion import Tick
from services.trading.exact import POINTS_MAX
from services.trading.instrument import TRADE_FULL, TRADE_NONE, Market, Rules, Terms
from services.trading.position import (
    BUY,
    BUY_LIMIT,
    BUY_STOP,
    MARKET_CMDS,
    PENDING_CMDS,
    SELL_LIMIT,
    Trade,
    side_of,
)
from services.trading.state import Account


def check_numbers(*points: int | None) -> None:
    """A price or level was given in range; 0 is none."""
    for value in points:
        if value is not None and not 0 <= value <= POINTS_MAX:
            raise InvalidData("a price was below 0 or out of range")


def check_cmd(cmd: int, *, pending: bool) -> None:
    """The command fits the route."""
    if cmd not in (PENDING_CMDS if pending else MARKET_CMDS):
        raise no.IncorrectCmd(f"cmd was {cmd}")


def check_session(account: Account, rules: Rules, *, read_only: bool) -> None:
    """The account is enabled, and neither it nor the session is read-only."""
    if not account.enabled or not rules.enabled:
        raise no.AccountDisabled
    if read_only or account.read_only:
        raise no.TradeReadOnly


def terms_for(market: Market, symbol: str) -> Terms:
    """The terms of a symbol that exists and whose security group is active."""
    terms = market.terms.get(symbol)
    if terms is None:
        raise no.SymbolUnknown(f"symbol was {symbol!r}")
    if not terms.active:
        raise no.SecurityGroupInactive
    return terms


def quote_for(market: Market, terms: Terms, now_ms: int, *, opening: bool) -> Tick:
    """The quote to trade at: trade mode, market open, quote fresh."""
    if terms.trade == TRADE_NONE or (opening and terms.trade != TRADE_FULL):
        raise no.TradeDisabled
    if market_state(terms.trade, terms.sessions, now_ms)[0] != OPEN:
        raise no.MarketClosed
    tick = fresh_tick(market, terms, now_ms)
    if tick is None:
        raise no.OffQuotes
    return tick


def fresh_tick(market: Market, terms: Terms, now_ms: int) -> Tick | None:
    """The symbol's quote unless there is none or, under a live feed, it is older than quotes_delay."""
    tick = market.quotes.get(terms.symbol)
    if tick is None or tick.bid <= 0:
        return None
    if market.live and 0 < terms.quotes_delay_ms < now_ms - tick.time_ms:
        return None
    return tick


def check_requested(terms: Terms, requested: int, price: int, volume: int) -> None:
    """Instant execution: the price may differ from the requested one by the group's deviation."""
    instant = not terms.at_market and not 0 < terms.instant_max_volume < volume
    if instant and requested and abs(requested - price) > terms.deviation:
        raise no.Requote


def check_volume(terms: Terms, volume: int) -> None:
    """Minimum, maximum and step: a volume is a multiple of the step."""
    if not terms.lot_min <= volume <= terms.lot_max or volume % terms.lot_step:
        raise no.BadVolume(f"volume was {volume}")


def check_part(terms: Terms, volume: int) -> None:
    """The volume of a partial close: minimum and step."""
    if volume < terms.lot_min or volume % terms.lot_step:
        raise no.BadVolume(f"volume was {volume}")


def check_side(terms: Terms, cmd: int) -> None:
    """A long-only symbol is not sold."""
    if terms.long_only and side_of(cmd) != BUY:
        raise no.LongOnly


def check_stops(cmd: int, around: int, sl: int, tp: int, terms: Terms) -> None:
    """SL and TP on their side of ``around`` and far enough from it."""
    gap = max(terms.stops_level, 1)
    if side_of(cmd) == BUY:
        good = (not sl or around - sl >= gap) and (not tp or tp - around >= gap)
    else:
        good = (not sl or sl - around >= gap) and (not tp or around - tp >= gap)
    if not good:
        raise no.InvalidStops


def check_pending_price(cmd: int, price: int, tick: Tick, terms: Terms) -> None:
    """Buy limit below and buy stop above the ask, sell limit above and sell stop below the bid."""
    check_some_price(price)
    if _away(cmd, price, tick) < max(terms.stops_level, 1):
        raise no.BadPrices


def check_some_price(price: int) -> None:
    """A pending order has a price at all."""
    if price <= 0:
        raise no.BadPrices


def check_limits(account: Account, market: Market, terms: Terms, cmd: int, volume: int) -> None:
    """The group's maxpositions, and the symbol's max_volume on one side; 0 is no limit."""
    limit, book = market.rules.maxpositions, account.book(terms.symbol)
    count = account.position_count
    if market.rules.netting:  # what the order closes makes room for it
        count -= sum(trade.cmd != side_of(cmd) for trade in book.positions)
    if limit and count >= limit:
        raise no.LimitReached
    held = book.volume_of(side_of(cmd))
    if 0 < terms.max_volume < held + volume:
        raise no.LimitReached


def check_hedge(account: Account, rules: Rules, terms: Terms, cmd: int) -> None:
    """Whether an opposite position may stand beside another."""
    if (
        rules.hedge_prohibited
        and not rules.netting
        and account.book(terms.symbol).volume_of(1 - side_of(cmd))
    ):
        raise no.HedgeProhibited


def check_oldest(account: Account, rules: Rules, trade: Trade) -> None:
    """close_fifo: the oldest position of a symbol's side closes first."""
    if not rules.close_fifo:
        return
    own = (trade.open_ms, trade.order)
    for other in account.book(trade.symbol).positions:
        if other.cmd == trade.cmd and (other.open_ms, other.order) < own:
            raise no.ProhibitedByFifo(f"order {other.order} is older")


def check_not_frozen(trade: Trade, tick: Tick, terms: Terms) -> None:
    """No level of the order is within freeze_level of being met."""
    frozen = terms.freeze_level
    if not frozen:
        return
    if trade.after:  # no price can meet it yet
        return
    if trade.is_pending:
        near = _away(trade.cmd, trade.open_points, tick) <= frozen
    else:
        price = closing_price(trade.cmd, tick)
        near = any(level and abs(price - level) <= frozen for level in (trade.sl_points, trade.tp_points))
    if near:
        raise no.ModifyDenied


def opening_price(cmd: int, tick: Tick) -> int:
    """Buys open at the ask, sells at the bid."""
    return tick.ask if side_of(cmd) == BUY else tick.bid


def closing_price(cmd: int, tick: Tick) -> int:
    """Buys close at the bid, sells at the ask."""
    return tick.bid if side_of(cmd) == BUY else tick.ask


def position_for(account: Account, order: int) -> Trade:
    """The open position of this number."""
    trade = account.position(order)
    if trade is None:
        if account.pendings.get(order) is not None:
            raise no.IncorrectCmd(f"order {order} is pending")
        raise no.OrderNotFound(f"order was {order}")
    return trade


def pending_for(account: Account, order: int) -> Trade:
    """The pending order of this number."""
    trade = account.pendings.get(order)
    if trade is None:
        if account.position(order) is not None:
            raise no.IncorrectCmd(f"order {order} is open")
        raise no.OrderNotFound(f"order was {order}")
    return trade


def is_met(trade: Trade, tick: Tick) -> bool:
    """Whether a pending order's price has come: buys look at the ask, sells at the bid."""
    return _away(trade.cmd, trade.open_points, tick) <= 0


def _away(cmd: int, price: int, tick: Tick) -> int:
    """How many points the market has to go until a pending order at ``price`` is met."""
    if cmd == BUY_LIMIT:
        return tick.ask - price
    if cmd == BUY_STOP:
        return price - tick.ask
    if cmd == SELL_LIMIT:
        return price - tick.bid
    return tick.bid - price
