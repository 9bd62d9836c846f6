"""The transactions of alerts: hits with their log rows and pushes, changes, and how far ticks were judged.

Everything that belongs to a hit commits together. Very many hits are written in pieces, in order; the
place up to which ticks were judged moves with the last piece, and what a piece has written says by
itself that it is done: a single alert is no longer active, a repeating one knows the tick it fired on.
While PostgreSQL writes a piece, the next one is read and its frames are made: nobody else changes alerts
of this partition, so what was read is still true when it is written, and every write checks the lease.
Its rows are written beside the facts of the one before; its own facts only when that one is committed, so
facts are in order and a piece is never committed without those before it. Meanwhile the relay is held back.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from contextlib import asynccontextmanager, nullcontext
from functools import lru_cache
from typing import Any, NamedTuple

import structlog

from libs.common.bus import encode
from libs.common.clock import Clock
from libs.common.db import Connection, Database
from libs.common.errors import AppError
from libs.common.ids import Ids
from libs.common.lease import Guard
from libs.common.outbox import Fact, Outbox, Relay, fact
from libs.common.subjects import ALERT_PUSH, ALERT_TRIGGERED, PUSH_STREAM
from libs.common.telemetry import adopt_traceparent, exemplar, span
from services.alerts import metrics
from services.alerts.alert import Alert
from services.alerts.changes import Change, Create
from services.alerts.frames import alert_frame, triggered
from services.alerts.store import Store, Struck
from services.alerts.watch import AlertBook, Hit, Mark, Referenced, Watch

log = structlog.get_logger()

PIECE = 5_000  # hits of one transaction
TRACED_MAX = 16  # hits of one transaction that may be followed step by step
_FACTS_STREAM = str(ALERT_TRIGGERED.stream)


@lru_cache(maxsize=10_000)  # a storm has many hits of few accounts
def _subjects(login: int) -> tuple[str, str]:
    return ALERT_PUSH.at(login=login), ALERT_TRIGGERED.at(login=login)


async def _end(*tasks: asyncio.Task[Any] | None) -> None:
    """Cancel what still runs, and wait until it has ended."""
    begun = [task for task in tasks if task is not None]
    for task in begun:
        task.cancel()
    await asyncio.gather(*begun, return_exceptions=True)


class Piece(NamedTuple):
    """Hits of one transaction and the facts that tell of them; written at ``now_ms``."""

    struck: Sequence[Struck]
    facts: Sequence[Fact]
    now_ms: int


class Writer:
    """See the module's text."""

    def __init__(
        self,
        *,
        database: Database,
        store: Store,
        outbox: Outbox,
        relay: Relay,
        clock: Clock,
        ids: Ids,
        guard: Guard,
    ) -> None:
        self._guard = guard
        self._database = database
        self._store = store
        self._outbox = outbox
        self._relay = relay
        self._clock = clock
        self._ids = ids
        self._expired_to_s = 0

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A transaction that may write: LeaseLost when another process owns the partition."""
        async with self._database.transaction() as tx:
            await self._guard.check(tx)
            yield tx

    async def write(
        self,
        book: AlertBook,
        hits: Sequence[Hit],
        referenced: Sequence[Referenced],
        changes: Sequence[Change],
        judged: Iterable[Watch],
    ) -> list[int | AppError]:
        """Commit hits, references, changes and the places of ``judged``; each change's result or refusal."""
        with self._relay.held() if len(hits) > PIECE else nullcontext():
            return await self._write(book, hits, referenced, changes, judged)

    async def _write(
        self,
        book: AlertBook,
        hits: Sequence[Hit],
        referenced: Sequence[Referenced],
        changes: Sequence[Change],
        judged: Iterable[Watch],
    ) -> list[int | AppError]:
        begun_s = self._clock.monotonic_s()
        piece = await self._write_ahead(hits) if len(hits) > PIECE else None
        async with self.transaction() as tx:
            if piece is None:
                piece = await self._prepare(tx, hits)
            await self._write_hits(tx, piece)
            now_ms = self._clock.now_ms()
            if referenced:
                await self._store.set_references(tx, referenced, now_ms)
            await self._store.lock_logins(tx, (c.login for c in changes if isinstance(c, Create)))
            results = [await self._write_change(tx, book, change, now_ms) for change in changes]
            touched = {watch.key: watch for change in changes for watch in change.touched}
            touched.update((watch.key, watch) for watch in judged)
            await self._store.put_seen(tx, touched.values())
        self._relay.wake()
        self._observe(piece)
        for watch in touched.values():
            watch.dirty = False
        metrics.write_seconds.observe(self._clock.monotonic_s() - begun_s)
        return results

    async def _write_change(
        self, tx: Connection, book: AlertBook, change: Change, now_ms: int
    ) -> int | AppError:
        try:
            return await change.write(tx, self._store, book, now_ms)
        except AppError as e:
            return e

    async def _write_ahead(self, hits: Sequence[Hit]) -> Piece:
        """Write all pieces but the last one, which comes back prepared."""
        before: asyncio.Task[None] | None = None
        writing: asyncio.Task[None] | None = None
        coming: asyncio.Task[Piece] | None = None
        try:
            piece = await self._read_piece(hits[:PIECE])
            for start in range(PIECE, len(hits), PIECE):
                coming = asyncio.create_task(self._read_piece(hits[start : start + PIECE]))
                before, writing = writing, asyncio.create_task(self._write_piece(piece, writing))
                if before is not None:
                    await before
                piece = await coming
            if writing is not None:
                await writing
        except BaseException:
            await _end(before, writing, coming)
            raise
        return piece

    async def _write_piece(self, piece: Piece, before: Awaitable[None] | None) -> None:
        """Commit a piece after the one before it, whose failure is this one's."""
        async with self.transaction() as tx:
            await self._write_hits(tx, piece, before)
        self._relay.wake()
        self._observe(piece)

    async def _read_piece(self, hits: Sequence[Hit]) -> Piece:
        async with self._database.connection() as connection:
            return await self._prepare(connection, hits)

    async def _prepare(self, connection: Connection, hits: Sequence[Hit]) -> Piece:
        """Everything hits tell, still to be written."""
        struck = await self._store.hit(connection, hits) if hits else []
        if len(struck) < len(hits):
            metrics.astray.inc(len(hits) - len(struck))
            log.error("hits of alerts that are not active", count=len(hits) - len(struck))
        now_ms = self._clock.now_ms()
        return Piece(struck, self._facts(struck, now_ms), now_ms)

    async def _write_hits(self, tx: Connection, piece: Piece, before: Awaitable[None] | None = None) -> None:
        """Write a piece; its facts stand behind those of the piece ``before`` once that is committed."""
        if not piece.struck:
            if before is not None:
                await before
            return
        await self._store.fire(tx, piece.struck, piece.now_ms)
        await self._store.log_hits(tx, piece.struck, piece.now_ms)
        if before is not None:
            await before
        # What a tick set off begins here, and the outbox carries it on; a storm would fill the logs.
        adopt_traceparent(None, may_sample=len(piece.struck) <= TRACED_MAX)
        await self._outbox.append(tx, piece.facts)
        for hit, *_ in piece.struck[:TRACED_MAX]:
            span("trigger", alert=hit.alert_id, price=hit.price, tick=hit.seq)
        metrics.fired.inc(len(piece.struck))

    def _observe(self, written: Piece) -> None:
        """Tell how long after their live ticks these hits were written."""
        now_ms = self._clock.now_ms()
        for tick_ms in {hit.tick_ms for hit, *_ in written.struck if hit.mark is Mark.NONE}:
            metrics.latency_seconds.observe(max(now_ms - tick_ms, 0) / 1000, exemplar())

    def _facts(self, struck: Sequence[Struck], now_ms: int) -> list[Fact]:
        """The push and the fact of each hit."""
        facts: list[Fact] = []
        new_ids = iter(self._ids.event_ids(2 * len(struck)))
        for hit, log_id, told, _ in struck:
            push, event_of = _subjects(told.login)
            frame = alert_frame(told, price=hit.price, at_ms=now_ms)
            facts.append(Fact(push, PUSH_STREAM, encode(frame), next(new_ids)))
            event_id = next(new_ids)
            event = triggered(told, event_id=event_id, log_id=log_id, price=hit.price, at_ms=now_ms)
            facts.append(Fact(event_of, _FACTS_STREAM, encode(event), event_id))
        return facts

    async def expire(self) -> tuple[list[Alert], int | None]:
        """End the alerts whose time is over and push them; who they are, and when the next one is due (s)."""
        now_s = self._clock.now_ms() // 1000
        async with self.transaction() as tx:
            expired = await self._store.expire(tx, now_s, self._expired_to_s)
            await self._outbox.append(tx, [self._expiry(alert) for alert in expired])
            due = await self._store.next_expiry(tx, now_s)
        self._expired_to_s = now_s  # an alert made or changed later ends later
        if expired:
            self._relay.wake()
            metrics.expired.inc(len(expired))
        return expired, due

    def _expiry(self, alert: Alert) -> Fact:
        frame = alert_frame(alert.told, price=alert.triggered_price, at_ms=alert.triggered_ms)
        return fact(ALERT_PUSH, frame, self._ids.event_id(), login=alert.login)
