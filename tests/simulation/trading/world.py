"""Trading in one process with everything around it that may fail: its bus, its database, itself.

The service is the real one over a real PostgreSQL; the bus is the memory bus, market is a stand-in that keeps
every tick. The seed decides what goes wrong and when: ticks are lost, repeated or late,
facts are delivered again, answers get lost, a commit is refused or its outcome unknown, and the process dies
before a commit, after it, or between publishing and noting it. Calls are awaited one by one or in one batch
and time moves only when told, so a seed does the same every time.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any
from weakref import WeakSet

import msgspec

from libs.common.bus import Entry
from libs.common.bus_memory import Faults, MemoryBus, MemoryServer
from libs.common.clock import ManualClock
from libs.common.db import Connection, Database, DatabaseUnavailable, Part, open_database
from libs.common.errors import OutcomeUnknown
from libs.common.ids import CountedIds
from libs.common.messages import market as m
from libs.common.outbox import Outbox, Relay
from libs.common.service import App, Base
from libs.common.subjects import (
    CANDLES,
    GROUP_GET,
    GROUP_LIST,
    GROUP_VIEW,
    QUOTE,
    QUOTES_SNAPSHOT,
    SYMBOL_LIST,
    TICKS_SINCE,
    Command,
)
from services.trading.config import TradingConfig
from services.trading.desk import Desk
from services.trading.wiring import build
from tests.conftest import wait_until

PROFILE = "raw"
_RELEASE = "PoolConnectionHolder.release"  # asyncpg's
_START = datetime(2027, 1, 18, 8, tzinfo=UTC)  # a Monday
_owner: ContextVar[int] = ContextVar("owner", default=0)


class SimMarket:
    """Instruments, one group, and every tick there was."""

    def __init__(self, server: MemoryServer, group: m.Group, instruments: list[m.Instrument]) -> None:
        self.bus = MemoryBus(server)
        self.group = group
        self.instruments = {instrument.symbol: instrument for instrument in instruments}
        self.ring: dict[str, list[bytes]] = {symbol: [] for symbol in self.instruments}
        self._late: list[tuple[str, bytes]] = []

    async def start(self) -> None:
        """Answer what trading asks of market."""

        async def symbols(ask: m.SymbolList, call: Any) -> m.Instruments:
            return m.Instruments(list(self.instruments.values()))

        async def groups(ask: m.GroupList, call: Any) -> m.Groups:
            return m.Groups([self.group])

        async def group(ask: m.GroupGet, call: Any) -> m.Group:
            return self.group

        async def view(ask: m.GroupViewAsk, call: Any) -> m.GroupView:
            return m.GroupView(group=ask.group, profiles=dict.fromkeys(self.instruments, PROFILE))

        async def snapshot(ask: m.SnapshotAsk, call: Any) -> m.Snapshot:
            return m.Snapshot([(PROFILE, msgspec.Raw(frames[-1])) for frames in self.ring.values() if frames])

        async def since(ask: m.TicksSince, call: Any) -> m.Ticks:
            frames = self.ring[ask.symbol]
            found = [msgspec.Raw(frame) for frame in frames[ask.after_seq : ask.after_seq + ask.limit]]
            return m.Ticks(frames=found, first_seq=1 if frames else 0, last_seq=len(frames))

        async def candles(ask: m.CandlesAsk, call: Any) -> m.CandleTable:
            return m.CandleTable((), [])

        answers: list[tuple[Command[Any, Any], Any]] = [
            (SYMBOL_LIST, symbols),
            (GROUP_LIST, groups),
            (GROUP_GET, group),
            (GROUP_VIEW, view),
            (QUOTES_SNAPSHOT, snapshot),
            (TICKS_SINCE, since),
            (CANDLES, candles),
        ]
        for command, handler in answers:
            await self.bus.serve(command, handler)

    async def tick(self, symbol: str, bid: int, ask: int, ctm_ms: int, fate: str = "told") -> None:
        """A tick, which the bus may lose, repeat or bring late; market keeps it in any case."""
        scale = 10 ** self.instruments[symbol].digits
        seq = len(self.ring[symbol]) + 1
        quote = m.Quote("t", symbol, bid / scale, ask / scale, ctm_ms // 1000, ctm_ms, seq)
        frame = msgspec.json.encode(quote)
        self.ring[symbol].append(frame)
        subject = QUOTE.at(profile=PROFILE, symbol=symbol)
        if fate == "late":
            self._late.append((subject, frame))
        elif fate != "lost":
            for _ in range(2 if fate == "twice" else 1):
                await self.bus.publish(subject, frame)

    async def deliver_late(self) -> None:
        """What was late arrives."""
        late, self._late = self._late, []
        for subject, frame in late:
            await self.bus.publish(subject, frame)


class Trouble:
    """What goes wrong: said by the seed of each occasion, however the occasions come to lie in time."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._struck: set[tuple[str, object]] = set()
        self._occasions: Counter[str] = Counter()
        self.armed = False
        self.answers = False  # whether answers may get lost now
        self.step = 0
        self.counts: Counter[str] = Counter()

    def next_step(self) -> None:
        """Occasions are counted by step."""
        self.step += 1
        self._occasions.clear()

    def occasion(self, kind: str) -> tuple[int, int]:
        """The name of the next occasion of a kind."""
        self._occasions[kind] += 1
        return self.step, self._occasions[kind]

    def strikes(self, what: str, chance: float, key: object) -> bool:
        """Whether ``what`` happens on the occasion ``key``; at most once."""
        digest = blake2b(f"{self._seed}/{what}/{key}".encode(), digest_size=8).digest()
        if not self.armed or int.from_bytes(digest, "big") >= chance * 2**64 or (what, key) in self._struck:
            return False
        self._struck.add((what, key))
        self.counts[what] += 1
        return True


