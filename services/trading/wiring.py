"""The object graph of trading, opened top to bottom and closed bottom to top."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from libs.common.service import App, Base
from libs.common.streams import TRADING_ACCOUNTS
from services.trading.config import TradingConfig
from services.trading.handlers import handlers_of, on_account_opened
from services.trading.service import TradingService
from services.trading.store import Store


@asynccontextmanager
async def build(config: TradingConfig, base: Base) -> AsyncIterator[App]:
    """Everything trading is made of."""
    async with AsyncExitStack() as stack:
        service = TradingService(
            bus=base.bus,
            database=base.database,
            store=Store(),
            outbox=base.outbox,
            relay=base.relay,
            clock=base.clock,
            ids=base.ids,
        )
        accounts = await base.bus.consume(TRADING_ACCOUNTS, on_account_opened(service))
        stack.push_async_callback(accounts.stop)
        yield App(handlers=handlers_of(service))
