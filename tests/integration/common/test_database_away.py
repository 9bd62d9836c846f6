"""What callers hear when PostgreSQL is away: try again later, or the outcome is unknown; never a defect."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from libs.common import db
from libs.common.db import DatabaseUnavailable, Part, open_database
from libs.common.errors import OutcomeUnknown, Retry
from tests.conftest import wait_until
from tests.servers import PostgresServer, open_postgres


@pytest.fixture
def own_postgres(tmp_path: Path) -> Iterator[PostgresServer]:
    with open_postgres(tmp_path, private=True, durable=True) as server:
        yield server


async def test_a_server_that_is_away_or_goes_in_between_is_unavailable_and_comes_back(
    own_postgres: PostgresServer,
) -> None:
    async with open_database(own_postgres.dsn, application="test") as database:
        async with database.transaction() as tx:
            await tx.execute("CREATE TABLE kept (a int)")
        with pytest.raises(DatabaseUnavailable) as caught:
            async with database.transaction() as tx:
                await tx.execute("INSERT INTO kept VALUES (1)")
                await end_session(own_postgres.dsn, await tx.fetchval("SELECT pg_backend_pid()"))
                await tx.execute("INSERT INTO kept VALUES (2)")
        assert (caught.value.http_status, caught.value.retry) == (503, Retry.LATER)
        await asyncio.to_thread(own_postgres.kill)
        with pytest.raises(DatabaseUnavailable):
            async with database.connection() as connection:
                await connection.fetchval("SELECT 1")
        await asyncio.to_thread(own_postgres.restart)

        async def empty_again() -> bool:
            try:
                async with database.connection() as connection:
                    return await connection.fetchval("SELECT count(*) FROM kept") == 0
            except DatabaseUnavailable:
                return False

        await wait_until(empty_again)


async def end_session(dsn: str, pid: int) -> None:
    """The server ends a session, and has done so."""
    other = await asyncpg.connect(dsn)
    await other.execute("SELECT pg_terminate_backend($1, 5000)", pid)
    await other.close()


async def test_a_server_that_goes_during_the_commit_leaves_the_outcome_unknown(
    own_postgres: PostgresServer,
) -> None:
    async with open_database(own_postgres.dsn, application="test") as database:
        with pytest.raises(OutcomeUnknown):
            async with database.transaction() as tx:
                await tx.execute("CREATE TABLE half (a int)")
                await end_session(own_postgres.dsn, await tx.fetchval("SELECT pg_backend_pid()"))


async def test_parts_are_committed_together_or_not_at_all(own_postgres: PostgresServer) -> None:
    async with open_database(own_postgres.dsn, application="test") as database:
        async with database.connection() as connection:
            await connection.execute("CREATE TABLE a (n int, t text); CREATE TABLE b (n int PRIMARY KEY)")

        async def kept() -> tuple[Any, Any]:
            async with database.connection() as connection:
                rows = await connection.fetch("SELECT n, t FROM a ORDER BY n")
                return list(map(tuple, rows)), await connection.fetchval("SELECT array_agg(n) FROM b")

        into_a = Part("INSERT INTO a SELECT * FROM unnest($1::int[], $2::text[])", ([1, 2], ["x", "y"]))
        into_b = Part("INSERT INTO b VALUES ($1)", (3,))
        await database.commit([into_a, into_b])
        assert await kept() == ([(1, "x"), (2, "y")], [3])
        change = Part("UPDATE a SET t = $2 WHERE n = $1", (1, "z"))
        await database.commit([change])
        with pytest.raises(asyncpg.UniqueViolationError):
            await database.commit([Part(into_a.sql, ([4], ["no"])), change._replace(args=(2, "no")), into_b])
        with pytest.raises(asyncpg.DataError):
            await database.commit([into_b._replace(args=(5,)), Part(into_a.sql, ("none", "none"))])
        assert await kept() == ([(1, "z"), (2, "y")], [3])


async def test_parts_whose_server_goes_meanwhile_leave_the_outcome_unknown(
    own_postgres: PostgresServer,
) -> None:
    async with open_database(own_postgres.dsn, application="test") as database:
        async with database.connection() as connection:
            await connection.execute("CREATE TABLE a (pid int)")
        ends_itself = Part(
            "INSERT INTO a SELECT pg_backend_pid() WHERE pg_terminate_backend(pg_backend_pid())", ()
        )
        with pytest.raises(OutcomeUnknown):
            await database.commit([ends_itself])
        await asyncio.to_thread(own_postgres.kill)
        with pytest.raises((DatabaseUnavailable, OutcomeUnknown)):
            await database.commit([Part("INSERT INTO a VALUES (1)", ())])


async def test_a_mistake_of_ours_stays_a_defect(own_postgres: PostgresServer) -> None:
    async with open_database(own_postgres.dsn, application="test") as database:
        with pytest.raises(asyncpg.InterfaceError):
            async with database.connection() as connection:
                await connection.fetchval("SELECT $1::int")
        with pytest.raises(asyncpg.UndefinedTableError):
            async with database.transaction() as tx:
                await tx.execute("SELECT * FROM nothing")


async def test_who_never_gives_a_connection_back_does_not_hold_up_the_end(
    own_postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "CLOSE_S", 0.1)
    async with open_database(own_postgres.dsn, application="lost") as database:
        kept = await database.pool.acquire()
        assert await kept.fetchval("SELECT 1") == 1
    with pytest.raises(asyncpg.InterfaceError):
        await kept.fetchval("SELECT 1")
    other = await asyncpg.connect(own_postgres.dsn)

    async def gone() -> bool:
        return not await other.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'lost'"
        )

    await wait_until(gone)
    await other.close()
