"""What a process answers: reads by itself; what changes a partition by its owner, here or elsewhere.

A command goes to the partition of its alert's or rule's symbol. An alert that changes its symbol to one of
another partition is let go by the first owner, then changed by the second; when that fails the first one
takes it back. Log rows are taken away by the owner of the account's own partition, so that a process that
slept takes nothing away when it wakes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from libs.common.bus import HEADER_CORRELATION, HEADER_TRACE, Ack, Bus, Inbound
from libs.common.clock import Clock
from libs.common.db import Database
from libs.common.errors import AppError, OutcomeUnknown, ServiceUnavailable
from libs.common.lease import partition_of
from libs.common.messages import alert_rules as r
from libs.common.messages import alerts as m
from libs.common.messages.house import Done, FactAgain
from libs.common.partitions import Partitions
from libs.common.subjects import (
    ALERT_CREATE,
    ALERT_DELETE,
    ALERT_DETACH,
    ALERT_LOG_CLEAR,
    ALERT_LOG_DELETE,
    ALERT_REGROUP,
    ALERT_UPDATE,
    RULE_CREATE,
    RULE_DELETE,
    RULE_FACT,
    RULE_PUT,
    Command,
)
from services.alerts.changes import own_alert
from services.alerts.checks import changed_alert, new_alert
from services.alerts.errors import AlertElsewhere, SymbolNotFound
from services.alerts.facts import OfBar, read_fact
from services.alerts.partition import Partition
from services.alerts.rule_reads import RuleReads
from services.alerts.store import Store
from services.alerts.views import Views

Q = TypeVar("Q")
R = TypeVar("R")
Headers = Mapping[str, str]
TRIES = 3  # of a command whose alert moves while it is on its way
_CARRIED = (HEADER_TRACE, HEADER_CORRELATION)


class Front:
    """See the module's text."""

    def __init__(
        self,
        *,
        partitions: Partitions[Partition],
        bus: Bus,
        database: Database,
        store: Store,
        rules: RuleReads,
        clock: Clock,
    ) -> None:
        self._partitions = partitions
        self._bus = bus
        self._database = database
        self._store = store
        self._rules = rules
        self._clock = clock
        self._views = Views(bus)

    async def send(self, partition: int, command: Command[Q, R], message: Q, headers: Headers) -> R:
        """What the owner of a partition answers; RET_ERR_NOSERVICE when it has none at the moment."""
        here = self._partitions.owned.get(partition)
        if here is not None:
            found: R = await here.handlers[command](message)
            return found
        carried = {name: headers[name] for name in _CARRIED if name in headers}
        return await self._bus.request(command.at_partition(partition), message, headers=carried)

    def _partition(self, key: str) -> int:
        return partition_of(key, self._partitions.count)

    async def _of(self, group: str, text: str) -> int:
        """The partition of a symbol as a caller wrote it."""
        if self._partitions.count == 1:
            return 0
        return self._partition(await self._symbol(group, text))

    async def _symbol(self, group: str, text: str) -> str:
        symbol = (await self._views.of(group)).index.find(text)
        if symbol is None:
            raise SymbolNotFound(f"{text} is not known")
        return symbol

    # ── alerts ────────────────────────────────────────────────────────────────────────────────────

    async def create(self, ask: m.AlertCreate, headers: Headers) -> m.AlertIds:
        """Arm an alert."""
        # What is wrong with the request itself is said before market is asked.
        new_alert(ask, symbol=ask.symbol, profile="", now_ms=self._clock.now_ms())
        return await self.send(await self._of(ask.group, ask.symbol), ALERT_CREATE, ask, headers)

    async def update(self, ask: m.AlertUpdate, headers: Headers) -> m.AlertIds:
        """Change an alert, which may move it to another partition."""

        async def where() -> int:
            symbol = await self._symbol(ask.group, ask.symbol) if ask.symbol is not None else None
            async with self._database.connection() as connection:
                before = await own_alert(connection, self._store, ask.id, ask.login)
            at = self._partition(before.symbol)
            to = at if symbol is None else self._partition(symbol)
            if symbol is not None and at != to:
                # What would be refused is refused before anything is let go.
                changed_alert(before, ask, symbol=symbol, profile="", now_ms=self._clock.now_ms())
                await self.send(at, ALERT_DETACH, m.AlertDelete(id=ask.id, login=ask.login), headers)
            return to

        return await self._where_it_is(where, ALERT_UPDATE, ask, headers)

    async def delete(self, ask: m.AlertDelete, headers: Headers) -> m.AlertIds:
        """Take an alert away."""

        async def where() -> int:
            async with self._database.connection() as connection:
                return self._partition((await own_alert(connection, self._store, ask.id, ask.login)).symbol)

        return await self._where_it_is(where, ALERT_DELETE, ask, headers)

    async def _where_it_is(
        self, where: Callable[[], Awaitable[int]], command: Command[Q, R], ask: Q, headers: Headers
    ) -> R:
        if self._partitions.count == 1:
            return await self.send(0, command, ask, headers)
        for _ in range(TRIES):
            try:
                return await self.send(await where(), command, ask, headers)
            except AppError as e:
                if e.code != AlertElsewhere.code:
                    raise
        raise ServiceUnavailable("the alert is moving between partitions")

    async def delete_log(self, ask: m.AlertLogDelete, headers: Headers) -> m.AlertIds:
        """Take one row of the log away."""
        return await self.send(self._partition(str(ask.login)), ALERT_LOG_DELETE, ask, headers)

    async def clear_log(self, ask: m.AlertLogClear, headers: Headers) -> Done:
        """Take an account's whole log away."""
        return await self.send(self._partition(str(ask.login)), ALERT_LOG_CLEAR, ask, headers)

    # ── rules ─────────────────────────────────────────────────────────────────────────────────────

    async def create_rule(self, ask: r.RuleCreate, headers: Headers) -> r.RuleView:
        """Arm a rule."""
        return await self.send(await self._of_rule(ask.rule, ask.group), RULE_CREATE, ask, headers)

    async def put_rule(self, ask: r.RulePut, headers: Headers) -> r.RuleView:
        """Replace a rule: who judged it before drops it when it next would write for it."""
        return await self.send(await self._of_rule(ask.rule, ask.group), RULE_PUT, ask, headers)

    async def delete_rule(self, ask: r.RuleAsk, headers: Headers) -> Done:
        """Take a rule away."""
        if self._partitions.count == 1:
            return await self.send(0, RULE_DELETE, ask, headers)
        async with self._database.connection() as connection:
            symbol = (await self._rules.own(connection, ask.id, ask.login)).symbol
        return await self.send(self._partition(symbol), RULE_DELETE, ask, headers)

    async def _of_rule(self, body: r.RuleBody, group: str) -> int:
        if self._partitions.count == 1:
            return 0
        return self._partition((await self._rules.checked(body, group)).symbol)

    async def on_fact(self, inbound: Inbound) -> Ack:
        """A fact for rules goes to who judges its symbol; one of no symbol to the first partition."""
        found = read_fact(inbound.subject, inbound.payload)
        told = FactAgain(
            consumer="", subject=inbound.subject, event_id=inbound.event_id, payload=inbound.payload
        )
        partition = self._partition(found.symbol) if isinstance(found, OfBar) else 0
        await self.send(partition, RULE_FACT, told, inbound.headers)
        return Ack.DONE

    # ── market's facts ────────────────────────────────────────────────────────────────────────────

    async def market_changed(self) -> None:
        """An instrument or a group changed: of the processes that share the consumer one hears of it."""
        asked = [self._regroup(partition) for partition in range(self._partitions.count)]
        await asyncio.gather(*asked)

    async def _regroup(self, partition: int) -> None:
        for _ in range(TRIES):
            try:
                await self.send(partition, ALERT_REGROUP, Done(), {})
                return
            except OutcomeUnknown:
                continue
            except AppError:
                return  # it has no owner: the next one looks what groups see when it takes over
