"""The table of Idempotency-Key. Every statement stands alone: none needs a transaction."""

from __future__ import annotations

from pathlib import Path

from libs.common.db import Connection, load_queries
from libs.common.messages.requests import RequestAnswer, RequestBegin, RequestFinish
from services.auth.request_keys import HeldRequest

QUERIES = load_queries(Path(__file__).parent / "sql/requests.sql")


class RequestStore:
    """One method per named query."""

    async def insert(self, db: Connection, new: RequestBegin, lease_ms: int, now_ms: int) -> bool:
        """Take a key nobody has; False when somebody has it."""
        taken = await db.fetchval(
            QUERIES["insert_request"], new.surface, new.principal, new.key, new.fingerprint, lease_ms, now_ms
        )
        return taken is not None

    async def held(self, db: Connection, asked: RequestBegin) -> HeldRequest | None:
        """What is known of a key."""
        row = await db.fetchrow(QUERIES["request"], asked.surface, asked.principal, asked.key)
        return None if row is None else HeldRequest(**row)

    async def retake(
        self, db: Connection, again: RequestBegin, lease_ms: int, now_ms: int, *, lease_before_ms: int
    ) -> bool:
        """Take over a key whose time is over; False when somebody else was faster."""
        taken = await db.fetchval(
            QUERIES["retake_request"],
            again.surface,
            again.principal,
            again.key,
            again.fingerprint,
            lease_ms,
            now_ms,
            lease_before_ms,
        )
        return taken is not None

    async def keep(self, db: Connection, over: RequestFinish, answer: RequestAnswer) -> None:
        """Its answer, for the next one who asks."""
        await db.execute(
            QUERIES["keep_request"],
            over.surface,
            over.principal,
            over.key,
            over.lease_ms,
            answer.status,
            answer.content_type,
            answer.headers,
            answer.body,
        )

    async def free(self, db: Connection, over: RequestFinish) -> None:
        """Nothing is kept of it."""
        await db.execute(QUERIES["free_request"], over.surface, over.principal, over.key, over.lease_ms)

    async def forget(self, db: Connection, before_ms: int, count_max: int) -> int:
        """Remove up to so many outlived keys; how many went."""
        gone: int = await db.fetchval(QUERIES["forget_requests"], before_ms, count_max)
        return gone
