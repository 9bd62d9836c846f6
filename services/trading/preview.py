"""What an order would come to: a decision that nobody keeps. Pure.

The order is decided by the engine itself on the account as it is; nothing is recorded and no order number
is used up. A pending order is weighed as if it were filled at its price now. What a profile of simulated
fills will draw is not known before the order has its number: the numbers are those of the quote, and the
worst that may come is said beside them.
"""

from __future__ import annotations

from itertools import count

import msgspec

from libs.common.errors import AppError
from services.trading import events as e
from services.trading.account import Numbers
from services.trading.commands import OpenTrade, PlacePending
from services.trading.commission import commission_of
from services.trading.conversion import Tick
from services.trading.draft import Outcome
from services.trading.engine import decide
from services.trading.equity import numbers_of
from services.trading.fills import Bounds, bounds
from services.trading.instrument import Market, Terms
from services.trading.margin import margin_of, unit_margin
from services.trading.position import BUY, BUY_LIMIT, MARKET_CMDS, SELL, SELL_LIMIT, Trade, side_of
from services.trading.risk import is_stopped_out
from services.trading.state import Account, apply

_NUMBERS = 2**62  # stand in for order numbers: above all that are there, as a new one would be
_HIGHEST = 1_000  # times the price of now: above it no stop-out is looked for


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """``refusal``: why the order would be refused, else None. Margin and commission are the order's own.

    ``after``: the account's numbers with it. ``stop_points``: the price of its symbol, on the side at
    which the net position closes, at which the account would be stopped out with all other prices as they
    are; 0 when no price does it. ``worst``: what the account's profile of fills may do
    to it at most.
    """

    refusal: AppError | None
    margin_minor: int = 0
    commission_minor: int = 0
    price_points: int = 0
    after: Numbers | None = None
    stop_points: int = 0
    worst: Bounds = Bounds(points=0)


def preview(account: Account, asked: OpenTrade | PlacePending, market: Market, now_ms: int) -> Preview:
    """What ``asked`` would do to ``account``."""
    plain = msgspec.structs.replace(account, fill_profile="")
    outcome = decide(plain, asked, market, now_ms, count(_NUMBERS).__next__)
    if outcome.refusal is not None:
        return Preview(refusal=outcome.refusal)
    filled = _filled(plain, outcome, market, now_ms)
    if filled is None:
        return Preview(refusal=None)
    trade, after = filled
    return Preview(
        refusal=None,
        margin_minor=trade.margin_minor,
        commission_minor=trade.commission_minor,
        price_points=trade.open_points,
        after=numbers_of(after, market),
        stop_points=stop_out_points(after, market, trade.symbol),
        worst=_worst(account.fill_profile, asked.cmd, trade.open_points, market),
    )


def stop_out_points(account: Account, market: Market, symbol: str) -> int:
    """The price of ``symbol`` at which the account is stopped out, all else as it is; 0 is none."""
    tick, book = market.quotes.get(symbol), account.book(symbol)
    net = book.volume_of(BUY) - book.volume_of(SELL)
    if tick is None or tick.bid <= 0 or not net:
        return 0
    spread = tick.ask - tick.bid

    def stopped(bid: int) -> bool:
        moved = market.at(symbol, Tick(bid, bid + spread, tick.time_ms))
        numbers = numbers_of(account, moved)
        return numbers is not None and is_stopped_out(moved, numbers, account.currency)

    safe, out = tick.bid, 1 if net > 0 else tick.bid * _HIGHEST
    if stopped(safe):
        out = safe
    elif not stopped(out):
        return 0
    while abs(out - safe) > 1:
        middle = (out + safe) // 2
        safe, out = (safe, middle) if stopped(middle) else (middle, out)
    return out if net > 0 else out + spread


def _worst(profile: str, cmd: int, points: int, market: Market) -> Bounds:
    """The bounds of a profile, within what the order and the group promise of the price."""
    found = bounds(profile, buys=side_of(cmd) == BUY, points=points)
    promised = cmd in (BUY_LIMIT, SELL_LIMIT) or (cmd not in MARKET_CMDS and not market.rules.slippage)
    return msgspec.structs.replace(found, points=points) if promised else found


def _filled(account: Account, outcome: Outcome, market: Market, now_ms: int) -> tuple[Trade, Account] | None:
    """The order as a position, and the account with it."""
    for event in outcome.events:
        if isinstance(event, e.TradeOpened):
            return event.trade, outcome.account
        if isinstance(event, e.PendingPlaced):
            return _as_if(account, event.trade, market, now_ms)
    return None


def _as_if(account: Account, pending: Trade, market: Market, now_ms: int) -> tuple[Trade, Account] | None:
    terms: Terms = market.terms[pending.symbol]
    unit = unit_margin(market, terms, pending.open_points, account.leverage, account.currency)
    cost = commission_of(market, terms, pending.volume, pending.open_points, account.currency)
    if unit is None or cost is None:
        return None
    position = msgspec.structs.replace(
        pending,
        cmd=side_of(pending.cmd),
        margin_minor=margin_of(unit, pending.volume),
        margin_num=unit[0],
        margin_den=unit[1],
        commission_minor=cost,
    )
    opened = e.TradeOpened(login=account.login, at_ms=now_ms, trade=position)
    return position, apply(account, opened)
