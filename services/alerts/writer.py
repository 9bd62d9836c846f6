"""The transactions of alerts: hits with their log rows and pushes, changes, and how far ticks were judged.

Everything that belongs to a hit commits together. Very many hits are written in pieces, in order; the
place up to which ticks were judged moves with the last piece, and what a piece has written says by
itself that it is done: a single alert is no longer active, a repeating one knows the tick it fired on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

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
from services.alerts.store import Fired, Store
from services.alerts.watch import AlertBook, Hit, Mark, Referenced, Watch

log = structlog.get_logger()

PIECE = 10_000  # hits of one transaction
TRACED_MAX = 16  # hits of one transaction that may be followed step by step
_FACTS_STREAM = str(ALERT_TRIGGERED.stream)


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
        begun_s = self._clock.monotonic_s()
        last = max(len(hits) - 1, 0) // PIECE * PIECE
        for start in range(0, last, PIECE):
            async with self.transaction() as tx:
                await self._write_hits(tx, hits[start : start + PIECE])
            self._relay.wake()
            self._observe(hits[start : start + PIECE])
        async with self.transaction() as tx:
            await self._write_hits(tx, hits[last:])
            now_ms = self._clock.now_ms()
            if referenced:
                await self._store.set_references(tx, referenced, now_ms)
            await self._store.lock_logins(tx, (c.login for c in changes if isinstance(c, Create)))
            results = [await self._write_change(tx, book, change, now_ms) for change in changes]
            touched = {watch.key: watch for change in changes for watch in change.touched}
            touched.update((watch.key, watch) for watch in judged)
            await self._store.put_seen(tx, touched.values())
        self._relay.wake()
        self._observe(hits[last:])
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

    async def _write_hits(self, tx: Connection, hits: Sequence[Hit]) -> None:
        if not hits:
            return
        now_ms = self._clock.now_ms()
        alerts = await self._store.fire(tx, hits, now_ms)
        known = [hit for hit in hits if hit.alert_id in alerts]
        if len(known) < len(hits):
            metrics.astray.inc(len(hits) - len(known))
            log.error("hits of alerts that are not active", count=len(hits) - len(known))
        log_ids = await self._store.log_hits(tx, known, alerts, now_ms)
        # What a tick set off begins here, and the outbox carries it on; a storm would fill the logs.
        adopt_traceparent(None, may_sample=len(known) <= TRACED_MAX)
        await self._outbox.append(tx, self._facts(known, alerts, log_ids, now_ms))
        for hit in known[:TRACED_MAX]:
            span("trigger", alert=hit.alert_id, price=hit.price, tick=hit.seq)
        metrics.fired.inc(len(known))

    def _observe(self, written: Sequence[Hit]) -> None:
        """Tell how long after their live ticks these hits were written."""
        now_ms = self._clock.now_ms()
        for tick_ms in {hit.tick_ms for hit in written if hit.mark is Mark.NONE}:
            metrics.latency_seconds.observe(max(now_ms - tick_ms, 0) / 1000, exemplar())

    def _facts(
        self, hits: Sequence[Hit], alerts: dict[int, Fired], log_ids: Sequence[int], now_ms: int
    ) -> list[Fact]:
        """All pushes, then all facts: the relay sends what is in a row for one stream together."""
        pushes: list[Fact] = []
        facts: list[Fact] = []
        subjects: dict[int, tuple[str, str]] = {}  # made once per login: a storm has many hits of few
        new_ids = self._ids.event_ids(2 * len(hits))
        for at, (hit, log_id) in enumerate(zip(hits, log_ids, strict=True)):
            told = alerts[hit.alert_id].told
            names = subjects.get(told.login)
            if names is None:
                names = ALERT_PUSH.at(login=told.login), ALERT_TRIGGERED.at(login=told.login)
                subjects[told.login] = names
            push_id, event_id = new_ids[2 * at], new_ids[2 * at + 1]
            frame = alert_frame(told, price=hit.price, at_ms=now_ms)
            pushes.append(Fact(names[0], PUSH_STREAM, encode(frame), push_id))
            event = triggered(told, event_id=event_id, log_id=log_id, price=hit.price, at_ms=now_ms)
            facts.append(Fact(names[1], _FACTS_STREAM, encode(event), event_id))
        return pushes + facts

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
