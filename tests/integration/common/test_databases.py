"""A database a test gets again holds what a new one holds; one whose schema changed is not given again."""

from __future__ import annotations

from collections.abc import Callable

import asyncpg

from tests.databases import Databases
from tests.servers import PostgresServer

CONTENT = "SELECT schema, name FROM test_pristine.tables ORDER BY 1, 2"


async def content(dsn: str) -> dict[str, list[str]]:
    """Table → its rows as text; sequence → where it stands."""
    connection = await asyncpg.connect(dsn)
    try:
        rows = {
            f"{t['schema']}.{t['name']}": sorted(
                r[0] for r in await connection.fetch(f'SELECT t::text FROM "{t["schema"]}"."{t["name"]}" t')
            )
            for t in await connection.fetch(CONTENT)
        }
        for s in await connection.fetch("SELECT schemaname, sequencename, last_value FROM pg_sequences"):
            rows[f"{s['schemaname']}.{s['sequencename']}"] = [str(s["last_value"])]
        return rows
    finally:
        await connection.close()


async def test_a_used_database_is_as_new(postgres: PostgresServer) -> None:
    databases = await Databases.open(postgres.dsn, ("auth", "market"), "test_as_new")
    async with databases.fresh() as dsns:
        before = await content(dsns["admin"])
        connection = await asyncpg.connect(dsns["admin"])
        await connection.execute(
            "INSERT INTO market.outbox (event_id, stream, subject, payload)"
            " SELECT gen_random_uuid(), 's', 't', '\\x00' FROM generate_series(1, 5000)"
        )
        await connection.execute("DELETE FROM auth.migration")
        assert await content(dsns["admin"]) != before
        first = dsns["admin"]  # its connection is left open, as a killed service leaves it
    async with databases.fresh() as dsns:
        assert dsns["admin"] == first
        assert await content(dsns["admin"]) == before
    assert connection.is_closed()


async def test_a_database_whose_schema_changed_is_given_to_nobody(postgres: PostgresServer) -> None:
    databases = await Databases.open(postgres.dsn, ("market",), "test_changed")
    changes: list[Callable[[], str]] = [
        lambda: "CREATE TABLE market.more (id int)",
        lambda: "ALTER TABLE market.outbox ADD COLUMN more int",
        lambda: "ALTER TABLE market.outbox ADD CONSTRAINT positive CHECK (id > 0)",
        lambda: "REVOKE SELECT ON market.outbox FROM CURRENT_USER",
    ]
    for change in changes:
        async with databases.fresh() as dsns:
            connection = await asyncpg.connect(dsns["admin"])
            await connection.execute(change())
            await connection.close()
        async with databases.fresh() as again:
            assert again["admin"] != dsns["admin"], change()
