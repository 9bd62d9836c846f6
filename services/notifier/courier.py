"""The courier: sends what is due.

Lifecycle: ``start`` → it claims recipients that have something due, each under a lease, and serves up to
``LANES_MAX`` of them at once; ``wake`` after a commit makes it look at once, a poll is the net. ``stop``
claims no more and lets what is under way finish, within a bound; what is cut off is repeated under its id.

Ownership: while a lease is held only its holder speaks to the recipient. A holder that lost it (paused, then
awake again) stops before its next message; what it had sent is marked only where it still waits.

Never: hold a transaction or a connection while an outsider is spoken to; make an attempt that was not
counted before; give the same delivery another id.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
import structlog

from libs.common.clock import Clock
from libs.common.db import Connection, Database
from libs.common.ids import Ids
from libs.common.telemetry import exemplar, span
from services.notifier import metrics
from services.notifier.channels.base import SEND_S_MAX, Address, Channel, Outcome, Outgoing, Result
from services.notifier.deliveries import DEAD, FAILED, SENT, Delivery, Unit, units_of
from services.notifier.gates import (
    SUMMARY_ROWS_MAX,
    open_at_ms,
    summary_lines,
)
from services.notifier.preferences import Said, gate_of
from services.notifier.rates import Rate, allowed_at_ms, taken
from services.notifier.rendering import Context, Templates, joined
from services.notifier.retry import is_given_up, next_due_ms
from services.notifier.store import NEVER_MS, Lane, Store
from services.notifier.vault import SealBroken, Vault

log = structlog.get_logger()

LANES_MAX = 32
LEASE_MS = 15_000  # longer than an attempt (SEND_S_MAX) and what surrounds it
POLL_S = 5.0
RETRY_S = 1.0
STOP_S = 6.0
UNITS_MAX = 20  # messages to one recipient before others have their turn
ERROR_CHARS_MAX = 300


@dataclass(frozen=True, slots=True)
class Begun:
    """Whether an attempt may be made: not without the lease, not before a time, not for what is over."""

    lost_lease: bool = False
    wait_until_ms: int = 0
    is_void: bool = False


class Courier:
    """Serves recipients. ``channels`` by name; a recipient of a channel that is not there waits."""

    def __init__(
        self,
        *,
        database: Database,
        store: Store,
        channels: Mapping[str, Channel],
        templates: Templates,
        vault: Vault,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._database = database
        self._store = store
        self._channels = channels
        self._templates = templates
        self._vault = vault
        self._clock = clock
        self._ids = ids
        self._due = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self._slots_ms: dict[str, float] = {}  # the last place in the queue for a channel's rate

    # ── life ──

    def wake(self) -> None:
        """Something may be due."""
        self._due.set()

    async def start(self) -> None:
        """Begin to send."""
        self._task = asyncio.create_task(self._run(), name="courier")

    async def stop(self) -> None:
        """Claim no more; let what is under way finish."""
        self._stopping = True
        self._due.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
        if self._serving:
            _, late = await asyncio.wait(self._serving, timeout=STOP_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def work(self) -> int:
        """Serve everything that is due now, to the end; how many recipients that were."""
        served = 0
        while lanes := await self._claim(LANES_MAX):
            await asyncio.gather(*(self._serve(lane) for lane in lanes))
            served += len(lanes)
        return served

    async def _run(self) -> None:
        while not self._stopping:
            self._due.clear()
            try:
                wait_s = await self._look()
            except Exception as e:  # the database; what is due stays due
                log.warning("courier can't look", error=f"{type(e).__name__}: {e}")
                await asyncio.sleep(RETRY_S)
                continue
            try:
                async with asyncio.timeout(wait_s):
                    await self._due.wait()
            except TimeoutError:
                pass

    async def _look(self) -> float:
        """Claim what there is room for; how long to wait until the next look."""
        room = LANES_MAX - len(self._serving)
        if room == 0:
            return POLL_S  # whoever finishes wakes us
        lanes = await self._claim(room)
        for lane in lanes:
            task = asyncio.create_task(self._serve(lane), name=f"courier {lane.channel} {lane.id}")
            self._serving.add(task)
            task.add_done_callback(self._finished)
        if len(lanes) == room:
            return POLL_S
        async with self._database.connection() as db:
            due_ms = await self._store.next_due_ms(db)
        if due_ms >= NEVER_MS:
            return POLL_S
        return min(max((due_ms - self._clock.now_ms()) / 1000, 0.005), POLL_S)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._serving.discard(task)
        self._due.set()

    async def _claim(self, limit: int) -> list[Lane]:
        now_ms = self._clock.now_ms()
        async with self._database.connection() as db:
            return await self._store.claim_recipients(
                db, now_ms, limit, now_ms + LEASE_MS, self._ids.token(12)
            )

    # ── one recipient ──

    async def _serve(self, lane: Lane) -> None:
        try:
            not_before_ms = await self._serve_units(lane)
            async with self._database.transaction() as tx:
                await self._store.lock_recipient(tx, lane.id)
                await self._store.release(tx, lane, not_before_ms)
        except Exception as e:
            # The lease runs out and somebody begins anew, under the same ids.
            log.error("courier failed", channel=lane.channel, recipient=lane.id, exc_info=e)

    async def _serve_units(self, lane: Lane) -> int:
        """Send what may go now; the time before which nothing more does."""
        now_ms = self._clock.now_ms()
        channel = self._channels.get(lane.channel)
        if lane.not_before_ms > now_ms:
            return lane.not_before_ms
        if lane.status != "verified":
            return await self._without_binding(lane)
        if channel is None or not channel.is_on:
            return await self._without_channel(lane)
        for unit in (await self._units(lane, channel))[:UNITS_MAX]:
            if self._stopping:
                break
            begun = await self._begin(lane, channel, unit)
            if begun.lost_lease:
                metrics.leases_lost.inc()
                break
            if begun.wait_until_ms:
                return begun.wait_until_ms
            if begun.is_void:
                continue
            outcome = await self._attempt(lane, channel, unit)
            lane = await self._settle(lane, unit, outcome)
            if lane.not_before_ms > self._clock.now_ms() or lane.status == "gone":
                break
        return lane.not_before_ms

    async def _without_binding(self, lane: Lane) -> int:
        """It was taken away while something was being written for it."""
        async with self._database.transaction() as tx:
            await self._store.lock_recipient(tx, lane.id)
            ended = await self._store.end_waiting(
                tx, lane.id, self._clock.now_ms(), "the channel was unbound"
            )
            await self._settle_lane(tx, lane, ended=ended)
        metrics.deliveries.labels(lane.channel, FAILED).inc(ended)
        return 0

    async def _without_channel(self, lane: Lane) -> int:
        """The operator has not set it up, or no longer: what waits grows old and is given up."""
        now_ms = self._clock.now_ms()
        async with self._database.connection() as db:
            due = await self._store.due_deliveries(db, lane.id, now_ms, SUMMARY_ROWS_MAX)
        await self._bury_old(lane, due, now_ms)
        return now_ms + 60_000

    async def _units(self, lane: Lane, channel: Channel) -> list[Unit]:
        """What is due and not held back, put together as it goes out; the old are given up on the way."""
        now_ms = self._clock.now_ms()
        async with self._database.connection() as db:
            due = await self._store.due_deliveries(db, lane.id, now_ms, SUMMARY_ROWS_MAX)
            batches = {d.batch_id for d in due if d.batch_id is not None}
            if len(due) == SUMMARY_ROWS_MAX and batches:
                # What went out together goes out together, also where the page ends in between.
                mates = await self._store.batch_mates(db, lane.id, sorted(batches))
                due = [d for d in due if d.batch_id is None] + mates
        due = await self._bury_old(lane, due, now_ms)
        said = lane.said if lane.said is not None and channel.for_people else None
        if said is None:
            return [Unit((delivery,), delivery.batch_id) for delivery in due]
        gate = gate_of(said)
        ready: list[Delivery] = []
        held: dict[int, int] = {}
        for delivery in due:
            open_ms = open_at_ms(gate, created_ms=delivery.created_ms, now_ms=now_ms, level=delivery.level)
            # What went out once in a summary goes out again as it was.
            if open_ms <= now_ms or delivery.batch_id is not None:
                ready.append(delivery)
            else:
                held[delivery.id] = open_ms
        if held:
            async with self._database.transaction() as tx:
                await self._store.hold(tx, held)
        return units_of(ready, gate.digest, self._ids.event_id)

    async def _bury_old(self, lane: Lane, due: Sequence[Delivery], now_ms: int) -> list[Delivery]:
        """Give up what is too old; the rest."""
        old = [delivery.id for delivery in due if delivery.expires_ms <= now_ms]
        if old:
            async with self._database.transaction() as tx:
                await self._store.lock_recipient(tx, lane.id)
                ended = await self._store.end_deliveries(tx, old, DEAD, now_ms, "too old to be sent")
                await self._settle_lane(tx, lane, ended=ended)
            metrics.deliveries.labels(lane.channel, DEAD).inc(ended)
        return [delivery for delivery in due if delivery.expires_ms > now_ms]

    async def _begin(self, lane: Lane, channel: Channel, unit: Unit) -> Begun:
        """Keep the lease, use the rates, count the attempt; nothing is used or counted if it may not be."""
        async with self._database.transaction() as tx:
            now_ms = self._clock.now_ms()
            tat_ms = await self._store.renew_lease(tx, lane, now_ms + LEASE_MS)
            if tat_ms is None:
                return Begun(lost_lease=True)
            allowed_ms = allowed_at_ms(tat_ms, now_ms, channel.recipient_rate)
            if allowed_ms > now_ms:
                return Begun(wait_until_ms=allowed_ms)
            rate, pace_ms = channel.channel_rate, 0.0
            if rate is not None:
                pace_ms = await self._store.lock_pace(tx, lane.channel)
                allowed_ms = allowed_at_ms(pace_ms, now_ms, rate)
                if allowed_ms > now_ms:
                    return Begun(wait_until_ms=self._queued(lane.channel, allowed_ms, rate))
            if await self._store.begin_attempt(tx, unit.ids, unit.batch_id) == 0:
                return Begun(is_void=True)
            if rate is not None:
                await self._store.set_pace(tx, lane.channel, taken(pace_ms, now_ms, rate))
            await self._store.set_tat(tx, lane.id, taken(tat_ms, now_ms, channel.recipient_rate))
            return Begun()

    def _queued(self, channel: str, allowed_ms: int, rate: Rate) -> int:
        """A place in the queue for a channel's rate, so that those who wait do not all come at once."""
        slot_ms = max(float(allowed_ms), self._slots_ms.get(channel, 0.0) + rate.interval_ms)
        self._slots_ms[channel] = slot_ms
        return int(slot_ms) + 1

    async def _attempt(self, lane: Lane, channel: Channel, unit: Unit) -> Outcome:
        """One message to one outsider, bounded; no connection of ours is held meanwhile."""
        try:
            message = self._message(lane, unit)
            target = self._vault.open(lane.target, context=f"{lane.channel} {lane.target_key}").decode()
        except SealBroken:
            return Outcome(Result.REFUSED, "it was sealed with another key than the notifier has now")
        address = Address(lane.id, target, self._generations(lane))
        begun_s = self._clock.monotonic_s()
        try:
            async with asyncio.timeout(SEND_S_MAX):
                outcome = await channel.send(message, address)
        except TimeoutError:
            outcome = Outcome(Result.UNKNOWN, "no answer in time")
        except Exception as e:
            log.error("channel failed", channel=lane.channel, error=type(e).__name__)
            outcome = Outcome(Result.UNKNOWN, f"the channel failed ({type(e).__name__})")
        metrics.attempt_seconds.labels(lane.channel).observe(self._clock.monotonic_s() - begun_s)
        metrics.attempts.labels(lane.channel, outcome.result.value).inc()
        took_s = self._clock.monotonic_s() - begun_s
        for trace in {delivery.traceparent for delivery in unit.deliveries}:
            span(
                "delivery", took_s, of=trace, channel=lane.channel, result=outcome.result.value, id=message.id
            )
        return outcome

    def _generations(self, lane: Lane) -> tuple[int, ...]:
        if lane.generation > 1 and lane.previous_until_ms > self._clock.now_ms():
            return (lane.generation, lane.generation - 1)
        return (lane.generation,)

    def _message(self, lane: Lane, unit: Unit) -> Outgoing:
        first = unit.deliveries[0]
        if len(unit.deliveries) > 1 and unit.batch_id is not None:
            return self._summary(lane.said or Said(), unit, unit.batch_id)
        title, text = first.title, first.body
        if first.sealed is not None:
            opened = self._vault.open(first.sealed, context=f"mail {first.event_id}")
            title, text = msgspec.json.decode(opened, type=tuple[str, str])
        return Outgoing(
            # What was once begun as a summary of one keeps that id.
            id=unit.batch_id or first.event_id,
            type=first.type,
            title=title,
            text=text,
            created_ms=first.created_ms,
            level=first.level,
            login=first.login,
            data=first.data,
            traceparent=first.traceparent,
        )

    def _summary(self, said: Said, unit: Unit, batch_id: str) -> Outgoing:
        lines, unnamed = summary_lines([delivery.title for delivery in unit.deliveries])
        data = {
            "count": str(len(unit.deliveries)),
            "lines": joined(lines),
            "unnamed": str(unnamed) if unnamed else "",
        }
        written = self._templates.write("summary", data, Context(said.language))
        return Outgoing(
            id=batch_id,
            type="notice.summary",
            title=written.title,
            text=written.text,
            created_ms=unit.deliveries[-1].created_ms,
            level=max(delivery.level for delivery in unit.deliveries),
            login=unit.deliveries[0].login,
            traceparent=unit.deliveries[0].traceparent,
        )

    # ── after an attempt ──

    async def _settle(self, lane: Lane, unit: Unit, outcome: Outcome) -> Lane:
        """Write down what came of an attempt; the lane as it is now."""
        now_ms = self._clock.now_ms()
        why = outcome.reason[:ERROR_CHARS_MAX]
        state, due_ms = None, now_ms
        match outcome.result:
            case Result.SENT:
                lane = replace(lane, failures=0, not_before_ms=0)
                state = SENT
            case Result.REFUSED:
                state = FAILED
            case _:
                tries = max(unit.attempts, lane.failures + 1)
                due_ms = next_due_ms(now_ms, tries, self._dice(), outcome.retry_after_s)
                lane = replace(lane, failures=lane.failures + 1, not_before_ms=due_ms)
                expires_ms = min(delivery.expires_ms for delivery in unit.deliveries)
                if is_given_up(unit.attempts, due_ms, expires_ms):
                    state = DEAD
        async with self._database.transaction() as tx:
            await self._store.lock_recipient(tx, lane.id)
            ended = 0
            if state is None:
                await self._store.retry_deliveries(tx, unit.ids, due_ms, why)
            else:
                ended = await self._store.end_deliveries(tx, unit.ids, state, now_ms, why)
            lost = 0
            if outcome.gone:
                lost = await self._store.end_waiting(tx, lane.id, now_ms, "the receiver is gone")
                lane = replace(lane, status="gone")
            await self._settle_lane(tx, lane, ended=ended + lost, why=why, gone=outcome.gone)
        self._count(lane, unit, state, ended, lost, now_ms)
        if state in (FAILED, DEAD):
            log.warning("delivery over", channel=lane.channel, state=state, reason=why, deliveries=ended)
        return lane

    async def _settle_lane(
        self, tx: Connection, lane: Lane, *, ended: int, why: str = "", gone: bool = False
    ) -> None:
        await self._store.settle_recipient(
            tx,
            lane.id,
            ended=ended,
            failures=lane.failures,
            not_before_ms=lane.not_before_ms,
            last_error=why,
            gone=gone,
        )

    def _count(self, lane: Lane, unit: Unit, state: str | None, ended: int, lost: int, now_ms: int) -> None:
        if state is not None:
            metrics.deliveries.labels(lane.channel, state).inc(ended)
        if lost:
            metrics.deliveries.labels(lane.channel, FAILED).inc(lost)
        if state == SENT:
            if len(unit.deliveries) > 1:
                metrics.summaries.labels(lane.channel).inc()
            age_s = max(now_ms - unit.deliveries[0].created_ms, 0) / 1000
            metrics.delivery_seconds.labels(lane.channel).observe(
                age_s, exemplar(unit.deliveries[0].traceparent)
            )

    def _dice(self) -> float:
        """A number in [0, 1) from the house's source of randomness."""
        digest = hashlib.sha256(self._ids.token(16).encode()).digest()
        return int.from_bytes(digest[:6]) / 2**48
