"""Judging closed bars and writing what they told, round by round.

A round takes places that have bars nobody judged, computes a part of them at a time so that the process
stays able to answer, and writes everything in one transaction: detections, the ends of records, how far
the bars were judged, feed events and the outbox. What is not written was not judged: after any failure the
places are loaded again from the database and the round is repeated.

Never: change a place outside a round; publish before the commit.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from typing import Any

import structlog

from libs.common.bus import Bus, encode
from libs.common.candles import BY_ID
from libs.common.clock import Clock
from libs.common.db import Connection, Database
from libs.common.errors import AppError
from libs.common.ids import Uuid
from libs.common.lease import Guard
from libs.common.memory import give_back
from libs.common.messages.scan_people import FeedFrame
from libs.common.outbox import Outbox, Relay
from libs.common.subjects import FEED_TOLD
from services.scanner import metrics
from services.scanner.errors import PlacesMoved
from services.scanner.evidence import EvidenceBook
from services.scanner.facts import facts_of, heard_of
from services.scanner.following import Following
from services.scanner.loading import Loader
from services.scanner.past import Job, Past
from services.scanner.people_store import PeopleStore
from services.scanner.places import Place, Task, Told, judge
from services.scanner.snapshot import snapshots
from services.scanner.store import Store
from services.scanner.views import feed_event
from services.scanner.watching import CONTEXT_READY, RECORD_CLOSED, FeedRow, Watching

log = structlog.get_logger()

PART = 32  # windows computed without a pause, about 10 ms
ROUND_BARS = 4_000  # new bars in one transaction
RETRY_S_MAX = 10.0
IDLE_S = 5.0
PAST_REST = 15.0  # the past is judged for a part of some milliseconds, then rests so many times as long
EVIDENCE_S = 300.0  # how often the counts of closed records are read again,
EVIDENCE_SOON_S, EVIDENCE_SOON = 10.0, 500  # and how soon after so many have closed
TIDY_S = 3600.0
DAY_MS = 86_400_000


class Rounds:
    """The one writer of detections. ``judged`` is called when a round was written."""

    def __init__(
        self,
        *,
        bus: Bus,
        following: Following,
        loader: Loader,
        database: Database,
        store: Store,
        people: PeopleStore,
        outbox: Outbox,
        relay: Relay,
        watching: Watching,
        evidence: EvidenceBook,
        past: Past,
        guard: Guard,
        clock: Clock,
        kept_days: int,
        judged: Callable[[], None] = lambda: None,
    ) -> None:
        self._judged_some = judged
        self._bus = bus
        self._following = following
        self._loader = loader
        self._database = database
        self._store = store
        self._people = people
        self._outbox = outbox
        self._relay = relay
        self._watching = watching
        self._evidence = evidence
        self._past = past
        self._guard = guard
        self._clock = clock
        self._kept_days = kept_days
        self._loaded = False
        self._stopping = False
        self._caught_up = False
        self._trouble = ""
        self._evidence_s = self._tidied_s = -math.inf
        self._closed_since = 0

    # ── the loop ──────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Judge what closes until told to stop."""
        failures = 0
        while not self._stopping:
            self._following.due.clear()
            rest_s = 0.0
            try:
                more = await self.step()
                failures, self._trouble = 0, ""
                if not more:
                    rest_s = await self._look_back()
            except Exception as e:
                failures += 1
                self._past.drop()
                # A lost server is said at once; market may still be starting.
                if failures > 3:
                    self._trouble = f"bars are not judged: {type(e).__name__}: {e}"
                if isinstance(e, AppError | PlacesMoved):
                    log.warning("round not done", error=f"{type(e).__name__}: {e}", failures=failures)
                else:
                    log.exception("round broke", failures=failures)
                await self._pause(min(0.1 * 2 ** min(failures, 7), RETRY_S_MAX))
                continue
            if more:
                await asyncio.sleep(0)
            else:
                await self._pause(rest_s)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._following.due.wait()
        except TimeoutError:
            pass

    def stop(self) -> None:
        """End after the round under way."""
        self._stopping = True
        self._following.due.set()

    @property
    def caught_up(self) -> bool:
        """Whether there was a moment at which no closed bar waited to be judged."""
        return self._caught_up

    async def problem(self) -> str | None:
        """Why bars are not judged, or None."""
        return self._trouble or None

    # ── one round ─────────────────────────────────────────────────────────────────────────────────

    async def step(self) -> bool:
        """Judge and write some of what closed; whether there is more."""
        if self._following.is_stale:
            await self._following.freshen()
        if not self._loaded:
            await self._loader.load(self._following.places.values())
            self._following.pending |= self._following.places.keys()
            metrics.rejudged.inc()
            self._loaded = True
        if self._watching.is_stale:
            async with self._database.connection() as connection:
                self._watching.take(await self._people.active_monitors(connection))
        await self._refresh_evidence()
        begun_s = self._clock.monotonic_s()
        tasks = await self._tasks()
        metrics.pending.set(len(self._following.pending))
        if not tasks:
            if not self._caught_up:
                give_back()  # loading what was there took much more than holding it does
            self._caught_up = True
            await self._tidy()
            return False
        stood = [(task.place, task.place.done_ms) for task in tasks]
        self._loaded = False  # until what follows is written
        told = await self._judged(tasks)
        await self._write(stood, told)
        self._loaded = True
        metrics.round_seconds.observe(self._clock.monotonic_s() - begun_s)
        return True

    async def _tasks(self) -> list[Task]:
        """The oldest new bars of some places; places without any wait no more."""
        tasks: list[Task] = []
        count = 0
        for key in sorted(self._following.pending):
            place = self._following.places[key]
            task = await self._loader.task(place)
            if task is None:
                self._following.forget([key])
                continue
            tasks.append(task)
            count += len(task.bars) - task.first
            if count >= ROUND_BARS:
                break
        return tasks

    async def _judged(self, tasks: Sequence[Task]) -> list[Told]:
        windows = [(number, at) for number, task in enumerate(tasks) for at in task.judged]
        found: list[list[Any]] = [[] for _ in tasks]
        for start in range(0, len(windows), PART):
            part = windows[start : start + PART]
            results = snapshots([tasks[number].window(at) for number, at in part])
            for (number, _), result in zip(part, results, strict=True):
                found[number].append(result)
            await asyncio.sleep(0)
        told: list[Told] = []
        for task, its in zip(tasks, found, strict=True):
            for line in judge(task, its):
                told.append(line)
                if len(told) % PART == 0:
                    await asyncio.sleep(0)
        return told

    async def _write(self, stood: Sequence[tuple[Place, int]], told: Sequence[Told]) -> None:
        """Everything the bars told, in one transaction; then say it."""
        now_ms = self._clock.now_ms()
        opened = [(line.place, one) for line in told for one in line.opened]
        ended = [one for line in told for one in line.ended if one.stored]
        async with self._database.transaction() as tx:
            await self._guard.check(tx)
            await self._store.advance(tx, stood)
            new = await self._store.add_detections(tx, opened, now_ms)
            _let_go(told, new)
            await self._store.close_records(tx, ended)
            facts = [
                one
                for line in told
                for one in facts_of(line, new, self._evidence, live=self._is_live(line, now_ms))
            ]
            await self._outbox.append(tx, facts)
            events = await self._tell_people(tx, told, new, now_ms)
        self._relay.wake()
        for _, one in opened:
            one.stored = True
        self._count(told)
        self._judged_some()
        for event in events:
            frame = FeedFrame(event=feed_event(event))
            await self._bus.publish(FEED_TOLD.at(person=event.person_id), encode(frame))

    async def _look_back(self) -> float:
        """Judge a part of what lies behind the bars that were judged first; how long to rest then."""
        job = self._past.job()
        if job is None:
            return IDLE_S
        begun_s = self._clock.monotonic_s()
        if not job.step():
            await self._write_past(job)
            self._past.drop()
        return PAST_REST * (self._clock.monotonic_s() - begun_s)

    async def _write_past(self, job: Job) -> None:
        """Detections and ended records of a past; nobody is told, it is no news."""
        self._loaded = False  # until it is written
        async with self._database.transaction() as tx:
            await self._guard.check(tx)
            await self._store.reach_back(tx, job.place, job.first_ms)
            await self._store.add_detections(
                tx, [(job.place, one) for one in job.opened], self._clock.now_ms()
            )
        job.place.first_ms = job.first_ms
        self._loaded = True
        self._closed_since += len(job.opened)
        metrics.judged.inc(job.bars)

    async def _tell_people(
        self, tx: Connection, told: Sequence[Told], new: set[Uuid], now_ms: int
    ) -> list[FeedRow]:
        """Feed events of what is live, for the monitors that hear it; some tell on channels, too."""
        rows = []
        for line in told:
            if not self._is_live(line, now_ms):
                continue
            for one in line.opened:
                if one.id in new and not one.is_baseline:
                    rows += self._watching.events(line.place, one, CONTEXT_READY, now_ms)
            for one in line.ended:
                if not one.is_baseline:
                    rows += self._watching.events(line.place, one, RECORD_CLOSED, now_ms)
        added = await self._people.add_events(tx, rows)
        await self._outbox.append(tx, [heard_of(row) for row in added if row.monitor.channels])
        return added

    def _is_live(self, line: Told, now_ms: int) -> bool:
        """Whether a bar is news: the newest of its place, and heard as it closed or soon after."""
        if line.back:
            return False
        return self._caught_up or now_ms - line.close_ms <= line.close_ms - line.open_ms

    # ── beside the rounds ─────────────────────────────────────────────────────────────────────────

    async def _refresh_evidence(self) -> None:
        now_s = self._clock.monotonic_s()
        waited_s = now_s - self._evidence_s
        if waited_s < (EVIDENCE_SOON_S if self._closed_since >= EVIDENCE_SOON else EVIDENCE_S):
            return
        async with self._database.connection() as connection:
            tallies = await self._store.tallies(connection)
        self._evidence.take((p, s, BY_ID[frame].name, n, wins) for p, s, frame, n, wins in tallies)
        self._evidence_s, self._closed_since = now_s, 0

    async def _tidy(self) -> None:
        now_s = self._clock.monotonic_s()
        if now_s - self._tidied_s < TIDY_S:
            return
        async with self._database.transaction() as tx:
            await self._store.forget(tx, self._clock.now_ms() - self._kept_days * DAY_MS)
        self._tidied_s = now_s

    def _count(self, told: Sequence[Told]) -> None:
        metrics.judged.inc(len(told))
        metrics.detections.inc(sum(not one.is_baseline for line in told for one in line.opened))
        self._closed_since += sum(len(line.ended) for line in told)
        for line in told:
            for one in line.ended:
                if not one.is_baseline and one.closed is not None:
                    metrics.closed_records.labels(one.closed.outcome).inc()
        metrics.open_records.set(sum(len(place.open) for place in self._following.places.values()))


def _let_go(told: Sequence[Told], new: set[Uuid]) -> None:
    """Formations that were known before have their record already: the ones just opened for them go."""
    for line in told:
        line.opened = [one for one in line.opened if one.id in new]
        line.ended = [one for one in line.ended if one.stored or one.id in new]
    for place in {line.place.key: line.place for line in told}.values():
        place.open = [(one, track) for one, track in place.open if one.stored or one.id in new]
