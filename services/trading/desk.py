"""The one task that judges ticks, decides commands and writes what comes of it: trading's only writer.

Lifecycle: ``start``, once the writer's lease is held, builds the floor from the tables and asks market for
what was missed; ``run`` is the task; ``stop`` finishes the turn under way; ``close`` writes how far ticks
were judged. A turn takes the ticks heard so far and judges them, lets the clock act once a second, decides
the commands that waited in the order they came, and writes all of it in one commit; then the callers get
their answers.
So an answer means: committed, and in force for every read that begins after it.

Never: two writers; a command decided before a tick that was heard before it, also
across a restart; an answer before its commit;
a floor that knows more than the tables after a failed commit (it is built again, the ticks since are judged
again); one account's defect in the way of the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from libs.common.bus import Bus, Entry
from libs.common.clock import Clock
from libs.common.db import Database
from libs.common.errors import AppError, InternalError, OutcomeUnknown, ServiceUnavailable
from libs.common.lease import LeaseLost
from libs.common.messages.market import GroupList, GroupViewAsk, Quote, SymbolList
from libs.common.subjects import GROUP_LIST, GROUP_VIEW, PUSH_STREAM, SYMBOL_LIST
from libs.common.tick_reader import Batch, TickReader, in_time
from services.trading import commands as c
from services.trading import metrics
from services.trading.armed import Place
from services.trading.draft import Outcome
from services.trading.errors import IdempotencyMismatch, UserUnknown
from services.trading.extras_store import ExtrasStore
from services.trading.floating import Floating, Frame
from services.trading.floor import Decision, Floor, Undecided
from services.trading.intake import Intake
from services.trading.links import ORDERS_MAX
from services.trading.markets import Markets, Said
from services.trading.state import Account
from services.trading.store import ClientOrder, Seen, Store
from services.trading.writer import Work, Writer

log = structlog.get_logger()

COMMANDS_MAX = 256  # of one turn
WAITING_MAX = 10_000  # commands that may wait; more are refused
CLOCK_S = 1.0  # how often time is told to the accounts
SEEN_S = 1.0  # how often the place of ticks that led to nothing is written
HELD_MAX = 100_000  # ticks of before that wait for those of other symbols
RETRY_S, RETRY_S_MAX = 0.1, 5.0
ORDERS_AT_HAND = 2_048  # for what ticks do: remainders of simulated partial fills
FORGET_S, KEPT_MS = 60.0, 26 * 3_600_000  # client order ids are kept for a day at least
_BEHIND = "ticks of before are being judged"


@dataclass(frozen=True, slots=True)
class OwnId:
    """A client's own order id: what it asked for, and how the answer is made of the outcome."""

    client_order_id: str
    fingerprint: bytes
    answer: Callable[[Outcome], bytes]


@dataclass(slots=True)
class _Waiting:
    """A command and who waits for it."""

    login: int
    asked: c.Input
    own: OwnId | None
    answer: asyncio.Future[Outcome | bytes]
    result: Outcome | bytes | AppError | None = None


