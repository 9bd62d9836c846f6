"""The outbox: facts committed with the change they tell of, published after it.

Lifecycle: the service appends inside its transaction and calls ``Relay.wake`` after the commit; the
relay, one per outbox under an advisory lock, publishes what is due: each stream's facts in id order in
atomic batches, the streams side by side, and marks the rows after the acknowledgements. A process whose
relay stands in hands its wakes on over the bus to the one that has the lock. A 1 s poll is the net.
Who commits very much piece by piece may hold the relay back meanwhile, for a bounded time.

A crash of PostgreSQL may take the last marks back, never a fact: what lost its mark is sent again.

Never: publish before the commit; skip a row by remembering ``max(id)`` (ids commit out of order);
drop a row whose publish failed. At start and after a reconnect the relay looks whether each stream
still holds what it had acknowledged and sends a lost tail again; consumers drop the repeats by id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import structlog
from prometheus_client import Counter, Gauge

from libs.common.bus import HEADER_ID, HEADER_TRACE, Bus, Entry, Subscription, encode
from libs.common.clock import Clock
from libs.common.db import Connection, Database, Part, Record, load_queries
from libs.common.errors import AppError
from libs.common.subjects import Subject, outbox_due_of
from libs.common.telemetry import current_traceparent, is_sampled, span

log = structlog.get_logger()

_SQL = load_queries(Path(__file__).parent / "sql/outbox.sql")
WINDOW = 4_000  # facts looked at together: they are marked by one statement
BATCH = 1_000  # facts of a stream published together: what JetStream takes at once, for one sync of its disk
COPY_FROM = 500  # facts of one call from which on COPY is worth its two round trips more
POLL_S = 1.0
PACE_S = 0.02  # rounds begin so far apart at least: each costs four syncs of a stream, however few its facts
HELD_S_MAX = 2.0  # how long facts wait for those who hold the relay back, until it has caught up
RETRY_S_MAX = 10.0
FORGET_EVERY_S = 60.0
FORGET_PIECE = 10_000  # rows that are forgotten at once

_COPIED = ("event_id", "stream", "subject", "payload", "traceparent")

_published = Counter("tradewind_outbox_published_rows", "Facts published from the outbox", ["service"])
_age = Gauge("tradewind_outbox_age_seconds", "Age of the oldest unpublished fact", ["service"])
_waiting = Gauge("tradewind_outbox_waiting_rows", "Facts not published yet", ["service"])


Taken = tuple[Record, int]  # a row and its place in its stream


class Fact(NamedTuple):
    """A fact to write: its concrete subject and stream, its body and its id."""

    subject: str
    stream: str
    payload: bytes
    event_id: str


def fact(subject: Subject[Any], message: Any, event_id: str, **keys: str | int) -> Fact:
    """A fact of ``subject`` for ``keys``."""
    if subject.stream is None:
        raise ValueError(f"{subject.template} is not kept by a stream")
    return Fact(subject.at(**keys), subject.stream, encode(message), event_id)


class Outbox:
    """Writes facts inside the caller's transaction."""

    def __init__(self, schema: str) -> None:
        self._schema = schema
        self._append = _SQL["append"].format(schema=schema)
        self._claim = _SQL["claim"].format(schema=schema)

    async def append(self, tx: Connection, facts: Sequence[Fact]) -> None:
        """Add facts in order; they are published after ``tx`` commits."""
        if not facts:
            return
        if len(facts) >= COPY_FROM:
            trace = current_traceparent()
            await tx.copy_records_to_table(
                "outbox",
                schema_name=self._schema,
                columns=_COPIED,
                records=((f.event_id, f.stream, f.subject, f.payload, trace) for f in facts),
            )
            return
        sql, args = self.part(facts)
        await tx.execute(sql, *args)

    def part(self, facts: Sequence[Fact]) -> Part:
        """What ``append`` does, as a part of ``Database.commit``."""
        columns = (
            [f.event_id for f in facts],
            [f.stream for f in facts],
            [f.subject for f in facts],
            [f.payload for f in facts],
        )
        return Part(self._append, (*columns, current_traceparent()))

    async def claim(self, tx: Connection, consumer: str, event_id: str) -> bool:
        """Claim an inbound event; False when its effect has been committed before."""
        return await tx.fetchval(self._claim, consumer, event_id) is not None


