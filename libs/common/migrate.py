"""Migrations: plain SQL files, each once, in order, in a transaction of its own, with a checksum.

``services/<name>/sql/migrations/NNNN_pre_<what>.sql`` runs before the new code starts (the old code
still works on it), ``NNNN_post_…`` after the old code is gone. The outbox and inbox every service
has come first, from ``libs/common/sql/migrations``, where ``{schema}`` stands for the service.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from libs.common.db import Connection

ROOT = Path(__file__).resolve().parents[2]
_NAME = re.compile(r"^\d{4}_(pre|post)_\w+\.sql$")


class MigrationFailed(Exception):
    """A migration can't be applied; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: ``name`` is unique within its service."""

    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations_of(service: str) -> list[Migration]:
    """A service's migrations in order: the shared ones, then its own."""
    shared = _read(ROOT / "libs/common/sql/migrations", "common/", service)
    return shared + _read(ROOT / "services" / service / "sql/migrations", "", service)


def _read(folder: Path, prefix: str, service: str) -> list[Migration]:
    found: list[Migration] = []
    for path in sorted(folder.glob("*.sql")):
        if not _NAME.match(path.name):
            raise MigrationFailed(f"{path.name} is not named NNNN_pre_<what>.sql or NNNN_post_<what>.sql")
        sql = path.read_text(encoding="utf-8")
        found.append(Migration(prefix + path.stem, sql.replace("{schema}", service) if prefix else sql))
    return found


async def migrate_all(admin_dsn: str, services: Sequence[str], report: Callable[[str], None]) -> None:
    """Bring every service's schema up to date; several starters at once are safe."""
    connection = await asyncpg.connect(admin_dsn, timeout=10)
    try:
        await connection.execute("SELECT pg_advisory_lock(hashtext('tradewind set-up'))")
        for service in services:
            await _migrate(connection, service, report)
    finally:
        await connection.close()


async def _migrate(connection: Connection, service: str, report: Callable[[str], None]) -> None:
    await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{service}"')
    await connection.execute(
        f'CREATE TABLE IF NOT EXISTS "{service}".migration ('
        "name text PRIMARY KEY, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
    )
    applied = dict(await connection.fetch(f'SELECT name, checksum FROM "{service}".migration'))  # noqa: S608
    known = migrations_of(service)
    newer = sorted(set(applied) - {m.name for m in known})
    if newer:
        raise MigrationFailed(
            f"the database is newer than this program: {service} has {newer[0]}; install that version"
        )
    for migration in known:
        if migration.name in applied:
            if applied[migration.name] != migration.checksum:
                raise MigrationFailed(f"{service}/{migration.name} was changed after it was applied")
            continue
        report(f"{service}: {migration.name}")
        try:
            async with connection.transaction():
                await connection.execute(migration.sql)
                await connection.execute(
                    f'INSERT INTO "{service}".migration (name, checksum) VALUES ($1, $2)',  # noqa: S608
                    migration.name,
                    migration.checksum,
                )
        except asyncpg.PostgresError as e:
            raise MigrationFailed(f"{service}/{migration.name}: {e}") from e
