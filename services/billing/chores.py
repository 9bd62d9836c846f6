"""What goes on by itself: holds nobody came back for, settlements without an answer, tiers to be told,
commissions that were held back long enough, the version of the prices, whether the ledger adds up."""

from __future__ import annotations

import asyncio

import structlog

from services.billing import metrics
from services.billing.meter import Drop
from services.billing.money_in import MoneyIn
from services.billing.payment_store import PaymentStore
from services.billing.plan_store import PlanStore
from services.billing.tiers import Tiers
from services.billing.writer import Batcher, Ground

log = structlog.get_logger()

TURN_S = 1.0
HOLD_MS = 180_000  # longer than any call and the tries to charge it
STALE_MAX = 500
TRY_AGAIN_MS = 90_000  # longer than a settlement may take
TRIES_AT_ONCE = 10
APPROVE_EVERY_MS = 60_000
AUDIT_EVERY_MS = 600_000  # it reads the whole ledger
UNSOUND_SHOWN = 20


class Chores:
    """One task per process; every step is safe to be done by two at once."""

    def __init__(
        self,
        ground: Ground,
        batcher: Batcher,
        money: MoneyIn,
        payments: PaymentStore,
        plans: PlanStore,
        tiers: Tiers,
    ) -> None:
        self._ground = ground
        self._batcher = batcher
        self._money = money
        self._payments = payments
        self._plans = plans
        self._tiers = tiers
        self._due = asyncio.Event()
        self._version = ""
        self._approved_ms = 0
        self._audited_ms = 0

    async def run(self) -> None:
        """Take turns until cancelled; a turn that fails is logged, and the next one comes."""
        while True:
            for chore in (
                self.note_plans,
                self.expire_holds,
                self.settle_open,
                self._tiers.tell_due,
                self.approve,
                self.audit,
            ):
                try:
                    await chore()
                except Exception as e:
                    log.warning("a chore failed", chore=chore.__name__, error=f"{type(e).__name__}: {e}")
            try:
                async with asyncio.timeout(TURN_S):
                    await self._due.wait()
            except TimeoutError:
                pass
            self._due.clear()

    def wake(self) -> None:
        """Something was committed that makes a chore due."""
        self._due.set()

    async def note_plans(self) -> None:
        """Keep every version of prices and plans that was in force."""
        self._ground.plans.now()
        version = self._ground.plans.version
        if version == self._version:
            return
        async with self._ground.database.transaction() as tx:
            body = self._ground.plans.body.decode()
            await self._ground.store.put_plans(tx, version, body, self._ground.clock.now_ms())
        self._version = version

    async def expire_holds(self) -> None:
        """Give back what nobody charged or released."""
        before_ms = self._ground.clock.now_ms() - HOLD_MS
        async with self._ground.database.connection() as db:
            stale = await self._ground.store.stale_calls(db, before_ms, STALE_MAX)
        for request_id in stale:
            await self._batcher.do(Drop(request_id, expired=True))
            metrics.expired.inc()

    async def settle_open(self) -> None:
        """Ask about payments whose outcome is open."""
        now_ms = self._ground.clock.now_ms()
        async with self._ground.database.transaction() as tx:
            ids = await self._payments.claim_to_try(tx, now_ms - TRY_AGAIN_MS, now_ms, TRIES_AT_ONCE)
        for payment_id in ids:
            await self._money.settle_again(payment_id)
        async with self._ground.database.connection() as db:
            metrics.pending.set(await self._payments.pending(db))

    async def approve(self) -> None:
        """Commissions whose time is over are owed."""
        now_ms = self._ground.clock.now_ms()
        if now_ms - self._approved_ms < APPROVE_EVERY_MS:
            return
        self._approved_ms = now_ms
        async with self._ground.database.transaction() as tx:
            await self._plans.approve_commissions(tx, now_ms)

    async def audit(self) -> None:
        """Look whether all postings, wallets and charges add up; what does not is told and logged."""
        now_ms = self._ground.clock.now_ms()
        if now_ms - self._audited_ms < AUDIT_EVERY_MS:
            return
        self._audited_ms = now_ms
        async with self._ground.database.transaction() as tx:
            await self._ground.store.look_once(tx)
            wrong = await self._ground.store.unsound(tx)
        metrics.unsound.set(len(wrong))
        for what in wrong[:UNSOUND_SHOWN]:
            log.error("the ledger is unsound", what=what)
