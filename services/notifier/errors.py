"""What the notifier refuses, by case. Codes are public and never reused."""

from __future__ import annotations

from libs.common.errors import AppError, Retry


class InvalidParam(AppError):
    """A field is missing, unknown or out of range; ``meta.field`` names it."""

    code = "invalid_param"
    http_status = 400


class ChannelAlreadyBound(AppError):
    """This channel has an address; take it away first."""

    code = "channel_already_bound"
    http_status = 409


class ChannelNotBound(AppError):
    """This channel has no such binding."""

    code = "not_found"
    http_status = 404


class TooManyBinds(AppError):
    """Too many bindings were tried within an hour."""

    code = "rate_limited"
    http_status = 429
    retry = Retry.LATER


class AccountUnknown(AppError):
    """Nobody has said yet whose account this is; the fact is tried again."""

    code = "RET_USER_NOT_FOUND"
    http_status = 503
    retry = Retry.LATER


class DeadLetterNotFound(AppError):
    """There is no dead letter with this id."""

    code = "RET_NOT_FOUND"
    http_status = 404


class DeadLetterSpent(AppError):
    """It can't be sent again: its channel is gone, or its secret content was forgotten."""

    code = "RET_INVALID_DATA"
    http_status = 400
