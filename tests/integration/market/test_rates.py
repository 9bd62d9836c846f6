"""The pace the house promises: 20,000 ticks a second from a replay without a growing backlog."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from libs.common.bus_nats import NatsBus
from tests.house import House

T0 = 1_767_225_600_000
TICKS = 200_000
SYMBOLS = ("EURUSD", "GBPUSD", "USDJPY", "XAUUSD", "BTCUSD", "ETHUSD")


@pytest.mark.soak
async def test_twenty_thousand_ticks_a_second_reach_candles_without_a_growing_backlog(
    house: House, bus: NatsBus, tmp_path: Path
) -> None:
    path = tmp_path / "ticks.csv"
    with path.open("w") as file:
        file.write("time,symbol,bid,ask\n")
        for i in range(TICKS):
            price = 1.1 + (i % 997) / 1e5
            file.write(f"{T0 + i * 10},{SYMBOLS[i % 6]},{price:.5f},{price + 0.0002:.5f}\n")
    seqs: dict[bytes, int] = {}
    counted = 0
    first_s = last_s = 0.0
    loop = asyncio.get_running_loop()

    def hear(subject: str, payload: bytes) -> None:
        nonlocal counted, first_s, last_s
        _, symbol, *_, seq = payload.split(b",")
        assert int(seq[:-1]) == seqs.get(symbol, 0) + 1
        seqs[symbol] = int(seq[:-1])
        counted += 1
        last_s = loop.time()
        first_s = first_s or last_s

    await bus.subscribe("market.tick.quote.v1.raw.*", hear)
    await bus.flush()
    await house.start("market", FEED=f"replay:{path}?speed=max")
    backlogs = []
    async with asyncio.timeout(60):
        while counted < TICKS:
            await asyncio.sleep(0.5)
            metrics = await house.running["market-0"].metrics()
            line = next(
                x for x in metrics.splitlines() if x.startswith("tradewind_market_candle_backlog_rows ")
            )
            backlogs.append(float(line.split()[1]))
    rate = TICKS / (last_s - first_s)
    print(f"{rate:.0f} ticks/s, backlog of closed candles at most {max(backlogs):.0f} rows")
    assert rate > 18_000
    assert max(backlogs) < 5_000
