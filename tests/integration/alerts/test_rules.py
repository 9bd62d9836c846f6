"""Rules beside the real market: bars that close, a kill in between, facts of the scanner, who may do what."""

from __future__ import annotations

import signal
import time
from typing import Any

import msgspec
import orjson
import pytest_asyncio

from libs.common.bus import Entry
from libs.common.bus_nats import NatsBus
from libs.common.errors import RemoteError
from libs.common.messages import alert_rules as m
from libs.common.messages.market import CandlesAsk, CandlesPut, QuoteIn, QuotesPut
from libs.common.messages.pricing import Depegged
from libs.common.messages.scanner import LevelBroken, PatternDetected, RegimeFlipped
from libs.common.messages.signals import SignalRecorded
from libs.common.subjects import (
    ALERTS_NOTICE,
    CANDLES,
    CANDLES_PUT,
    DEPEGGED,
    LEVEL_BROKEN,
    PATTERN_DETECTED,
    QUOTES_PUT,
    REGIME_FLIPPED,
    RULE_CREATE,
    RULE_DELETE,
    RULE_GET,
    RULE_HITS,
    RULE_LIST,
    RULE_PUT,
    RULE_TEST,
    SIGNAL_RECORDED,
)
from tests.conftest import wait_until
from tests.house import House
from tests.oracles import alert_rules as oracle
from tests.unit.alerts.test_rules import market

