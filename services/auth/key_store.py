"""The tables of API keys, cookies and tokens sent by mail. The caller opens the transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from libs.common.db import Connection
from services.auth.apikeys import ApiKey
from services.auth.store import QUERIES


@dataclass(frozen=True, slots=True)
class CookieSession:
    """A living cookie session with its person."""

    session_id: str
    expires_ms: int
    person_id: int
    tier: str
    tier_until_ms: int
    token_version: int


class KeyStore:
    """One method per named query."""

    # ── cookies ──

    async def session_of_cookie(
        self, db: Connection, cookie_hash: bytes, now_ms: int
    ) -> CookieSession | None:
        """The session behind a cookie, while it counts."""
        row = await db.fetchrow(QUERIES["session_of_cookie"], cookie_hash, now_ms)
        return None if row is None else CookieSession(**row)

    async def end_cookie(
        self, tx: Connection, cookie_hash: bytes, now_ms: int, reason: str
    ) -> tuple[str, str] | None:
        """End the cookie's session: its id and subject; None when there is nothing to end."""
        row = await tx.fetchrow(QUERIES["end_cookie"], cookie_hash, now_ms, reason)
        return None if row is None else (row["session_id"], row["subject"])

    # ── API keys ──

    async def insert_key(self, tx: Connection, key: ApiKey, key_hash: bytes) -> None:
        """A new key."""
        await tx.execute(
            QUERIES["insert_key"],
            key.key_id,
            key_hash,
            key.person_id,
            key.email_key,
            key.name,
            key.prefix,
            list(key.scopes),
            key.mode,
            list(key.ip_allow),
            key.created_ms,
            key.expires_ms,
            key.client_id,
            key.resource,
        )

    async def keys_of(self, db: Connection, person_id: int) -> list[ApiKey]:
        """A person's keys, newest first."""
        return [_key(row) for row in await db.fetch(QUERIES["keys_of"], person_id)]

    async def key_by_hash(self, db: Connection, key_hash: bytes) -> ApiKey | None:
        """A key by what is kept of it."""
        row = await db.fetchrow(QUERIES["key_by_hash"], key_hash)
        return None if row is None else _key(row)

    async def revoke_key(self, tx: Connection, key_id: str, person_id: int, now_ms: int) -> bool:
        """Take a key back; False when it is not this person's, or was taken back before."""
        return await tx.fetchval(QUERIES["revoke_key"], key_id, person_id, now_ms) is not None

    async def key_used(self, db: Connection, key_id: str, now_ms: int, before_ms: int) -> None:
        """A key was used; written only when the last time is older than ``before_ms``."""
        await db.execute(QUERIES["key_used"], key_id, now_ms, before_ms)

    # ── tokens sent by mail ──

    async def insert_mail_token(
        self, tx: Connection, token_hash: bytes, person_id: int, purpose: str, now_ms: int, expires_ms: int
    ) -> None:
        """A token for a mail."""
        await tx.execute(QUERIES["insert_mail_token"], token_hash, person_id, purpose, now_ms, expires_ms)

    async def mail_tokens_since(self, db: Connection, person_id: int, purpose: str, after_ms: int) -> int:
        """How many mails of a kind a person was sent since."""
        count: int = await db.fetchval(QUERIES["mail_tokens_since"], person_id, purpose, after_ms)
        return count

    async def take_mail_token(
        self, tx: Connection, token_hash: bytes, purpose: str, now_ms: int
    ) -> int | None:
        """Use a token up: whose it is; None when it does not count."""
        person_id: int | None = await tx.fetchval(QUERIES["take_mail_token"], token_hash, purpose, now_ms)
        return person_id

    async def drop_mail_tokens(self, tx: Connection, person_id: int, purpose: str) -> None:
        """No other token of this kind counts any more."""
        await tx.execute(QUERIES["drop_mail_tokens"], person_id, purpose)

    async def set_email_verified(self, tx: Connection, person_id: int, now_ms: int) -> None:
        """The person reads mail at its address."""
        await tx.execute(QUERIES["set_email_verified"], person_id, now_ms)

    async def forget_mail_tokens(self, db: Connection, before_ms: int) -> None:
        """Remove expired ones."""
        await db.execute(QUERIES["forget_mail_tokens"], before_ms)


def _key(row: Any) -> ApiKey:
    return ApiKey(**{**row, "scopes": tuple(row["scopes"]), "ip_allow": tuple(row["ip_allow"])})
