"""PostgreSQL: the pool, named queries, transactions.

All SQL text lives in ``.sql`` files. A query has a name, a sentence and its arguments listed:

    -- name: lock_account
    -- Take the row lock that serializes limit checks for one account.
    -- $1 account_id
    SELECT … FOR UPDATE;

Stores take the caller's connection; services open the transaction.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import asyncpg
import orjson

from libs.common.errors import OutcomeUnknown, ServiceUnavailable

Connection: TypeAlias = Any  # asyncpg.Connection or its pool proxy
Record: TypeAlias = Any

CLOSE_S = 10.0  # how long a pool waits at its end for connections somebody still uses

_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)
_ARGUMENT = re.compile(r"\$(\d+)")


class QueryFileInvalid(Exception):
    """A query file breaks the house's form."""


def load_queries(path: Path) -> Mapping[str, str]:
    """Query name → SQL text, from one ``.sql`` file."""
    parts = _NAME.split(path.read_text(encoding="utf-8"))
    if any(line.strip() and not line.startswith("--") for line in parts[0].splitlines()):
        raise QueryFileInvalid(f"{path.name}: text before the first name")
    queries: dict[str, str] = {}
    for name, text in zip(parts[1::2], parts[2::2], strict=True):
        if name in queries:
            raise QueryFileInvalid(f"{path.name}: {name} stands twice")
        sql = "\n".join(line for line in text.splitlines() if not line.startswith("--")).strip()
        if not sql:
            raise QueryFileInvalid(f"{path.name}: {name} is empty")
        queries[name] = sql.rstrip(";")
    return queries


class Part(NamedTuple):
    """An INSERT, UPDATE or DELETE with its arguments, one of those ``Database.commit`` sends together.

    The last may be a SELECT: PostgreSQL does not run one in between that nobody reads.
    """

    sql: str
    args: Sequence[Any]


@lru_cache(maxsize=512)
def _joined(parts: tuple[tuple[str, int], ...]) -> str:
    """One statement of several, (SQL, how many arguments) each; the rows are those of the last."""
    texts, before = [], 0
    for sql, count in parts:
        texts.append(_ARGUMENT.sub(lambda found, by=before: f"${int(found[1]) + by}", sql))  # type: ignore[misc]
        before += count
    *others, last = texts
    if not others:
        return last
    return "WITH " + ",\n".join(f"part_{n} AS (\n{sql}\n)" for n, sql in enumerate(others)) + "\n" + last


async def _prepare(connection: Connection) -> None:
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: b"\x01" + (value if isinstance(value, bytes) else orjson.dumps(value)),
        decoder=lambda data: orjson.loads(data[1:]),
        format="binary",
    )


class DatabaseUnavailable(ServiceUnavailable):
    """The database can't be used at the moment; nothing was done."""


# The server is away, going, or has no room; what was under way is rolled back.
_GONE = (
    ConnectionError,
    asyncpg.PostgresConnectionError,
    asyncpg.exceptions.OperatorInterventionError,
    asyncpg.exceptions.InsufficientResourcesError,
    asyncpg.InternalClientError,  # what asyncpg says when the server's farewell came between two queries
)

# Whatever a question to a server may end in that is away, going or broken: for those who ask again later.
NO_ANSWER = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)

_WENT = "the database went away during a commit"

# Whether the connection now going back to its pool holds nothing that must be reset. The release runs in
# a task of its own, which inherits this.
_as_it_is: ContextVar[bool] = ContextVar("as_it_is", default=False)


async def _reset(connection: Connection) -> None:
    if not _as_it_is.get():
        await connection.reset()


def _is_lost(connection: Connection) -> bool:
    """Whether the server or the link is gone; the pool takes such a connection back by itself."""
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:
        return True


class Database:
    """A pool of one service's connections. Open with ``open_database``."""

    def __init__(self, pool: Any) -> None:
        self.pool = pool

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection inside a transaction: commits at the end, rolls back on an error.

        Raises DatabaseUnavailable when nothing was done, OutcomeUnknown when the server went away
        while it was asked to commit.
        """
        async with self.connection() as connection:
            transaction = connection.transaction()
            await transaction.start()
            try:
                yield connection
            except BaseException:
                if not _is_lost(connection):
                    await transaction.rollback()
                raise
            try:
                await transaction.commit()
            except (*_GONE, asyncpg.InterfaceError) as e:
                raise OutcomeUnknown(_WENT) from e

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection for queries. What it does must end with the query or its transaction.

        Session state (advisory locks, SET, LISTEN) belongs on a connection from ``pool.acquire()``,
        which is reset when it goes back; that costs a round trip each time, so these are not.
        """
        try:
            connection = await self.pool.acquire()
        except (*_GONE, OSError, asyncpg.PostgresError) as e:
            raise DatabaseUnavailable from e
        try:
            yield connection
        except _GONE as e:
            raise DatabaseUnavailable from e
        except asyncpg.InterfaceError as e:  # also what misuse raises: that stays a defect
            if _is_lost(connection):
                raise DatabaseUnavailable from e
            raise
        finally:
            as_it_is = _as_it_is.set(True)
            try:
                await self.pool.release(connection)
            finally:
                _as_it_is.reset(as_it_is)

    async def commit(self, parts: Sequence[Part]) -> None:
        """Do all of ``parts`` or nothing, in one statement: one round trip, however many they are.

        Each sees the tables as they were before all of them; the order in which they are done is open. An
        error of one undoes all. Raises DatabaseUnavailable when nothing was done, OutcomeUnknown when the
        server went away, or said nothing for too long, while it was asked.
        """
        sql = _joined(tuple((part.sql, len(part.args)) for part in parts))
        args = [arg for part in parts for arg in part.args]
        async with self.connection() as connection:
            try:
                await connection.execute(sql, *args)
            except (*_GONE, TimeoutError) as e:
                raise OutcomeUnknown(_WENT) from e
            except asyncpg.InterfaceError as e:  # also what misuse raises: that stays a defect
                if _is_lost(connection):
                    raise OutcomeUnknown(_WENT) from e
                raise

    async def problem(self) -> str | None:
        """Why the database can't be used, or None."""
        try:
            async with self.pool.acquire(timeout=2) as connection:
                await connection.fetchval("SELECT 1", timeout=2)
        except NO_ANSWER as e:
            return f"postgres: {type(e).__name__}"
        return None


@asynccontextmanager
async def open_database(
    dsn: str, *, application: str, connections_max: int = 8, connections_min: int = 1
) -> AsyncIterator[Database]:
    """The service's pool; closed at the end, when every connection is back or after ``CLOSE_S``."""
    pool = await asyncpg.create_pool(
        dsn,
        min_size=connections_min,
        max_size=connections_max,
        max_inactive_connection_lifetime=300.0,
        command_timeout=60.0,  # default none: a lost server would hold a caller for ever
        timeout=10.0,
        statement_cache_size=512,
        max_cached_statement_lifetime=0,  # default 300 s: a prepared statement stays useful
        init=_prepare,
        reset=_reset,  # default: four statements and a round trip after every use
        server_settings={"application_name": application, "jit": "off", "TimeZone": "UTC"},
    )
    try:
        yield Database(pool)
    finally:
        try:
            async with asyncio.timeout(CLOSE_S):
                await pool.close()
        except (*NO_ANSWER, TimeoutError):
            pool.terminate()
