"""The desk on a real database and bus, with the time in the test's hand: outages, pegs, bars, restarts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio

from libs.common.bus_nats import NatsBus
from libs.common.clock import ManualClock
from libs.common.db import Database
from libs.common.ids import RandomIds
from libs.common.messages import pricing as m
from libs.common.outbox import Outbox, Relay
from services.pricing.desk import SAMPLE, Desk, Ports, Terms
from services.pricing.errors import AnchorUnavailable, PastUnknown
from services.pricing.oracle import SourcePrice
from services.pricing.rules import DEFAULT
from services.pricing.sample import ANCHOR_ID, pools, tokens
from services.pricing.service import PricingService
from services.pricing.sources import PoolGraph
from services.pricing.store import Store
from services.pricing.tokens import GraphInvalid

QUOTES = {"BTCUSD": 70_000.0, "ETHUSD": 3_500.0, "SOLUSD": 150.0, "XAUUSD": 2_300.0}
HOUR_S = 3600.0
BOTH = [SourcePrice("coingecko", 70_000.0, 1), SourcePrice("kraken", 70_000.0, 2)]


class Rig:
    """A desk and its service on one clock."""

    def __init__(self, database: Database, bus: NatsBus, clock: ManualClock) -> None:
        self.database, self.bus, self.clock = database, bus, clock
        self.desk, self.service = self.again()

    def again(self) -> tuple[Desk, PricingService]:
        """As after a restart."""
        store = Store()
        ports = Ports(
            bus=self.bus,
            database=self.database,
            store=store,
            outbox=Outbox("pricing"),
            relay=Relay("pricing", self.database, self.bus, self.clock),
            clock=self.clock,
            ids=RandomIds(),
        )
        desk = Desk(ports, Terms(rules=DEFAULT, anchor_id=ANCHOR_ID))
        return desk, PricingService(desk, self.database, store, self.clock, ["coingecko", "kraken"])

    def graph(self, **quotes: float) -> PoolGraph:
        return PoolGraph(tokens(), pools({**QUOTES, **quotes}, self.clock.now_ms()), ANCHOR_ID)

    async def number(self, symbol: str) -> m.TokenPrice:
        listed = await self.service.prices(m.PriceListAsk(limit=100, symbols=symbol))
        return listed.data[0]


@pytest_asyncio.fixture
async def rig(database: Callable[[str], Any], bus: NatsBus) -> Rig:
    return Rig(await database("pricing"), bus, ManualClock(datetime(2026, 1, 31, 12, 0, tzinfo=UTC)))


async def test_an_anchor_that_is_away_costs_confidence_and_then_every_price(rig: Rig) -> None:
    desk, clock = rig.desk, rig.clock
    with pytest.raises(AnchorUnavailable):
        await rig.service.prices(m.PriceListAsk())
    desk.heard(BOTH, {})
    await desk.take(rig.graph(), SAMPLE)
    await desk.beat()
    sure = (await rig.number("STX")).confidence
    down = {"coingecko": "down", "kraken": "down"}
    clock.advance(HOUR_S)
    desk.heard([], down)
    await desk.take(rig.graph(), SAMPLE)  # the pools are as fresh as before
    await desk.beat()
    aged = await rig.number("STX")
    assert aged.confidence == pytest.approx(sure / 4)
    assert aged.freshness.carried_forward
    clock.advance(6 * HOUR_S)
    desk.heard([], down)
    for ask in (rig.service.prices(m.PriceListAsk()), rig.service.anchor(m.OracleAsk())):
        with pytest.raises(AnchorUnavailable):
            await ask
    with pytest.raises(AnchorUnavailable):
        await rig.service.one(m.PriceAsk(token_id=".stx"))
    await desk.beat()
    assert desk.board.reading is None
    health = (await rig.service.health(m.PriceHealthAsk())).data
    assert (health.overall.status, health.overall.score) == ("degraded", 25)
    assert health.warnings
    desk.heard(BOTH, {})
    await desk.take(rig.graph(), SAMPLE)
    await desk.beat()
    assert (await rig.number("STX")).confidence == pytest.approx(sure)


async def test_one_source_that_lies_changes_nothing_among_three(rig: Rig) -> None:
    three = [*BOTH, SourcePrice("binance", 91_000.0, 3)]
    rig.desk.heard(three, {})
    await rig.desk.take(rig.graph(), SAMPLE)
    shown = (await rig.service.anchor(m.OracleAsk())).data
    assert (shown.price, shown.confidence, shown.source) == (70_000.0, 1.0, "coingecko +1 other")


async def test_a_lost_peg_is_told_once_per_change_and_ends_the_override(rig: Rig) -> None:
    desk, clock = rig.desk, rig.clock
    desk.heard(BOTH, {})

    def off(share: float) -> PoolGraph:
        graph = rig.graph()
        bent = [
            replace(p, reserve_a=int(p.reserve_a * share))
            if p.a.endswith("aeusdc")
            else replace(p, reserve_b=int(p.reserve_b * share))
            if p.b.endswith("aeusdc")
            else p
            for p in graph.pools
        ]
        return replace(graph, pools=bent)

    for _ in range(62):
        await desk.take(off(1.12), SAMPLE)
        desk.heard(BOTH, {})
        await desk.beat()
        clock.advance(10.0)
    shown = await rig.number("aeUSDC")
    assert shown.usd_price == pytest.approx(1 / 1.12, rel=0.02)
    assert shown.tags == ["depeg"]
    async with rig.database.connection() as connection:
        rows = await connection.fetch("SELECT subject, payload FROM pricing.outbox ORDER BY id")
    told = [(row["subject"].split(".")[1], row["payload"]) for row in rows]
    assert [kind for kind, _ in told] == ["evt", "evt"]  # alert, then the end of the override
    assert b'"overridden":true' in told[0][1] and b'"overridden":false' in told[1][1]
    again, _ = rig.again()
    await again.load()
    assert again.pegs[shown.token_id].lost  # outlives a restart


async def test_only_reserves_that_changed_are_followed_and_versions_grow(rig: Rig) -> None:
    desk = rig.desk
    desk.heard(BOTH, {})
    await desk.take(rig.graph(), SAMPLE)
    board, version = desk.board, desk.version
    await desk.take(rig.graph(), SAMPLE)
    assert (desk.board, desk.version) == (board, version)  # nothing changed
    before = (await rig.number("STX")).usd_price
    await desk.take(rig.graph(SOLUSD=165.0), SAMPLE)
    assert desk.board is board and desk.version > version
    assert (await rig.number("STX")).usd_price == pytest.approx(before * 1.1, rel=0.01)
    bad = rig.graph()
    with pytest.raises(GraphInvalid):
        await desk.take(replace(bad, pools=[replace(bad.pools[0], reserve_a=-1)]), SAMPLE)
    assert desk.board is board


async def test_bars_means_and_the_past(rig: Rig) -> None:
    desk, clock = rig.desk, rig.clock
    begun_ms = clock.now_ms()
    for minute in range(40):
        desk.heard(BOTH, {})
        await desk.take(rig.graph(SOLUSD=150.0 + minute), SAMPLE)
        await desk.beat()
        clock.advance(60.0)
    history = (
        await rig.service.history(m.HistoryAsk(token_id=".stx", from_ms=0, to_ms=0, interval="5m", limit=100))
    ).data
    assert len(history.bars) == 8
    assert all(bar.open < bar.close == bar.high for bar in history.bars)
    hours = (
        await rig.service.history(m.HistoryAsk(token_id=".stx", from_ms=0, to_ms=0, interval="1h", limit=9))
    ).data
    assert hours.bars[0].open == history.bars[0].open
    then = (await rig.service.one(m.PriceAsk(token_id=".stx", at_ms=begun_ms + 10 * 60_000))).data
    assert then.usd_price == pytest.approx(0.0105 * 159, rel=0.02)  # type: ignore[union-attr]
    with pytest.raises(PastUnknown):
        await rig.service.one(m.PriceAsk(token_id=".stx", at_ms=begun_ms - 1))
    shown = await rig.number("STX")
    assert isinstance(shown.twap, m.Twap)
    assert shown.twap.usd_price == pytest.approx(0.0105 * (150 + 24.5), rel=0.02)
    assert not shown.twap.guarded
    desk.heard(BOTH, {})
    await desk.take(rig.graph(SOLUSD=260.0), SAMPLE)
    jumped = await rig.number("STX")
    assert isinstance(jumped.twap, m.Twap) and jumped.twap.guarded
    assert jumped.confidence == pytest.approx(shown.confidence / 2, rel=0.02)


async def test_a_put_graph_its_static_prices_and_the_anchor_outlive_a_restart(rig: Rig) -> None:
    desk = rig.desk
    graph = rig.graph()
    await desk.replace(graph, "admin", quotes=[m.AnchorQuote(source="desk", price=50_000.0)])
    await desk.keep_bars(rig.clock.now_ms(), everything=True)
    later, service = rig.again()
    await later.load()
    await later.beat()
    assert (later.origin, later.quotes) == ("admin", [m.AnchorQuote(source="desk", price=50_000.0)])
    assert later.oracle.last is not None and later.oracle.last.price == 50_000.0
    listed = await service.prices(m.PriceListAsk(limit=100))
    assert len(listed.data) == 12
    await later.replace(graph, "admin", quotes=[])
    assert later.quotes is None
