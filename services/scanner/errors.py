"""The errors scanner answers with. The gateway renders them in the words of the surface that was called."""

from __future__ import annotations

from libs.common.errors import AppError, Retry


class TickerUnreadable(AppError):
    """The ticker is neither a known symbol nor of the form BASE/QUOTE."""

    code = "INVALID_PARAM"
    http_status = 400


class CandlesTooFew(AppError):
    """There are fewer candles than the analysis needs; meta has ``have`` and ``need``."""

    code = "INSUFFICIENT_DATA"
    http_status = 422


class CandlesFailed(AppError):
    """The candles could not be read, or what came was no series of candles; nothing was charged."""

    code = "UPSTREAM_ERROR"
    http_status = 502
    retry = Retry.LATER
