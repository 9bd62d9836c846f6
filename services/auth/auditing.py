"""Writing, reading and checking the audit chain."""

from __future__ import annotations

from libs.common.clock import Clock
from libs.common.db import Connection, Database
from libs.common.errors import InvalidData
from libs.common.messages.auth import AuditAppend, AuditAsk, AuditChecked, AuditPage, AuditRow
from services.auth.audit import FIRST_HASH, ChainState, follow, next_row
from services.auth.store import Store

PAGE_MAX = 1000
PIECE = 2000


class Auditor:
    """The only writer of the chain."""

    def __init__(self, database: Database, store: Store, clock: Clock) -> None:
        self._database = database
        self._store = store
        self._clock = clock

    async def append(self, act: AuditAppend) -> AuditRow:
        """Chain a row of its own."""
        async with self._database.transaction() as tx:
            return await self.append_in(tx, act)

    async def append_in(self, tx: Connection, act: AuditAppend) -> AuditRow:
        """Chain a row in the caller's transaction; the chain waits for its commit."""
        await self._store.lock_audit(tx)
        last_id, last_hash = await self._store.audit_tail(tx) or (0, FIRST_HASH)
        row = next_row(act, row_id=last_id + 1, time_ms=self._clock.now_ms(), previous_hash=last_hash)
        await self._store.insert_audit(tx, row)
        return row

    async def page(self, ask: AuditAsk) -> AuditPage:
        """Rows, newest first."""
        if not 1 <= ask.limit <= PAGE_MAX or ask.offset < 0:
            raise InvalidData(f"limit is between 1 and {PAGE_MAX}, offset not negative")
        async with self._database.connection() as db:
            rows, count = await self._store.audit_page(db, ask.actor, ask.limit, ask.offset)
        return AuditPage(rows=rows, count=count)

    async def verify(self) -> AuditChecked:
        """Follow the whole chain; the first row that breaks it, if any."""
        state = ChainState()
        async with self._database.connection() as db:
            while not state.broken_id:
                rows = await self._store.audit_after(db, state.last_id, PIECE)
                if not rows:
                    break
                state = follow(state, rows)
        return AuditChecked(
            rows=state.rows,
            last_hash=state.last_hash,
            broken_id=state.broken_id,
            reason=state.reason,
        )
