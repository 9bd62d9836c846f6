"""The errors trading answers with."""

from __future__ import annotations

from libs.common.errors import AppError


class UserUnknown(AppError):
    """There is no margin account with this login."""

    code = "INVALID_USER"
    http_status = 400


class AccountDiffers(AppError):
    """The login has a margin account already, in another currency."""

    code = "RET_USR_DIFFERENT_CURRENCY"
    http_status = 409
