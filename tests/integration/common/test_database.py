"""Migrations, roles and named queries on a real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest

from libs.common import migrate
from libs.common.db import Database, QueryFileInvalid, load_queries
from libs.common.migrate import MigrationFailed, migrate_all
from libs.common.roles import ensure_roles
from tests.conftest import ROOT, SERVICES

MakeDatabase = Callable[[str], Awaitable[Database]]


async def test_every_query_of_every_service_prepares_as_its_own_role(database: MakeDatabase) -> None:
    for service in SERVICES:
        pool = await database(service)
        shared = {
            name: sql.format(schema=service)
            for name, sql in load_queries(ROOT / "libs/common/sql/outbox.sql").items()
        }
        own = {
            f"{file.stem}: {name}": sql
            for file in sorted((ROOT / f"services/{service}/sql").glob("*.sql"))
            for name, sql in load_queries(file).items()
        }
        async with pool.connection() as connection:
            for name, sql in {**shared, **own}.items():
                statement = await connection.prepare(sql)
                columns = [attribute.name for attribute in statement.get_attributes()]
                assert len(columns) == len(set(columns)), f"{service}: {name} returns a column twice"


async def test_a_role_sees_its_own_schema_only(dsns: dict[str, str]) -> None:
    connection = await asyncpg.connect(dsns["trading"])
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.fetch("SELECT * FROM auth.outbox")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute("CREATE TABLE trading.mine (a int)")
    await connection.close()


async def test_several_starters_migrate_once(dsns: dict[str, str]) -> None:
    admin = await asyncpg.connect(dsns["admin"])
    for service in SERVICES:
        await admin.execute(f"DROP SCHEMA {service} CASCADE")
    lines: list[str] = []
    await asyncio.gather(
        *(migrate_all(dsns["admin"], SERVICES, lines.append) for _ in range(4)),
        *(ensure_roles(dsns["admin"], SERVICES, dict.fromkeys(SERVICES, "test")) for _ in range(2)),
    )
    assert len(lines) == len(set(lines)) == sum(len(migrate.migrations_of(s)) for s in SERVICES)
    again: list[str] = []
    await migrate_all(dsns["admin"], SERVICES, again.append)
    assert again == []
    await admin.close()


async def test_a_changed_or_newer_migration_stops_the_start(dsns: dict[str, str]) -> None:
    admin = await asyncpg.connect(dsns["admin"])
    await admin.execute("UPDATE auth.migration SET checksum = 'x' WHERE name LIKE 'common/%'")
    with pytest.raises(MigrationFailed, match="was changed after it was applied"):
        await migrate_all(dsns["admin"], ["auth"], lambda line: None)
    await admin.execute("INSERT INTO trading.migration (name, checksum) VALUES ('9999_pre_future', 'x')")
    with pytest.raises(MigrationFailed, match="newer than this program"):
        await migrate_all(dsns["admin"], ["trading"], lambda line: None)
    await admin.close()


async def test_a_failing_migration_leaves_nothing_half_done(
    dsns: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "services/shop/sql/migrations"
    folder.mkdir(parents=True)
    (folder / "0001_pre_good.sql").write_text("CREATE TABLE shop.good (a int);")
    (folder / "0002_pre_bad.sql").write_text("CREATE TABLE shop.half (a int); SELECT 1/0;")
    (tmp_path / "libs/common/sql/migrations").mkdir(parents=True)
    monkeypatch.setattr(migrate, "ROOT", tmp_path)
    with pytest.raises(MigrationFailed, match="shop/0002_pre_bad"):
        await migrate_all(dsns["admin"], ["shop"], lambda line: None)
    admin = await asyncpg.connect(dsns["admin"])
    assert await admin.fetchval("SELECT to_regclass('shop.good') IS NOT NULL")
    assert await admin.fetchval("SELECT to_regclass('shop.half') IS NULL")
    await admin.close()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("SELECT 1;", "before the first name"),
        ("-- name: a\nSELECT 1;\n-- name: a\nSELECT 2;", "stands twice"),
        ("-- name: a\n-- nothing\n", "is empty"),
    ],
)
def test_a_query_file_out_of_form_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "queries.sql"
    path.write_text(text)
    with pytest.raises(QueryFileInvalid, match=reason):
        load_queries(path)


async def test_a_connection_goes_back_as_it_is_unless_it_was_taken_for_session_state(
    database: MakeDatabase,
) -> None:
    pool = await database("auth")

    async def held() -> int:
        locks: int = await pool.pool.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
        return locks

    async with pool.pool.acquire() as connection:
        await connection.execute("SELECT pg_advisory_lock(4711)")
        assert await held() == 1
    assert await held() == 0, "a connection from the pool itself is reset"
    async with pool.connection() as connection:
        await connection.execute("SET application_name = 'seen'")
        process = await connection.fetchval("SELECT pg_backend_pid()")
    async with pool.connection() as connection:
        assert await connection.fetchval("SELECT pg_backend_pid()") == process
        assert await connection.fetchval("SHOW application_name") == "seen", "no round trip for a reset"


async def test_a_transaction_that_fails_or_is_cancelled_leaves_its_connection_clean(
    database: MakeDatabase,
) -> None:
    pool = await database("auth")
    with pytest.raises(ZeroDivisionError):
        async with pool.transaction() as tx:
            await tx.execute("INSERT INTO auth.login (login, kind) VALUES (7, 'staff')")
            raise ZeroDivisionError
    begun = asyncio.Event()

    async def slow() -> None:
        async with pool.transaction() as tx:
            await tx.execute("INSERT INTO auth.login (login, kind) VALUES (8, 'staff')")
            begun.set()
            await tx.execute("SELECT pg_sleep(60)")

    task = asyncio.create_task(slow())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with pool.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM auth.login") == 0
        await connection.execute("INSERT INTO auth.login (login, kind) VALUES (9, 'staff')")
    async with pool.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM auth.login") == 1
