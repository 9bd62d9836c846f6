"""The object graph of trading, opened top to bottom and closed bottom to top."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import structlog

from libs.common.bus import Stored
from libs.common.lease import Lease
from libs.common.memory import keep_survivors
from libs.common.service import App, Base
from libs.common.streams import TRADING_ACCOUNTS, TRADING_MARKET
from services.trading.config import TradingConfig
from services.trading.dealing import Dealing
from services.trading.desk import Desk
from services.trading.extras import Extras
from services.trading.extras_store import ExtrasStore
from services.trading.handlers import (
    account_handlers,
    extra_handlers,
    on_account_told,
    order_handlers,
    staff_handlers,
)
from services.trading.history import History
from services.trading.service import TradingService
from services.trading.store import Store
from services.trading.writer import Writer

log = structlog.get_logger()

STOP_S_MAX = 5.0
PARTITION = 0  # every account: one process writes them all, others stand in


@asynccontextmanager
async def build(config: TradingConfig, base: Base) -> AsyncIterator[App]:
    """Everything trading is made of."""
    async with AsyncExitStack() as stack:
        # A stand-in waits here, before it hears anything: its commands go to the owner.
        lease = Lease("trading", PARTITION, base.database, lambda: base.fail("another process took over"))
        await lease.take()
        stack.push_async_callback(lease.release)
        stack.enter_context(keep_survivors())
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
        desk = Desk(
            bus=base.bus,
            database=base.database,
            store=store,
            writer=writer,
            clock=base.clock,
            live=config.quotes_age,
            fail=base.fail,
        )
        service = TradingService(
            bus=base.bus,
            database=base.database,
            store=store,
            outbox=base.outbox,
            relay=base.relay,
            clock=base.clock,
            ids=base.ids,
            writer=writer,
            desk=desk,
        )
        dealing = Dealing(database=base.database, store=store, desk=desk)
        extras = Extras(
            database=base.database,
            store=store,
            kept=ExtrasStore(),
            desk=desk,
            writer=writer,
            dealing=dealing,
            clock=base.clock,
        )
        history = History(database=base.database, store=store, desk=desk)

        def heard(stored: Stored) -> None:
            desk.market_changed()

        following = await base.bus.follow(TRADING_MARKET, heard)
        stack.push_async_callback(following.stop)
        stack.push_async_callback(desk.close)
        running = asyncio.create_task(_run(desk, base), name="trading desk")
        market = asyncio.create_task(desk.follow_market(), name="trading market")
        stack.push_async_callback(_end, desk, running, market)
        accounts = await base.bus.consume(TRADING_ACCOUNTS, on_account_told(service))
        stack.push_async_callback(accounts.stop)
        yield App(
            handlers=[
                *account_handlers(service, desk),
                *order_handlers(dealing, history),
                *extra_handlers(extras),
                *staff_handlers(dealing, desk, base.clock),
            ],
            problems=[desk.problem],
        )


async def _run(desk: Desk, base: Base) -> None:
    """The writing task; when it ends by itself the process must not go on without it."""
    try:
        await desk.start()
        await desk.run()
    except Exception as e:
        log.exception("trading stopped")
        base.fail(f"{type(e).__name__}: {e}")


async def _end(desk: Desk, running: asyncio.Task[None], market: asyncio.Task[None]) -> None:
    desk.stop()
    market.cancel()
    try:
        async with asyncio.timeout(STOP_S_MAX):
            await asyncio.shield(running)
    except TimeoutError:
        running.cancel()
    await asyncio.gather(running, market, return_exceptions=True)
