"""Requests that carry an Idempotency-Key are begun once, and answered the same for a day."""

from __future__ import annotations

from msgspec import structs

from libs.common.errors import InvalidData
from libs.common.messages.requests import (
    BODY_BYTES_MAX,
    RequestAnswer,
    RequestBegin,
    RequestBegun,
    RequestFinish,
)
from services.auth.ground import Ground
from services.auth.request_keys import KEPT_MS, LEASE_MS, HeldRequest, Verdict, judge, next_lease
from services.auth.request_store import RequestStore
from services.auth.sealing import Sealer

ROUNDS = 3  # a key that goes and comes in each of them is busy
FORGOTTEN_AT_ONCE = 2_000
FINGERPRINT_BYTES = 32


class RequestDoor:
    """Decides who may do what a key stands for. ``lease_ms`` covers a gateway that died at it."""

    def __init__(self, ground: Ground, store: RequestStore, sealer: Sealer, lease_ms: int = LEASE_MS) -> None:
        self._database = ground.database
        self._clock = ground.clock
        self._store = store
        self._sealer = sealer
        self._lease_ms = lease_ms

    async def begin(self, message: RequestBegin) -> RequestBegun:
        """Whether to do it. Insert first: of those who come together one does it."""
        if len(message.fingerprint) != FINGERPRINT_BYTES:
            raise InvalidData("a fingerprint has 32 bytes")
        # What was asked may hold a password: without our secret nobody can try which one it was.
        kept = self._sealer.keyed_hash(message.fingerprint, context="request")
        message = structs.replace(message, fingerprint=kept)
        async with self._database.connection() as db:
            for _ in range(ROUNDS):
                now_ms = self._clock.now_ms()
                lease_ms = next_lease(None, now_ms, self._lease_ms)
                if await self._store.insert(db, message, lease_ms, now_ms):
                    return RequestBegun(outcome="new", lease_ms=lease_ms)
                held = await self._store.held(db, message)
                if held is None:
                    continue  # freed just now
                verdict = judge(held, message.fingerprint, now_ms)
                if verdict is not Verdict.AGAIN:
                    return _told(verdict, held)
                lease_ms = next_lease(held, now_ms, self._lease_ms)
                if await self._store.retake(db, message, lease_ms, now_ms, lease_before_ms=held.lease_ms):
                    return RequestBegun(outcome="new", lease_ms=lease_ms)
        return RequestBegun(outcome="in_flight")

    async def finish(self, message: RequestFinish) -> None:
        """Keep the answer or free the key, if it is still held under that lease."""
        answer = message.answer
        async with self._database.connection() as db:
            if answer is None or len(answer.body) > BODY_BYTES_MAX:
                await self._store.free(db, message)
            else:
                await self._store.keep(db, message, answer)

    async def tidy(self) -> None:
        """Remove outlived keys, a bounded number at a time."""
        before_ms = self._clock.now_ms() - KEPT_MS
        async with self._database.connection() as db:
            while await self._store.forget(db, before_ms, FORGOTTEN_AT_ONCE) == FORGOTTEN_AT_ONCE:
                pass


def _told(verdict: Verdict, held: HeldRequest) -> RequestBegun:
    if verdict is Verdict.MISMATCH:
        return RequestBegun(outcome="mismatch")
    if verdict is Verdict.IN_FLIGHT:
        return RequestBegun(outcome="in_flight")
    answer = RequestAnswer(
        status=held.status, content_type=held.content_type, body=held.body, headers=held.headers
    )
    return RequestBegun(outcome="replay", answer=answer)
