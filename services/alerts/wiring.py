"""The object graph of alerts, opened top to bottom and closed bottom to top."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import structlog

from libs.common.bus import Stored
from libs.common.lease import Lease
from libs.common.service import App, Base
from libs.common.streams import ALERTS_MARKET, ALERTS_SCANNER
from services.alerts.config import AlertsConfig
from services.alerts.handlers import handlers_of
from services.alerts.rule_handlers import on_scanner_fact, rule_handlers_of
from services.alerts.rule_service import RuleService
from services.alerts.rule_store import RuleStore
from services.alerts.service import STOP_S_MAX, AlertService
from services.alerts.store import Store
from services.alerts.writer import Writer

log = structlog.get_logger()

PARTITION = 0  # every symbol: one process judges them all, others stand in


@asynccontextmanager
async def build(config: AlertsConfig, base: Base) -> AsyncIterator[App]:
    """Everything alerts is made of."""
    async with AsyncExitStack() as stack:
        # A stand-in waits here, before it hears anything: its commands go to the owner.
        lease = Lease("alerts", PARTITION, base.database, lambda: base.fail("another process took over"))
        await lease.take()
        stack.push_async_callback(lease.release)
        store = Store()
        writer = Writer(
            database=base.database,
            store=store,
            outbox=base.outbox,
            relay=base.relay,
            clock=base.clock,
            ids=base.ids,
            guard=lease,
        )
        service = AlertService(
            bus=base.bus,
            database=base.database,
            store=store,
            writer=writer,
            clock=base.clock,
            alerts_max=config.alerts_per_account,
        )

        rules = RuleService(
            bus=base.bus,
            database=base.database,
            transactions=writer,
            store=RuleStore(),
            outbox=base.outbox,
            relay=base.relay,
            clock=base.clock,
            ids=base.ids,
            rules_max=config.rules_per_account,
        )
        await rules.start()
        stack.push_async_callback(rules.stop)
        facts = await base.bus.consume(ALERTS_SCANNER, on_scanner_fact(rules))
        stack.push_async_callback(facts.stop)

        def heard(stored: Stored) -> None:
            service.market_changed()

        following = await base.bus.follow(ALERTS_MARKET, heard)
        stack.push_async_callback(following.stop)
        stack.push_async_callback(service.close)
        running = asyncio.create_task(_run(service, base), name="alerts")
        judging = asyncio.create_task(_run_rules(rules, base), name="alerts rules")
        groups = asyncio.create_task(service.follow_groups(), name="alerts groups")
        stack.push_async_callback(_end, service, running, groups, judging)
        yield App(
            handlers=[*handlers_of(service), *rule_handlers_of(rules)],
            problems=[service.problem, rules.problem],
        )


async def _run(service: AlertService, base: Base) -> None:
    """The writing task; when it ends by itself the process must not go on without it."""
    try:
        await service.start()
        await service.run()
    except Exception as e:
        log.exception("alerts stopped judging")
        base.fail(f"{type(e).__name__}: {e}")


async def _run_rules(rules: RuleService, base: Base) -> None:
    try:
        await rules.run()
    except Exception as e:
        log.exception("rules stopped judging")
        base.fail(f"{type(e).__name__}: {e}")


async def _end(service: AlertService, running: asyncio.Task[None], *others: asyncio.Task[None]) -> None:
    service.stop()
    for task in others:
        task.cancel()
    try:
        async with asyncio.timeout(STOP_S_MAX):
            await asyncio.shield(running)
    except TimeoutError:
        running.cancel()
    await asyncio.gather(running, *others, return_exceptions=True)
