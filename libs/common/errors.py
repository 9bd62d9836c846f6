"""Errors with a code, an HTTP status and a retry class.

One class per case, in the ``errors.py`` of the service that owns it. The code is public and never
reused. Inside the house there is one ``AppError``; the gateway renders it in the dialect of the
surface that received the call. Over the bus an error travels as ``ErrorBody`` and arrives as
``RemoteError`` with the same code, status and retry class.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, ClassVar

import msgspec


class Retry(StrEnum):
    """What the caller may do next."""

    NO = "no"  # the same request fails again
    LATER = "later"  # nothing happened; try again after a while
    RECONCILE = "reconcile"  # the outcome is unknown; ask before sending again


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An error as it travels over the bus. Owner: libs.common. Major 1."""

    code: str
    status: int
    message: str = ""
    retry: Retry = Retry.NO
    meta: dict[str, Any] = {}


class AppError(Exception):
    """Base of every expected error. Anything else that is raised is a defect."""

    code: ClassVar[str] = "RET_ERROR"
    http_status: ClassVar[int] = 500
    retry: ClassVar[Retry] = Retry.NO

    def __init__(self, message: str = "", **meta: Any) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip().split("\n")[0])
        self.meta = meta

    def body(self) -> ErrorBody:
        """The error as a bus message."""
        return ErrorBody(
            code=self.code, status=self.http_status, message=str(self), retry=self.retry, meta=self.meta
        )


class RemoteError(AppError):
    """An error another service answered with; code, status and retry class are the owner's."""

    def __init__(self, body: ErrorBody) -> None:
        super().__init__(body.message, **body.meta)
        self._body = body

    @property
    def code(self) -> str:  # type: ignore[override]
        return self._body.code

    @property
    def http_status(self) -> int:  # type: ignore[override]
        return self._body.status

    @property
    def retry(self) -> Retry:  # type: ignore[override]
        return self._body.retry

    def body(self) -> ErrorBody:
        return self._body


class InvalidData(AppError):
    """The request could not be read: a field is missing, of the wrong type or out of range."""

    code = "INVALID_DATA"
    http_status = 400


class PermissionDenied(AppError):
    """The caller may not do this."""

    code = "PERMISSION_DENIED"
    http_status = 403


class NotAuthenticated(AppError):
    """The token is missing, unreadable, expired or revoked."""

    code = "PERMISSION_DENIED"
    http_status = 401


class ServiceUnavailable(AppError):
    """The service that owns this does not answer; nothing was done."""

    code = "RET_ERR_NOSERVICE"
    http_status = 503
    retry = Retry.LATER


class OutcomeUnknown(AppError):
    """The owner did not answer in time; the effect may or may not have happened."""

    code = "RET_ERR_TIMEOUT"
    http_status = 504
    retry = Retry.RECONCILE


class InternalError(AppError):
    """Something broke on our side; it was logged and counted."""

    code = "RET_TECH_PROBLEM"
    http_status = 500


class MessageUnreadable(AppError):
    """A bus message could not be decoded; it is terminated, the process goes on."""

    code = "RET_ERR_DATA"
    http_status = 400


class ConfigInvalid(Exception):
    """The configuration is wrong; the process must not start. One line says which and why."""


class InvariantBroken(Exception):
    """A statement that must always hold did not. A defect, never a caller's mistake."""


def invariant(condition: bool, statement: str) -> None:
    """Stop when ``statement`` does not hold; unlike ``assert`` it survives ``python -O``."""
    if not condition:
        raise InvariantBroken(statement)