class _Fragile(Database):
    """A database whose commits may fail, be unknown, or be the last thing the process did."""

    def __init__(
        self, pool: Any, trouble: Trouble, die: Callable[[], Coroutine[Any, Any, None]], dead: asyncio.Event
    ) -> None:
        super().__init__(pool)
        self._trouble = trouble
        self._die = die
        self._dead = dead

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        if self._dead.is_set():  # what a dying process still tries does not happen
            raise DatabaseUnavailable
        async with super().connection() as connection:
            yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        async with super().transaction() as tx:
            yield tx
            key = await self._before()
        await self._after(key)

    async def commit(self, parts: Sequence[Part]) -> None:
        key = await self._before()
        await super().commit(parts)
        await self._after(key)

    async def _before(self) -> tuple[int, int]:
        if self._dead.is_set():
            raise DatabaseUnavailable
        key = self._trouble.occasion("commit")
        if self._trouble.strikes("died before a commit", 0.02, key):
            await self._die()
        if self._trouble.strikes("a commit was refused", 0.02, key):
            raise DatabaseUnavailable
        return key

    async def _after(self, key: tuple[int, int]) -> None:
        if self._trouble.strikes("died after a commit", 0.02, key):
            await self._die()
        if self._trouble.strikes("a commit was unknown", 0.02, key):
            raise OutcomeUnknown("the database went away during a commit")


