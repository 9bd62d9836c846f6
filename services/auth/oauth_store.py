"""The tables of OAuth clients and codes. The caller opens the transaction."""

from __future__ import annotations

from pathlib import Path

from libs.common.db import Connection, load_queries
from services.auth.oauth import Client, HeldCode

QUERIES = load_queries(Path(__file__).parent / "sql/oauth.sql")


class OAuthStore:
    """One method per named query."""

    async def insert_client(self, db: Connection, client: Client, address: str) -> None:
        """A client registered itself."""
        await db.execute(
            QUERIES["insert_client"],
            client.client_id,
            client.name,
            list(client.redirect_uris),
            address,
            client.registered_ms,
        )

    async def client(self, db: Connection, client_id: str) -> Client | None:
        """A registered client."""
        row = await db.fetchrow(QUERIES["client"], client_id)
        return None if row is None else Client(**{**row, "redirect_uris": tuple(row["redirect_uris"])})

    async def insert_code(self, db: Connection, code_hash: bytes, code: HeldCode, now_ms: int) -> None:
        """Somebody agreed."""
        await db.execute(
            QUERIES["insert_code"],
            code_hash,
            code.client_id,
            code.client_name,
            code.redirect_uri,
            code.challenge,
            code.resource,
            list(code.scopes),
            code.person_id,
            code.address,
            now_ms,
            code.expires_ms,
        )

    async def lock_code(self, tx: Connection, code_hash: bytes) -> HeldCode | None:
        """A code, held until the commit."""
        row = await tx.fetchrow(QUERIES["lock_code"], code_hash)
        return None if row is None else HeldCode(**{**row, "scopes": tuple(row["scopes"])})

    async def use_code(self, tx: Connection, code_hash: bytes, key_id: str) -> None:
        """The code became a grant."""
        await tx.execute(QUERIES["use_code"], code_hash, key_id)

    async def end_grant(self, tx: Connection, key_id: str, client_id: str, now_ms: int) -> bool:
        """A client's grant ends; False when there is nothing to end."""
        return await tx.fetchval(QUERIES["end_grant"], key_id, client_id, now_ms) is not None

    async def forget(self, db: Connection, *, codes_before_ms: int, clients_before_ms: int) -> None:
        """Remove expired codes and clients that nobody agreed to."""
        await db.execute(QUERIES["forget_codes"], codes_before_ms)
        await db.execute(QUERIES["forget_clients"], clients_before_ms)
