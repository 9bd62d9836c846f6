"""What trading refuses, by case, with the contract's code and HTTP status (broker 1.3, 10.6).

Codes are public and never reused. The checks that raise these stand in ``orders.py`` in the
contract's order.
"""

from __future__ import annotations

from libs.common.errors import AppError, Retry


class AccountDisabled(AppError):
    """The account or its group is disabled."""

    code = "RET_ACCOUNT_DISABLED"
    http_status = 403


class TradeReadOnly(AppError):
    """The account or the session may look but not trade."""

    code = "RET_TRADE_READ_ONLY"
    http_status = 403


class SymbolUnknown(AppError):
    """There is no such symbol."""

    code = "RET_SYMBOL_NOT_FOUND"
    http_status = 404


class SecurityGroupInactive(AppError):
    """The account's group does not trade the symbol's security group."""

    code = "RET_TRADE_SEC_NOT_FOUND"
    http_status = 404


class TradeDisabled(AppError):
    """The symbol's trade mode, or a right of the group, does not allow this."""

    code = "RET_TRADE_DISABLE"
    http_status = 403


class Halted(TradeDisabled):
    """The kill switch of the account or of the house is pulled: nothing opens."""

    retry = Retry.LATER


class NotEnoughRights(AppError):
    """The group denies this, or somebody of higher standing has to do it."""

    code = "RET_NOT_ENOUGH_RIGHTS"
    http_status = 403


class TooManyOrders(AppError):
    """The account takes no more orders in this minute."""

    code = "RET_TRADE_TOO_MANY_REQ"
    http_status = 429
    retry = Retry.LATER


class BrokerBusy(AppError):
    """The simulated venue rejected the order."""

    code = "RET_TRADE_BROKER_BUSY"
    http_status = 500
    retry = Retry.LATER


class MarketClosed(AppError):
    """The symbol's market is closed now."""

    code = "RET_TRADE_MARKET_CLOSED"
    http_status = 423
    retry = Retry.LATER


class OffQuotes(AppError):
    """There is no quote fresh enough to price this."""

    code = "RET_TRADE_OFFQUOTES"
    http_status = 500
    retry = Retry.LATER


class Requote(AppError):
    """The price moved further from the requested one than the group allows."""

    code = "RET_TRADE_REQUOTE"
    http_status = 500
    retry = Retry.LATER


class BadVolume(AppError):
    """The volume is off step, below the minimum, above the maximum or above the position."""

    code = "RET_TRADE_BAD_VOLUME"
    http_status = 400


class LongOnly(AppError):
    """The symbol can only be bought."""

    code = "RET_TRADE_LONG_ONLY"
    http_status = 500


class BadPrices(AppError):
    """The pending price is on the wrong side of the market or too close to it."""

    code = "RET_TRADE_BAD_PRICES"
    http_status = 400


class InvalidStops(AppError):
    """The stop loss or take profit is on the wrong side or too close."""

    code = "RET_TRADE_INVALID_SL_TP"
    http_status = 400


class LimitReached(AppError):
    """The account holds as many positions, or as much of the symbol, as it may."""

    code = "RET_TRADE_LIMIT_REACHED"
    http_status = 409


class HedgeProhibited(AppError):
    """The group does not allow opposite positions on one symbol."""

    code = "RET_TRADE_HEDGE_PROHIBITED"
    http_status = 409


class NoMoney(AppError):
    """There is not enough free margin."""

    code = "RET_TRADE_NO_MONEY"
    http_status = 409


class IncorrectCmd(AppError):
    """The operation does not fit the kind of the order."""

    code = "RET_TRADE_INCORRECT_CMD"
    http_status = 400


class IncorrectOrder(AppError):
    """These two orders can't close each other."""

    code = "RET_TRADE_INCORRECT_ORDER"
    http_status = 400


class IncorrectState(AppError):
    """The order is closed already."""

    code = "RET_TRADE_INCORRECT_STATE"
    http_status = 400


class BadCloseTime(AppError):
    """The close time is before the open time."""

    code = "RET_TRADE_BAD_CLOSE_TIME"
    http_status = 400


class OrderNotFound(AppError):
    """There is no such order."""

    code = "RET_NOT_FOUND"
    http_status = 404


class ProhibitedByFifo(AppError):
    """The group closes the oldest position first, or positions only as a whole."""

    code = "RET_TRADE_PROHIBITED_BY_FIFO"
    http_status = 500


class ModifyDenied(AppError):
    """The order is too close to its execution to be changed."""

    code = "RET_TRADE_MODIFY_DENIED"
    http_status = 500


class ExpirationDenied(AppError):
    """The group does not allow pending orders with an expiration."""

    code = "RET_TRADE_EXPIRATION_DENIED"
    http_status = 500
