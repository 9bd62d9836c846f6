"""Group commit: every hold, charge and release that waits goes into one transaction.

A wallet's row is locked while a transaction lasts, so one commit per call would be a queue of commits. Here a
hot key's calls share them: one batch at a time per process, in the order they came. When a batch of several
fails for a reason of its own, its requests are tried one by one, so that one bad request hurts nobody else.
Where many come, a small batch waits for more: a statement and its commit cost the same for one call and for
ten, and more than all else about a call. A caller alone never waits.
A batch about rows this process wrote last (``memory.py``) is one statement that commits by itself.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import structlog

from libs.common.clock import Clock
from libs.common.db import Connection, Database, DatabaseUnavailable
from libs.common.errors import AppError, InternalError, ServiceUnavailable
from libs.common.ids import Ids
from libs.common.plans import PlansFile
from services.billing import ledger, metrics
from services.billing.ledger import Account
from services.billing.memory import Memory
from services.billing.meter import Book, Outcome, Request, quotas_of, wallets_of
from services.billing.store import Charges, RowsMoved, Store

log = structlog.get_logger()

BATCH_MAX = 256
WAITING_MAX = 20_000
LINGER_S = 0.004  # how long a batch waits for more
LINGER_CALLS = 16  # a batch this large does not wait
MORE_CALLS = 1.2  # nor does one that can't expect so many more
OVERLAP_MIN = 0.25  # nor does one while others hardly come during a write: then it is one caller in a row
MEMORY = 0.2  # weight of the last batch in what is expected of the next

Result = Outcome | AppError
Waiter = tuple[Request, "asyncio.Future[Outcome]"]


class Ground(NamedTuple):
    """What writing needs."""

    database: Database
    store: Store
    clock: Clock
    ids: Ids
    plans: PlansFile


class Batcher:
    """One per process; ``run`` is its task. ``do`` waits for the commit."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._waiting: deque[Waiter] = deque()
        self._some = asyncio.Event()
        self._stopping = False
        self._rate = 0.0  # requests per second
        self._overlap = 0.0  # requests that come while a batch is written
        self._asked = 0  # requests since ``_rated_s``
        self._rated_s = ground.clock.monotonic_s()
        self._memory = Memory()
        self._account_ids: dict[Account, int] = {}
        self._found: dict[Account, int] = {}

    async def do(self, request: Request) -> Outcome:
        """The outcome, committed; the refusal is raised."""
        if self._stopping or len(self._waiting) >= WAITING_MAX:
            raise ServiceUnavailable("too many calls wait to be metered")
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, future))
        self._asked += 1
        self._some.set()
        return await future

    async def run(self) -> None:
        """Write batches until stopped."""
        while True:
            await self._some.wait()
            self._some.clear()
            while self._waiting:
                if self._expects_more():
                    await asyncio.sleep(LINGER_S)
                count = min(len(self._waiting), BATCH_MAX)
                batch = [self._waiting.popleft() for _ in range(count)]
                left = len(self._waiting)
                await self._write(batch)
                self._overlap += MEMORY * (len(self._waiting) - left - self._overlap)
            if self._stopping:
                return

    def stop(self) -> None:
        """Take nothing more; what waits is written."""
        self._stopping = True
        self._some.set()

    def _expects_more(self) -> bool:
        """Whether a batch of what waits now would be followed by another one at once."""
        now_s = self._ground.clock.monotonic_s()
        elapsed_s = now_s - self._rated_s
        if elapsed_s > 0:
            self._rate += MEMORY * (self._asked / max(elapsed_s, LINGER_S) - self._rate)
            self._asked, self._rated_s = 0, now_s
        if self._stopping or len(self._waiting) >= LINGER_CALLS or self._overlap < OVERLAP_MIN:
            return False
        return self._rate * LINGER_S >= MORE_CALLS

    async def _write(self, batch: Sequence[Waiter]) -> None:
        metrics.batch_calls.observe(len(batch))
        try:
            results = await self._commit([request for request, _ in batch])
        except AppError as e:
            results = [e] * len(batch)
        except Exception as e:
            if len(batch) > 1:
                for waiter in batch:
                    await self._write([waiter])
                return
            log.exception("a metered call could not be written", error=str(e))
            results = [InternalError()]
        for (_, future), result in zip(batch, results, strict=True):
            _answer(future, result)

    async def _commit(self, requests: Sequence[Request]) -> list[Result]:
        results = await self._from_memory(requests)
        if results is not None:
            return results
        try:
            return await self._from_rows(requests)
        except RowsMoved:  # the call that came in between is committed: this time it is found
            metrics.reread.inc()
            return await self._from_rows(requests)

    async def _from_memory(self, requests: Sequence[Request]) -> list[Result] | None:
        """One statement, where every row is remembered; None when the rows must be read."""
        ground = self._ground
        book = self._memory.book(requests)
        if book is None:
            return None
        results = [book.do(request) for request in requests]
        entries = self._remembered_entries(book)
        if entries is None or not self._memory.decided(book, results):
            return None
        self._memory.forget(book)  # until it is committed
        now_ms = ground.clock.now_ms()
        try:
            async with ground.database.connection() as db:
                done = await ground.store.write_alone(db, book, entries, now_ms, ground.plans.version)
        except DatabaseUnavailable:
            done = False
        if not done:  # whatever became of it: the rows say so, and no request has an effect twice
            metrics.reread.inc()
            return None
        self._done(book)
        return results

    async def _from_rows(self, requests: Sequence[Request]) -> list[Result]:
        ground = self._ground
        now_ms = ground.clock.now_ms()
        self._found.clear()
        async with ground.database.transaction() as tx:
            book = await _load(ground.store, tx, requests)
            self._memory.forget(book)
            results = [book.do(request) for request in requests]
            if book.changed:
                await ground.store.write(
                    tx, book, await self._entries(tx, book), now_ms, ground.plans.version
                )
        self._account_ids |= self._found
        self._done(book)
        return results

    def _done(self, book: Book) -> None:
        """A batch is committed."""
        self._memory.keep(book)
        for call in book.charged_calls:
            metrics.charged_micros.inc(call.charged_micros)

    def _remembered_entries(self, book: Book) -> list[Charges] | None:
        """As ``_entries``, where the revenue's account is known."""
        made = []
        for wallet in sorted(book.charged):
            revenue_id = self._account_ids.get(ledger.revenue_of(wallet))
            if revenue_id is None:
                return None
            made.append(self._entry(book, wallet, revenue_id))
        return made

    async def _entries(self, tx: Connection, book: Book) -> list[Charges]:
        """One entry per wallet for the batch's charges."""
        return [
            self._entry(book, wallet, await self._account_id(tx, ledger.revenue_of(wallet)))
            for wallet in sorted(book.charged)
        ]

    def _entry(self, book: Book, wallet: str, revenue_id: int) -> Charges:
        entry = ledger.usage(self._ground.ids.event_id(), wallet, book.charged[wallet])
        ids = {
            ledger.wallet_account(wallet): book.wallets[wallet].account_id,
            ledger.revenue_of(wallet): revenue_id,
        }
        return Charges(wallet, entry.ref, tuple((ids[p.account], p.amount_micros) for p in entry.postings))

    async def _account_id(self, tx: Connection, account: Account) -> int:
        known = self._account_ids.get(account)
        if known is None:
            known = await self._ground.store.account_id(tx, account)
            self._found[account] = known  # remembered once this transaction has committed
        return known


async def _load(store: Store, tx: Connection, requests: Sequence[Request]) -> Book:
    """The rows a batch touches, locked in one order: calls, wallets, quotas."""
    named = wallets_of(requests)
    calls, wallets = await store.load(tx, [request.request_id for request in requests], named)
    quota_keys = quotas_of(requests, calls)
    quotas = await store.lock_quotas(tx, quota_keys) if quota_keys else {}
    return Book(wallets=wallets, calls=calls, quotas=quotas)


def _answer(future: asyncio.Future[Outcome], result: Result) -> None:
    if future.done():
        return  # whoever asked has gone
    if isinstance(result, AppError):
        future.set_exception(result)
    else:
        future.set_result(result)
