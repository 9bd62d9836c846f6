"""The transactions of trading: what many decisions changed, in few statements and one commit.

An order is written as it stands at the end of the commit, however many facts it went through; every fact
that moves money is a ledger entry of its own; every fact that is told is a row of the outbox. The number of
a new order or entry is taken from its sequence beforehand, so that all rows go in by COPY.

Never: a commit by a writer whose lease was taken by another; a balance that is not its postings.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import structlog

from libs.common.clock import Clock
from libs.common.db import Connection, Database
from libs.common.ids import Ids
from libs.common.lease import Guard
from libs.common.outbox import Outbox, Relay
from services.trading import metrics
from services.trading.extras_store import ExtrasStore, Filled
from services.trading.floor import Decision, Floor, trades_of
from services.trading.ledger import LedgerAccount
from services.trading.position import Trade
from services.trading.postings import entry_of
from services.trading.rows import account_row
from services.trading.state import Account
from services.trading.store import ClientOrder, Seen, Store
from services.trading.telling import facts_of

log = structlog.get_logger()

ORDERS_AHEAD = 2_000  # numbers taken from the sequence at once


@dataclass(slots=True)
class Work:
    """What one commit writes. ``before`` are the accounts as committed last."""

    decisions: Sequence[Decision] = ()
    before: Mapping[int, Account] = field(default_factory=dict)
    seen: Sequence[Seen] = ()
    client_orders: Sequence[ClientOrder] = ()

    def __bool__(self) -> bool:
        return bool(self.decisions or self.seen or self.client_orders)


class Numbers:
    """Numbers taken from a sequence ahead of their use; a restart leaves a gap."""

    def __init__(self) -> None:
        self._left: list[int] = []
        self.out: set[int] = set()  # handed out, and not in the tables yet

    def put(self, numbers: Sequence[int]) -> None:
        """More numbers, ascending and above all before."""
        self._left = [*reversed(numbers), *self._left]

    def take(self) -> int:
        """The next number."""
        number = self._left.pop()
        self.out.add(number)
        return number

    def __len__(self) -> int:
        return len(self._left)


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
        self._kept = ExtrasStore()
        self._outbox = outbox
        self._relay = relay
        self._clock = clock
        self._ids = ids
        self._ledger: dict[LedgerAccount, int] = {}
        self.orders = Numbers()
        self._entries = Numbers()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A transaction that may write: LeaseLost when another process does, and nothing is written."""
        async with self._database.transaction() as tx:
            await self._guard.check(tx)
            yield tx

    async def prepare(self, orders: int) -> None:
        """See to it that at least so many order numbers are at hand."""
        if len(self.orders) < orders:
            async with self._database.connection() as connection:
                self.orders.put(await self._store.take_orders(connection, orders + ORDERS_AHEAD))

    async def write(self, work: Work, floor: Floor) -> None:
        """Commit; what is told of it is published after."""
        begun_s = self._clock.monotonic_s()
        facts = facts_of(work.decisions, floor, self._ids)
        async with self.transaction() as tx:
            await self._write_trades(tx, work.decisions)
            await self._write_ledger(tx, work.decisions)
            await self._write_accounts(tx, work)
            await self._write_fills(tx, work.decisions)
            if work.client_orders:
                await self._store.add_client_orders(tx, work.client_orders, self._clock.now_ms())
            if work.seen:
                await self._store.put_seen(tx, work.seen)
            await self._outbox.append(tx, facts)
        self.orders.out.clear()
        if facts:
            self._relay.wake()
        metrics.committed(work.decisions, self._clock.monotonic_s() - begun_s)

    def forget(self) -> None:
        """A commit failed: what was made in it may not be there."""
        self._ledger.clear()
        self.orders.out.clear()  # or it is: then it is there already
        self._entries.out.clear()

    async def _write_trades(self, tx: Connection, decisions: Iterable[Decision]) -> None:
        last: dict[int, Trade] = {
            trade.order: trade
            for _, outcome in decisions
            for event in outcome.events
            for trade in trades_of(event)
        }
        fresh = self.orders.out
        new = [trade for order, trade in last.items() if order in fresh]
        changed = [trade for order, trade in last.items() if order not in fresh]
        if new:
            await self._store.add_trades(tx, new)
        if changed:
            await self._store.change_trades(tx, changed)

    async def _write_ledger(self, tx: Connection, decisions: Iterable[Decision]) -> None:
        entries = [
            (entry, event.trade.order, event.at_ms)  # type: ignore[union-attr]
            for account, outcome in decisions
            for event in outcome.events
            if (entry := entry_of(event, account.currency)) is not None
        ]
        if not entries:
            return
        wanted = {posting.account: None for entry, _, _ in entries for posting in entry.postings}
        missing = [account for account in wanted if account not in self._ledger]
        if missing:
            self._ledger.update(await self._store.ledger_accounts(tx, missing))
        if len(self._entries) < len(entries):
            self._entries.put(await self._store.take_entries(tx, len(entries) + ORDERS_AHEAD))
        heads, postings = [], []
        for entry, order, at_ms in entries:
            number = self._entries.take()
            heads.append((number, entry.reason.value, order, at_ms))
            postings += [(number, self._ledger[p.account], p.amount_minor) for p in entry.postings]
        self._entries.out.clear()
        await self._store.add_entries(tx, heads, postings)

    async def _write_accounts(self, tx: Connection, work: Work) -> None:
        last = {account.login: account for account, _ in work.decisions}
        changed = [
            account
            for login, account in last.items()
            if login not in work.before or account_row(account) != account_row(work.before[login])
        ]
        if changed:
            await self._store.change_accounts(tx, changed)

    async def _write_fills(self, tx: Connection, decisions: Iterable[Decision]) -> None:
        filled = [
            Filled(event.trade.order, event.login, event.at_ms, fill)  # type: ignore[union-attr]
            for _, outcome in decisions
            for event in outcome.events
            if (fill := getattr(event, "fill", None)) is not None
        ]
        if filled:
            await self._kept.add_fills(tx, filled)
