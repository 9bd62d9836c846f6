"""Limits of the whole house: every call is counted by one machine, whichever gateway it came to.

Where there is one machine its processes count in their shared tables, at once. Where there are several, the
one that has been there longest counts for all (``machines.py``), asked over the bus: one round trip per call,
none while a refusal still holds. So limits are exact across machines, too, while the same machine counts.

When that machine goes away the next one counts, from nothing: windows under way begin anew. When nobody
answers in time this machine counts the call by itself, so that limits never stop a call that is allowed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from libs.common.bus import Bus, Call, Subscription, decode, encode
from libs.common.clock import Clock
from libs.common.errors import AppError, MessageUnreadable
from libs.common.messages.gateway import LimitBucket, LimitCount, LimitCounted, MachineAlive
from libs.common.subjects import LIMIT_COUNT, MACHINE_ALIVE
from services.gateway.limits.machines import Machines
from services.gateway.limits.tables import Bucket, Buckets, Counted, Tables
from services.gateway.limits.windows import Verdict, rule_of

log = structlog.get_logger()

SPEAK_S = 1.0
TRIES = 3  # machines that are asked about one call
REFUSED_MAX = 10_000  # refusals that are remembered


class Limiter:
    """One per process. ``start`` hears of other machines and answers them; ``stop`` ends that. ``on_asked``
    hears what became of a question to another machine: answered, unanswered, or at the end alone."""

    def __init__(
        self,
        tables: Tables,
        bus: Bus,
        clock: Clock,
        *,
        on_asked: Callable[[str], None] = lambda outcome: None,
    ) -> None:
        self._on_asked = on_asked
        self._tables = tables
        self._bus = bus
        self._clock = clock
        self._machines = Machines(tables.machine, clock.now_ms())
        self._refused: dict[Buckets, Counted] = {}
        self._listening: list[Subscription] = []
        self._speaking: asyncio.Task[None] | None = None

    @property
    def here(self) -> bool:
        """Whether this machine counts: then ``count_here`` is all there is to it."""
        return self._machines.counting is None

    def count_here(self, buckets: Buckets) -> Counted:
        """Count one call on the tables of this machine."""
        return self._tables.count(buckets)

    async def count(self, buckets: Buckets) -> Counted:
        """Count one call, wherever calls are counted."""
        for _ in range(TRIES):
            machine = self._machines.counting
            if machine is None:
                return self._tables.count(buckets)
            known = self._still_refused(buckets)
            if known is not None:
                return known
            counted = await self._ask(machine, buckets)
            if counted is not None:
                return counted
            self._machines.gone(machine)
        self._on_asked("alone")
        return self._tables.count(buckets)

    def look(self, buckets: Buckets) -> Verdict:
        """How the shown bucket stands, without counting; of another machine's what was heard last."""
        return self._tables.look(buckets)

    async def start(self) -> None:
        """Hear and be heard."""
        own = LIMIT_COUNT.at_partition(self._tables.machine)
        self._listening = [
            await self._bus.serve(own, self._count_for_others),
            await self._bus.subscribe(MACHINE_ALIVE.pattern, self._heard),
        ]
        await self._say(ask=True)
        await self._bus.flush()
        self._speaking = asyncio.get_running_loop().create_task(self._speak(), name="limits of machines")

    async def stop(self) -> None:
        """Count for nobody else any more."""
        if self._speaking is not None:
            self._speaking.cancel()
            await asyncio.gather(self._speaking, return_exceptions=True)
        for subscription in self._listening:
            await subscription.stop()

    # ── others ────────────────────────────────────────────────────────────────────────────────────

    async def _ask(self, machine: int, buckets: Buckets) -> Counted | None:
        """What another machine says; None when it does not answer."""
        asked = LimitCount(
            buckets=[
                LimitBucket(b.name, b.rule.count, b.rule.window_ms, b.rule.aligned, b.shown) for b in buckets
            ]
        )
        try:
            said = await self._bus.request(LIMIT_COUNT.at_partition(machine), asked)
        except AppError as e:
            log.warning("a machine does not count", machine=machine, error=str(e))
            self._on_asked("unanswered")
            return None
        self._on_asked("answered")
        counted = Counted(said.taken, said.remaining, said.resets_ms, said.refused_until_ms)
        self._tables.learn(buckets, counted)
        if not counted.taken:
            self._remember(buckets, counted)
        return counted

    async def _count_for_others(self, message: LimitCount, call: Call) -> LimitCounted:
        buckets = tuple(
            Bucket(b.name, rule_of(b.count, b.window_ms, aligned=b.aligned), b.shown) for b in message.buckets
        )
        counted = self._tables.count(buckets)
        return LimitCounted(
            taken=counted.taken,
            remaining=counted.remaining,
            resets_ms=counted.resets_ms,
            refused_until_ms=counted.refused_until_ms,
        )

    def _remember(self, buckets: Buckets, counted: Counted) -> None:
        if len(self._refused) >= REFUSED_MAX:
            self._refused.clear()
        self._refused[buckets] = counted

    def _still_refused(self, buckets: Buckets) -> Counted | None:
        """A refusal that holds: what was counted only grows until its window ends."""
        known = self._refused.get(buckets)
        if known is not None and known.refused_until_ms <= self._clock.now_ms():
            del self._refused[buckets]
            return None
        return known

    # ── being there ───────────────────────────────────────────────────────────────────────────────

    def _heard(self, subject: str, payload: bytes) -> None:
        try:
            said = decode(payload, MachineAlive)
        except MessageUnreadable:
            log.exception("a machine is not understood")
            return
        new = self._machines.heard(said.machine, said.since_ms, self._clock.monotonic_s())
        if new:
            log.info("limits are counted with another machine", machine=said.machine, here=self.here)
        if said.ask and said.machine != self._tables.machine:
            answering = asyncio.get_running_loop().create_task(self._say())
            answering.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def _say(self, *, ask: bool = False) -> None:
        alive = MachineAlive(machine=self._machines.own, since_ms=self._machines.since_ms, ask=ask)
        await self._bus.publish(MACHINE_ALIVE.at(), encode(alive))

    async def _speak(self) -> None:
        while True:
            await asyncio.sleep(SPEAK_S)
            self._machines.look(self._clock.monotonic_s())
            try:
                await self._say()
            except Exception as e:  # away from the bus nobody hears us, and this machine counts alone
                log.debug("other machines do not hear us", error=f"{type(e).__name__}: {e}")
