"""The errors alerts answers with (broker 8.2, 8.3)."""

from __future__ import annotations

from libs.common.errors import AppError, Retry


class InvalidTargetPrice(AppError):
    """target_price must be above 0 for this condition."""

    code = "INVALID_TARGET_PRICE"
    http_status = 400


class InvalidChannel(AppError):
    """channel_low and channel_high must be given, and low below high, for this condition."""

    code = "INVALID_CHANNEL"
    http_status = 400


class InvalidMoveThreshold(AppError):
    """move_threshold must be above 0 for this condition."""

    code = "INVALID_MOVE_THRESHOLD"
    http_status = 400


class InvalidExpiresAt(AppError):
    """expires_at must be 0 (never) or in the future."""

    code = "INVALID_EXPIRES_AT"
    http_status = 400


class InvalidLogin(AppError):
    """The login is not one that may have alerts."""

    code = "INVALID_LOGIN"
    http_status = 400


class SymbolNotFound(AppError):
    """The account's group sees no such symbol."""

    code = "RET_SYMBOL_NOT_FOUND"
    http_status = 404


class AlertNotFound(AppError):
    """There is no such alert."""

    code = "NOT_FOUND"
    http_status = 404


class LogNotFound(AppError):
    """There is no such row in the alert log."""

    code = "NOT_FOUND"
    http_status = 404


class ForeignAlert(AppError):
    """The alert belongs to another account."""

    code = "PERMISSION_DENIED"
    http_status = 403


class TooManyAlerts(AppError):
    """The account has as many alerts as one may have."""

    code = "RET_TRADE_LIMIT_REACHED"
    http_status = 409


class RuleNotFound(AppError):
    """There is no such rule."""

    code = "NOT_FOUND"
    http_status = 404


class ForeignRule(AppError):
    """The rule belongs to another account."""

    code = "PERMISSION_DENIED"
    http_status = 403


class TooManyRules(AppError):
    """The account has as many rules as one may have."""

    code = "RET_TRADE_LIMIT_REACHED"
    http_status = 409


class AlertElsewhere(AppError):
    """The alert belongs to another partition, or is still watched there; nothing was done."""

    code = "ALERT_ELSEWHERE"
    http_status = 409
    retry = Retry.LATER
