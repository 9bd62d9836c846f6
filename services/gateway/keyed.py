"""Idempotency-Key: a request that carries one is done once, and answered the same for a day.

Auth keeps the keys, for every gateway process. What the door itself refuses never comes here, so it is
never kept; nor is what may be tried again at once, nor an outcome nobody knows: then the key stays in
flight until its lease is over, since the service may still be at it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import NamedTuple

import structlog

from libs.common.bus import Bus
from libs.common.errors import AppError, InvalidData, RemoteError, Retry, ServiceUnavailable
from libs.common.messages.requests import (
    BODY_BYTES_MAX,
    RequestAnswer,
    RequestBegin,
    RequestBegun,
    RequestFinish,
)
from libs.common.principal import Principal
from libs.common.subjects import REQUEST_BEGIN, REQUEST_FINISH
from services.gateway.errors import IdempotencyInFlight, IdempotencyMismatch
from services.gateway.metrics import KEYED, KEYED_LOST
from services.gateway.surfaces.base import Reply, Surface

log = structlog.get_logger()

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
_KEY = re.compile(r"[!-~]{1,255}")
_RETRY_IN_FLIGHT_S = 1
UNPAID = frozenset({"PAYMENT_REQUIRED", "payment_failed"})  # paid for, the same request is another


class Asked(NamedTuple):
    """One request with a key: who asks what."""

    surface: Surface
    principal: str
    key: str
    fingerprint: bytes


def read_key(text: str) -> str:
    """The key; InvalidData for one that is not 1 to 255 visible ASCII characters."""
    if not _KEY.fullmatch(text):
        raise InvalidData(f"{HEADER}: 1 to 255 visible ASCII characters are needed")
    return text


def fingerprint_of(method: str, path: str, query: str, body: bytes) -> bytes:
    """The same for the same bytes only: each part is led by its length. No header counts."""
    digest = sha256()
    for part in (method.encode(), _raw(path), _raw(query), body):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")  # a URL may have come with bytes that are no UTF-8


def holder_of(principal: Principal, address: str) -> str:
    """Whose keys these are: one person's never meet another's, nor those of somebody with fewer rights."""
    if principal.kind == "anonymous":
        return f"address:{address}"
    number = principal.person_id if principal.kind == "customer" else principal.login
    name = principal.subject or f"{principal.kind}:{number}"
    return f"{name}:read" if principal.read_only else name


def keepable(error: AppError, status: int) -> bool:
    """Whether a refusal is kept: a service's own, unless nothing happened and the same may work later, or
    what happened is unknown."""
    if (
        not isinstance(error, RemoteError)
        or status == 429
        or error.code in UNPAID
        or error.retry is Retry.RECONCILE
    ):
        return False
    return status < 500 or (error.code.startswith("RET_") and error.retry is not Retry.LATER)


class Keyed:
    """Lets a request with a key through once."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def once(self, asked: Asked, act: Callable[[], Awaitable[Reply]]) -> Reply:
        """What ``act`` answers, or answered before."""
        begun = await self._begin(asked)
        KEYED.labels(begun.outcome).inc()
        if begun.outcome == "mismatch":
            raise IdempotencyMismatch
        if begun.outcome == "in_flight":
            raise IdempotencyInFlight(retry_after_s=_RETRY_IN_FLIGHT_S)
        if begun.answer is not None:
            said = begun.answer
            return Reply(said.status, said.body, {**said.headers, REPLAYED: "true"}, said.content_type)
        try:
            reply = await act()
        except AppError as e:
            if e.retry is not Retry.RECONCILE:
                refusal = asked.surface.error(e)
                await self._finish(asked, begun, refusal if keepable(e, refusal.status) else None)
            raise
        await self._finish(asked, begun, reply if len(reply.body) <= BODY_BYTES_MAX else None)
        return reply

    async def _begin(self, asked: Asked) -> RequestBegun:
        message = RequestBegin(
            surface=asked.surface.name,
            principal=asked.principal,
            key=asked.key,
            fingerprint=asked.fingerprint,
        )
        try:
            return await self._bus.request(REQUEST_BEGIN, message)
        except AppError as e:
            log.warning("a key could not be begun", surface=asked.surface.name, code=e.code, error=str(e))
            raise ServiceUnavailable("the key could not be looked up; nothing was done") from e

    async def _finish(self, asked: Asked, begun: RequestBegun, reply: Reply | None) -> None:
        """The act is done: a failure is logged and counted, and the key stays in flight for its lease."""
        answer = reply and RequestAnswer(
            status=reply.status,
            content_type=reply.content_type,
            body=reply.body,
            headers=dict(reply.headers),
        )
        message = RequestFinish(
            surface=asked.surface.name,
            principal=asked.principal,
            key=asked.key,
            lease_ms=begun.lease_ms,
            answer=answer,
        )
        try:
            await self._bus.request(REQUEST_FINISH, message)
        except AppError as e:
            KEYED_LOST.inc()
            log.error("the answer to a key was not kept", surface=asked.surface.name, error=str(e))
