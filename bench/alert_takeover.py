"""How long until a second process of alerts has taken over from one that was killed, or from one that sleeps.

Real market and alerts processes on real servers, four partitions shared by two processes. The time runs from
the signal to the last log row of what was crossed right after it, one alert in each partition.
"""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path
from typing import Any

import structlog

from libs.common import bus_nats
from libs.common.bus import Bus
from libs.common.db import Database, open_database
from libs.common.errors import RemoteError, ServiceUnavailable
from libs.common.messages import alerts as m
from libs.common.messages.market import QuoteIn, QuotesPut
from libs.common.subjects import ALERT_CREATE, QUOTES_PUT
from tests.house import House

SERVICES = ("market", "alerts")
SYMBOLS = ("EURUSD", "ETHUSD", "XAUUSD", "GBPUSD")  # one of each partition
SETTINGS = {"FEED": "manual", "ALERTS_PARTITIONS": str(len(SYMBOLS))}
LOGIN = 500
PATIENCE_S = 60.0
POLL_S = 0.02


async def measure(dsns: dict[str, str], nats_url: str, place: Path) -> dict[str, float]:
    """Seconds after SIGKILL and after SIGSTOP."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    house = House({**dsns, "admin": dsns["alerts"]}, nats_url, place)
    bus = await bus_nats.connect(nats_url, "bench")
    try:
        async with open_database(dsns["alerts"], application="bench") as tables:
            return await _both(bus, tables, house)
    finally:
        await house.stop()
        await bus.close()


async def _both(bus: Bus, tables: Database, house: House) -> dict[str, float]:
    await house.start("market", FEED="manual")
    await _quote(bus, 100)
    await house.start("alerts", PROCESS_INDEX="0", **SETTINGS)
    await house.start("alerts", PROCESS_INDEX="1", **SETTINGS)
    await _spread(house)
    killed = await _taken_over(bus, tables, house, "alerts-0", signal.SIGKILL, 110)
    await house.end("alerts-0", signal.SIGKILL)
    await house.start("alerts", PROCESS_INDEX="0", **SETTINGS)
    await _spread(house)
    slept = await _taken_over(bus, tables, house, "alerts-1", signal.SIGSTOP, 120)
    house.running["alerts-1"].signal(signal.SIGKILL)
    return {"killed s": killed, "asleep s": slept}


async def _taken_over(
    bus: Bus, tables: Database, house: House, key: str, number: signal.Signals, price: float
) -> float:
    ids = set()
    for symbol in SYMBOLS:
        ask = m.AlertCreate(
            login=LOGIN, group="demo", symbol=symbol, side=0, repeat_mode=0, condition=0, target_price=price
        )
        ids.add(await _create(bus, ask))
    begun = time.perf_counter()
    house.running[key].signal(number)
    await _quote(bus, price + 1)
    async with asyncio.timeout(PATIENCE_S):
        while not ids <= await _logged(tables):  # noqa: ASYNC110
            await asyncio.sleep(POLL_S)
    return time.perf_counter() - begun


async def _create(bus: Bus, ask: m.AlertCreate) -> int:
    """An alert's id, as soon as its partition's new owner answers."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                id: int = (await bus.request(ALERT_CREATE, ask)).rows[0][0]
                return id
            except (ServiceUnavailable, RemoteError):
                await asyncio.sleep(POLL_S)


async def _quote(bus: Bus, bid: float) -> None:
    quotes = [QuoteIn(symbol=symbol, bid=bid, ask=bid + 1) for symbol in SYMBOLS]
    await bus.request(QUOTES_PUT, QuotesPut(quotes=quotes))


async def _logged(tables: Database) -> set[int]:
    """What has fired, as the tables have it: asked over the bus, the sleeper would be asked too."""
    async with tables.connection() as connection:
        return {row[0] for row in await connection.fetch("SELECT alert_id FROM alerts.alert_log")}


async def _spread(house: House) -> None:
    """Wait until both processes own two partitions each."""

    async def owned(running: Any) -> int:
        lines = (await running.metrics()).splitlines()
        return sum(x.startswith("tradewind_lease_epoch{") and not x.endswith(" 0.0") for x in lines)

    async with asyncio.timeout(PATIENCE_S):
        while [await owned(house.running[key]) for key in ("alerts-0", "alerts-1")] != [2, 2]:  # noqa: ASYNC110
            await asyncio.sleep(POLL_S)
