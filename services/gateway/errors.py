"""What the gateway itself refuses, by case. Codes are public and never reused."""

from __future__ import annotations

from libs.common.errors import AppError, InvalidData, NotAuthenticated, PermissionDenied, Retry


class PathUnknown(AppError):
    """There is no such path."""

    code = "RET_NOT_FOUND"
    http_status = 404


class MethodNotAllowed(AppError):
    """The path does not take this method; the Allow header names those it takes."""

    code = "RET_METHOD_NOT_ALLOWED"
    http_status = 405


class BodyTooLarge(AppError):
    """The body is larger than this path takes."""

    code = "INVALID_DATA"
    http_status = 413


class BodyTooSlow(AppError):
    """The body did not arrive in time; nothing was done."""

    code = "RET_TIMEOUT"
    http_status = 408
    retry = Retry.LATER


class BodyUnreadable(InvalidData):
    """The body is not the JSON object this path takes, or it is labelled as something else."""


class InvalidLogin(AppError):
    """A trading account must be named with login."""

    code = "INVALID_LOGIN"
    http_status = 400


class ForeignOrigin(PermissionDenied):
    """A page of another origin may not write with the session cookie."""


class TooFrequent(AppError):
    """Too many requests; Retry-After says when to come back."""

    code = "RET_TOO_FREQUENT"
    http_status = 429
    retry = Retry.LATER


class GeoBlocked(AppError):
    """This service is not offered in the caller's country."""

    code = "GEO_BLOCKED"
    http_status = 451


class PaymentRequired(AppError):
    """The call costs something: it must be paid for."""

    code = "PAYMENT_REQUIRED"
    http_status = 402


class MissingAgentKey(NotAuthenticated):
    """This needs the key of an agent, and none was sent."""

    code = "missing_agent_key"


class TierInsufficient(AppError):
    """A higher tier may do this."""

    code = "tier_insufficient"
    http_status = 403


class ActionNotFound(AppError):
    """The skill has no such action; meta has ``allowed``."""

    code = "action_not_found"
    http_status = 404


class NotAudited(AppError):
    """The audit row of this call could not be written; nothing was done."""

    code = "RET_ERR_NOSERVICE"
    http_status = 503
    retry = Retry.LATER


class NotEnoughRights(AppError):
    """This session only reads."""

    code = "RET_NOT_ENOUGH_RIGHTS"
    http_status = 403


class IdempotencyMismatch(AppError):
    """The Idempotency-Key was used for another request."""

    code = "IDEMPOTENCY_MISMATCH"
    http_status = 422


class IdempotencyInFlight(AppError):
    """The request with this Idempotency-Key is still being done."""

    code = "IDEMPOTENCY_IN_FLIGHT"
    http_status = 409
    retry = Retry.LATER
