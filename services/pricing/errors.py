"""What pricing refuses, by case. The messages of the prices surface are literal."""

from __future__ import annotations

from libs.common.errors import AppError, InvalidData, Retry


class TokenIdInvalid(InvalidData):
    """Invalid token contract ID format"""


class GraphRefused(InvalidData):
    """The graph can't be taken; the one before stays in force."""


class QueryInvalid(InvalidData):
    """A parameter is out of its range."""


class TokenUnknown(AppError):
    """Token not found in the system"""

    code = "TOKEN_NOT_FOUND"
    http_status = 404


class TokenUnpriced(AppError):
    """No priced path for this token"""

    code = "TOKEN_NOT_PRICED"
    http_status = 404


class PastUnknown(AppError):
    """No price of this token is known at or before that time"""

    code = "PRICE_NOT_KNOWN"
    http_status = 404


class AnchorUnavailable(AppError):
    """BTC price unavailable"""

    code = "ANCHOR_NOT_PRICED"
    http_status = 503
    retry = Retry.LATER
