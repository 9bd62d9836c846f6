"""What changes the alerts of one partition, and the one task that judges its ticks.

Lifecycle: ``start`` builds the book from the tables and asks market for what was missed, ``run`` is the
task, ``stop`` finishes the turn under way. A turn takes the ticks heard so far, judges them, and commits
what fired together with the commands that waited; then the book learns of the commands and the callers
get their answers. So an answer means: committed, and armed.

Never: two writers; a command judged before a tick that was heard before it; a book that knows more than
the tables after a failed write (it is built again from them, and the ticks since are judged again).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

from libs.common.bus import Bus, decode
from libs.common.clock import Clock
from libs.common.db import Connection, Database
from libs.common.errors import AppError, OutcomeUnknown, ServiceUnavailable
from libs.common.lease import LeaseLost
from libs.common.messages import alerts as m
from libs.common.messages.house import Done
from libs.common.messages.market import Quote, TicksSince
from libs.common.missed_ticks import Gap, beyond, digits_of, minute_of, pieces_between, ticks_of
from libs.common.subjects import CANDLES, TICKS_SINCE
from libs.common.tick_reader import Batch, TickReader
from services.alerts import metrics
from services.alerts.alert import INT64_MAX
from services.alerts.changes import Change, Create, Delete, Detach, Regroup, Update, own_alert
from services.alerts.checks import new_alert
from services.alerts.errors import ForeignAlert, LogNotFound, SymbolNotFound
from services.alerts.frames import ids
from services.alerts.loading import load
from services.alerts.store import Store
from services.alerts.views import View, Views
from services.alerts.watch import AlertBook, Hit, Referenced, Watch
from services.alerts.writer import Writer

log = structlog.get_logger()
T = TypeVar("T")

CHANGES_MAX = 256  # of one turn
WAITING_MAX = 10_000  # changes that may wait; more are refused
SEEN_EVERY_S = 1.0  # how often an idle place is written
TURN_S_MAX = 1.0  # how long the task sleeps when nothing happens
RETRY_S, RETRY_S_MAX = 0.1, 5.0
STOP_S_MAX = 5.0
TAKE_BACK_S = 10.0  # after it was let go: longer than the command that arms an alert elsewhere may take
RAW = "raw"  # the price profile candles are made of


@dataclass(slots=True)
class _Waiting:
    """A change and who waits for it."""

    change: Change
    answer: asyncio.Future[int]


@dataclass(frozen=True, slots=True)
class Judged:
    """What ticks did: hits, references that were set, and the watches that were hit."""

    hits: list[Hit]
    referenced: list[Referenced]
    struck: list[Watch]


class AlertService:
    """See the module's text."""

    def __init__(
        self,
        *,
        bus: Bus,
        database: Database,
        store: Store,
        writer: Writer,
        clock: Clock,
        alerts_max: int,
    ) -> None:
        self._bus = bus
        self._database = database
        self._store = store
        self._writer = writer
        self._clock = clock
        self._alerts_max = alerts_max
        self._views = Views(bus)
        self._due = asyncio.Event()
        self._reader = TickReader(bus, "alerts", self._due.set, wants=store.owns)
        self._book = AlertBook()
        self._waiting: list[_Waiting] = []
        self._hearing = asyncio.Lock()
        self._next_expiry_s: int | None = 0
        self._seen_s = 0.0
        self._state = "starting"
        self._stopping = False
        self._failures = 0  # turns that failed in a row
        self._regroup_due = asyncio.Event()
        self._counted = 0  # of the armed alerts that metrics knows

    # ── life ──────────────────────────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Build the book and hear the profiles that are watched; waits for market if there are any."""
        async with self._database.transaction() as tx:
            self._book, judged = await load(tx, self._store)
            profiles = await self._store.profiles(tx)
        self._count_armed()
        self._state = "waiting for market"
        async with self._hearing:
            quotes = await self._reader.hear(profiles, judged) if profiles else []
            self._take_quotes(quotes)
        for profile, quote in quotes:
            # What is judged up to here came while this service was down.
            self._book.watch(profile, quote.symbol).caught_up_to = quote.seq
        log.info("alerts armed", alerts=len(self._book), places=len(judged))

    async def run(self) -> None:
        """Take turns until stopped."""
        self._state = ""
        self._regroup_due.set()
        while not self._stopping:
            try:
                async with asyncio.timeout(TURN_S_MAX):
                    await self._due.wait()
            except TimeoutError:
                pass
            self._due.clear()
            await self._turn()

    def stop(self) -> None:
        """Let ``run`` return after its turn."""
        self._stopping = True
        self._due.set()

    async def close(self) -> None:
        """Hear nothing more and write how far the ticks were judged; what still waits was not done."""
        for waiter in self._waiting:
            if not waiter.answer.done():
                waiter.answer.set_exception(ServiceUnavailable("alerts: stopping"))
        await self._reader.stop()
        dirty = [watch for watch in self._book.watches.values() if watch.dirty]
        if dirty and not self._state:
            await self._writer.write(self._book, [], [], [], dirty)
        self._count_armed()

    def _count_armed(self) -> None:
        armed = 0 if self._stopping else len(self._book)
        metrics.armed.inc(armed - self._counted)
        self._counted = armed

    async def problem(self) -> str | None:
        """Why no alert can be judged at the moment, or None."""
        return f"alerts: {self._state}" if self._state else None

    # ── the turn ──────────────────────────────────────────────────────────────────────────────────

    async def _turn(self) -> None:
        waiting, self._waiting = self._waiting[:CHANGES_MAX], self._waiting[CHANGES_MAX:]
        if self._waiting:
            self._due.set()
        try:
            await self._expire_due()
            judged = await self._judge(self._reader.take())
            places = {watch.key: watch for watch in judged.struck}
            if self._clock.monotonic_s() - self._seen_s >= SEEN_EVERY_S:
                self._seen_s = self._clock.monotonic_s()
                places.update((watch.key, watch) for watch in self._book.watches.values() if watch.dirty)
            if places or judged.referenced or waiting:
                await self._write(judged, places.values(), waiting)
            self._failures = 0
        except LeaseLost as e:
            # Another process judges these symbols now: nothing of this turn was written, this one ends.
            self._state = str(e)
            for waiter in waiting:
                if not waiter.answer.done():
                    waiter.answer.set_exception(e)
            raise
        except Exception as e:
            log.exception("turn failed")
            self._failures += 1
            for waiter in waiting:
                if not waiter.answer.done():
                    waiter.answer.set_exception(OutcomeUnknown(f"the write failed: {type(e).__name__}"))
            await self._reload()

    async def _judge(self, batches: Sequence[Batch]) -> Judged:
        """Judge ticks: the hits in order of each symbol's ticks."""
        judged = Judged([], [], [])
        for batch in batches:
            watch = self._book.watch(batch.profile, batch.symbol)
            before = len(judged.hits)
            if batch.hole is not None and len(watch):
                judged.hits.extend(watch.recover(await self._missed(watch, batch), judged.referenced))
            judged.hits.extend(watch.run(batch, judged.referenced))
            if len(judged.hits) > before:
                judged.struck.append(watch)
        return judged

    async def _missed(self, watch: Watch, batch: Batch) -> list[Quote]:
        """Ticks that touch what the candles of a hole touched; none where candles say nothing of it."""
        first, prices = batch.ticks[0], watch.prices
        if prices is None:
            return []
        try:
            place: dict[str, Any] = {
                "symbol": batch.symbol,
                "shift": first.bid - await self._raw_bid(batch.symbol, first),
                "spread": prices[1] - prices[0],
                "digits": digits_of(first.bid, first.ask, *prices),
                "seq": max(watch.seq, first.seq - 1),
            }
            ticks: list[Quote] = []
            begun, ended = minute_of(watch.tick_ms), minute_of(first.ctm_ms)
            high, low = watch.high, watch.low
            if begun != ended:
                ticks += beyond(await self._candles(batch.symbol, begun), high, low, **place)
                high, low = -math.inf, math.inf
            for piece in pieces_between(watch.tick_ms, first.ctm_ms):
                ticks += ticks_of(await self._candles(batch.symbol, piece), **place)
            if batch.ticks[-1].ctm_ms >= ended.to_ms:  # every tick that came in that minute is here
                bids = [tick.bid for tick in batch.ticks if tick.ctm_ms < ended.to_ms]
                candles = await self._candles(batch.symbol, ended)
                ticks += beyond(candles, max(high, *bids), min(low, *bids), **place)
        except AppError as e:
            log.warning("candles of missing ticks not had", symbol=batch.symbol, error=str(e))
            return []
        return ticks

    async def _candles(self, symbol: str, gap: Gap) -> Sequence[Sequence[float]]:
        return (await self._bus.request(CANDLES, gap.ask(symbol))).data

    async def _raw_bid(self, symbol: str, tick: Quote) -> float:
        """The raw bid of a tick, which candles are made of; the tick's own when market has lost it."""
        ask = TicksSince(symbol=symbol, profile=RAW, after_seq=tick.seq - 1, limit=1)
        for frame in (await self._bus.request(TICKS_SINCE, ask)).frames:
            return decode(bytes(frame), Quote).bid
        return tick.bid

    async def _write(self, judged: Judged, places: Iterable[Watch], waiting: Sequence[_Waiting]) -> None:
        changes = [waiter.change for waiter in waiting]
        self._book.lags = self._reader.lags() if changes else {}
        results = await self._writer.write(self._book, judged.hits, judged.referenced, changes, places)
        self._answer(waiting, results)
        self._count_armed()

    def _answer(self, waiting: Sequence[_Waiting], results: Sequence[int | AppError]) -> None:
        for waiter, result in zip(waiting, results, strict=True):
            if not isinstance(result, AppError):
                waiter.change.apply(self._book)
        for waiter, result in zip(waiting, results, strict=True):
            if waiter.answer.done():
                continue  # the caller has gone
            if isinstance(result, AppError):
                waiter.answer.set_exception(result)
            else:
                waiter.answer.set_result(result)
        if waiting:
            self._next_expiry_s = 0  # an alert may expire earlier than the next one known

    async def _expire_due(self) -> None:
        """End what is over before a tick can fire it."""
        if self._next_expiry_s is None or self._clock.now_ms() < self._next_expiry_s * 1000:
            return
        expired, self._next_expiry_s = await self._writer.expire()
        for alert in expired:
            self._book.disarm(alert)

    async def _reload(self) -> None:
        """Build the book again from what is committed, and judge the ticks since again."""
        metrics.reloads.inc()
        self._state = "the database can't be written"
        delay_s = RETRY_S
        if self._failures > 1:
            # It failed again at once: what fails is not only the connection.
            await asyncio.sleep(min(RETRY_S * 2**self._failures, RETRY_S_MAX))
        while not self._stopping:
            try:
                async with self._database.transaction() as tx:
                    book, judged = await load(tx, self._store)
                break
            except Exception as e:
                log.warning("book not built yet", error=f"{type(e).__name__}: {e}")
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, RETRY_S_MAX)
        else:
            return
        before, self._book = self._book, book
        for key, watch in before.watches.items():
            # Nothing was ever written of such a place, so nothing is armed there: it goes on from here.
            if key not in judged and watch.prices is not None:
                book.watch(*key).start(*watch.prices, watch.seq, watch.tick_ms, (watch.high, watch.low))
        self._reader.rewind(judged)
        self._next_expiry_s = 0
        self._state = ""
        self._due.set()

    async def _submit(self, change: Change) -> int:
        """Run a change in the next turn; its result."""
        if self._state or self._stopping:
            raise ServiceUnavailable(f"alerts: {self._state or 'stopping'}")
        if len(self._waiting) >= WAITING_MAX:
            raise ServiceUnavailable("alerts: too many changes are waiting")
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(change, answer))
        self._due.set()
        return await answer

    # ── what groups see ───────────────────────────────────────────────────────────────────────────

    async def _hear(self, profile: str) -> None:
        """See to it that a profile's ticks are heard and its last quotes known."""
        if profile in self._reader.profiles:
            return
        async with self._hearing:
            if profile not in self._reader.profiles:
                self._take_quotes(await self._reader.hear([profile], {}))

    def _take_quotes(self, quotes: Sequence[tuple[str, Quote]]) -> None:
        for profile, quote in quotes:
            watch = self._book.watch(profile, quote.symbol)
            if watch.seq == 0 and not len(watch):
                watch.start(quote.bid, quote.ask, quote.seq, quote.ctm_ms)

    def market_changed(self) -> None:
        """An instrument or a group changed: what groups see may have changed with it."""
        self._regroup_due.set()

    async def follow_groups(self) -> None:
        """Move alerts to the profile their group sees, at the start and whenever market changes."""
        delay_s = RETRY_S
        while True:
            await self._regroup_due.wait()
            self._regroup_due.clear()
            try:
                await self.regroup()
                delay_s = RETRY_S
            except Exception as e:
                log.warning("groups not followed yet", error=f"{type(e).__name__}: {e}")
                self._regroup_due.set()
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, RETRY_S_MAX)

    async def regroup(self) -> None:
        """Move every alert to the profile its group sees now."""
        async with self._database.connection() as connection:
            groups = await self._store.groups(connection)
            places = {group: await self._store.places_of_group(connection, group) for group in groups}
        for group in groups:
            view = await self._views.of(group)
            moving = [symbol for symbol, old in places[group] if view.profiles.get(symbol, "") != old]
            for profile in {view.profiles[symbol] for symbol in moving if symbol in view.profiles}:
                await self._hear(profile)
            if moving:
                count = await self._submit(Regroup(group, view.profiles))
                log.info("alerts follow their group", group=group, alerts=count)

    # ── commands ──────────────────────────────────────────────────────────────────────────────────

    async def create(self, ask: m.AlertCreate) -> m.AlertIds:
        """Arm an alert; the answer says that it is committed and armed."""
        # What is wrong with the request itself is said before market is asked.
        new_alert(ask, symbol=ask.symbol, profile="", now_ms=self._clock.now_ms())
        symbol, view = await self._find(ask.group, ask.symbol)
        profile = view.profiles[symbol]
        await self._hear(profile)
        return ids(
            await self._submit(Create(ask, symbol=symbol, profile=profile, alerts_max=self._alerts_max))
        )

    async def update(self, ask: m.AlertUpdate) -> m.AlertIds:
        """Change an alert; absent fields stay, and an active alert is armed anew."""
        if ask.symbol is not None:
            symbol, view = await self._find(ask.group, ask.symbol)
        else:
            async with self._database.connection() as connection:
                symbol = (await own_alert(connection, self._store, ask.id, ask.login)).symbol
            view = await self._views.of(ask.group)
        if symbol in view.profiles:
            await self._hear(view.profiles[symbol])
        return ids(await self._submit(Update(ask, symbol=symbol, view=view.profiles)))

    async def delete(self, ask: m.AlertDelete) -> m.AlertIds:
        """Take an alert away."""
        return ids(await self._submit(Delete(ask)))

    async def detach(self, ask: m.AlertDelete) -> m.AlertIds:
        """Let go of an alert that moves to another partition; it is taken back if it does not get there."""
        done = ids(await self._submit(Detach(ask)))
        asyncio.get_running_loop().call_later(TAKE_BACK_S, self._regroup_due.set)
        return done

    async def _find(self, group: str, text: str) -> tuple[str, View]:
        view = await self._views.of(group)
        symbol = view.index.find(text)
        if symbol is None:
            raise SymbolNotFound(f"{text} is not known")
        return symbol, view

    async def delete_log(self, ask: m.AlertLogDelete) -> m.AlertIds:
        """Take one row of the log away."""

        async def remove(tx: Connection) -> m.AlertIds:
            login = await self._store.log_login(tx, ask.id) if 0 < ask.id <= INT64_MAX else None
            if login is None:
                raise LogNotFound(f"there is no log row {ask.id}")
            if login != ask.login:
                raise ForeignAlert(f"log row {ask.id} belongs to another account")
            await self._store.remove_log(tx, ask.id)
            return ids(ask.id)

        return await self._in_transaction(remove)

    async def clear_log(self, ask: m.AlertLogClear) -> Done:
        """Take an account's whole log away."""

        async def clear(tx: Connection) -> Done:
            await self._store.clear_log(tx, ask.login)
            return Done()

        return await self._in_transaction(clear)

    async def _in_transaction(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        async with self._writer.transaction() as tx:
            return await work(tx)
