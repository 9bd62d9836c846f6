"""Two processes that share four partitions: commands find the owner, one takes over from the other, once."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from typing import Any

import orjson

from libs.common.bus_nats import NatsBus
from libs.common.db import Database
from libs.common.errors import AppError
from libs.common.lease import partition_of
from libs.common.messages import alert_rules as r
from libs.common.messages import alerts as m
from libs.common.messages.market import QuoteIn, QuotesPut
from libs.common.subjects import (
    ALERT_CREATE,
    ALERT_DELETE,
    ALERT_LIST,
    ALERT_LOG_CLEAR,
    ALERT_LOG_LIST,
    ALERT_UPDATE,
    QUOTES_PUT,
    RULE_CREATE,
    RULE_DELETE,
    RULE_LIST,
    RULE_PUT,
)
from tests.conftest import PATIENCE_S, wait_until
from tests.house import House

LOGIN, PARTITIONS = 500, 4
SYMBOLS = ("EURUSD", "ETHUSD", "XAUUSD", "GBPUSD")  # one of each partition
SETTINGS = {"FEED": "manual", "ALERTS_PARTITIONS": str(PARTITIONS)}


def test_the_symbols_are_of_all_partitions() -> None:
    assert [partition_of(symbol, PARTITIONS) for symbol in SYMBOLS] == [0, 1, 2, 3]


async def put(bus: NatsBus, bid: float) -> None:
    quotes = [QuoteIn(symbol=symbol, bid=bid, ask=round(bid + 0.01, 5)) for symbol in SYMBOLS]
    await bus.request(QUOTES_PUT, QuotesPut(quotes=quotes))


async def create(bus: NatsBus, symbol: str, target: float) -> int:
    ask = m.AlertCreate(
        login=LOGIN, group="demo", symbol=symbol, side=0, repeat_mode=0, condition=0, target_price=target
    )
    return (await patiently(lambda: bus.request(ALERT_CREATE, ask))).rows[0][0]


async def patiently(ask: Any) -> Any:
    """The answer of a command, also while its partition goes from one owner to the next."""

    async def answered() -> Any:
        try:
            return [await ask()]
        except AppError as e:
            assert e.http_status in (503, 504), e
            return None

    return (await wait_until(answered))[0]


async def logged(tables: Database) -> Counter[int]:
    async with tables.connection() as connection:
        return Counter(row[0] for row in await connection.fetch("SELECT alert_id FROM alerts.alert_log"))


async def owners(house: House) -> dict[str, set[int]]:
    """Process → its partitions, as its metrics say."""
    found = {}
    for key, running in house.running.items():
        if key.startswith("alerts"):
            lines = [
                x for x in (await running.metrics()).splitlines() if x.startswith("tradewind_lease_epoch{")
            ]
            held = {line.split('partition="')[1].split('"')[0] for line in lines if not line.endswith(" 0.0")}
            found[key] = set(map(int, held))
    return found


async def spread(house: House) -> bool:
    found = await owners(house)
    return sorted(map(len, found.values())) == [2, 2] and set().union(*found.values()) == {0, 1, 2, 3}


async def two(house: House) -> None:
    await house.start("market", FEED="manual")
    await asyncio.gather(
        house.start("alerts", PROCESS_INDEX="0", **SETTINGS),
        house.start("alerts", PROCESS_INDEX="1", **SETTINGS),
    )
    await wait_until(lambda: spread(house), timeout_s=40)


async def fires(bus: NatsBus, tables: Database, ids: list[int], price: float) -> None:
    """A quote of every symbol fires these, each once."""
    await put(bus, price)

    async def all_fired() -> bool:
        return set(ids) <= set(await logged(tables))

    await wait_until(all_fired)


async def test_work_is_shared_and_taken_over_and_nothing_fires_twice(
    house: House, bus: NatsBus, database: Any
) -> None:
    await two(house)
    tables: Database = await database("alerts")
    await put(bus, 100)
    # Whichever process answers: eight commands, four owners' symbols.
    first = [await create(bus, symbol, 110) for symbol in SYMBOLS * 2]
    then = [await create(bus, symbol, 120) for symbol in SYMBOLS]
    last = [await create(bus, symbol, 130) for symbol in SYMBOLS]
    await fires(bus, tables, first, 111)
    await alerts_move_between_partitions(bus, tables)
    await rules_move_between_partitions(bus)
    await killed(house, bus, tables, then)
    await paused(house, bus, tables, last)
    assert set((await logged(tables)).values()) == {1}
    await patiently(lambda: bus.request(ALERT_LOG_CLEAR, m.AlertLogClear(login=LOGIN)))
    assert (await bus.request(ALERT_LOG_LIST, m.AlertLogAsk(login=LOGIN))).rows == []


async def alerts_move_between_partitions(bus: NatsBus, tables: Database) -> None:
    """An alert that changes its symbol fires at its new one only, and once; also one that comes back."""
    moved = await create(bus, "EURUSD", 114)
    for symbol, target in (("GBPUSD", 112), ("EURUSD", 113), ("XAUUSD", 115)):
        change = m.AlertUpdate(id=moved, login=LOGIN, group="demo", symbol=symbol, target_price=target)
        await bus.request(ALERT_UPDATE, change)
    gone = await create(bus, "ETHUSD", 112)
    await bus.request(ALERT_DELETE, m.AlertDelete(id=gone, login=LOGIN))
    mark = [await create(bus, symbol, 112) for symbol in SYMBOLS]
    await fires(bus, tables, mark, 114.5)
    assert {moved, gone} & set(await logged(tables)) == set()
    await fires(bus, tables, [moved], 116)
    (row,) = [
        row for row in (await bus.request(ALERT_LIST, m.AlertListAsk(login=LOGIN))).rows if row[0] == moved
    ]
    assert (row[2], row[11], row[17]) == ("XAUUSD", 1, 116)


async def rules_move_between_partitions(bus: NatsBus) -> None:
    body = r.RuleBody(symbol="eurusd", timeframe="1h", when=r.Price(op="above", value=1e6))
    ask = r.RuleCreate(login=LOGIN, group="demo", rule=body)
    rule = await patiently(lambda: bus.request(RULE_CREATE, ask))
    other = r.RuleBody(symbol="GBPUSD", timeframe="1m", when=r.Price(op="above", value=1e6))
    change = r.RulePut(login=LOGIN, group="demo", id=rule.id, rule=other)
    assert (await bus.request(RULE_PUT, change)).rule.symbol == "GBPUSD"
    await bus.request(RULE_DELETE, r.RuleAsk(login=LOGIN, id=rule.id))
    assert list((await bus.request(RULE_LIST, r.RuleListAsk(login=LOGIN))).rules) == []


async def killed(house: House, bus: NatsBus, tables: Database, ids: list[int]) -> None:
    """The other process fires what was crossed meanwhile, and gives half of it back to the next one."""
    await house.end("alerts-0", signal.SIGKILL)
    await fires(bus, tables, ids, 121)
    assert await owners(house) == {"alerts-1": {0, 1, 2, 3}}
    await house.start("alerts", PROCESS_INDEX="0", **SETTINGS)
    await wait_until(lambda: spread(house), timeout_s=40)


async def paused(house: House, bus: NatsBus, tables: Database, ids: list[int]) -> None:
    """A process that sleeps loses its partitions; when it wakes it writes nothing and ends."""
    sleeper = house.running.pop("alerts-1")
    sleeper.signal(signal.SIGSTOP)
    try:
        await fires(bus, tables, ids, 131)
        async with tables.connection() as connection:
            epochs = "SELECT array_agg(epoch ORDER BY partition) FROM alerts.partition_lease"
            before = await connection.fetchval(epochs)
            sleeper.signal(signal.SIGCONT)
            assert await asyncio.wait_for(sleeper.process.wait(), PATIENCE_S) == 1
            assert await connection.fetchval(epochs) == before
    finally:
        if sleeper.process.returncode is None:
            sleeper.process.kill()
    lost = [orjson.loads(line) for line in sleeper.log.read_text().splitlines() if "lease lost" in line]
    assert lost or "is over" in sleeper.log.read_text()


async def test_processes_that_part_differently_do_not_work_side_by_side(house: House, bus: NatsBus) -> None:
    await house.start("market", "alerts", FEED="manual")
    other = await house._spawn("alerts", {**SETTINGS, "PROCESS_INDEX": "1"})
    assert await asyncio.wait_for(other.process.wait(), PATIENCE_S) == 78
    del house.running["alerts-1"]
    assert "has 1 partitions, this one 4" in other.log.read_text()
    await house.end("alerts-0")
    await house.start("alerts", **SETTINGS)  # it may once the other is gone
    assert (await owners(house))["alerts-0"] == {0, 1, 2, 3}