class _FragileBus(MemoryBus):
    """A bus on whose other side the process may die between publishing facts and noting it."""

    def __init__(
        self, server: MemoryServer, trouble: Trouble, die: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        super().__init__(server)
        self._trouble = trouble
        self._die = die

    async def append(self, stream: str, entries: Sequence[Entry]) -> list[int]:
        ids = [entry.event_id for entry in entries]
        if any(self._trouble.strikes("died before publishing", 0.005, name) for name in ids):
            await self._die()
        seqs = await super().append(stream, entries)
        if any(self._trouble.strikes("died after publishing", 0.005, name) for name in ids):
            await self._die()
        return seqs


class World:
    """The service and everything around it; ``call`` is a client that does not give up."""

    def __init__(self, seed: int, dsn: str, group: m.Group, instruments: list[m.Instrument]) -> None:
        trouble = self.trouble = Trouble(seed)
        self.server = MemoryServer(
            Faults(
                lose=lambda seq, attempt: (
                    attempt < 3 and trouble.strikes("a fact was not taken", 0.2, (seq, attempt))
                ),
                repeat=lambda seq, attempt: trouble.strikes("a fact came twice", 0.2, (seq, attempt)),
                lose_reply=lambda subject: (
                    trouble.answers
                    and subject.startswith("trading.")
                    and trouble.strikes("an answer was lost", 0.04, trouble.occasion("answer"))
                ),
            )
        )
        self.clock = ManualClock(_START)
        self.market = SimMarket(self.server, group, instruments)
        self.client = MemoryBus(self.server)
        self.desk: Desk | None = None
        self._dsn = dsn
        self._generation = 0
        self._restarting = asyncio.Lock()
        self._tasks: WeakSet[asyncio.Task[Any]] = WeakSet()
        self._main: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._dead = asyncio.Event()

    # ── the process ───────────────────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Start trading; it is ready when this returns."""
        self._generation += 1
        self._ready, self._dead = asyncio.Event(), asyncio.Event()
        asyncio.get_running_loop().set_task_factory(self._make_task)
        owner = _owner.set(self._generation)
        self._main = asyncio.create_task(self._run(), name="trading")
        _owner.reset(owner)
        ready = asyncio.create_task(self._ready.wait())
        dead = asyncio.create_task(self._dead.wait())
        await asyncio.wait({ready, dead, self._main}, return_when=asyncio.FIRST_COMPLETED)
        for waiter in (ready, dead):
            waiter.cancel()
        if self._main.done():
            self._main.result()
        if self._dead.is_set():
            await self.restart()

    async def restart(self) -> None:
        """Bury what died and start again."""
        await self.kill()
        await self.start()

    async def kill(self) -> None:
        """End every task of the process at once, as a power failure would."""
        self._dead.set()  # nothing it still tries happens, nor can it die over that once more
        doomed = [task for task in self._tasks if not task.done()]
        for task in doomed:
            task.cancel()
        await asyncio.gather(*doomed, return_exceptions=True)
        self._tasks.clear()
        self.server.listeners.clear()
        self.server.handlers = {
            name: served for name, served in self.server.handlers.items() if not name.startswith("trading.")
        }

    async def _run(self) -> None:
        generation = self._generation
        async with open_database(self._dsn, application="trading", connections_max=4) as database:
            fragile = _Fragile(database.pool, self.trouble, self._die, self._dead)
            bus = _FragileBus(self.server, self.trouble, self._die)
            relay = Relay("trading", fragile, bus, self.clock)
            base = Base(
                name="trading",
                bus=bus,
                clock=self.clock,
                ids=CountedIds(generation * 10**9),
                fail=lambda reason: self._dead.set(),  # its supervisor starts it again
                database=fragile,
                outbox=Outbox("trading"),
                relay=relay,
            )
            config = TradingConfig(database_url=self._dsn, nats_url="", feed="manual")
            async with build(config, base) as app:
                await relay.start()
                for command, handler in app.handlers:
                    await bus.serve(command, handler)
                self.desk = app.problems[0].__self__  # type: ignore[attr-defined]
                await wait_until(lambda: self._is_open(app))
                self._ready.set()
                await asyncio.Event().wait()

    @staticmethod
    async def _is_open(app: App) -> bool:
        return await app.problems[0]() is None

    async def _die(self) -> None:
        """The process is gone; this task does nothing any more."""
        self._dead.set()
        await asyncio.Event().wait()

    def _make_task(self, loop: asyncio.AbstractEventLoop, work: Any, **kwargs: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, **kwargs)
        # What gives a connection back is the pool's: ended before its first step it never would.
        if _owner.get() == self._generation and getattr(work, "__qualname__", "") != _RELEASE:
            self._tasks.add(task)
        return task

    # ── around it ─────────────────────────────────────────────────────────────────────────────────

    async def alive(self, work: Coroutine[Any, Any, Any]) -> Any:
        """The result of ``work``, or OutcomeUnknown when the process died over it; it runs again then."""
        generation, task = self._generation, asyncio.ensure_future(work)
        dead = asyncio.ensure_future(self._dead.wait())
        await asyncio.wait({task, dead}, return_when=asyncio.FIRST_COMPLETED)
        died = dead.done()
        dead.cancel()
        if not died:
            return task.result()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        async with self._restarting:  # whoever notices first starts it again
            if self._generation == generation:
                await self.restart()
        raise OutcomeUnknown("the process died")

    def judged(self) -> bool:
        """Whether every tick there was has been judged; committed it is when a later command is answered."""
        assert self.desk is not None
        seqs = {symbol: quote.seq for (_, symbol), quote in self.desk.floor.markets.last.items()}
        return all(seqs.get(symbol, 0) == len(frames) for symbol, frames in self.market.ring.items())

    async def published(self, database: Database) -> None:
        """Return when every fact that is committed was published."""

        async def done() -> bool:
            return not await database.pool.fetchval(_WAITING)

        await self.until(done)

    async def until(self, condition: Callable[[], object]) -> None:
        """Return when a condition holds, through whatever dies meanwhile."""
        while True:
            try:
                await self.alive(wait_until(condition))
                return
            except OutcomeUnknown:
                continue


_WAITING = "SELECT count(*) FROM trading.outbox WHERE published_at IS NULL"
