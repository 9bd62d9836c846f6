"""One function builds everything, top to bottom, and closes it bottom to top."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import structlog

from libs.common.db import Connection
from libs.common.service import App, Base
from services.market import boot
from services.market.adapters.binance import Binance
from services.market.adapters.ccxt import open_ccxt
from services.market.adapters.exchange import ExchangeFeed
from services.market.adapters.kraken import Kraken
from services.market.adapters.manual import ManualFeed
from services.market.adapters.replay import ReplayFeed, replay_spec
from services.market.adapters.synthetic import SyntheticFeed
from services.market.bulk import BulkReader
from services.market.catalogue import Catalogue
from services.market.config import Config
from services.market.desk import Desk
from services.market.feed import Feed
from services.market.feeds import FeedSpec, feed_spec
from services.market.handlers import bulk_handlers, handlers_for
from services.market.history import SyntheticPast
from services.market.intake import FeedRunner, Intake
from services.market.quotes import QuoteBook
from services.market.reading import CandleReader
from services.market.service import MarketService
from services.market.store import Store
from services.market.synthetic import SyntheticMarket
from services.market.telling import BarTeller
from services.market.writer import Writer

log = structlog.get_logger()

ALONE_POLL_S = 0.2
ALONE_RETRY_S_MAX = 2.0


@asynccontextmanager
async def build(config: Config, base: Base) -> AsyncIterator[App]:
    """The whole service. Closing: stop the feed, store the rest, let go of the lock."""
    spec = feed_spec(config.feed)
    store = Store()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(_alone(base, store))
        async with base.database.transaction() as tx:
            source_id = await store.source_id(tx, spec.source)
        book = QuoteBook()
        catalogue = Catalogue(live=spec.live)
        await boot.load(base.database, store, catalogue, book, base.clock.now_ms())
        desk = Desk(book, base.bus, base.database, store, base.clock)
        teller = BarTeller(base.bus, base.ids.event_id())
        writer = Writer(desk, base.database, store, base.clock, teller, source_id=source_id, feed=spec.source)
        service = MarketService(
            catalogue=catalogue,
            desk=desk,
            writer=writer,
            reader=CandleReader(base.database, store, writer),
            database=base.database,
            store=store,
            outbox=base.outbox,
            relay=base.relay,
            clock=base.clock,
            ids=base.ids,
        )
        service.refresh_outlets()
        world = SyntheticMarket(config.seed, round(config.synthetic_ticks_per_s * 60))
        past = SyntheticPast(
            world,
            desk,
            writer,
            base.database,
            store,
            base.clock,
            source_id=source_id,
            feed=spec.source,
        )
        feed = await open_feed(spec, config, base, store, world, past)
        intake = Intake(desk, writer, service, source=spec.source, source_id=source_id)
        runner = FeedRunner(feed, intake, desk, base.clock)
        await writer.start()
        stack.push_async_callback(writer.stop)
        stack.push_async_callback(runner.stop)
        yield App(
            handlers=[
                *handlers_for(service),
                *bulk_handlers(BulkReader(catalogue, book, writer, teller, base.database, store)),
            ],
            problems=[runner.problem],
            on_started=[runner.start],
        )


async def open_feed(
    spec: FeedSpec,
    config: Config,
    base: Base,
    store: Store,
    world: SyntheticMarket,
    past: SyntheticPast,
) -> Feed:
    """The feed a setting names; ConfigInvalid when it can't be had."""
    async with base.database.connection() as connection:
        cursor = await store.cursor(connection, spec.source)
    match spec.kind:
        case "synthetic":
            return SyntheticFeed(world, past, base.clock)
        case "replay":
            replay = ReplayFeed(replay_spec(spec.argument), base.clock, cursor)
            await replay.open()
            return replay
        case "binance":
            binance = Binance(config.binance_ws_url, config.binance_rest_url)
            return ExchangeFeed(binance, base.clock, cursor=cursor)
        case "kraken":
            return ExchangeFeed(Kraken(config.kraken_ws_url), base.clock, cursor=cursor)
        case "ccxt":
            return open_ccxt(spec.argument, base.clock)
        case _:
            return ManualFeed()


@asynccontextmanager
async def _alone(base: Base, store: Store) -> AsyncIterator[None]:
    """Be the only market on this database: begin when the lock is ours, end the process when it is lost."""
    held = asyncio.Event()
    task = asyncio.create_task(_hold(base, store, held), name="market lock")
    try:
        await held.wait()
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _hold(base: Base, store: Store, held: asyncio.Event) -> None:
    """Hold the lock; where its connection breaks, take it again before anybody else does.

    Until then nothing of ours is in danger: seq numbers are reserved, and a database that is away
    takes nobody's candles.
    """
    waited, delay_s = False, ALONE_POLL_S
    while True:
        try:
            async with base.database.connection() as connection:
                if await store.lock_single(connection):
                    held.set()
                    delay_s = ALONE_POLL_S
                    await _until_lost(connection)
                    log.warning("the connection of the market's lock broke")
                elif held.is_set():
                    base.fail("another market has taken over")
                    return
                elif not waited:
                    waited = True
                    log.info("waiting for another market to stop")
        except Exception as e:
            log.warning("market lock not taken yet", error=f"{type(e).__name__}: {e}")
            delay_s = min(delay_s * 2, ALONE_RETRY_S_MAX)
        await asyncio.sleep(delay_s)


async def _until_lost(connection: Connection) -> None:
    lost = asyncio.Event()

    def heard(_: Connection) -> None:
        lost.set()

    connection.add_termination_listener(heard)
    try:
        await lost.wait()
    except asyncio.CancelledError:
        connection.remove_termination_listener(heard)
        raise