class Desk:
    """See the module's text."""

    def __init__(
        self,
        *,
        bus: Bus,
        database: Database,
        store: Store,
        writer: Writer,
        clock: Clock,
        live: bool,
        fail: Callable[[str], None],
    ) -> None:
        self._bus = bus
        self._database = database
        self._store = store
        self._kept = ExtrasStore()
        self._writer = writer
        self._clock = clock
        self._live = live
        self._fail = fail
        self._due = asyncio.Event()
        self._reader = TickReader(bus, "trading", self._due.set)
        self._markets = Markets(live=live)
        self._floor = Floor(self._markets, writer.orders.take)
        self._intake = Intake(bus, clock, self._markets, lambda: self._floor)
        self._floating = Floating()
        self._telling: asyncio.Task[None] | None = None  # floating values that are on their way
        self._committed: dict[int, Account] = {}
        self._waiting: list[_Waiting] = []
        self._held: list[Batch] = []  # ticks of before that wait for those of other symbols
        self._market_lock = asyncio.Lock()
        self._market_due = asyncio.Event()
        self._clock_s = self._seen_s = self._forgot_s = 0.0
        self._state = "starting"
        self._stopping = False
        self._failures = 0

    # ── life ──────────────────────────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Build the floor and hear the market; waits for market."""
        self._state = "waiting for market"
        await self._patiently(self._learn_market)
        await self._build()
        self._state = self._behind()
        log.info("trading floor open", accounts=len(self._committed), orders=len(self._floor.owners))

    async def run(self) -> None:
        """Take turns until stopped."""
        while not self._stopping:
            try:
                async with asyncio.timeout(CLOCK_S):
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
        """Hear nothing more and write how far ticks were judged."""
        await self._reader.stop()
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.gather(self._telling, return_exceptions=True)
        seen = self._intake.dirty()
        if seen and not self._state:
            try:
                await self._writer.write(Work(seen=seen), self._floor)
            except AppError as e:
                log.warning("place of ticks not written", error=str(e))

    async def problem(self) -> str | None:
        """Why nothing can be traded at the moment, or None."""
        return f"trading: {self._state}" if self._state else None

    # ── what others ask ───────────────────────────────────────────────────────────────────────────

    async def submit(self, login: int, asked: c.Input, own: OwnId | None = None) -> Outcome | bytes:
        """Decide a command in the next turn; its committed outcome, or the answer kept under its own id."""
        if self._state:
            raise ServiceUnavailable(f"trading: {self._state}")
        if len(self._waiting) >= WAITING_MAX:
            raise ServiceUnavailable("trading: too many commands are waiting")
        answer: asyncio.Future[Outcome | bytes] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(login, asked, own, answer))
        self._due.set()
        try:
            return await answer
        finally:
            # A refusal's traceback holds this frame, and the future the refusal: only the collector finds
            # them, and what it has looked at once stays (``keep_survivors``).
            del answer

    async def account(self, login: int) -> Account:
        """An account as committed; UserUnknown where there is none."""
        known = self._committed.get(login)
        if known is not None:
            return known
        async with self._database.connection() as connection:
            loaded = await self._store.load(connection, login)
        if loaded is None:
            raise UserUnknown(f"login {login} has no margin account")
        self.adopt(loaded)
        return self._committed[login]

    def adopt(self, account: Account) -> None:
        """Take in an account that is in the tables."""
        if account.login not in self._committed:
            self._floor.adopt(account)
            self._committed[account.login] = self._floor.accounts[account.login]

    def owner(self, order: int) -> int | None:
        """Whose open position or pending order this is."""
        return self._floor.owners.get(order)

    @property
    def floor(self) -> Floor:
        """Markets, values and levels of now."""
        return self._floor

    # ── the market ────────────────────────────────────────────────────────────────────────────────

    def market_changed(self) -> None:
        """An instrument or a group changed."""
        self._market_due.set()

    async def follow_market(self) -> None:
        """Learn what market says whenever it changed."""
        delay_s = RETRY_S
        while True:
            await self._market_due.wait()
            self._market_due.clear()
            try:
                await self.sync_market()
                delay_s = RETRY_S
            except Exception as e:
                log.warning("market not followed yet", error=f"{type(e).__name__}: {e}")
                self._market_due.set()
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, RETRY_S_MAX)

    async def sync_market(self) -> None:
        """Learn what market says now; in force when this returns."""
        async with self._market_lock:
            said = await self._ask_market()
            new = said.profiles - self._reader.profiles
            if new and self._state in ("", _BEHIND):  # else the start hears them all
                # Before anybody trades at them: a group whose profile changed would have no price meanwhile.
                self._intake.start(await self._reader.hear(new, {}), {})
            self._floor.regroup(self._markets.take(said))

    async def _learn_market(self) -> None:
        self._markets.take(await self._ask_market())

    async def _ask_market(self) -> Said:
        instruments = (await self._bus.request(SYMBOL_LIST, SymbolList())).symbols
        groups = (await self._bus.request(GROUP_LIST, GroupList())).groups
        views = {
            group.group: (await self._bus.request(GROUP_VIEW, GroupViewAsk(group=group.group))).profiles
            for group in groups
        }
        return Said(instruments, groups, views)

    # ── building ──────────────────────────────────────────────────────────────────────────────────

    async def _build(self) -> None:
        """The floor as of the last commit; ticks that came since are judged by the turns that follow."""
        async with self._database.transaction() as tx:
            accounts = await self._store.load_busy(tx)
            seen = await self._store.seen(tx)
            self._markets.halt(await self._kept.is_halted(tx))
        judged: Mapping[Place, int] = {(row.profile, row.symbol): row.seq for row in seen}
        self._intake.restore(seen)
        self._held = []
        self._floor = Floor(self._markets, self._writer.orders.take)
        self._committed = {}
        for account in accounts:
            self.adopt(account)
        quotes = await self._hear(judged)
        self._intake.start(quotes, judged)
        metrics.open_orders.set(len(self._floor.owners))
        self._due.set()
        self._market_due.set()  # what market said meanwhile may name profiles that are not heard yet

    def _behind(self) -> str:
        """What the desk waits for while ticks are known that were not judged yet."""
        return _BEHIND if self._held or self._reader.lags() else ""

    async def _hear(self, judged: Mapping[Place, int]) -> Sequence[tuple[str, Quote]]:
        wanted = self._markets.profiles
        if wanted <= self._reader.profiles:
            self._reader.rewind({place: seq for place, seq in judged.items() if place[0] in wanted})
            return ()
        return await self._reader.hear(
            wanted, {place: seq for place, seq in judged.items() if place[0] in wanted}
        )

    async def _rebuild(self) -> None:
        """The last commit failed or is unknown: believe the tables only."""
        metrics.reloads.inc()
        self._state = "the database can't be written"
        self._writer.forget()
        self._clock_s = 0.0  # what the clock did in that turn is to be done again
        if self._failures > 1:  # it failed again at once: what fails is not only the connection
            await asyncio.sleep(min(RETRY_S * 2**self._failures, RETRY_S_MAX))
        await self._patiently(self._build)
        self._state = self._behind()

    async def _patiently(self, act: Callable[[], object]) -> None:
        delay_s = RETRY_S
        while not self._stopping:
            try:
                made = act()
                if asyncio.iscoroutine(made):
                    await made
                return
            except Exception as e:
                log.warning("not ready yet", what=self._state, error=f"{type(e).__name__}: {e}")
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, RETRY_S_MAX)

    # ── the turn ──────────────────────────────────────────────────────────────────────────────────

    async def _turn(self) -> None:
        begun_s = self._clock.monotonic_s()
        most = 0 if self._state == _BEHIND else COMMANDS_MAX  # nobody trades at a price of before the ticks
        waiting, self._waiting = self._waiting[:most], self._waiting[most:]
        if self._waiting and most:
            self._due.set()
        try:
            decisions = await self._decide(waiting, begun_s)
            work = self._work(decisions, waiting, begun_s)
            if work:
                await self._writer.write(work, self._floor)
            self._take_over(decisions)
            self._answer(waiting)
            self._failures = 0
        except Exception as e:
            await self._failed(waiting, e)
            return
        if self._state == _BEHIND and not self._behind():
            self._state = ""
            self._due.set()
        if waiting or decisions:
            metrics.turn_seconds.observe(self._clock.monotonic_s() - begun_s)
        try:
            await self._afterwards(decisions, begun_s)
        except Exception as e:
            log.warning("not told", error=f"{type(e).__name__}: {e}")

    async def _decide(self, waiting: Sequence[_Waiting], now_s: float) -> list[Decision]:
        """Ticks, the clock, then the commands."""
        needed = sum(ORDERS_MAX if isinstance(w.asked, c.PlaceLinked) else 2 for w in waiting)
        await self._writer.prepare(needed + ORDERS_AT_HAND)
        batches = self._ticks()
        decisions: list[Decision] = []
        if now_s - self._clock_s >= CLOCK_S:
            self._clock_s = now_s
            decisions += self._floor.clock(self._clock.now_ms())
        decisions += await self._intake.judge(batches)
        if waiting:
            await self._prepare(waiting)
            now_ms = self._clock.now_ms()
            decisions += [d for waiter in waiting if (d := self._decide_one(waiter, now_ms)) is not None]
        for login, defect in self._floor.defects:
            metrics.defects.inc()
            log.error("account not judged", login=login, exc_info=defect)
        self._floor.defects.clear()
        return decisions

    def _ticks(self) -> Sequence[Batch]:
        """The ticks to judge now.

        Those of before that wait to be judged are taken as they came, one symbol beside the other, for what
        one symbol's tick does may decide what becomes of another's: so what is being fetched is awaited, up
        to a bound.
        """
        batches = self._reader.take()
        if self._state != _BEHIND:
            return batches
        self._held += batches
        if self._reader.is_fetching() and sum(len(batch.ticks) for batch in self._held) < HELD_MAX:
            return ()
        held, self._held = self._held, []
        return in_time(held)

    async def _prepare(self, waiting: Sequence[_Waiting]) -> None:
        """Look up what the commands of this turn need from the tables."""
        missing = list({w.login: None for w in waiting if w.login not in self._committed})
        if missing:
            async with self._database.connection() as connection:
                for account in await self._store.load_many(connection, missing):
                    self.adopt(account)
            for waiter in waiting:
                if waiter.login not in self._committed:
                    waiter.result = UserUnknown(f"login {waiter.login} has no margin account")
        own = [(w.login, w.own.client_order_id) for w in waiting if w.own is not None]
        records = [
            w.asked.order
            for w in waiting
            if isinstance(w.asked, c.StaffUpdate) and w.asked.order not in self._floor.owners
        ]
        if own or records:
            async with self._database.connection() as connection:
                if own:
                    self._recall(waiting, await self._store.client_orders(connection, own))
                if records:
                    self._intake.records = await self._store.trades_by_order(connection, records)

    def _recall(self, waiting: Sequence[_Waiting], known: Mapping[tuple[int, str], ClientOrder]) -> None:
        """Answer what was accepted before; of two alike in one turn the second waits for the first."""
        first: set[tuple[int, str]] = set()
        for waiter in waiting:
            if waiter.own is None:
                continue
            key = waiter.login, waiter.own.client_order_id
            before = known.get(key)
            if before is not None:
                same = before.fingerprint == waiter.own.fingerprint
                waiter.result = before.answer if same else IdempotencyMismatch()
            elif key in first:
                waiter.result = _LATER
            first.add(key)

    def _decide_one(self, waiter: _Waiting, now_ms: int) -> Decision | None:
        if waiter.result is not None:
            return None
        account = self._floor.accounts[waiter.login]
        try:
            asked = self._intake.completed(waiter.asked, waiter.login)
            decision = self._floor.decide(account, asked, now_ms)
        except AppError as e:
            if isinstance(e, Undecided):
                metrics.defects.inc()
                log.error("command not decided", login=waiter.login, exc_info=e)
            waiter.result = e.with_traceback(None)  # its frames hold the waiter
            return None
        refusal = decision.outcome.refusal
        waiter.result = decision.outcome if refusal is None else refusal.with_traceback(None)
        self._intake.corrected(decision)
        return decision if decision.outcome.events else None

    def _work(self, decisions: list[Decision], waiting: Sequence[_Waiting], now_s: float) -> Work:
        client_orders = [
            ClientOrder(w.login, w.own.client_order_id, w.own.fingerprint, w.own.answer(w.result))
            for w in waiting
            if w.own is not None and isinstance(w.result, Outcome)
        ]
        seen: Sequence[Seen] = ()
        if decisions or now_s - self._seen_s >= SEEN_S:  # what comes of ticks is never judged by them again
            self._seen_s = now_s
            seen = self._intake.dirty()
        return Work(decisions, self._committed, seen, client_orders)

    def _take_over(self, decisions: Sequence[Decision]) -> None:
        for account, _ in decisions:
            self._committed[account.login] = account
        self._intake.written()

    def _answer(self, waiting: Sequence[_Waiting]) -> None:
        for waiter in waiting:
            result = waiter.result
            if result is _LATER:
                waiter.result = None
                self._waiting.insert(0, waiter)
                self._due.set()
            elif waiter.answer.done():
                continue  # the caller has gone
            elif isinstance(result, AppError):
                metrics.refused.labels(result.code).inc()
                waiter.answer.set_exception(result)
            elif result is not None:
                waiter.answer.set_result(result)

    async def _afterwards(self, decisions: Sequence[Decision], now_s: float) -> None:
        """What is nobody's fact: floating values, numbers for the operator, ids nobody may ask for again."""
        metrics.open_orders.set(len(self._floor.owners))
        self._floating.note(self._floor, decisions, now_s)
        if self._telling is None or self._telling.done():
            frames = self._floating.frames(self._floor, now_s)
            self._telling = asyncio.create_task(self._tell(frames), name="floating") if frames else None
        if now_s - self._forgot_s >= FORGET_S:
            self._forgot_s = now_s
            async with self._database.connection() as connection:
                await self._store.forget_client_orders(connection, self._clock.now_ms() - KEPT_MS)

    async def _tell(self, frames: Sequence[Frame]) -> None:
        """One batch: a stream syncs its disk once for it, and for every push that comes by itself."""
        try:
            await self._bus.append(PUSH_STREAM, [Entry(f.subject, f.payload, "") for f in frames])
        except AppError as e:
            log.warning("floating values not told", error=str(e))
            self._floating.lost(frames)

    async def _failed(self, waiting: Sequence[_Waiting], error: Exception) -> None:
        """Answer that it failed, and build everything again from the tables."""
        self._failures += 1
        log.error("turn failed", error=f"{type(error).__name__}: {error}", exc_info=error)
        said = error if isinstance(error, AppError) else InternalError()
        for waiter in waiting:
            if not waiter.answer.done():
                waiter.answer.set_exception(said)
        if isinstance(error, LeaseLost):
            self._state = "another process writes"
            self._fail("another process took over the writing of trading")
            return
        if not isinstance(error, OutcomeUnknown):
            log.info("nothing of the turn was written")
        await self._rebuild()


_LATER: AppError = ServiceUnavailable("the same client_order_id is under way")
