"""PostgreSQL's own counters as metrics ``tradewind_postgres_*``."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from libs.common.db import NO_ANSWER, load_queries

_QUERIES = load_queries(Path(__file__).parent / "sql/postgres.sql")
_TIMEOUT_S = 5.0
_COUNTERS = {
    "xact_commit": ("tradewind_postgres_commits", "Transactions committed"),
    "xact_rollback": ("tradewind_postgres_rollbacks", "Transactions rolled back"),
    "blks_read": ("tradewind_postgres_read_blocks", "Blocks read from outside the buffers"),
    "blks_hit": ("tradewind_postgres_hit_blocks", "Blocks found in the buffers"),
    "tup_fetched": ("tradewind_postgres_fetched_rows", "Rows fetched through an index"),
    "tup_returned": ("tradewind_postgres_scanned_rows", "Rows read by scans"),
    "tup_inserted": ("tradewind_postgres_inserted_rows", "Rows inserted"),
    "tup_updated": ("tradewind_postgres_updated_rows", "Rows updated"),
    "tup_deleted": ("tradewind_postgres_deleted_rows", "Rows deleted"),
    "deadlocks": ("tradewind_postgres_deadlocks", "Deadlocks found"),
    "temp_bytes": ("tradewind_postgres_temporary_bytes", "Bytes written to temporary files"),
}


class PostgresMetrics:
    """Asks the PostgreSQL at ``dsn`` at each call, on one connection that is kept between scrapes."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: asyncpg.Connection | None = None
        self._asking = asyncio.Lock()

    async def __call__(self) -> list[Metric]:
        """What it says now; ``tradewind_postgres_up`` alone, 0, when it does not answer."""
        up = GaugeMetricFamily("tradewind_postgres_up", "Whether PostgreSQL answered")
        async with self._asking:  # a connection answers one at a time
            found = await self._ask_again()
        if found is None:
            up.add_metric([], 0)
            return [up]
        up.add_metric([], 1)
        return [up, *_of_database(found["database"][0]), *_of_sessions(found), *_of_server(found)]

    @property
    def session(self) -> int | None:
        """The server's process behind the kept connection; None without one."""
        return None if self._connection is None else self._connection.get_server_pid()

    async def close(self) -> None:
        """Give the connection back."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(*NO_ANSWER):
                await connection.close(timeout=_TIMEOUT_S)

    async def _ask_again(self) -> dict[str, list[Any]] | None:
        """What was found; a kept connection that broke is replaced once: servers restart."""
        for _ in range(1 if self._connection is None else 2):
            try:
                if self._connection is None:
                    self._connection = await asyncpg.connect(
                        self._dsn, timeout=_TIMEOUT_S, command_timeout=_TIMEOUT_S
                    )
                return {name: await self._connection.fetch(sql) for name, sql in _QUERIES.items()}
            except NO_ANSWER:
                if self._connection is not None:
                    self._connection.terminate()
                    self._connection = None
        return None


def _of_database(row: Mapping[str, Any]) -> list[Metric]:
    counters: list[Metric] = [
        CounterMetricFamily(name, text, value=float(row[column]))
        for column, (name, text) in _COUNTERS.items()
    ]
    size = GaugeMetricFamily(
        "tradewind_postgres_database_bytes", "Size of the database", value=float(row["size_bytes"])
    )
    return [*counters, size]


def _of_sessions(found: Mapping[str, list[Any]]) -> list[Metric]:
    sessions = GaugeMetricFamily(
        "tradewind_postgres_sessions", "Sessions by service and state", labels=["application", "state"]
    )
    oldest = GaugeMetricFamily(
        "tradewind_postgres_transaction_age_seconds", "Age of the oldest transaction", labels=["application"]
    )
    ages: dict[str, float] = {}
    for row in found["sessions"]:
        sessions.add_metric([row["application"], row["state"]], row["sessions"])
        ages[row["application"]] = max(ages.get(row["application"], 0.0), row["oldest_s"])
    for application, age in ages.items():
        oldest.add_metric([application], age)
    waiting = GaugeMetricFamily(
        "tradewind_postgres_waiting_locks", "Locks somebody waits for", value=float(found["waiting"][0][0])
    )
    most = GaugeMetricFamily(
        "tradewind_postgres_sessions_max",
        "The most sessions there may be",
        value=float(found["settings"][0][0]),
    )
    return [sessions, oldest, waiting, most]


def _of_server(found: Mapping[str, list[Any]]) -> list[Metric]:
    wal, done = found["wal"][0], found["checkpoints"][0]
    checkpoints = CounterMetricFamily(
        "tradewind_postgres_checkpoints", "Checkpoints by what asked for them", labels=["reason"]
    )
    checkpoints.add_metric(["time"], done["num_timed"])
    checkpoints.add_metric(["request"], done["num_requested"])
    schemas = GaugeMetricFamily(
        "tradewind_postgres_schema_bytes", "Bytes of a service's tables and indexes", labels=["schema"]
    )
    for row in found["schemas"]:
        schemas.add_metric([row["schema"]], row["bytes"])
    return [
        CounterMetricFamily(
            "tradewind_postgres_wal_bytes", "Bytes of write-ahead log", value=float(wal["bytes"])
        ),
        checkpoints,
        schemas,
    ]
