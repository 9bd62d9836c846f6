"""What owners read of their rules, and tests over the past; every process answers it, whatever it owns."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from libs.common.bulk import columns, unpack
from libs.common.bus import Bus, encode
from libs.common.candles import BY_NAME, Timeframe
from libs.common.clock import Clock
from libs.common.db import Connection, Database
from libs.common.messages import alert_rules as m
from libs.common.messages.market import CandlesBulk
from libs.common.subjects import CANDLES_BULK
from services.alerts.alert import INT64_MAX, Status
from services.alerts.errors import ForeignRule, RuleNotFound, SymbolNotFound
from services.alerts.rule import Hit, Rule
from services.alerts.rule_checks import bars_of, checked
from services.alerts.rule_place import back_test, placed_on
from services.alerts.rule_readings import OPEN_MS, WINDOW, Floats
from services.alerts.rule_store import RuleStore
from services.alerts.rule_tree import EVENTS, Fact, leaves_of
from services.alerts.views import Views

EVERYWHERE = ""  # the symbol and the timeframe of facts that count on every place's next bar
HITS_MAX = 1_000  # of one test or page
Facts = list[Fact]
_STATUS = {
    Status.ACTIVE: "active",
    Status.TRIGGERED: "triggered",
    Status.DISABLED: "disabled",
    Status.EXPIRED: "expired",
}


class RuleReads:
    """See the module's text."""

    def __init__(self, bus: Bus, database: Database, store: RuleStore, clock: Clock) -> None:
        self._bus = bus
        self._database = database
        self._store = store
        self._clock = clock
        self._views = Views(bus)

    async def list(self, ask: m.RuleListAsk) -> m.RuleList:
        """An account's rules."""
        async with self._database.connection() as connection:
            found = await self._store.rules_of(connection, ask.login)
        return m.RuleList([self.view(rule) for rule in found])

    async def get(self, ask: m.RuleAsk) -> m.RuleView:
        """One rule."""
        async with self._database.connection() as connection:
            return self.view(await self.own(connection, ask.id, ask.login))

    async def hits(self, ask: m.RuleHitsAsk) -> m.RuleHits:
        """The hits of a rule, newest first."""
        limit, offset = min(max(ask.limit, 1), HITS_MAX), min(max(ask.offset, 0), INT64_MAX)
        async with self._database.connection() as connection:
            await self.own(connection, ask.id, ask.login)
            return m.RuleHits([_hit(h) for h in await self._store.hits_of(connection, ask.id, limit, offset)])

    async def test(self, ask: m.RuleTest) -> m.RuleTested:
        """When a rule would have fired over the last days of candles."""
        body = await self.checked(ask.rule, ask.group)
        frame = BY_NAME[body.timeframe]
        bars = await self.bars(body.symbol, body.timeframe, bars_of(ask.days, frame) + WINDOW)
        from_ms = self._clock.now_ms() - ask.days * 86_400_000
        first = int((bars[OPEN_MS] < from_ms).sum())
        facts: dict[int, Facts] = {}
        since_ms = 0
        if asks_for_facts(body) and bars.shape[1] > first:
            opens = [int(ms) for ms in bars[OPEN_MS, max(first - 1, 0) :]]
            facts = await self.facts(body.symbol, frame, opens, min(first, 1))
            async with self._database.connection() as connection:
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

    async def checked(self, body: m.RuleBody, group: str) -> m.RuleBody:
        """A rule as it is taken, its symbol named canonically; the errors of rules otherwise."""
        now_ms = self._clock.now_ms()
        checked(
            body, symbol=body.symbol, now_ms=now_ms
        )  # what is wrong with it is said before market is asked
        symbol = (await self._views.of(group)).index.find(body.symbol)
        if symbol is None:
            raise SymbolNotFound(f"{body.symbol} is not known")
        return checked(body, symbol=symbol, now_ms=now_ms)

    async def bars(self, symbol: str, timeframe: str, limit: int) -> Floats:
        """The newest closed bars, shape (6, n), oldest first."""
        ask = CandlesBulk(places=[(symbol, timeframe, 0, 2**53)], limit=int(limit))
        (found,) = unpack(await self._bus.request_bytes(CANDLES_BULK, encode(ask)))
        return columns(found.rows)

    async def facts(
        self, symbol: str, frame: Timeframe, opens: Sequence[int], first: int
    ) -> dict[int, Facts]:
        """Bar → what was told of it in time, for the bars that open at ``opens``, from index ``first`` on."""
        async with self._database.connection() as connection:
            found = await self._store.facts_between(connection, symbol, frame.name, opens[first], opens[-1])
            begin_ms = frame.end_ms(opens[first - 1]) if first else opens[first]
            end_ms = frame.end_ms(opens[-1]) - 1
            anywhere = await self._store.facts_between(connection, EVERYWHERE, EVERYWHERE, begin_ms, end_ms)
        for open_ms, facts in placed_on(opens[first:], frame, anywhere).items():
            found.setdefault(open_ms, []).extend(facts)
        return found

    async def own(self, connection: Connection, id: int, login: int) -> Rule:
        """An account's rule; NOT_FOUND or PERMISSION_DENIED when it has none with this id."""
        rule = await self._store.rule(connection, id) if 0 < id <= INT64_MAX else None
        if rule is None:
            raise RuleNotFound(f"there is no rule {id}")
        if rule.login != login:
            raise ForeignRule(f"rule {id} belongs to another account")
        return rule

    def view(self, rule: Rule) -> m.RuleView:
        """A rule as its owner sees it now."""
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
