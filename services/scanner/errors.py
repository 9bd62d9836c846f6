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


class NotCounted(AppError):
    """What came after earlier formations is still being counted; nothing was charged. Try again shortly."""

    code = "UPSTREAM_ERROR"
    http_status = 502
    retry = Retry.LATER


class PlacesMoved(Exception):
    """Bars were judged by somebody else meanwhile: nothing was written, the state is loaded again."""


class InvalidParam(AppError):
    """A parameter is missing or wrong; meta has ``field`` and, where it is one of a few, ``allowed``."""

    code = "invalid_param"
    http_status = 400


class SymbolNotSupported(AppError):
    """There is no such symbol."""

    code = "symbol_not_supported"
    http_status = 404


class PatternNotFound(AppError):
    """There is no such pattern."""

    code = "pattern_not_found"
    http_status = 404


class RecordNotFound(AppError):
    """There is no such record."""

    code = "record_not_found"
    http_status = 404


class WatchlistNotFound(AppError):
    """The person has no such watchlist."""

    code = "watchlist_not_found"
    http_status = 404


class WatchlistNameTaken(AppError):
    """The person has another watchlist of that name."""

    code = "watchlist_name_taken"
    http_status = 409


class NotFound(AppError):
    """There is no such thing, or it is somebody else's."""

    code = "not_found"
    http_status = 404


class TooFewCandles(AppError):
    """There are fewer closed candles than a scan needs; meta has ``have`` and ``need``."""

    code = "insufficient_data"
    http_status = 422


class ConfirmationFailed(AppError):
    """What was observed is not what the chart shows."""

    code = "visual_confirmation_failed"
    http_status = 422


class LimitReached(AppError):
    """The person has as many of these as the tier allows; meta has ``limit``."""

    code = "limit_reached"
    http_status = 409


class TierInsufficient(AppError):
    """A higher tier may do this; meta has ``required_tier`` and ``current_tier``."""

    code = "tier_insufficient"
    http_status = 403


class ServerBusy(AppError):
    """More was asked at once than is done at once; nothing was done."""

    code = "server_busy"
    http_status = 503
    retry = Retry.LATER


class AssetInvalid(AppError):
    """The registry can't take these assets."""

    code = "INVALID_DATA"
    http_status = 400


class SignalNotFound(AppError):
    """There is no signal of this id."""

    code = "NOT_FOUND"
    http_status = 404


class SignalsUnreadable(AppError):
    """A filter of a question about signals makes no sense."""

    code = "INVALID_DATA"
    http_status = 400


class TextsClosed(AppError):
    """No secret is set: texts are not taken here."""

    code = "NOT_FOUND"
    http_status = 404


class TextsUnsigned(AppError):
    """The texts are not signed with our secret, or not now."""

    code = "PERMISSION_DENIED"
    http_status = 403


class TextsUnreadable(AppError):
    """The texts are not of the form this takes; none was taken."""

    code = "INVALID_DATA"
    http_status = 400


class BackfillTooLong(AppError):
    """A back-fill covers more bars than one call makes; meta has ``bars`` and ``limit``."""

    code = "INVALID_DATA"
    http_status = 400
