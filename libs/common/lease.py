"""Leases: of all processes of a service exactly one may write a partition at a time.

Lifecycle: ``take`` waits until the partition is ours, renews it in the background, ``release`` gives it
up. Every transaction that writes for the partition calls ``check`` first, or is one statement given to
``commit``: the row of the lease is held ``FOR KEY SHARE``, so no other owner can come between check and
commit, and an owner whose epoch is gone raises ``LeaseLost`` and writes nothing. So an owner may be paused
for any time and wake at any point.

A new owner comes at once when the old one's process is gone (its session ends with it, and with that its
advisory lock), and ``TTL_S`` after the last renewal when the process hangs or its machine is unreachable.
Sessions of such an owner that hold what the next one needs are ended.

Never: write without ``check`` or ``commit``; go on after ``LeaseLost`` (``on_lost`` ends the process, and
whoever starts it again makes it the stand-in).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import asyncpg
import structlog
from prometheus_client import Gauge

from libs.common.db import NO_ANSWER, Connection, Database, Part, load_queries
from libs.common.errors import ServiceUnavailable

log = structlog.get_logger()

_SQL = load_queries(Path(__file__).parent / "sql/lease.sql")
TTL_S = 2.5  # how long an owner that says nothing keeps its lease
RENEW_S = 0.5
POLL_S = 0.25  # how often a stand-in looks
_LOST = "TWL01"  # the SQLSTATE of hold_lease
LOCK_WAIT_S = 0.3  # how long a stand-in waits for a transaction of the old owner before it ends it

_epoch = Gauge("tradewind_lease_epoch", "Epoch of the lease held, 0 while waiting", ["service", "partition"])


class LeaseLost(ServiceUnavailable):
    """Another process owns the partition now; nothing was written."""


class Guard(Protocol):
    """What a writer needs to know of a lease."""

    async def check(self, tx: Connection) -> None:
        """Raise LeaseLost unless this process may write in ``tx``, until it ends."""
        ...

    async def commit(self, database: Database, parts: Sequence[Part]) -> None:
        """``Database.commit`` while this process may write; else LeaseLost, and nothing is done."""
        ...


def partition_of(key: str, partitions: int) -> int:
    """The partition of a key: the same in every process, version and database.

    The first four bytes of the MD5 of its UTF-8, big-endian, modulo ``partitions``; SQL writes the same as
    ``('x' || left(md5(key), 8))::bit(32)::bigint % partitions``.
    """
    return int.from_bytes(hashlib.md5(key.encode(), usedforsecurity=False).digest()[:4], "big") % partitions


class Lease:
    """See the module's text. One per partition and process."""

    def __init__(
        self,
        schema: str,
        partition: int,
        database: Database,
        on_lost: Callable[[], None],
        *,
        ttl_s: float = TTL_S,
        partitions: int = 1,
    ) -> None:
        self._partitions = partitions
        self._sql = {name: sql.format(schema=schema) for name, sql in _SQL.items()}
        self._schema = schema
        self._partition = partition
        self._database = database
        self._on_lost = on_lost
        self._ttl_s = ttl_s
        self._connection: Connection | None = None
        self._task: asyncio.Task[None] | None = None
        self.epoch = 0  # 0 before the first ``take``
        _epoch.labels(schema, str(partition)).set(0)

    async def take(self) -> None:
        """Wait until the partition is ours."""
        said = False
        while not await self.try_take():
            if not said:
                said = True
                log.info(
                    "another process owns the partition", service=self._schema, partition=self._partition
                )
            await asyncio.sleep(POLL_S)

    async def try_take(self) -> bool:
        """Whether the partition is ours now: only where nobody holds it."""
        if not await self._try_take():
            return False
        log.info("partition taken", service=self._schema, partition=self._partition, epoch=self.epoch)
        _epoch.labels(self._schema, str(self._partition)).set(self.epoch)
        self._task = asyncio.create_task(self._keep(), name=f"lease {self._schema}/{self._partition}")
        return True

    async def check(self, tx: Connection) -> None:
        """See ``Guard.check``."""
        with self._explained():
            await tx.execute(self._sql["hold"], self._partition, self.epoch)

    async def commit(self, database: Database, parts: Sequence[Part]) -> None:
        """See ``Guard.commit``."""
        with self._explained():
            await database.commit([*parts, Part(self._sql["hold"], (self._partition, self.epoch))])

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except asyncpg.PostgresError as e:
            if e.sqlstate == _LOST:
                raise LeaseLost(f"epoch {self.epoch} of partition {self._partition} is over") from None
            raise

    async def release(self) -> None:
        """Give the partition up; the next owner need not wait."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        _epoch.labels(self._schema, str(self._partition)).set(0)
        if self._connection is None:
            return
        try:
            await self._connection.execute(self._sql["give_up"], self._partition, self.epoch)
        except NO_ANSWER as e:
            log.warning("lease not given up", service=self._schema, error=f"{type(e).__name__}: {e}")
        await self._drop()

    # ── taking ────────────────────────────────────────────────────────────────────────────────────

    async def _try_take(self) -> bool:
        try:
            connection = await self._connect()
            gone = await connection.fetchval(self._sql["lock_life"], self._partition)
            is_kept = not gone and await connection.fetchval(self._sql["is_kept"], self._partition)
            epoch = None if is_kept else await self._take_row(connection, gone)
            if epoch is None:
                await self._drop()  # the lock of its life belongs to an owner only
                return False
            # Before the first transaction of ours: what the old owner sleeps on.
            await connection.fetch(self._sql["end_paused"], self._partition, gone)
            if not gone:
                await connection.fetchval(self._sql["lock_life"], self._partition)
        except NO_ANSWER as e:
            log.warning("lease not taken yet", service=self._schema, error=f"{type(e).__name__}: {e}")
            await self._drop()
            return False
        self.epoch = epoch
        return True

    async def _take_row(self, connection: Connection, gone: bool) -> int | None:
        ask = (self._partition, self._ttl_s, gone, self._partitions)
        try:
            epoch: int | None = await connection.fetchval(self._sql["take"], *ask)
        except asyncpg.LockNotAvailableError:
            # The old owner sleeps inside a transaction: its row is locked, so nothing was taken.
            await connection.fetch(self._sql["end_paused"], self._partition, gone)
            epoch = await connection.fetchval(self._sql["take"], *ask)
        return epoch

    async def _connect(self) -> Connection:
        if self._connection is None:
            self._connection = await self._database.pool.acquire()
            await self._connection.execute(f"SET lock_timeout = '{int(LOCK_WAIT_S * 1000)}ms'")
        return self._connection

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await asyncio.gather(self._database.pool.release(connection), return_exceptions=True)

    # ── keeping ───────────────────────────────────────────────────────────────────────────────────

    async def _keep(self) -> None:
        """Renew until it is lost. While the database is away nobody else can take it either."""
        while True:
            await asyncio.sleep(RENEW_S)
            try:
                if not await self._renew():
                    break
            except asyncpg.LockNotAvailableError:
                continue  # somebody is about to take it: the next time says who has it
            except NO_ANSWER as e:
                log.warning("lease not renewed", service=self._schema, error=f"{type(e).__name__}: {e}")
                await self._drop()
        log.error("lease lost", service=self._schema, partition=self._partition, epoch=self.epoch)
        _epoch.labels(self._schema, str(self._partition)).set(0)
        await self._drop()
        self._on_lost()

    async def _renew(self) -> bool:
        is_new = self._connection is None
        connection: Any = await self._connect()
        if is_new:
            await connection.fetchval(self._sql["lock_life"], self._partition)
        kept = await connection.fetchval(self._sql["renew"], self._partition, self._ttl_s, self.epoch)
        return kept is not None
