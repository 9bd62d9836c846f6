"""From what the bus carries to what the engine is asked: prices in points, money in minor units. Pure.

A number that no price or amount can be is passed on out of range: the engine refuses it in its turn.
"""

from __future__ import annotations

from libs.common.messages import trading_orders as m
from libs.common.money import to_minor
from services.trading import commands as c
from services.trading.exact import POINTS_MAX, points_of
from services.trading.finance import AMOUNT_MAX
from services.trading.state import Account

_PRICE_MAX = 1e15
_AMOUNT_MAX = 1e18
_MS = 1000


def points(price: float, digits: int) -> int:
    """A price in points; out of range stays out of range."""
    if not abs(price) <= _PRICE_MAX:
        return POINTS_MAX + 1 if price > 0 else -1
    return points_of(price, digits)


def points_or_none(price: float | None, digits: int) -> int | None:
    """The same for a price that may be left out."""
    return None if price is None else points(price, digits)


def minor(amount: float, currency: str) -> int:
    """An amount in minor units; out of range stays out of range."""
    if not abs(amount) <= _AMOUNT_MAX:
        return 2 * AMOUNT_MAX if amount > 0 else -2 * AMOUNT_MAX
    return to_minor(amount, currency)


def minor_or_none(amount: float | None, currency: str) -> int | None:
    """The same for an amount that may be left out."""
    return None if amount is None else minor(amount, currency)


def ms(seconds: int | None) -> int | None:
    """Milliseconds of a time that may be left out."""
    return None if seconds is None else seconds * _MS


def digits_of_order(account: Account, order: int) -> int:
    """The decimals of an order's prices; any number for one that is not open."""
    trade = account.position(order) or account.pendings.get(order)
    return trade.digits if trade is not None else 5


def open_trade(ask: m.TradeOpen, symbol: str, digits: int) -> c.OpenTrade:
    """Buy or sell at the market."""
    return c.OpenTrade(
        read_only=ask.read_only,
        cmd=ask.cmd,
        symbol=symbol,
        volume=ask.volume,
        sl_points=points(ask.sl, digits),
        tp_points=points(ask.tp, digits),
        requested_points=points(ask.open_price, digits),
        comment=ask.comment,
        reason=ask.reason,
    )


def place_pending(ask: m.PendingOpen, symbol: str, digits: int) -> c.PlacePending:
    """Place a pending order."""
    return c.PlacePending(
        read_only=ask.read_only,
        cmd=ask.cmd,
        symbol=symbol,
        volume=ask.volume,
        open_points=points(ask.open_price, digits),
        sl_points=points(ask.sl, digits),
        tp_points=points(ask.tp, digits),
        expiration_ms=ask.expiration * _MS,
        comment=ask.comment,
        reason=ask.reason,
    )


def modify_trade(ask: m.TradeModify, digits: int) -> c.ModifyTrade:
    """Change a position's levels."""
    return c.ModifyTrade(
        read_only=ask.read_only,
        order=ask.order,
        sl_points=points_or_none(ask.sl, digits),
        tp_points=points_or_none(ask.tp, digits),
    )


def modify_pending(ask: m.PendingModify, digits: int) -> c.ModifyPending:
    """Change a pending order."""
    return c.ModifyPending(
        read_only=ask.read_only,
        order=ask.order,
        open_points=points_or_none(ask.open_price, digits),
        sl_points=points_or_none(ask.sl, digits),
        tp_points=points_or_none(ask.tp, digits),
        expiration_ms=ms(ask.expiration),
    )


def staff_open(ask: m.StaffOpenAsk, symbol: str, digits: int, currency: str) -> c.StaffOpen:
    """Open for a client."""
    return c.StaffOpen(
        cmd=ask.cmd,
        symbol=symbol,
        volume=ask.volume,
        open_points=points(ask.open_price, digits),
        open_ms=ms(ask.open_time),
        sl_points=points(ask.sl, digits),
        tp_points=points(ask.tp, digits),
        expiration_ms=ask.expiration * _MS,
        commission_minor=minor_or_none(ask.commission, currency),
        storage_minor=minor(ask.storage, currency),
        comment=ask.comment,
    )


def staff_close(ask: m.StaffCloseAsk, digits: int, currency: str) -> c.StaffClose:
    """Close for a client."""
    return c.StaffClose(
        order=ask.order,
        volume=ask.volume,
        close_points=points(ask.close_price, digits),
        close_ms=ms(ask.close_time),
        profit_minor=minor_or_none(ask.profit, currency),
        commission_minor=minor_or_none(ask.commission, currency),
        storage_minor=minor_or_none(ask.storage, currency),
        comment=ask.comment,
    )


def staff_update(ask: m.StaffUpdateAsk, digits: int, currency: str) -> c.StaffUpdate:
    """Correct a record."""
    return c.StaffUpdate(
        order=ask.order,
        open_points=points_or_none(ask.open_price, digits),
        close_points=points_or_none(ask.close_price, digits),
        open_ms=ms(ask.open_time),
        close_ms=ms(ask.close_time),
        volume=ask.volume,
        sl_points=points_or_none(ask.sl, digits),
        tp_points=points_or_none(ask.tp, digits),
        expiration_ms=ms(ask.expiration),
        profit_minor=minor_or_none(ask.profit, currency),
        commission_minor=minor_or_none(ask.commission, currency),
        storage_minor=minor_or_none(ask.storage, currency),
        comment=ask.comment,
    )
