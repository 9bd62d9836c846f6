"""The errors trading answers with."""

from __future__ import annotations

from libs.common.errors import AppError, Retry


class UserUnknown(AppError):
    """There is no margin account with this login."""

    code = "INVALID_USER"
    http_status = 400


class AccountDiffers(AppError):
    """The login has a margin account already, in another currency."""

    code = "RET_USR_DIFFERENT_CURRENCY"
    http_status = 409


class IdempotencyMismatch(AppError):
    """This client_order_id came before with another request."""

    code = "IDEMPOTENCY_MISMATCH"
    http_status = 422


class ForeignOrder(AppError):
    """The order belongs to another account."""

    code = "PERMISSION_DENIED"
    http_status = 403


class ForeignModify(AppError):
    """The order that was to be changed belongs to another account."""

    code = "MODIFY_TRADE_ERROR"
    http_status = 403


class SyncTimeout(AppError):
    """The event of the operation did not come in time; it may or may not have happened."""

    code = "SYNC_TIMEOUT"
    http_status = 504
    retry = Retry.RECONCILE
