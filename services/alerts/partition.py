"""One partition while this process owns it: its alerts and rules, judged and changed by one task each.

Lifecycle: opened when the lease was taken, closed before it is given up. What changes the partition comes
through ``handlers``, by command name, from this process or from another one over the bus.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import structlog

from libs.common.bus import Call
from libs.common.lease import Lease
from libs.common.messages.house import Done, FactAgain
from libs.common.service import Base, observed
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
from services.alerts.config import AlertsConfig
from services.alerts.facts import Depeg, read_fact
from services.alerts.rule_reads import RuleReads
from services.alerts.rule_service import RuleService
from services.alerts.rule_store import RuleStore
from services.alerts.service import STOP_S_MAX, AlertService
from services.alerts.store import Store
from services.alerts.writer import Writer

log = structlog.get_logger()
Handle = Callable[[Any], Awaitable[Any]]


class Partition:
    """See the module's text."""

    def __init__(self, alerts: AlertService, rules: RuleService) -> None:
        self.alerts = alerts
        self.rules = rules
        self.handlers: Mapping[Command[Any, Any], Handle] = {
            ALERT_CREATE: alerts.create,
            ALERT_UPDATE: alerts.update,
            ALERT_DELETE: alerts.delete,
            ALERT_DETACH: alerts.detach,
            ALERT_REGROUP: self._regroup,
            ALERT_LOG_DELETE: alerts.delete_log,
            ALERT_LOG_CLEAR: alerts.clear_log,
            RULE_CREATE: rules.create,
            RULE_PUT: rules.put,
            RULE_DELETE: rules.delete,
            RULE_FACT: self._on_fact,
        }

    async def _regroup(self, ask: Done) -> Done:
        self.alerts.market_changed()
        return ask

    async def _on_fact(self, told: FactAgain) -> Done:
        found = read_fact(told.subject, told.payload)
        if isinstance(found, Depeg):
            await self.rules.on_depeg(told.event_id, found.fact)
        else:
            await self.rules.on_fact(told.event_id, found.symbol, found.timeframe, found.placed)
        return Done()

    async def problems(self) -> list[str]:
        """Why something of it can't be judged at the moment."""
        return [text for text in (await self.alerts.problem(), await self.rules.problem()) if text]


@asynccontextmanager
async def open_partition(
    config: AlertsConfig, base: Base, number: int, lease: Lease
) -> AsyncIterator[Partition]:
    """Everything a partition is made of, working."""
    async with AsyncExitStack() as stack:
        store = Store(number, config.alerts_partitions)
        writer = Writer(
            database=base.database,
            store=store,
            outbox=base.outbox,
            relay=base.relay,
            clock=base.clock,
            ids=base.ids,
            guard=lease,
        )
        alerts = AlertService(
            bus=base.bus,
            database=base.database,
            store=store,
            writer=writer,
            clock=base.clock,
            alerts_max=config.alerts_per_account,
        )
        rules = _rules(config, base, number, writer)
        await rules.start()
        stack.push_async_callback(rules.stop)
        stack.push_async_callback(alerts.close)
        running = asyncio.create_task(_run(alerts, base), name=f"alerts {number}")
        judging = asyncio.create_task(_run_rules(rules, base), name=f"alerts rules {number}")
        groups = asyncio.create_task(alerts.follow_groups(), name=f"alerts groups {number}")
        stack.push_async_callback(_end, alerts, running, groups, judging)
        opened = Partition(alerts, rules)
        for command, handle in opened.handlers.items():
            handler = observed(command, _handler(handle), base.clock)
            served = await base.bus.serve(command.at_partition(number), handler)
            stack.push_async_callback(served.stop)
        yield opened


def _rules(config: AlertsConfig, base: Base, number: int, writer: Writer) -> RuleService:
    store = RuleStore(number, config.alerts_partitions)
    return RuleService(
        bus=base.bus,
        database=base.database,
        transactions=writer,
        store=store,
        outbox=base.outbox,
        relay=base.relay,
        clock=base.clock,
        ids=base.ids,
        rules_max=config.rules_per_account,
        reads=RuleReads(base.bus, base.database, store, base.clock),
    )


def _handler(handle: Handle) -> Callable[[Any, Call], Awaitable[Any]]:
    async def answer(message: Any, call: Call) -> Any:
        return await handle(message)

    return answer


async def _run(alerts: AlertService, base: Base) -> None:
    """The writing task; when it ends by itself the process must not go on without it."""
    try:
        await alerts.start()
        await alerts.run()
    except Exception as e:
        log.exception("alerts stopped judging")
        base.fail(f"{type(e).__name__}: {e}")


async def _run_rules(rules: RuleService, base: Base) -> None:
    try:
        await rules.run()
    except Exception as e:
        log.exception("rules stopped judging")
        base.fail(f"{type(e).__name__}: {e}")


async def _end(alerts: AlertService, running: asyncio.Task[None], *others: asyncio.Task[None]) -> None:
    alerts.stop()
    for task in others:
        task.cancel()
    try:
        async with asyncio.timeout(STOP_S_MAX):
            await asyncio.shield(running)
    except TimeoutError:
        running.cancel()
    await asyncio.gather(running, *others, return_exceptions=True)
