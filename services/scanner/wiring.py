"""The object graph of the scanner, opened top to bottom and closed bottom to top."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import structlog

from libs.common.bus import Stored, decode
from libs.common.lease import Lease
from libs.common.messages.market import InstrumentChanged
from libs.common.service import App, Base
from libs.common.streams import SCANNER_MARKET
from services.scanner import brief_handlers
from services.scanner.asking import Market
from services.scanner.brief_store import BriefStore
from services.scanner.briefs import Briefs
from services.scanner.config import ScannerConfig
from services.scanner.contexts import Contexts
from services.scanner.drawing import Drawer
from services.scanner.evidence import EvidenceBook
from services.scanner.following import Following
from services.scanner.handlers import handlers_of
from services.scanner.history import History
from services.scanner.keeper import Keeper
from services.scanner.loading import Loader
from services.scanner.past import Past
from services.scanner.people import People
from services.scanner.people_store import PeopleStore
from services.scanner.rounds import Rounds
from services.scanner.scans import Scans
from services.scanner.signals import handlers as signal_handlers
from services.scanner.signals.rounds import SignalRounds
from services.scanner.signals.wiring import build_signals
from services.scanner.store import Store
from services.scanner.symbols import Symbols
from services.scanner.watching import Watching

log = structlog.get_logger()

STOP_S_MAX = 10.0
PARTITION = 0  # every place: one process judges them all, others stand in


@asynccontextmanager
async def build(config: ScannerConfig, base: Base) -> AsyncIterator[App]:
    """Everything the scanner is made of."""
    async with AsyncExitStack() as stack:
        lease = await _lease(base, stack)
        store, people_store = Store(), PeopleStore()
        market, evidence, watching = Market(base.bus), EvidenceBook(), Watching()
        following = Following(base.bus, market, config.timeframes)
        history = History(market, following)
        signals, signal_rounds = build_signals(base, market, following, config, lease, stack)
        drawer = Drawer(base.clock)
        stack.push_async_callback(drawer.close)
        rounds = Rounds(
            bus=base.bus,
            following=following,
            loader=Loader(market, base.database, store, config.scanner_backfill_bars),
            database=base.database,
            store=store,
            people=people_store,
            outbox=base.outbox,
            relay=base.relay,
            watching=watching,
            evidence=evidence,
            past=Past(following.places),
            guard=lease,
            clock=base.clock,
            kept_days=config.scanner_record_days,
            judged=signal_rounds.due.set,
        )
        scans = Scans(
            market=market,
            history=history,
            database=base.database,
            store=store,
            evidence=evidence,
            clock=base.clock,
        )
        contexts = Contexts(
            market=market,
            history=history,
            database=base.database,
            store=store,
            people=people_store,
            evidence=evidence,
            drawer=drawer,
            clock=base.clock,
        )
        people = _people(config, base, market, people_store, watching)
        briefs = _briefs(config, base, history, lambda: rounds.caught_up, stack)

        def heard(stored: Stored) -> None:
            market.take(decode(stored.payload, InstrumentChanged).instrument)

        following_market = await base.bus.follow(SCANNER_MARKET, heard)
        stack.push_async_callback(following_market.stop)
        await following.start()
        stack.push_async_callback(following.stop)
        running = asyncio.create_task(_run(rounds, base), name="scanner rounds")
        stack.push_async_callback(_end, rounds, running)
        telling = asyncio.create_task(_run(signal_rounds, base), name="signals")
        stack.push_async_callback(_end, signal_rounds, telling)
        yield App(
            handlers=[
                *handlers_of(scans, Symbols(market, following, base.clock), contexts, people),
                *brief_handlers.handlers_of(briefs),
                *signal_handlers.handlers_of(signals),
            ],
            problems=[rounds.problem, signal_rounds.problem],
            on_started=[drawer.warm],
        )


async def _lease(base: Base, stack: AsyncExitStack) -> Lease:
    """The right to write. A stand-in waits here, before it hears anything: its commands go to the owner."""
    lease = Lease("scanner", PARTITION, base.database, lambda: base.fail("another process took over"))
    await lease.take()
    stack.push_async_callback(lease.release)
    return lease


def _people(
    config: ScannerConfig, base: Base, market: Market, store: PeopleStore, watching: Watching
) -> People:
    return People(
        market=market,
        database=base.database,
        store=store,
        watching=watching,
        clock=base.clock,
        ids=base.ids,
        kept_days=config.scanner_record_days,
    )


def _briefs(
    config: ScannerConfig,
    base: Base,
    history: History,
    is_judged: Callable[[], bool],
    stack: AsyncExitStack,
) -> Briefs:
    """The analysis surface, with what it keeps to tell the past of patterns."""
    store = BriefStore()
    keeper = Keeper(history, base.database, store, base.clock, is_judged)
    stack.push_async_callback(keeper.close)
    return Briefs(
        source=history,
        database=base.database,
        store=store,
        clock=base.clock,
        keeper=keeper,
        methodology_url=config.methodology_url,
    )


async def _run(rounds: Rounds | SignalRounds, base: Base) -> None:
    """The writing task; when it ends by itself the process must not go on without it."""
    try:
        await rounds.run()
    except Exception as e:
        log.exception("the scanner stopped judging", task=type(rounds).__name__)
        base.fail(f"{type(e).__name__}: {e}")


async def _end(rounds: Rounds | SignalRounds, running: asyncio.Task[None]) -> None:
    rounds.stop()
    try:
        async with asyncio.timeout(STOP_S_MAX):
            await asyncio.shield(running)
    except TimeoutError:
        running.cancel()
    await asyncio.gather(running, return_exceptions=True)
