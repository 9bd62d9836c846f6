"""The commits of trading: what many decisions changed, in one statement and so in one round trip.

What is written is made by ``changes``; every fact that is told is a row of the outbox. The numbers of new
orders and entries are taken from their sequences beforehand.

Never: a commit by a writer whose lease was taken by another; a balance that is not its postings.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import structlog

from libs.common.clock import Clock
from libs.common.db import Connection, Database, Part
from libs.common.ids import Ids
from libs.common.lease import Guard
from libs.common.outbox import Outbox, Relay
from services.trading import changes, metrics
from services.trading.floor import Decision, Floor
from services.trading.ledger import LedgerAccount
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
        parts = [
            *changes.trades(work.decisions, self.orders.out),
            *await self._ledger_of(work.decisions),
            *changes.accounts(work.decisions, work.before),
            *changes.fills(work.decisions),
            *changes.client_orders(work.client_orders, self._clock.now_ms()),
            *changes.seen(work.seen),
        ]
        if facts:
            parts.append(self._outbox.part(facts))
        await self._guard.commit(self._database, parts)
        self.orders.out.clear()
        self._entries.out.clear()
        if facts:
            self._relay.wake()
        metrics.committed(work.decisions, self._clock.monotonic_s() - begun_s)

    def forget(self) -> None:
        """A commit failed: what was made in it may not be there."""
        self._ledger.clear()
        self.orders.out.clear()  # or it is: then it is there already
        self._entries.out.clear()

    async def _ledger_of(self, decisions: Iterable[Decision]) -> list[Part]:
        booked = changes.bookings(decisions)
        if not booked:
            return []
        wanted = {posting.account: None for one in booked for posting in one.entry.postings}
        missing = [account for account in wanted if account not in self._ledger]
        if missing:
            async with self.transaction() as tx:
                self._ledger.update(await self._store.ledger_accounts(tx, missing))
        if len(self._entries) < len(booked):
            async with self._database.connection() as connection:
                self._entries.put(await self._store.take_entries(connection, len(booked) + ORDERS_AHEAD))
        return changes.ledger(booked, [self._entries.take() for _ in booked], self._ledger)
