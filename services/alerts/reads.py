"""What accounts read of their alerts; every process answers it, whichever partitions it owns."""

from __future__ import annotations

from libs.common.db import Database
from libs.common.errors import InvalidData
from libs.common.messages import alerts as m
from services.alerts.alert import INT64_MAX
from services.alerts.frames import alert_table, log_table
from services.alerts.store import Store

LOG_ROWS_MAX = 10_000


class AlertReads:
    """See the module's text."""

    def __init__(self, database: Database, store: Store) -> None:
        self._database = database
        self._store = store

    async def list(self, ask: m.AlertListAsk) -> m.AlertTable:
        """An account's alerts."""
        async with self._database.connection() as connection:
            return alert_table(await self._store.alerts_of(connection, ask.login))

    async def log(self, ask: m.AlertLogAsk) -> m.AlertLogTable:
        """An account's log, newest first."""
        if not (0 <= ask.limit <= LOG_ROWS_MAX and 0 <= ask.offset <= INT64_MAX):
            raise InvalidData(f"limit was {ask.limit}, offset {ask.offset}")
        async with self._database.connection() as connection:
            return log_table(await self._store.log_of(connection, ask.login, ask.limit, ask.offset))
