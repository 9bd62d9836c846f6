"""Databases of the run: copies of one migrated template, used again after everything in them was put back.

A copy costs a quarter of a second, putting back a used one a tenth of that. A test that changed the schema
itself leaves a database nobody gets again.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from libs.common.migrate import migrate_all
from libs.common.roles import ensure_roles

PRISTINE = (Path(__file__).parent / "pristine.sql").read_text()


def database_dsn(dsn: str, database: str) -> str:
    """The same server and user, another database."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{database}"))


class Databases:
    """Hands out databases that hold every service's schema and only what the migrations put there."""

    def __init__(self, dsn: str, template: str, roles: dict[str, str]) -> None:
        self._dsn = dsn
        self._template = template
        self._roles = roles
        self._free: list[str] = []
        self._fingerprint = ""

    @classmethod
    async def open(cls, dsn: str, services: Sequence[str], template: str) -> Databases:
        """Make the database ``template`` on the server of ``dsn`` (an administrator's)."""
        admin = await asyncpg.connect(dsn)
        await admin.execute(f'DROP DATABASE IF EXISTS "{template}"')
        await admin.execute(f'CREATE DATABASE "{template}"')
        await admin.close()
        within = database_dsn(dsn, template)
        roles = await ensure_roles(within, services, dict.fromkeys(services, "test"))
        await migrate_all(within, services, lambda line: None)
        made = cls(dsn, template, roles)
        inside = await asyncpg.connect(within)
        await inside.execute(PRISTINE)
        await inside.execute("SELECT test_pristine.keep()")
        made._fingerprint = await inside.fetchval("SELECT test_pristine.fingerprint()")
        await inside.close()
        return made

    @asynccontextmanager
    async def fresh(self) -> AsyncIterator[dict[str, str]]:
        """service → DSN of its own role in a database nobody else uses; ``admin`` → the administrator's."""
        name = self._free.pop() if self._free else await self._copy()
        try:
            yield {
                "admin": database_dsn(self._dsn, name),
                **{service: database_dsn(dsn, name) for service, dsn in self._roles.items()},
            }
        finally:
            await self._put_back(name)

    async def _copy(self) -> str:
        name = f"tw_{secrets.token_hex(6)}"
        admin = await asyncpg.connect(self._dsn)
        await admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{self._template}" STRATEGY WAL_LOG')
        await admin.close()
        return name

    async def _put_back(self, name: str) -> None:
        try:
            inside = await asyncpg.connect(database_dsn(self._dsn, name))
        except (asyncpg.PostgresError, OSError):
            return  # the test took its database or the whole server away
        try:
            await self._alone(inside)
            same = await inside.fetchval("SELECT test_pristine.fingerprint()") == self._fingerprint
            if same:
                await inside.execute("SELECT test_pristine.put_back()")
        finally:
            await inside.close()
        if same:
            self._free.append(name)
            return
        admin = await asyncpg.connect(self._dsn)
        await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        await admin.close()

    @staticmethod
    async def _alone(inside: asyncpg.Connection) -> None:
        """End every other session of this database, and wait until it is gone."""
        await inside.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
