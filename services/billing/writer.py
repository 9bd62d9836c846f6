"""Group commit: every hold, charge and release that waits goes into one transaction.

A wallet's row is locked while a transaction lasts, so one commit per call would be a queue of commits. Here a
hot key's calls share them: one batch at a time per process, in the order they came. When a batch of several
fails for a reason of its own, its requests are tried one by one, so that one bad request hurts nobody else.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import structlog

from libs.common.clock import Clock
from libs.common.db import Connection, Database
from libs.common.errors import AppError, InternalError, ServiceUnavailable
from libs.common.ids import Ids
from libs.common.plans import PlansFile
from services.billing import ledger, metrics
from services.billing.ledger import Account
from services.billing.meter import Book, Outcome, Request, quotas_of, wallets_of
from services.billing.store import Store

log = structlog.get_logger()

BATCH_MAX = 256
WAITING_MAX = 20_000

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
        self._account_ids: dict[Account, int] = {}
        self._found: dict[Account, int] = {}

    async def do(self, request: Request) -> Outcome:
        """The outcome, committed; the refusal is raised."""
        if self._stopping or len(self._waiting) >= WAITING_MAX:
            raise ServiceUnavailable("too many calls wait to be metered")
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, future))
        self._some.set()
        return await future

    async def run(self) -> None:
        """Write batches until stopped."""
        while True:
            await self._some.wait()
            self._some.clear()
            while self._waiting:
                count = min(len(self._waiting), BATCH_MAX)
                await self._write([self._waiting.popleft() for _ in range(count)])
            if self._stopping:
                return

    def stop(self) -> None:
        """Take nothing more; what waits is written."""
        self._stopping = True
        self._some.set()

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
        ground = self._ground
        now_ms = ground.clock.now_ms()
        self._found.clear()
        async with ground.database.transaction() as tx:
            book = await _load(ground.store, tx, requests)
            results = [book.do(request) for request in requests]
            entries = await self._post(tx, book, now_ms)
            store = ground.store
            if book.added:
                await store.add_calls(tx, list(book.added.values()), entries, now_ms)
            if book.ended:
                await store.end_calls(tx, list(book.ended.values()), entries, now_ms)
            if book.moved:
                await store.put_wallets(tx, [book.wallets[name] for name in sorted(book.moved)])
            if book.counted:
                await store.put_quotas(tx, {key: book.quotas[key] for key in book.counted})
            if book.charged_calls:
                await store.add_usage(tx, book.charged_calls)
        self._account_ids |= self._found
        for call in book.charged_calls:
            metrics.charged_micros.inc(call.charged_micros)
        return results

    async def _post(self, tx: Connection, book: Book, now_ms: int) -> dict[str, int]:
        """One entry per wallet for the batch's charges; wallet → entry."""
        if not book.charged:
            return {}
        refs = {wallet: self._ground.ids.event_id() for wallet in sorted(book.charged)}
        entries = [ledger.usage(ref, wallet, book.charged[wallet]) for wallet, ref in refs.items()]
        ids = {ledger.wallet_account(wallet): book.wallets[wallet].account_id for wallet in refs}
        for wallet in refs:
            ids[ledger.revenue_of(wallet)] = await self._account_id(tx, ledger.revenue_of(wallet))
        made = await self._ground.store.post_usage(tx, entries, ids, now_ms, self._ground.plans.version)
        return {wallet: made[ref] for wallet, ref in refs.items()}

    async def _account_id(self, tx: Connection, account: Account) -> int:
        known = self._account_ids.get(account)
        if known is None:
            known = await self._ground.store.account_id(tx, account)
            self._found[account] = known  # remembered once this transaction has committed
        return known


async def _load(store: Store, tx: Connection, requests: Sequence[Request]) -> Book:
    """The rows a batch touches, locked in one order: calls, wallets, quotas."""
    calls = await store.calls(tx, [request.request_id for request in requests])
    wallets = await store.lock_wallets(tx, wallets_of(requests, calls))
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
