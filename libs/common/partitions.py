"""The partitions of a service, shared by its processes: who owns which, and who takes over.

Lifecycle: ``start`` joins and returns when every partition has an owner, ``stop`` gives up what is ours.
Each process looks a few times a second: a partition whose owner is gone or hangs is taken by whoever sees
it first; one that nobody holds by the member it is meant for (the members in the order they came, in turn),
or by another after a while. An owner gives a partition up when it has been meant for another member for
some time, so that work spreads again after a member came.

Never: two owners of a partition (its ``Lease`` sees to that); processes that part differently side by side.
A process that lost a lease ends: whoever starts it again makes it a member again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from libs.common.db import NO_ANSWER, Database, load_queries
from libs.common.errors import AppError, ConfigInvalid
from libs.common.lease import POLL_S, TTL_S, Lease

log = structlog.get_logger()
T = TypeVar("T")

_SQL = load_queries(Path(__file__).parent / "sql/partitions.sql")
PARTITIONS_MAX = 16  # each owned one keeps a session of the database
PATIENCE_S = 1.0  # how long a partition nobody holds is left to the member it is meant for
SPREAD_S = 5.0  # how long a partition must be meant for another member before its owner gives it up

Open = Callable[[int, Lease], AbstractAsyncContextManager[T]]


class Partitions(Generic[T]):
    """See the module's text. ``open_partition`` makes what works on a partition while its lease is held."""

    def __init__(
        self,
        schema: str,
        count: int,
        database: Database,
        open_partition: Open[T],
        fail: Callable[[str], None],
    ) -> None:
        self._sql = {name: sql.format(schema=schema) for name, sql in _SQL.items()}
        self._schema = schema
        self.count = count
        self._database = database
        self._open = open_partition
        self._fail = fail
        self.owned: dict[int, T] = {}
        self._closing: dict[int, asyncio.Event] = {}  # of those that are ours
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._member = 0
        self._since: dict[int, float] = {}  # since when a partition is as it should not be, loop time
        self._missing: list[int] = []  # without an owner at the last look
        self._looking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Join, wait until every partition has an owner. ConfigInvalid beside members that part otherwise."""
        loop = asyncio.get_running_loop()
        async with self._database.connection() as connection:
            self._member = await connection.fetchval(self._sql["join"], self.count, TTL_S)
        begun_s = loop.time()
        while others := await self._parted_otherwise():
            if loop.time() - begun_s > TTL_S + 1.0:
                raise ConfigInvalid(
                    f"another process of {self._schema} has {others} partitions, this one {self.count}"
                )
            await self._look_patiently(act=False)
            await asyncio.sleep(POLL_S)
        async with self._database.connection() as connection:
            await connection.execute(self._sql["fence"], self.count)
        while True:
            await self._look_patiently(act=True)
            if not self._missing and all(n in self.owned for n in self._tasks):
                break
            await asyncio.sleep(0.02 if self._tasks else POLL_S)
        if not self.owned:
            log.info("another process owns the partition", service=self._schema, partitions=self.count)
        self._looking = asyncio.create_task(self._keep_looking(), name=f"partitions {self._schema}")

    async def stop(self) -> None:
        """Finish and give up what is ours."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        for closing in self._closing.values():
            closing.set()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        if self._member:
            try:
                async with self._database.connection() as connection:
                    await connection.execute(self._sql["leave"], self._member)
            except (AppError, *NO_ANSWER) as e:
                log.warning("member not taken away", service=self._schema, error=f"{type(e).__name__}: {e}")

    async def problem(self) -> str | None:
        """Which partitions have no owner, or None."""
        if not self._missing:
            return None
        return f"{self._schema}: nobody owns partition {', '.join(map(str, self._missing))}"

    # ── looking ───────────────────────────────────────────────────────────────────────────────────

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(POLL_S)
            await self._look_patiently(act=True)

    async def _look_patiently(self, *, act: bool) -> None:
        try:
            members, leases = await self._look()
        except (AppError, *NO_ANSWER) as e:
            log.warning("partitions not seen", service=self._schema, error=f"{type(e).__name__}: {e}")
            return
        held = {n for n, (kept, lives) in leases.items() if kept and lives}
        self._missing = [n for n in leases if n not in held and n not in self.owned]
        if act:
            self._act(members, leases)

    async def _look(self) -> tuple[list[int], Mapping[int, tuple[bool, bool]]]:
        """The members that part as we do, and of each partition whether it is kept and its owner lives."""
        async with self._database.connection() as connection:
            await connection.execute(self._sql["beat"], self._member, TTL_S)
            members = [row[0] for row in await connection.fetch(self._sql["members"]) if row[1] == self.count]
            leases = await connection.fetch(self._sql["leases"], self.count)
        return members or [self._member], {row[0]: (row[1], row[2]) for row in leases}

    async def _parted_otherwise(self) -> int | None:
        async with self._database.connection() as connection:
            rows = await connection.fetch(self._sql["members"])
        return next((row[1] for row in rows if row[1] != self.count), None)

    def _act(self, members: list[int], leases: Mapping[int, tuple[bool, bool]]) -> None:
        now_s = asyncio.get_running_loop().time()
        for n, (kept, lives) in leases.items():
            ours = members[n % len(members)] == self._member
            if n in self._tasks:
                self._give_up_when_due(n, ours, now_s)
            elif kept and lives:
                self._since.pop(n, None)
            elif ours or kept or lives or now_s - self._since.setdefault(n, now_s) >= PATIENCE_S:
                # Its owner died or hangs, it is meant for us, or whom it is meant for does not come.
                self._since.pop(n, None)
                self._closing[n] = asyncio.Event()
                self._tasks[n] = asyncio.create_task(self._own(n), name=f"{self._schema}/{n}")

    def _give_up_when_due(self, n: int, ours: bool, now_s: float) -> None:
        if ours or n not in self.owned or self._closing[n].is_set():
            self._since.pop(n, None)
        elif now_s - self._since.setdefault(n, now_s) >= SPREAD_S:
            log.info("partition is given to another member", service=self._schema, partition=n)
            self._closing[n].set()

    # ── owning ────────────────────────────────────────────────────────────────────────────────────

    async def _own(self, n: int) -> None:
        """Take a partition and work on it until it is to be given up."""
        lease = Lease(
            self._schema,
            n,
            self._database,
            lambda: self._fail(f"another process took partition {n} over"),
            partitions=self.count,
        )
        try:
            if await lease.try_take():
                await self._work(n, lease)
        except Exception as e:
            log.exception("partition failed", service=self._schema, partition=n)
            self._fail(f"partition {n}: {type(e).__name__}: {e}")
        finally:
            for by_partition in (self._tasks, self._closing, self._since):
                by_partition.pop(n, None)

    async def _work(self, n: int, lease: Lease) -> None:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(lease.release)
            opened = await stack.enter_async_context(self._open(n, lease))
            self.owned[n] = opened
            try:
                await self._closing[n].wait()
            finally:
                del self.owned[n]


@asynccontextmanager
async def running(partitions: Partitions[T]) -> AsyncIterator[Partitions[T]]:
    """Started, and stopped at the end."""
    try:
        await partitions.start()
        yield partitions
    finally:
        await partitions.stop()
