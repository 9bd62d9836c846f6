"""The object graph of alerts, opened top to bottom and closed bottom to top."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from libs.common.bus import Stored
from libs.common.errors import ConfigInvalid
from libs.common.lease import Lease
from libs.common.partitions import PARTITIONS_MAX, Partitions, running
from libs.common.service import App, Base
from libs.common.streams import ALERTS_MARKET, ALERTS_PRICING, ALERTS_SCANNER
from services.alerts.config import AlertsConfig
from services.alerts.front import Front
from services.alerts.handlers import handlers_of
from services.alerts.partition import Partition, open_partition
from services.alerts.reads import AlertReads
from services.alerts.rule_reads import RuleReads
from services.alerts.rule_store import RuleStore
from services.alerts.store import Store


@asynccontextmanager
async def build(config: AlertsConfig, base: Base) -> AsyncIterator[App]:
    """Everything alerts is made of."""
    if not 1 <= config.alerts_partitions <= PARTITIONS_MAX:
        raise ConfigInvalid(
            f"TRADEWIND_ALERTS_PARTITIONS was {config.alerts_partitions}: it is 1 to {PARTITIONS_MAX}"
        )

    def opened(number: int, lease: Lease) -> AbstractAsyncContextManager[Partition]:
        return open_partition(config, base, number, lease)

    async with AsyncExitStack() as stack:
        partitions = Partitions("alerts", config.alerts_partitions, base.database, opened, base.fail)
        await stack.enter_async_context(running(partitions))
        rules = RuleReads(base.bus, base.database, RuleStore(), base.clock)
        store = Store()
        front = Front(
            partitions=partitions,
            bus=base.bus,
            database=base.database,
            store=store,
            rules=rules,
            clock=base.clock,
        )
        for consumer in (ALERTS_SCANNER, ALERTS_PRICING):
            consuming = await base.bus.consume(consumer, front.on_fact)
            stack.push_async_callback(consuming.stop)

        changed = asyncio.Event()
        telling = asyncio.create_task(_tell(front, changed), name="alerts market changed")
        stack.push_async_callback(_cancel, telling)

        def heard(stored: Stored) -> None:
            changed.set()

        following = await base.bus.follow(ALERTS_MARKET, heard)
        stack.push_async_callback(following.stop)

        async def problem() -> str | None:
            found = [text for p in list(partitions.owned.values()) for text in await p.problems()]
            return "; ".join(found) or None

        yield App(
            handlers=handlers_of(front, AlertReads(base.database, store), rules),
            problems=[partitions.problem, problem],
        )


async def _tell(front: Front, changed: asyncio.Event) -> None:
    while True:
        await changed.wait()
        changed.clear()
        await front.market_changed()


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
