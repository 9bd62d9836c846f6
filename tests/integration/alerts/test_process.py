"""The whole process beside the real market: killed at any time, it loses and repeats nothing."""

from __future__ import annotations

import random
import signal
from collections import Counter
from typing import Any

import pytest

from libs.common.bus_nats import NatsBus
from libs.common.errors import RemoteError
from libs.common.messages import alerts as m
from libs.common.messages.market import GroupPut, QuoteIn, QuotesPut, SymbolPut
from libs.common.subjects import (
    ALERT_CREATE,
    ALERT_LIST,
    ALERT_LOG_LIST,
    GROUP_PUT,
    QUOTES_PUT,
    SYMBOL_PUT,
)
from tests.conftest import wait_until
from tests.house import House
from tests.unit.alerts.oracle import Oracle, Plain

LOGIN = 500


async def put(bus: NatsBus, *prices: tuple[float, float], symbol: str = "EURUSD") -> None:
    """Quotes, in order; answered when all are published."""
    quotes = [QuoteIn(symbol=symbol, bid=bid, ask=ask) for bid, ask in prices]
    await bus.request(QUOTES_PUT, QuotesPut(quotes=quotes))


async def create(bus: NatsBus, condition: int, **fields: Any) -> int:
    given = {"login": LOGIN, "group": "demo", "symbol": "EURUSD", "side": 0, "repeat_mode": 0}
    answer = await bus.request(ALERT_CREATE, m.AlertCreate(**{**given, "condition": condition, **fields}))
    return answer.rows[0][0]


async def logged(bus: NatsBus) -> list[dict[str, Any]]:
    """The log in the order it was written."""
    found = await bus.request(ALERT_LOG_LIST, m.AlertLogAsk(login=LOGIN))
    return [dict(zip(found.structure, row, strict=True)) for row in reversed(found.rows)]


async def test_killed_while_ticks_come_it_fires_what_the_oracle_fires(house: House, bus: NatsBus) -> None:
    seed = 11
    chance = random.Random(seed)
    await house.start("market", FEED="manual")
    await house.start("alerts", FEED="manual")
    await put(bus, (1.1, 1.1001))
    oracle = Oracle(1.1, 1.1001)
    expected: Counter[tuple[int, float]] = Counter()
    price = 1.1
    for round_ in range(4):
        for _ in range(20):
            target = round(price + chance.uniform(-0.02, 0.02), 5)
            plain = Plain(
                0, chance.randrange(2), chance.choice([0, 1, 2, 3, 12]), chance.random() < 0.5, target
            )
            plain.id = await create(
                bus, plain.condition, side=plain.side, repeat_mode=int(plain.repeat), target_price=target
            )
            oracle.alerts[plain.id] = plain
        walk = []
        for _ in range(300):
            price = round(price + (1.1 - price) / 20 + chance.gauss(0, 0.003), 5)
            walk.append((price, round(price + 0.0001, 5)))
        for start in range(0, 300, 50):
            await put(bus, *walk[start : start + 50])
            for tick in walk[start : start + 50]:
                expected.update(oracle.tick(*tick))
            if start == 100:
                await house.end("alerts-0", signal.SIGKILL)
            elif start == 200:
                await house.start("alerts", FEED="manual")
        assert round_ < 4

    async def complete() -> bool:
        return len(await logged(bus)) >= expected.total()

    await wait_until(complete)
    found = Counter((row["alert_id"], row["triggered_price"]) for row in await logged(bus))
    assert found == expected, f"seed {seed}"
    assert expected.total() > 100
    assert any(row["comment"] == "[caught up]" for row in await logged(bus))
    assert await house.end("alerts-0") == 0


async def test_a_restarted_market_is_read_on_without_a_loss(house: House, bus: NatsBus) -> None:
    await house.start("market", FEED="manual")
    await house.start("alerts", FEED="manual")
    await put(bus, (1.1, 1.1001))
    first = await create(bus, 0, target_price=1.2)
    second = await create(bus, 0, target_price=1.4)
    await house.end("market-0", signal.SIGKILL)
    with pytest.raises(RemoteError) as refused:
        await create(bus, 0, target_price=1.3)
    assert (refused.value.code, refused.value.http_status) == ("RET_ERR_NOSERVICE", 503)
    await house.start("market", FEED="manual")
    await put(bus, (1.25, 1.2501))
    await wait_until(lambda: logged(bus))
    await put(bus, (1.45, 1.4501))

    async def both() -> bool:
        return len(await logged(bus)) == 2

    await wait_until(both)
    assert [(r["alert_id"], r["triggered_price"]) for r in await logged(bus)] == [
        (first, 1.25),
        (second, 1.45),
    ]


async def test_an_admins_change_is_in_force_for_the_next_alert(house: House, bus: NatsBus) -> None:
    await house.start("market", FEED="manual")
    await house.start("alerts", FEED="manual")
    with pytest.raises(RemoteError) as refused:
        await create(bus, 0, target_price=1.2, symbol="NEWSYM")
    assert (refused.value.code, refused.value.http_status) == ("RET_SYMBOL_NOT_FOUND", 404)
    await bus.request(SYMBOL_PUT, SymbolPut(symbol="NEWSYM", fields={"digits": 3}))
    await put(bus, (10.0, 10.001), symbol="NEWSYM")
    armed = await create(bus, 2, side=1, target_price=10.015, symbol="NEWSYM")
    # The group's spread makes its ask 10.02 from now on: its alerts follow.
    spread = {"secmargins": [{"symbol": "NEWSYM", "spread_enable": 1, "spread": 20}]}
    await bus.request(GROUP_PUT, GroupPut(group="demo", fields=spread))

    async def fired() -> bool:
        await put(bus, (10.0, 10.001), symbol="NEWSYM")
        return bool(await logged(bus))

    await wait_until(fired)
    (row,) = await logged(bus)
    assert (row["alert_id"], row["triggered_price"]) == (armed, 10.02)
    listed = await bus.request(ALERT_LIST, m.AlertListAsk(login=LOGIN))
    assert [row[11] for row in listed.rows] == [1]


async def test_metrics_are_there_from_the_start(house: House, bus: NatsBus) -> None:
    await house.start("alerts", FEED="manual")
    text = await house.running["alerts-0"].metrics()
    for name in (
        "armed_alerts",
        "fired_alerts_total",
        "expired_alerts_total",
        "reloads_total",
        "astray_hits_total",
    ):
        assert f"tradewind_alerts_{name} 0.0" in text
