"""What changes the rules of one partition: closed bars, the facts of others, and their owners.

Lifecycle: ``start`` reads the rules, ``run`` handles what market tells of closed bars, ``stop`` ends it.
One lock lets bars, facts and commands go one after the other. What a bar does (states, hits, notices, and
that the bar was judged) is one transaction under the lease, so a crash repeats a bar whole or not at all.
Bars that were missed, through a hole in what market tells or a time down, are asked for and judged in order.

Never: a bar judged twice; memory ahead of the tables (after a failed write it is read again).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
import structlog

from libs.common.bus import Ack, Bus, Subscription, decode
from libs.common.clock import Clock
from libs.common.db import Connection, Database
from libs.common.errors import ServiceUnavailable
from libs.common.ids import Ids
from libs.common.lease import LeaseLost
from libs.common.messages import alert_rules as m
from libs.common.messages.house import Done
from libs.common.messages.market import BarsClosed
from libs.common.outbox import Outbox, Relay
from libs.common.subjects import BARS_CLOSED
from services.alerts import metrics
from services.alerts.alert import Status
from services.alerts.errors import TooManyRules
from services.alerts.rule import Memory, PlacedFact, Rule
from services.alerts.rule_fold import begin
from services.alerts.rule_notices import notices_of
from services.alerts.rule_place import Outcome, Place
from services.alerts.rule_readings import OPEN_MS, WINDOW
from services.alerts.rule_reads import EVERYWHERE, RuleReads, asks_for_facts
from services.alerts.rule_store import RuleStore
from services.alerts.rule_tree import Fact

log = structlog.get_logger()

RETRY_S, RETRY_S_MAX = 0.2, 5.0
BULK_MAX = 18_000  # bars of one answer of market
INBOX_MAX = 10_000  # messages of market that wait; more make every place stale instead
FACTS_KEPT_MS = 90 * 86_400_000
CONSUMER = "alerts-rules"
DEPEG_AFTER_MS = 1_000


class Transactions(Protocol):
    """Opens transactions that may write."""

    def transaction(self) -> Any:
        """An async context manager that gives a connection; LeaseLost when another process owns it."""
        ...


class RuleService:
    """See the module's text."""

    def __init__(
        self,
        *,
        bus: Bus,
        database: Database,
        transactions: Transactions,
        store: RuleStore,
        outbox: Outbox,
        relay: Relay,
        clock: Clock,
        ids: Ids,
        rules_max: int,
        reads: RuleReads,
    ) -> None:
        self._bus = bus
        self._database = database
        self._transactions = transactions
        self._store = store
        self._outbox = outbox
        self._relay = relay
        self._clock = clock
        self._ids = ids
        self._rules_max = rules_max
        self._reads = reads
        self._counted = 0  # of the rules that metrics knows
        self._places: dict[tuple[str, str], Place] = {}
        self._inbox: list[bytes] = []
        self._due = asyncio.Event()
        self._lock = asyncio.Lock()
        self._heard: tuple[str, int] = ("", 0)  # run and seq of the last message of market
        self._subscription: Subscription | None = None
        self._state = "rules: starting"
        self._in_doubt = False
        self._forgotten_ms = 0

    # ── life ──────────────────────────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Read the rules and hear market; the bars since are judged by ``run``."""
        self._subscription = await self._bus.subscribe(BARS_CLOSED.at(), self._hear)
        self._bus.on_reconnect(self._lost_track)
        async with self._lock:
            await self._load()
        self._due.set()

    async def stop(self) -> None:
        """Hear nothing more."""
        if self._subscription is not None:
            await self._subscription.stop()
        self._places = {}
        self._count()

    def _count(self) -> None:
        rules = sum(len(place.rules) for place in self._places.values())
        metrics.rules.inc(rules - self._counted)
        self._counted = rules

    async def run(self) -> None:
        """Handle what comes, for ever."""
        delay_s = RETRY_S
        while True:
            await self._due.wait()
            self._due.clear()
            try:
                async with self._lock:
                    await self._turn()
                self._state, delay_s = "", RETRY_S
            except LeaseLost:
                raise
            except Exception as e:
                log.warning("rules not judged yet", error=f"{type(e).__name__}: {e}")
                self._state = f"rules: {type(e).__name__}"
                self._due.set()
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, RETRY_S_MAX)

    async def problem(self) -> str | None:
        """Why no rule is judged at the moment, or None."""
        return self._state or None

    def _hear(self, subject: str, payload: bytes) -> None:
        if len(self._inbox) >= INBOX_MAX:
            self._inbox.clear()  # the hole in seq says that bars must be asked for
        self._inbox.append(payload)
        self._due.set()

    def _lost_track(self) -> None:
        self._heard = ("", 0)
        self._due.set()

    async def _load(self) -> None:
        """Everything as the tables have it."""
        async with self._database.connection() as connection:
            rules = await self._store.active(connection)
            judged = await self._store.places(connection)
        self._places, self._in_doubt = {}, False
        for rule in rules:
            place = self._place(rule.symbol, rule.timeframe, judged)
            place.rules[rule.id] = rule
        self._count()

    def _place(self, symbol: str, timeframe: str, judged: dict[tuple[str, str], int]) -> Place:
        key = (symbol, timeframe)
        if key not in self._places:
            self._places[key] = Place(symbol, timeframe, judged.get(key, 0))
        return self._places[key]

    # ── bars ──────────────────────────────────────────────────────────────────────────────────────

    async def _turn(self) -> None:
        if self._in_doubt:
            await self._load()
        waiting, self._inbox = self._inbox, []
        try:
            for payload in waiting:
                await self._take(decode(payload, BarsClosed))
            for place in [p for p in self._places.values() if p.stale and p.rules]:
                await self._catch_up(place)
        except Exception:
            for place in self._places.values():
                place.stale = True
            raise
        await self._forget()

    async def _take(self, told: BarsClosed) -> None:
        if (told.run, told.seq - 1) != self._heard:
            for place in self._places.values():
                place.stale = True
        self._heard = (told.run, told.seq)
        for symbol, timeframe, *_ in told.loaded:
            if (symbol, timeframe) in self._places:
                self._places[symbol, timeframe].stale = True
        for symbol, timeframe, *bar in told.bars:
            found = self._places.get((symbol, timeframe))
            if found is not None and not found.stale and found.rules and bar[0] > found.judged_ms:
                await self._judge(found, [bar])

    async def _catch_up(self, place: Place) -> None:
        """Ask for the bars that are missing and judge them in order."""
        span = place.frame.span_ms or 28 * 86_400_000
        missing = max(0, self._clock.now_ms() - place.judged_ms) // span
        bars = await self._reads.bars(place.symbol, place.frame.name, min(BULK_MAX, WINDOW + missing + 1))
        fresh = place.fill(bars)
        await self._judge(place, fresh.T.tolist())

    async def _judge(self, place: Place, bars: Sequence[Sequence[float]]) -> None:
        """Judge bars one after the other; each is written before the next is looked at."""
        if not bars:
            return
        facts = await self._facts(place, [int(bar[0]) for bar in bars])
        for bar in bars:
            place.push(bar)
            await self._write(place, place.judge(facts.get(place.judged_ms, [])))

    async def _facts(self, place: Place, opens: Sequence[int]) -> dict[int, list[Fact]]:
        """What was told of bars that follow those the place has."""
        bodies = [rule.body for rule in place.rules.values()]
        if not any(map(asks_for_facts, bodies)):
            return {}
        before = [int(ms) for ms in place.bars[OPEN_MS] if ms < opens[0]]
        return await self._reads.facts(place.symbol, place.frame, [*before[-1:], *opens], len(before[-1:]))

    async def _write(self, place: Place, outcomes: Sequence[Outcome]) -> None:
        """Commit what a bar did, then remember it."""
        try:
            async with self._transactions.transaction() as tx:
                gone = await self._write_in(tx, place, outcomes)
        except BaseException:
            self._doubt()
            raise
        self._applied(place, outcomes, gone)

    async def _write_in(self, tx: Connection, place: Place, outcomes: Sequence[Outcome]) -> set[int]:
        """Write what a bar did; the rules that have left this place for one another process owns."""
        # A rule that asks for facts must know after a crash that it has judged this bar.
        changed = [
            o
            for o in outcomes
            if o.hit is not None or o.judged.memory != o.rule.memory or asks_for_facts(o.rule.body)
        ]
        states = [o.judged for o in changed]
        gone = await self._store.put_states(tx, states, place.symbol, place.frame.name)
        hits = [(o.rule, o.hit) for o in outcomes if o.hit is not None and o.rule.id not in gone]
        await self._store.add_hits(tx, [hit for _, hit in hits])
        await self._store.put_place(tx, place.symbol, place.frame.name, place.judged_ms)
        now_ms = self._clock.now_ms()
        await self._outbox.append(tx, notices_of(hits, self._ids, now_ms, place.frame))
        return gone

    def _applied(self, place: Place, outcomes: Sequence[Outcome], gone: set[int]) -> None:
        place.apply(outcomes)
        for id in gone:
            place.rules.pop(id, None)
        self._count()
        hits = sum(o.hit is not None for o in outcomes)
        if hits:
            self._relay.wake()
            metrics.rule_hits.inc(hits)

    def _doubt(self) -> None:
        """A write failed: what is remembered may be ahead of the tables, so they are read again first."""
        self._in_doubt = True
        self._state = "rules: the database can't be written"
        self._due.set()

    async def _forget(self) -> None:
        now_ms = self._clock.now_ms()
        if now_ms - self._forgotten_ms < 60_000:
            return
        self._forgotten_ms = now_ms
        async with self._transactions.transaction() as tx:
            await self._store.forget_facts(tx, now_ms - FACTS_KEPT_MS)

    # ── facts of the scanner ──────────────────────────────────────────────────────────────────────

    async def on_fact(self, event_id: str, symbol: str, timeframe: str, placed: PlacedFact) -> Ack:
        """Something was seen on a closed bar: rules that judged it already look again.

        What comes after the next bar was judged is late: it counts nowhere, so tests find what was live.
        """
        async with self._lock:
            if self._in_doubt:
                raise ServiceUnavailable(self._state)
            place = self._places.get((symbol, timeframe))
            if place is not None and not place.rules:
                place = None  # nobody is judged here: nothing is missed
            outcomes: Sequence[Outcome] = ()
            if place is not None and place.judged_ms == placed.bar_ms:
                outcomes = await self._judge_again(place, placed)
            late = place is not None and placed.bar_ms < place.judged_ms
            gone: set[int] = set()
            try:
                async with self._transactions.transaction() as tx:
                    if not await self._outbox.claim(tx, CONSUMER, event_id):
                        return Ack.DONE
                    await self._store.add_fact(tx, symbol, timeframe, placed, late=late)
                    if place is not None and outcomes:
                        gone = await self._write_in(tx, place, outcomes)
            except BaseException:
                self._doubt()
                raise
            if place is not None and outcomes:
                self._applied(place, outcomes, gone)
        return Ack.DONE

    async def on_depeg(self, event_id: str, found: Fact) -> Ack:
        """A stablecoin left its dollar or came back: it counts on every bar that closes next.

        It counts from a second later on, so that it is in the tables before any bar asks for it.
        """
        async with self._transactions.transaction() as tx:
            if await self._outbox.claim(tx, CONSUMER, event_id):
                placed = PlacedFact(self._clock.now_ms() + DEPEG_AFTER_MS, found)
                await self._store.add_fact(tx, EVERYWHERE, EVERYWHERE, placed)
        return Ack.DONE

    async def _judge_again(self, place: Place, placed: PlacedFact) -> Sequence[Outcome]:
        """What a fact of the last bar judged does; the bars since then are judged after it."""
        if place.stale:
            span = place.frame.span_ms or 28 * 86_400_000
            missing = max(0, self._clock.now_ms() - place.judged_ms) // span
            place.fill(
                await self._reads.bars(place.symbol, place.frame.name, min(BULK_MAX, WINDOW + missing + 1))
            )
            place.stale = True
            self._due.set()
            if not place.bars.shape[1]:
                return ()
        known = await self._facts(place, [place.judged_ms])
        return place.judge([*known.get(place.judged_ms, []), placed.fact], again=True)

    # ── what owners ask ───────────────────────────────────────────────────────────────────────────

    async def create(self, ask: m.RuleCreate) -> m.RuleView:
        """Arm a rule: it is judged from the next closed bar on."""
        body = await self._reads.checked(ask.rule, ask.group)
        async with self._lock:
            bar_ms = await self._begin_place(body)
            async with self._transactions.transaction() as tx:
                await self._store.lock_login(tx, ask.login)
                if await self._store.count_of(tx, ask.login) >= self._rules_max:
                    raise TooManyRules(f"an account may have {self._rules_max} rules")
                rule = self._new(body, ask.login)
                rule = msgspec.structs.replace(rule, id=await self._store.add(tx, rule))
                await self._store.put_place(tx, rule.symbol, rule.timeframe, bar_ms)
            self._places[rule.symbol, rule.timeframe].rules[rule.id] = rule
            self._count()
        return self._reads.view(rule)

    async def put(self, ask: m.RulePut) -> m.RuleView:
        """Replace a rule; it begins anew."""
        body = await self._reads.checked(ask.rule, ask.group)
        async with self._lock:
            bar_ms = await self._begin_place(body)
            async with self._transactions.transaction() as tx:
                before = await self._reads.own(tx, ask.id, ask.login)
                rule = msgspec.structs.replace(
                    self._new(body, ask.login),
                    id=before.id,
                    status=Status.ACTIVE if ask.enabled else Status.DISABLED,
                    created_ms=before.created_ms,
                    fired_ms=before.fired_ms,
                    fired_count=before.fired_count,
                )
                await self._store.put(tx, rule)
                await self._store.put_place(tx, rule.symbol, rule.timeframe, bar_ms)
            self._drop(before)
            if ask.enabled:
                self._places[rule.symbol, rule.timeframe].rules[rule.id] = rule
            self._count()
        return self._reads.view(rule)

    async def delete(self, ask: m.RuleAsk) -> Done:
        """Take a rule and its hits away."""
        async with self._lock:
            async with self._transactions.transaction() as tx:
                rule = await self._reads.own(tx, ask.id, ask.login)
                await self._store.remove(tx, rule.id)
            self._drop(rule)
        return Done()

    async def _begin_place(self, body: m.RuleBody) -> int:
        """The last bar judged at the rule's place, which is up to date afterwards."""
        if self._state:
            raise ServiceUnavailable(self._state)
        place = self._place(body.symbol, body.timeframe, {})
        if not place.rules:
            bars = await self._reads.bars(body.symbol, body.timeframe, WINDOW)
            place.judged_ms = int(bars[OPEN_MS, -1]) if bars.shape[1] else 0
            place.fill(bars)
        elif place.stale:
            await self._catch_up(place)
        return place.judged_ms

    def _new(self, body: m.RuleBody, login: int) -> Rule:
        state, now_ms = begin(body), self._clock.now_ms()
        return Rule(
            id=0,
            login=login,
            symbol=body.symbol,
            timeframe=body.timeframe,
            status=Status.ACTIVE,
            body=body,
            memory=Memory(state, state),
            bar_ms=0,  # no bar has been judged for it: a fact of the last one is not its matter
            created_ms=now_ms,
            updated_ms=now_ms,
            fired_ms=0,
            fired_count=0,
        )

    def _drop(self, rule: Rule) -> None:
        place = self._places.get((rule.symbol, rule.timeframe))
        if place is not None:
            place.rules.pop(rule.id, None)
        self._count()
