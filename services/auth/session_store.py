"""The tables of sessions, refresh and stream tokens, and revocations. The caller opens the transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from libs.common.db import Connection
from libs.common.messages.auth import SessionRevoked
from services.auth.store import QUERIES
from services.auth.tokens import Subject


@dataclass(frozen=True, slots=True)
class HeldRefresh:
    """A refresh token as it is kept, with its session."""

    used_ms: int
    expires_ms: int
    session_id: str
    subject: str
    kind: str
    number: int
    person_id: int | None
    read_only: bool
    version: int
    ended_ms: int


@dataclass(frozen=True, slots=True)
class NewSession:
    """What a session begins with."""

    session_id: str
    subject: Subject
    door: str
    address: str
    created_ms: int
    expires_ms: int
    cookie_hash: bytes | None = None


class SessionStore:
    """One method per named query."""

    async def insert_session(self, tx: Connection, new: NewSession) -> None:
        """A session begins."""
        await tx.execute(
            QUERIES["insert_session"],
            new.session_id,
            new.subject.name,
            new.subject.kind,
            new.subject.number,
            new.subject.person_id,
            new.subject.read_only,
            new.subject.version,
            new.door,
            new.address,
            new.cookie_hash,
            new.created_ms,
            new.expires_ms,
        )

    async def insert_refresh_token(
        self,
        tx: Connection,
        token_hash: bytes,
        session_id: str,
        *,
        issued_ms: int,
        expires_ms: int,
        access_jti: str,
        access_exp_ms: int,
    ) -> None:
        """The next refresh token of a session."""
        await tx.execute(
            QUERIES["insert_refresh_token"],
            token_hash,
            session_id,
            issued_ms,
            expires_ms,
            access_jti,
            access_exp_ms,
        )

    async def lock_refresh_token(self, tx: Connection, token_hash: bytes) -> HeldRefresh | None:
        """The token with its session, nobody else's until the commit."""
        row = await tx.fetchrow(QUERIES["lock_refresh_token"], token_hash)
        return None if row is None else HeldRefresh(**row)

    async def use_refresh_token(self, tx: Connection, token_hash: bytes, now_ms: int) -> None:
        """It counts no more."""
        await tx.execute(QUERIES["use_refresh_token"], token_hash, now_ms)

    async def session_of_access(self, tx: Connection, jti: str) -> tuple[str, str] | None:
        """The session an access token was given in, and by which door it began."""
        row = await tx.fetchrow(QUERIES["session_of_access"], jti)
        return None if row is None else (row["session_id"], row["door"])

    async def end_session(self, tx: Connection, session_id: str, now_ms: int, reason: str) -> bool:
        """The session is over; False when it was before."""
        return await tx.fetchval(QUERIES["end_session"], session_id, now_ms, reason) is not None

    async def end_sessions(self, tx: Connection, subjects: Sequence[str], now_ms: int, reason: str) -> None:
        """Every session of these subjects is over."""
        await tx.execute(QUERIES["end_sessions"], list(subjects), now_ms, reason)

    async def live_access(self, tx: Connection, session_id: str, now_ms: int) -> tuple[str, ...]:
        """The unexpired access tokens given in a session."""
        rows = await tx.fetch(QUERIES["live_access"], session_id, now_ms)
        return tuple(row["access_jti"] for row in rows)

    async def insert_stream_token(
        self, db: Connection, jti: str, parent_jti: str, parent_exp_s: int, expires_ms: int
    ) -> None:
        """A stream token was given."""
        await db.execute(QUERIES["insert_stream_token"], jti, parent_jti, parent_exp_s, expires_ms)

    async def take_stream_token(self, db: Connection, jti: str) -> tuple[str, int] | None:
        """Use it up: the access token behind it and when that expires; None when it is not there."""
        row = await db.fetchrow(QUERIES["take_stream_token"], jti)
        return None if row is None else (row["parent_jti"], row["parent_exp_s"])

    async def insert_revocation(self, tx: Connection, revoked: SessionRevoked) -> None:
        """Keep what was revoked until nobody could present it."""
        await tx.execute(
            QUERIES["insert_revocation"],
            revoked.subject,
            revoked.reason,
            revoked.version_min,
            list(revoked.jtis),
            revoked.login,
            revoked.person_id,
            revoked.revoked_ms,
            revoked.until_ms,
        )

    async def revocations(self, db: Connection, now_ms: int) -> list[SessionRevoked]:
        """What still matters, oldest first."""
        rows = await db.fetch(QUERIES["revocations"], now_ms)
        return [SessionRevoked(**{**row, "jtis": tuple(row["jtis"])}) for row in rows]

    async def token_revoked(self, db: Connection, jti: str, now_ms: int) -> bool:
        """Whether a token was revoked by its id."""
        revoked: bool = await db.fetchval(QUERIES["token_revoked"], jti, now_ms)
        return revoked

    async def bump_account(self, tx: Connection, login: int) -> tuple[int, int] | None:
        """Every token of an account stops counting; its person and new version."""
        row = await tx.fetchrow(QUERIES["bump_account"], login)
        return None if row is None else (row["person_id"], row["token_version"])

    async def bump_accounts_of(self, tx: Connection, person_id: int) -> list[tuple[int, int]]:
        """Every token of a person's accounts stops counting; login and new version of each."""
        rows = await tx.fetch(QUERIES["bump_accounts_of"], person_id)
        return [(row["login"], row["token_version"]) for row in rows]

    async def bump_person(self, tx: Connection, person_id: int) -> int | None:
        """Every customer token and cookie of a person stops counting; the new version."""
        version: int | None = await tx.fetchval(QUERIES["bump_person"], person_id)
        return version

    async def bump_staff(self, tx: Connection, login: int) -> int | None:
        """Every token of a member of staff stops counting; the new version."""
        version: int | None = await tx.fetchval(QUERIES["bump_staff"], login)
        return version

    async def forget(self, db: Connection, now_ms: int) -> None:
        """Remove what nobody can present any more."""
        for what in ("sessions", "refresh_tokens", "stream_tokens", "revocations"):
            await db.execute(QUERIES[f"forget_{what}"], now_ms)