LOGIN, OTHER = 500, 501
HOUR_MS = 3_600_000
HISTORY = 80
BARS = 60
# The last bars lie in the past: stored candles are closed ones.
START_MS = (int(time.time() * 1000) // HOUR_MS - HISTORY - BARS - 24) * HOUR_MS
WHEN: dict[str, Any] = {
    "type": "any",
    "of": [
        {"type": "price", "op": "crosses_above", "value": 100.0},
        {"type": "change", "op": "above", "percent": 1.0, "bars": 2},
        {"type": "all", "of": [{"type": "rsi", "op": "below", "value": 40, "period": 5}]},
    ],
}


def candles() -> list[tuple[int, float, float, float, float, float]]:
    rows = market(9, HISTORY + BARS)
    return [(START_MS + n * HOUR_MS, *(float(v) for v in row[1:])) for n, row in enumerate(rows)]


def body(**change: Any) -> m.RuleBody:
    said = {"symbol": "eurusd", "timeframe": "1h", "when": WHEN, "repeat": True, **change}
    return msgspec.json.decode(orjson.dumps(said), type=m.RuleBody)


async def put(bus: NatsBus, rows: list[Any]) -> None:
    await bus.request(CANDLES_PUT, CandlesPut(symbol="EURUSD", timeframe="1h", candles=rows))


async def create(bus: NatsBus, rule: m.RuleBody, login: int = LOGIN) -> m.RuleView:
    return await bus.request(RULE_CREATE, m.RuleCreate(login=login, group="demo", rule=rule))


async def hits(bus: NatsBus, id: int) -> list[m.RuleHit]:
    return list((await bus.request(RULE_HITS, m.RuleHitsAsk(login=LOGIN, id=id, limit=1_000))).hits)[::-1]


async def refusal(bus: NatsBus, command: Any, ask: Any) -> tuple[str, int]:
    try:
        await bus.request(command, ask)
    except RemoteError as e:
        return e.code, e.http_status
    raise AssertionError("it was taken")


@pytest_asyncio.fixture
async def running(house: House, bus: NatsBus) -> House:
    """Market with some history of EURUSD, and alerts."""
    await house.start("market", FEED="manual")
    await put(bus, candles()[:HISTORY])
    await house.start("alerts", FEED="manual", RULES_PER_ACCOUNT="2")
    return house


async def told(bus: NatsBus) -> list[dict[str, Any]]:
    window = await bus.history("ALERTS", ALERTS_NOTICE.at(login=LOGIN), 0, 1_000)
    return [orjson.loads(entry.payload) for entry in window.entries]


async def test_bars_are_judged_once_also_when_it_is_killed_between_them(running: House, bus: NatsBus) -> None:
    rows = candles()
    rule = await create(bus, body())
    assert (rule.rule.symbol, rule.status, rule.fired_count) == ("EURUSD", "active", 0)
    said = orjson.loads(orjson.dumps(msgspec.to_builtins(body())))
    expected = oracle.hits(said, rows, HISTORY, {}, HOUR_MS)
    assert len(expected) > 4

    async def judged(upto: int) -> bool:
        wanted = [open_ms // 1000 for open_ms, _, _ in expected if open_ms <= rows[upto - 1][0]]
        return [hit.bar_open for hit in await hits(bus, rule.id)] == wanted

    for at in range(HISTORY, HISTORY + 20, 5):
        await put(bus, rows[at : at + 5])
        await wait_until(lambda at=at: judged(at + 5))
    await running.end("alerts-0", signal.SIGKILL)
    await put(bus, rows[HISTORY + 20 : HISTORY + 40])
    await running.start("alerts", FEED="manual")
    await wait_until(lambda: judged(HISTORY + 40))
    await put(bus, rows[HISTORY + 40 :])
    await wait_until(lambda: judged(len(rows)))
    found = await hits(bus, rule.id)
    assert [(hit.bar_open * 1000, hit.told, hit.held_back) for hit in found] == expected
    notices = await wait_until(lambda: _so_many(told(bus), len(expected)))
    assert [notice["data"]["bar_open"] * 1000 for notice in notices] == [bar for bar, _, _ in expected]
    assert {notice["token"] for notice in notices} == {"ALERT_RULE"}
    view = await bus.request(RULE_GET, m.RuleAsk(login=LOGIN, id=rule.id))
    assert (view.fired_count, view.fired_at) == (len(expected), expected[-1][0] // 1000 + 3_600)
    days = (int(time.time() * 1000) - rows[HISTORY][0]) // 86_400_000
    tested = await bus.request(
        RULE_TEST, m.RuleTest(login=LOGIN, group="demo", rule=body(repeat=True), days=days)
    )
    # A test that begins later finds what was live from there on, once its levels are known.
    begun = [hit for hit in found if hit.bar_open > tested.first_bar]
    assert [hit.bar_open for hit in tested.hits if hit.bar_open > tested.first_bar] == [
        hit.bar_open for hit in begun
    ]


async def _so_many(asked: Any, count: int) -> Any:
    found = await asked
    return found if len(found) == count else None


def flipped(event_id: str, now: str, bar_ms: int) -> Entry:
    fact = RegimeFlipped(
        event_id=event_id,
        symbol="EURUSD",
        timeframe="1h",
        bar_open_ms=bar_ms,
        bar_close_ms=bar_ms + HOUR_MS,
        was="range",
        now=now,
        strength=0.5,
        vol_pct=1.0,
        price=1.0,
        live=True,
    )
    return Entry(REGIME_FLIPPED.at(timeframe="1h", symbol="EURUSD"), msgspec.json.encode(fact), event_id, {})


async def test_a_fact_that_comes_after_its_bar_fires_the_rule_once(running: House, bus: NatsBus) -> None:
    rows = candles()
    rule = await create(bus, body(when={"type": "regime", "to": "up"}, repeat=False, name="flip"))
    await put(bus, rows[HISTORY : HISTORY + 1])
    open_ms = rows[HISTORY][0]

    await bus.append("SCANNER", [flipped("a", "down", open_ms)])
    await bus.append("SCANNER", [flipped("b", "up", open_ms)])
    found = await wait_until(lambda: _so_many(hits(bus, rule.id), 1))
    assert (found[0].bar_open, found[0].told, found[0].price) == (open_ms // 1000, "yes", rows[HISTORY][4])
    view = await bus.request(RULE_GET, m.RuleAsk(login=LOGIN, id=rule.id))
    assert view.status == "triggered"
    tested = await bus.request(RULE_TEST, m.RuleTest(login=LOGIN, group="demo", rule=view.rule, days=30))
    assert [hit.bar_open for hit in tested.hits] == [open_ms // 1000]
    assert tested.events_from == open_ms // 1000
    (notice,) = await wait_until(lambda: _so_many(told(bus), 1))
    assert notice["title"].startswith("flip: EURUSD")


def facts_of(bar_ms: int) -> list[tuple[dict[str, Any], list[Entry]]]:
    """What a rule asks for, and facts of a bar: all but the last one are others than it asks for."""
    place = {"symbol": "EURUSD", "timeframe": "1h", "bar_open_ms": bar_ms, "bar_close_ms": bar_ms + HOUR_MS}
    common = {**place, "price": 1.0, "live": True}
    formation = {"start_ms": bar_ms, "end_ms": bar_ms, "span": 1, "atr": 0.1, "category": "candlestick"}
    cases: list[tuple[dict[str, Any], Any, Any, list[dict[str, Any]]]] = [
        (
            {"type": "pattern", "pattern": "hammer", "direction": "bullish", "min_confidence": 0.6},
            PATTERN_DETECTED,
            PatternDetected,
            [
                {"pattern": "hammer", "direction": "bearish", "confidence": 0.9},
                {"pattern": "doji", "direction": "bullish", "confidence": 0.9},
                {"pattern": "hammer", "direction": "bullish", "confidence": 0.59},
                {"pattern": "hammer", "direction": "bullish", "confidence": 0.6},
            ],
        ),
        (
            {"type": "level_break", "kind": "resistance"},
            LEVEL_BROKEN,
            LevelBroken,
            [{"kind": "support", "direction": "bearish"}, {"kind": "resistance", "direction": "bullish"}],
        ),
        (
            {"type": "signal", "name": "volume", "direction": "bearish"},
            SIGNAL_RECORDED,
            SignalRecorded,
            [
                {"name": "volume", "direction": "bullish"},
                {"name": "pattern", "direction": "bearish"},
                {"name": "volume", "direction": "bearish"},
            ],
        ),
    ]
    rest = {"level": 1.0, "strength": 0.5, "touches": 3, "price_before": 0.9, "confidence": 0.7}
    found = []
    for number, (asked, subject, kind, several) in enumerate(cases):
        entries = []
        for at, fields in enumerate(several):
            event_id = f"fact-{number}-{at}"
            ids = {"event_id": event_id, "detection_id": event_id, "signal_id": event_id}
            fact = msgspec.convert({**common, **formation, **rest, **ids, **fields}, kind)
            name = subject.at(timeframe="1h", symbol="EURUSD")
            entries.append(Entry(name, msgspec.json.encode(fact), event_id, {}))
        found.append((asked, entries))
    return found


async def test_every_kind_of_the_scanners_facts_fires_what_asks_for_it(running: House, bus: NatsBus) -> None:
    rows = candles()
    open_ms = rows[HISTORY][0]
    cases = facts_of(open_ms)
    armed = [
        await create(bus, body(when=asked, repeat=False), login)
        for login, (asked, _) in enumerate(cases, start=510)
    ]
    every = {"type": "all", "of": [asked for asked, _ in cases]}
    armed.append(await create(bus, body(when=every, repeat=False)))
    heard = await create(bus, body(when={"type": "regime", "to": "up"}))
    await put(bus, rows[HISTORY : HISTORY + 1])

    async def fired(*rules: m.RuleView) -> list[int]:
        asked = [m.RuleAsk(login=rule.login, id=rule.id) for rule in rules]
        return [(await bus.request(RULE_GET, ask)).fired_count for ask in asked]

    await bus.append("SCANNER", [entry for _, entries in cases for entry in entries[:-1]])
    await bus.append("SCANNER", [flipped("heard", "up", open_ms)])  # facts are heard one after the other
    await wait_until(lambda: _equal(fired(heard), [1]))
    assert await fired(*armed) == [0, 0, 0, 0]
    await bus.append("SCANNER", [entries[-1] for _, entries in cases])
    await wait_until(lambda: _equal(fired(*armed), [1, 1, 1, 1]))
    for rule in armed:
        ask = m.RuleTest(login=LOGIN, group="demo", rule=rule.rule, days=30)
        tested = await bus.request(RULE_TEST, ask)
        assert [hit.bar_open * 1000 for hit in tested.hits] == [open_ms], rule.rule.when


async def _equal(asked: Any, wanted: Any) -> bool:
    return bool(await asked == wanted)


async def test_a_fact_after_the_next_bar_counts_neither_live_nor_in_tests(
    running: House, bus: NatsBus
) -> None:
    rows = candles()
    rule = await create(bus, body(when={"type": "regime", "to": "up"}, name="flip"))
    mark = await create(bus, body(when={"type": "price", "op": "above", "value": 0.001}, name="mark"))
    await put(bus, rows[HISTORY : HISTORY + 2])
    await wait_until(lambda: _some(hits(bus, mark.id)))

    async def judged() -> bool:
        return (await bus.request(RULE_GET, m.RuleAsk(login=LOGIN, id=mark.id))).fired_count == 1

    await wait_until(judged)
    await bus.append("SCANNER", [flipped("late", "up", rows[HISTORY][0])])
    await bus.append("SCANNER", [flipped("now", "up", rows[HISTORY + 1][0])])
    found = await wait_until(lambda: _so_many(hits(bus, rule.id), 1))
    assert found[0].bar_open * 1000 == rows[HISTORY + 1][0]
    tested = await bus.request(RULE_TEST, m.RuleTest(login=LOGIN, group="demo", rule=rule.rule, days=30))
    assert [hit.bar_open for hit in tested.hits] == [found[0].bar_open]


async def test_a_stablecoin_off_its_dollar_counts_on_the_next_bar_that_closes(
    running: House, bus: NatsBus, database: Any
) -> None:
    rule = await create(bus, body(symbol="GBPUSD", timeframe="1m", when={"type": "depeg", "token": "usdc"}))

    def depegged(event_id: str, symbol: str, level: str) -> Entry:
        fact = Depegged(
            token_id=f"{symbol}-id",
            symbol=symbol,
            market_price=0.97,
            deviation_pct=3.0,
            confidence=0.9,
            level=level,
            overridden=False,
            at_ms=0,
        )
        return Entry(DEPEGGED.at(token=fact.token_id), msgspec.json.encode(fact), event_id, {})

    tables = await database("alerts")
    told = [depegged("a", "DAI", "alert"), depegged("b", "USDC", "ok"), depegged("c", "USDC", "warn")]
    await bus.append("PRICING", told)

    async def heard() -> Any:
        async with tables.connection() as connection:
            rows = await connection.fetch("SELECT bar_open_ms FROM alerts.rule_fact WHERE kind = 'depeg'")
        return [row[0] for row in rows] if len(rows) == len(told) else None

    heard_ms = (await wait_until(heard))[-1]

    async def closed() -> bool:
        """Quotes of minutes to come close bars; the one the fact falls into fires."""
        nonlocal minute
        minute += 1
        at_ms = (heard_ms // 60_000 + minute) * 60_000
        quotes = [QuoteIn(symbol="GBPUSD", bid=1.3, ask=1.4, time=at_ms)]
        await bus.request(QUOTES_PUT, QuotesPut(quotes=quotes))
        return bool(await hits(bus, rule.id))

    minute = -1
    await wait_until(closed)
    (hit,) = await hits(bus, rule.id)
    assert hit.bar_open * 1000 + 60_000 > heard_ms


async def test_owners_change_their_own_rules_within_bounds(running: House, bus: NatsBus) -> None:
    first = await create(bus, body())
    second = await create(bus, body(name="two"))
    assert await refusal(bus, RULE_CREATE, m.RuleCreate(login=LOGIN, group="demo", rule=body())) == (
        "RET_TRADE_LIMIT_REACHED",
        409,
    )
    unknown = m.RuleCreate(login=OTHER, group="demo", rule=body(symbol="NOPE"))
    assert await refusal(bus, RULE_CREATE, unknown) == ("RET_SYMBOL_NOT_FOUND", 404)
    late = m.RuleCreate(login=OTHER, group="demo", rule=body(expires_at=1))
    assert await refusal(bus, RULE_CREATE, late) == ("INVALID_EXPIRES_AT", 400)
    for command, ask in (
        (RULE_GET, m.RuleAsk(login=OTHER, id=first.id)),
        (RULE_DELETE, m.RuleAsk(login=OTHER, id=first.id)),
        (RULE_HITS, m.RuleHitsAsk(login=OTHER, id=first.id)),
        (RULE_PUT, m.RulePut(login=OTHER, group="demo", id=first.id, rule=body())),
    ):
        assert await refusal(bus, command, ask) == ("PERMISSION_DENIED", 403)
    missing = m.RuleAsk(login=LOGIN, id=2**40)
    assert await refusal(bus, RULE_GET, missing) == ("NOT_FOUND", 404)
    off = m.RulePut(login=LOGIN, group="demo", id=first.id, rule=body(name="off"), enabled=False)
    assert (await bus.request(RULE_PUT, off)).status == "disabled"
    await put(bus, candles()[HISTORY : HISTORY + 30])
    await wait_until(lambda: _some(hits(bus, second.id)))
    assert await hits(bus, first.id) == []
    listed = await bus.request(RULE_LIST, m.RuleListAsk(login=LOGIN))
    assert [(rule.id, rule.rule.name) for rule in listed.rules] == [(first.id, "off"), (second.id, "two")]
    await bus.request(RULE_DELETE, m.RuleAsk(login=LOGIN, id=second.id))
    listed = await bus.request(RULE_LIST, m.RuleListAsk(login=LOGIN))
    assert [rule.id for rule in listed.rules] == [first.id]


async def _some(asked: Any) -> bool:
    return bool(await asked)


async def test_bars_that_ticks_close_are_judged_like_those_a_test_finds(running: House, bus: NatsBus) -> None:
    minute_ms = 60_000
    begin_ms = (int(time.time()) // 60 - 120) * minute_ms
    walk = market(4, 90)

    async def quote(rows: list[list[float]], first: int) -> None:
        quotes = [
            QuoteIn(symbol="GBPUSD", bid=price, ask=price + 0.1, time=begin_ms + n * minute_ms + at * 10_000)
            for n, row in enumerate(rows, start=first)
            for at, price in enumerate(row[1:5])
        ]
        await bus.request(QUOTES_PUT, QuotesPut(quotes=quotes))

    await quote(walk[:10], 0)
    rule = await create(bus, body(symbol="GBPUSD", timeframe="1m"))
    for at in range(10, 90, 10):
        await quote(walk[at : at + 10], at)

    async def stored() -> list[list[float]]:
        ask = CandlesAsk(symbol="GBPUSD", frame="1M", from_s=0, to_s=int(time.time()))
        table = await bus.request(CANDLES, ask)
        return [[row[5] * 1000, *row[:5]] for row in table.data]

    bars = [row for row in await stored() if row[0] < begin_ms + 89 * minute_ms]
    said = orjson.loads(orjson.dumps(msgspec.to_builtins(body())))

    async def agreed() -> bool:
        """The rule was armed when some bar was the last closed one; from there on both find the same."""
        found = [hit.bar_open * 1000 for hit in await hits(bus, rule.id)]
        return any(
            found == [bar for bar, _, _ in oracle.hits(said, bars, first, {}, minute_ms)] and len(found) > 3
            for first in range(8, 12)
        )

    await wait_until(agreed)
