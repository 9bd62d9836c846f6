"""The tables of scripts and settings. The caller opens the transaction."""

from __future__ import annotations

from libs.common.db import Connection
from services.auth.scripts import Script
from services.auth.store import QUERIES


class TerminalStore:
    """One method per named query."""

    async def scripts_of(self, db: Connection, login: int) -> list[Script]:
        """An account's scripts, oldest first."""
        return [Script(**row) for row in await db.fetch(QUERIES["scripts_of"], login)]

    async def script(self, tx: Connection, script_id: int) -> Script | None:
        """One script, held until the commit."""
        row = await tx.fetchrow(QUERIES["script"], script_id)
        return None if row is None else Script(**row)

    async def scripts_count(self, db: Connection, login: int) -> int:
        """How many scripts an account has."""
        count: int = await db.fetchval(QUERIES["scripts_count"], login)
        return count

    async def insert_script(self, tx: Connection, script: Script) -> int:
        """A new script; its id."""
        script_id: int = await tx.fetchval(
            QUERIES["insert_script"],
            script.login,
            script.name,
            script.script,
            script.description,
            script.kind,
            script.language,
            script.visibility,
            script.autostart,
            script.enabled,
            script.created_ms,
        )
        return script_id

    async def update_script(self, tx: Connection, script: Script) -> None:
        """Replace a script."""
        await tx.execute(
            QUERIES["update_script"],
            script.id,
            script.name,
            script.script,
            script.description,
            script.kind,
            script.language,
            script.visibility,
            script.autostart,
            script.enabled,
            script.updated_ms,
        )

    async def delete_script(self, tx: Connection, script_id: int) -> None:
        """Remove a script."""
        await tx.execute(QUERIES["delete_script"], script_id)

    async def settings(self, db: Connection, login: int, prefix: str | None) -> tuple[str, int] | None:
        """Settings and when they were put; None when there are none."""
        row = await db.fetchrow(QUERIES["settings"], login, prefix)
        return None if row is None else (row["settings"], row["updated_ms"])

    async def prefixes_count(self, db: Connection, login: int, prefix: str) -> int:
        """How many prefixes a login has settings under, besides one."""
        count: int = await db.fetchval(QUERIES["prefixes_count"], login, prefix)
        return count

    async def put_settings(self, tx: Connection, login: int, prefix: str, settings: str, now_ms: int) -> None:
        """Replace a login's settings under a prefix."""
        await tx.execute(QUERIES["put_settings"], login, prefix, settings, now_ms)