class Relay:
    """Publishes one service's outbox. Start once; ``wake`` after each commit."""

    def __init__(self, schema: str, database: Database, bus: Bus, clock: Clock) -> None:
        self._sql = {name: sql.format(schema=schema) for name, sql in _SQL.items()}
        self._schema = schema
        self._database = database
        self._bus = bus
        self._clock = clock
        self._due = asyncio.Event()
        self._look_back = True
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._is_relay = False  # this process has the lock
        self._holders = 0
        self._free = asyncio.Event()  # nobody holds it back
        self._free.set()
        self._held_s = 0.0  # since it had caught up
        self._round_s = -PACE_S  # when the last round began
        self._signal = outbox_due_of(schema)
        self._listening: Subscription | None = None
        self._forgotten_s = 0.0
        self._measured_s = 0.0
        bus.on_reconnect(self._heard_reconnect)
        _published.labels(schema)
        _age.labels(schema).set(0)
        _waiting.labels(schema).set(0)

    def wake(self) -> None:
        """Something was committed."""
        self._due.set()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let this process commit piece after piece before its relay takes its share of disk and processor.

        What is due goes out when nobody holds it back any more, or has done so for ``HELD_S_MAX``; then it
        is not held back again before it has caught up. A stop does not wait either.
        """
        self._holders += 1
        self._free.clear()
        try:
            yield
        finally:
            self._holders -= 1
            if self._holders == 0:
                self._free.set()

    def _heard(self, subject: str, payload: bytes) -> None:
        """Another process of the service committed something."""
        if self._is_relay:
            self._due.set()

    def _heard_reconnect(self) -> None:
        self._look_back = True
        self._due.set()

    async def start(self) -> None:
        """Begin relaying."""
        self._listening = await self._bus.subscribe(self._signal.pattern, self._heard)
        self._due.set()
        self._task = asyncio.create_task(self._run(), name=f"relay {self._schema}")

    async def stop(self) -> None:
        """Publish what is committed, within a bound, then stop."""
        if self._task is None:
            return
        self._stopping = True
        self._due.set()
        self._free.set()
        try:
            await asyncio.wait_for(asyncio.shield(self._task), timeout=5)
        except TimeoutError:
            log.warning("outbox not empty at stop", service=self._schema)
            self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self._listening is not None:
            await self._listening.stop()

    async def _run(self) -> None:
        failures = 0
        while True:
            try:
                async with self._database.pool.acquire() as connection:
                    while not await connection.fetchval(self._sql["lock_relay"]):
                        await self._stand_in()
                        if self._stopping:
                            return
                    # A mark a crash takes back is a fact sent again, which its stream or its consumers drop
                    # by id: those who commit effects must not wait for the disk behind it.
                    await connection.execute("SET synchronous_commit = off")
                    self._is_relay = True
                    await self._relay(connection)
                    return
            except Exception as e:
                failures += 1
                log.warning("relay failed", service=self._schema, error=f"{type(e).__name__}: {e}")
                if self._stopping:
                    return
                await asyncio.sleep(min(0.1 * 2 ** min(failures, 10), RETRY_S_MAX))
            finally:
                self._is_relay = False

    async def _stand_in(self) -> None:
        """Another process relays this outbox: for a while, tell it of what is committed here."""
        try:
            async with asyncio.timeout(POLL_S):
                while True:
                    await self._due.wait()
                    self._due.clear()
                    await self._bus.publish(self._signal.at(), b"")
                    if self._stopping:
                        return
        except TimeoutError:
            pass

    async def _relay(self, connection: Connection) -> None:
        """Publish until stopped. The lock lives as long as the connection."""
        failures = 0
        while True:
            try:
                await self._publish_due(connection)
                failures = 0
            except AppError as e:  # the bus; the lock and the connection are still good
                failures += 1
                log.warning("facts not published yet", service=self._schema, error=str(e))
                if self._stopping:
                    return
                await self._measure(connection)
                await asyncio.sleep(min(0.1 * 2 ** min(failures, 10), RETRY_S_MAX))
                continue
            await self._tidy(connection)
            if self._stopping and not self._due.is_set():
                return
            try:
                async with asyncio.timeout(POLL_S):
                    await self._due.wait()
            except TimeoutError:
                pass

    async def _publish_due(self, connection: Connection) -> None:
        if self._look_back:
            await self._send_lost_tails(connection)
            self._look_back = False
        after = 0
        taken: list[Taken] = []
        while True:
            if self._is_held():
                await self._mark(connection, taken)
                taken = []
                await self._wait_free(connection)
            if not after:
                await self._pace()
            self._due.clear()
            rows = await connection.fetch(self._sql["due"], WINDOW, after)
            taken = await self._publish(connection, rows, taken)
            if len(rows) == WINDOW:
                after = rows[-1]["id"]  # what was just published is marked while the next is on its way
                continue
            await self._mark(connection, taken)
            taken = []
            if after:
                after = 0  # facts that committed late stand before others
            elif not self._due.is_set():
                self._held_s = 0.0
                return

    async def _pace(self) -> None:
        """The first fact after a while goes out at once, those that follow it closely together."""
        wait_s = self._round_s + PACE_S - self._clock.monotonic_s()
        if wait_s > 0 and not self._stopping:
            await asyncio.sleep(wait_s)
        self._round_s = self._clock.monotonic_s()

    def _is_held(self) -> bool:
        return not self._free.is_set() and not self._stopping and self._held_s < HELD_S_MAX

    async def _wait_free(self, connection: Connection) -> None:
        while self._is_held():
            step_s = min(HELD_S_MAX - self._held_s, POLL_S)
            begun_s = self._clock.monotonic_s()
            try:
                async with asyncio.timeout(step_s):
                    await self._free.wait()
                self._held_s += self._clock.monotonic_s() - begun_s
            except TimeoutError:
                self._held_s += step_s
                await self._measure(connection)

    async def _publish(
        self, connection: Connection, rows: Sequence[Record], before: Sequence[Taken]
    ) -> list[Taken]:
        """Publish rows, what was acknowledged comes back; meanwhile mark those published ``before``.

        When a stream takes nothing the others still take theirs, and all that was acknowledged is marked.
        """
        streams: dict[str, list[Record]] = {}
        for row in rows:
            streams.setdefault(row["stream"], []).append(row)
        taken: list[Taken] = []
        ended = await asyncio.gather(
            self._mark(connection, before),
            *(self._append(stream, run, taken) for stream, run in streams.items()),
            return_exceptions=True,
        )
        for failure in ended:
            if failure is not None:
                if ended[0] is None:
                    await self._mark(connection, taken)
                raise failure
        return taken

    async def _mark(self, connection: Connection, taken: Sequence[Taken]) -> None:
        if not taken:
            return
        ids, seqs = [row["id"] for row, _ in taken], [seq for _, seq in taken]
        await connection.execute(self._sql["published"], ids, seqs)
        _published.labels(self._schema).inc(len(taken))
        for row, seq in taken:
            if is_sampled(row["traceparent"]):
                span("published", of=row["traceparent"], subject=row["subject"], seq=seq)

    async def _append(self, stream: str, run: Sequence[Record], taken: list[Taken]) -> None:
        """Publish the facts of one stream, batch by batch; what it acknowledged goes to ``taken``."""
        for start in range(0, len(run), BATCH):
            part = run[start : start + BATCH]
            seqs = await self._bus.append(stream, [_entry(row) for row in part])
            taken.extend(zip(part, seqs, strict=True))

    async def _send_lost_tails(self, connection: Connection) -> None:
        """Find what a stream acknowledged and no longer holds, and send it again.

        What is lost is a tail: going back in pieces, the first piece whose oldest fact is still in
        its place ends the search.
        """
        for row in await connection.fetch(self._sql["published_streams"]):
            pieces: list[Sequence[Record]] = []
            before = 2**62
            while True:
                piece = await connection.fetch(self._sql["published_before"], row["stream"], before, BATCH)
                if not piece or (not pieces and await self._holds(piece[0])):
                    break
                pieces.append(piece[::-1])
                before = piece[-1]["id"]
                if await self._holds(piece[-1]):
                    break
            for lost in reversed(pieces):
                log.warning(
                    "stream lost its tail", service=self._schema, stream=row["stream"], facts=len(lost)
                )
                await self._mark(connection, await self._publish(connection, lost, ()))

    async def _holds(self, row: Record) -> bool:
        window = await self._bus.history(row["stream"], ">", row["stream_seq"] - 1, 1)
        if row["stream_seq"] < window.first_seq:
            return True  # gone by age, not lost
        found = window.entries
        return bool(found) and found[0].headers.get(HEADER_ID) == row["event_id"]

    async def _measure(self, connection: Connection) -> None:
        """Tell how much waits and for how long: above all while nothing can be published."""
        now_s = self._clock.monotonic_s()
        if now_s - self._measured_s < POLL_S:
            return
        self._measured_s = now_s
        row = await connection.fetchrow(self._sql["age"])
        _age.labels(self._schema).set(row["age_s"])
        _waiting.labels(self._schema).set(row["waiting"])

    async def _tidy(self, connection: Connection) -> None:
        await self._measure(connection)
        now_s = self._clock.monotonic_s()
        if now_s - self._forgotten_s >= FORGET_EVERY_S:
            self._forgotten_s = now_s
            for query in ("forget_published", "forget_claims"):
                gone = await connection.execute(self._sql[query], FORGET_PIECE)
                if gone == f"DELETE {FORGET_PIECE}":
                    self._forgotten_s = now_s - FORGET_EVERY_S + POLL_S  # there is more


def _entry(row: Record) -> Entry:
    return Entry(row["subject"], row["payload"], row["event_id"], _headers(row["traceparent"]))


@lru_cache(maxsize=1_000)  # what was committed together shares its trace
def _headers(traceparent: str) -> Mapping[str, str]:
    return {HEADER_TRACE: traceparent} if traceparent else {}
