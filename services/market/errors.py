"""What market refuses, by case. Codes are public and never reused."""

from __future__ import annotations

from libs.common.errors import AppError, InvalidData, Retry


class SymbolNotFound(AppError):
    """There is no such symbol."""

    code = "RET_SYMBOL_NOT_FOUND"
    http_status = 404


class SymbolNotAllowed(AppError):
    """The account's group does not show this symbol."""

    code = "SYMBOL_NOT_ALLOWED"
    http_status = 403


class GroupNotFound(AppError):
    """There is no such group of accounts."""

    code = "GROUP_NOT_FOUND"
    http_status = 404


class SecurityGroupNotFound(AppError):
    """There is no such security group; the known ones are 0 Forex to 4 Stocks."""

    code = "RET_SEC_NOT_FOUND"
    http_status = 404


class WatchedSymbolNotFound(AppError):
    """The symbol is not on the watch list."""

    code = "MARKET_WATCH_SYMBOL_NOT_FOUND"
    http_status = 404


class QuoteOlder(InvalidData):
    """The quote's time is before the symbol's last quote; nothing of the call was applied."""


class WatchListFull(AppError):
    """The watch list holds as many symbols as it may."""

    code = "INVALID_ADD_SYMBOL_TO_MARKET_WATCH"
    http_status = 500


class StoreBusy(AppError):
    """The market's store does not answer; nothing was done."""

    code = "RET_ERR_NOSERVICE"
    http_status = 503
    retry = Retry.LATER
