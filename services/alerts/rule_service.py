"""The use cases of rules: judging closed bars and the scanner's facts, and what their owners ask.

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

from libs.common.bulk import columns, unpack
from libs.common.bus import Ack, Bus, Inbound, Subscription, decode, encode
from libs.common.candles import BY_NAME
from libs.common.clock import Clock
from libs.common.db import Connection, Database
from libs.common.errors import ServiceUnavailable
from libs.common.ids import Ids
from libs.common.lease import LeaseLost
from libs.common.messages import alert_rules as m
from libs.common.messages.house import Done
from libs.common.messages.market import BarsClosed, CandlesBulk
from libs.common.outbox import Outbox, Relay
from libs.common.subjects import BARS_CLOSED, CANDLES_BULK
from services.alerts import metrics
from services.alerts.alert import INT64_MAX, Status
from services.alerts.errors import ForeignRule, RuleNotFound, SymbolNotFound, TooManyRules
from services.alerts.rule import Hit, Memory, PlacedFact, Rule
from services.alerts.rule_checks import bars_of, checked
from services.alerts.rule_fold import begin
from services.alerts.rule_notices import notices_of
from services.alerts.rule_place import Outcome, Place, back_test
from services.alerts.rule_readings import OPEN_MS, WINDOW, Floats
from services.alerts.rule_store import RuleStore
from services.alerts.rule_tree import EVENTS, Fact, leaves_of
from services.alerts.views import Views

log = structlog.get_logger()

RETRY_S, RETRY_S_MAX = 0.2, 5.0
BULK_MAX = 18_000  # bars of one answer of market
HITS_MAX = 1_000  # of one test or page
INBOX_MAX = 10_000  # messages of market that wait; more make every place stale instead
FACTS_KEPT_MS = 90 * 86_400_000
CONSUMER = "alerts-rules"
_STATUS = {
    Status.ACTIVE: "active",
    Status.TRIGGERED: "triggered",
    Status.DISABLED: "disabled",
    Status.EXPIRED: "expired",
}


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
        self._views = Views(bus)
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
        metrics.rules.set(len(rules))

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
        bars = await self._bars(place.symbol, place.frame.name, min(BULK_MAX, WINDOW + missing + 1))
        fresh = place.fill(bars)
        await self._judge(place, fresh.T.tolist())

    async def _bars(self, symbol: str, timeframe: str, limit: int) -> Floats:
        """The newest closed bars, shape (6, n), oldest first."""
        ask = CandlesBulk(places=[(symbol, timeframe, 0, 2**53)], limit=int(limit))
        (found,) = unpack(await self._bus.request_bytes(CANDLES_BULK, encode(ask)))
        return columns(found.rows)

    async def _judge(self, place: Place, bars: Sequence[Sequence[float]]) -> None:
        """Judge bars one after the other; each is written before the next is looked at."""
        if not bars:
            return
        facts = await self._facts(place, int(bars[0][0]), int(bars[-1][0]))
        for bar in bars:
            place.push(bar)
            await self._write(place, place.judge(facts.get(place.judged_ms, [])))

    async def _facts(self, place: Place, from_ms: int, to_ms: int) -> dict[int, list[Fact]]:
        if not any(asks_for_facts(rule.body) for rule in place.rules.values()):
            return {}
        async with self._database.connection() as connection:
            return await self._store.facts_between(connection, place.symbol, place.frame.name, from_ms, to_ms)

    async def _write(self, place: Place, outcomes: Sequence[Outcome], tx: Connection | None = None) -> None:
        """Commit what a bar did; with ``tx`` as part of that transaction, to be applied by the caller."""
        if tx is not None:
            await self._write_in(tx, place, outcomes)
            return
        try:
            async with self._transactions.transaction() as own:
                await self._write_in(own, place, outcomes)
        except BaseException:
            self._doubt()
            raise
        self._applied(place, outcomes)

    async def _write_in(self, tx: Connection, place: Place, outcomes: Sequence[Outcome]) -> None:
        # A rule that asks for facts must know after a crash that it has judged this bar.
        changed = [o for o in outcomes if o.judged.memory != o.rule.memory or asks_for_facts(o.rule.body)]
        await self._store.put_states(tx, [o.judged for o in changed])
        hits = [(o.rule, o.hit) for o in outcomes if o.hit is not None]
        await self._store.add_hits(tx, [hit for _, hit in hits])
        await self._store.put_place(tx, place.symbol, place.frame.name, place.judged_ms)
        now_ms = self._clock.now_ms()
        await self._outbox.append(tx, notices_of(hits, self._ids, now_ms, place.frame))

    def _applied(self, place: Place, outcomes: Sequence[Outcome]) -> None:
        place.apply(outcomes)
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

    async def on_fact(self, inbound: Inbound, symbol: str, timeframe: str, placed: PlacedFact) -> Ack:
        """Something was seen on a closed bar: rules that judged it already look again."""
        async with self._lock:
            if self._in_doubt:
                raise ServiceUnavailable(self._state)
            place = self._places.get((symbol, timeframe))
            outcomes: Sequence[Outcome] = ()
            if place is not None and not place.stale and place.judged_ms == placed.bar_ms:
                outcomes = place.judge([*place.facts, placed.fact], again=True)
            try:
                async with self._transactions.transaction() as tx:
                    if not await self._outbox.claim(tx, CONSUMER, inbound.event_id):
                        return Ack.DONE
                    await self._store.add_fact(tx, symbol, timeframe, placed)
                    if place is not None and outcomes:
                        await self._write(place, outcomes, tx)
            except BaseException:
                self._doubt()
                raise
            if place is not None and outcomes:
                self._applied(place, outcomes)
        return Ack.DONE

    # ── what owners ask ───────────────────────────────────────────────────────────────────────────

    async def list(self, ask: m.RuleListAsk) -> m.RuleList:
        """An account's rules."""
        async with self._database.connection() as connection:
            found = await self._store.rules_of(connection, ask.login)
        return m.RuleList([self._view(rule) for rule in found])

    async def get(self, ask: m.RuleAsk) -> m.RuleView:
        """One rule."""
        async with self._database.connection() as connection:
            return self._view(await self._own(connection, ask.id, ask.login))

    async def create(self, ask: m.RuleCreate) -> m.RuleView:
        """Arm a rule: it is judged from the next closed bar on."""
        body = await self._checked(ask.rule, ask.group)
        async with self._lock:
            bar_ms = await self._begin_place(body)
            async with self._transactions.transaction() as tx:
                if await self._store.count_of(tx, ask.login) >= self._rules_max:
                    raise TooManyRules(f"an account may have {self._rules_max} rules")
                rule = self._new(body, ask.login)
                rule = msgspec.structs.replace(rule, id=await self._store.add(tx, rule))
                await self._store.put_place(tx, rule.symbol, rule.timeframe, bar_ms)
            self._places[rule.symbol, rule.timeframe].rules[rule.id] = rule
            metrics.rules.inc()
        return self._view(rule)

    async def put(self, ask: m.RulePut) -> m.RuleView:
        """Replace a rule; it begins anew."""
        body = await self._checked(ask.rule, ask.group)
        async with self._lock:
            bar_ms = await self._begin_place(body)
            async with self._transactions.transaction() as tx:
                before = await self._own(tx, ask.id, ask.login)
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
        return self._view(rule)

    async def delete(self, ask: m.RuleAsk) -> Done:
        """Take a rule and its hits away."""
        async with self._lock:
            async with self._transactions.transaction() as tx:
                rule = await self._own(tx, ask.id, ask.login)
                await self._store.remove(tx, rule.id)
            self._drop(rule)
        return Done()

    async def hits(self, ask: m.RuleHitsAsk) -> m.RuleHits:
        """The hits of a rule, newest first."""
        limit, offset = min(max(ask.limit, 1), HITS_MAX), min(max(ask.offset, 0), INT64_MAX)
        async with self._database.connection() as connection:
            await self._own(connection, ask.id, ask.login)
            return m.RuleHits([_hit(h) for h in await self._store.hits_of(connection, ask.id, limit, offset)])

    async def test(self, ask: m.RuleTest) -> m.RuleTested:
        """When a rule would have fired over the last days of candles."""
        body = await self._checked(ask.rule, ask.group)
        frame = BY_NAME[body.timeframe]
        bars = await self._bars(body.symbol, body.timeframe, bars_of(ask.days, frame) + WINDOW)
        from_ms = self._clock.now_ms() - ask.days * 86_400_000
        first = int((bars[OPEN_MS] < from_ms).sum())
        facts: dict[int, list[Fact]] = {}
        since_ms = 0
        if asks_for_facts(body):
            async with self._database.connection() as connection:
                facts = await self._store.facts_between(
                    connection, body.symbol, body.timeframe, from_ms, INT64_MAX
                )
                since_ms = await self._store.facts_since(connection, body.symbol, body.timeframe)
        # A test of a year must not hold up live bars: it is arithmetic only.
        tested = await asyncio.to_thread(back_test, body, bars, first, facts, HITS_MAX)
        some = bars.shape[1] > first
        return m.RuleTested(
            bars=bars.shape[1] - first,
            first_bar=int(bars[OPEN_MS, first]) // 1000 if some else 0,
            last_bar=int(bars[OPEN_MS, -1]) // 1000 if some else 0,
            events_from=since_ms // 1000,
            hits=[_hit(hit) for hit in tested.hits],
            truncated=tested.truncated,
        )

    async def _checked(self, body: m.RuleBody, group: str) -> m.RuleBody:
        now_ms = self._clock.now_ms()
        checked(
            body, symbol=body.symbol, now_ms=now_ms
        )  # what is wrong with it is said before market is asked
        symbol = (await self._views.of(group)).index.find(body.symbol)
        if symbol is None:
            raise SymbolNotFound(f"{body.symbol} is not known")
        return checked(body, symbol=symbol, now_ms=now_ms)

    async def _begin_place(self, body: m.RuleBody) -> int:
        """The last bar judged at the rule's place, which is up to date afterwards."""
        if self._state:
            raise ServiceUnavailable(self._state)
        place = self._place(body.symbol, body.timeframe, {})
        if not place.rules:
            bars = await self._bars(body.symbol, body.timeframe, WINDOW)
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
        metrics.rules.set(sum(len(p.rules) for p in self._places.values()))

    async def _own(self, connection: Connection, id: int, login: int) -> Rule:
        rule = await self._store.rule(connection, id) if 0 < id <= INT64_MAX else None
        if rule is None:
            raise RuleNotFound(f"there is no rule {id}")
        if rule.login != login:
            raise ForeignRule(f"rule {id} belongs to another account")
        return rule

    def _view(self, rule: Rule) -> m.RuleView:
        over = rule.body.expires_at and rule.body.expires_at * 1000 <= self._clock.now_ms()
        status = Status.EXPIRED if over and rule.status == Status.ACTIVE else rule.status
        return m.RuleView(
            id=rule.id,
            login=rule.login,
            status=_STATUS[status],
            rule=rule.body,
            created_at=rule.created_ms // 1000,
            updated_at=rule.updated_ms // 1000,
            fired_at=rule.fired_ms // 1000,
            fired_count=rule.fired_count,
            held_back=rule.memory.after.held_back,
        )


def asks_for_facts(body: m.RuleBody) -> bool:
    """Whether a rule has a leaf that other services tell of."""
    return any(isinstance(leaf, EVENTS) for leaf in leaves_of(body.when))


def _hit(hit: Hit) -> m.RuleHit:
    return m.RuleHit(
        bar_open=hit.open_ms // 1000,
        bar_close=hit.close_ms // 1000,
        price=hit.price,
        told=hit.told,
        held_back=hit.held_back,
    )
