"""Callers of market orders over the bus: as many at once as asked, or at an even rate."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import uvloop

from bench.children import answer_lines, read_line, write_line
from bench.peers.naive_orders import NAIVE_OPEN
from libs.common import bus_nats
from libs.common.bus import Bus, encode
from libs.common.errors import AppError
from libs.common.messages.market import GroupPut, QuoteIn, QuotesPut
from libs.common.messages.trading import AccountOpen
from libs.common.messages.trading_orders import TradeOpen
from libs.common.subjects import ACCOUNT_OPEN, GROUP_PUT, QUOTES_PUT, TRADE_OPEN

COMMANDS = {"ours": TRADE_OPEN, "naive": NAIVE_OPEN}
OPENED_AT_ONCE = 10


async def prepare(bus: Bus, logins: list[int]) -> None:
    """Rich accounts and a price."""
    await bus.request(GROUP_PUT, GroupPut(group="demo", fields={"default_deposit": 1e12}))
    await bus.request(QUOTES_PUT, QuotesPut(quotes=[QuoteIn(symbol="EURUSD", bid=1.1, ask=1.1001)]))
    for at in range(0, len(logins), OPENED_AT_ONCE):
        wanted = [
            AccountOpen(login=login, person_id=login, group="demo", currency="USD", leverage=100, opened_ms=0)
            for login in logins[at : at + OPENED_AT_ONCE]
        ]
        await asyncio.gather(*(bus.request(ACCOUNT_OPEN, each) for each in wanted))


class Caller:
    """Sends orders for accounts in turn."""

    def __init__(self, bus: Bus, side: str, logins: list[int]) -> None:
        self._bus = bus
        self._command = COMMANDS[side]
        self._asks = [
            encode(TradeOpen(login=login, cmd=cmd, volume=1, symbol="EURUSD"))
            for cmd in (0, 1)
            for login in logins
        ]
        self._next = 0
        self.acked = self.refused = 0
        self.last_refusal = ""
        self.took_s: list[float] = []

    async def one(self, due: float | None = None) -> None:
        """One order, and how long its ack took from when it was due: a load that lags counts, too."""
        ask = self._asks[self._next % len(self._asks)]
        self._next += 1
        begun = time.perf_counter() if due is None else due
        try:
            await self._bus.request_bytes(self._command, ask)
        except AppError as e:
            self.refused += 1
            self.last_refusal = str(e)
            return
        self.acked += 1
        self.took_s.append(time.perf_counter() - begun)

    async def flood(self, seconds: float, outstanding: int) -> None:
        """As fast as acks come back."""
        until = time.perf_counter() + seconds

        async def work() -> None:
            while time.perf_counter() < until:
                await self.one()

        await asyncio.gather(*(work() for _ in range(outstanding)))

    async def paced(self, seconds: float, rate: float) -> None:
        """At an even rate, whatever the answers do."""
        begun, sent = time.perf_counter(), 0
        tasks: set[asyncio.Task[None]] = set()
        while (now := time.perf_counter() - begun) < seconds:
            while sent < now * rate:
                task = asyncio.create_task(self.one(begun + sent / rate))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                sent += 1
            await asyncio.sleep(0.001)
        await asyncio.gather(*tasks)


async def main(config: dict[str, Any]) -> None:
    """Prepare the accounts, then do what is asked."""
    bus = await bus_nats.connect(config["nats_url"], "bench-load")
    await prepare(bus, config["logins"])
    write_line({})

    async def run(asked: dict[str, Any]) -> dict[str, Any]:
        caller = Caller(bus, asked["side"], asked["logins"])
        begun, cpu = time.perf_counter(), time.process_time()
        if "rate" in asked:
            await caller.paced(asked["seconds"], asked["rate"])
        else:
            await caller.flood(asked["seconds"], asked["outstanding"])
        took = time.perf_counter() - begun
        times = sorted(caller.took_s) or [0.0]
        return {
            "acked per s": caller.acked / took,
            "refused": caller.refused,
            "last refusal": caller.last_refusal,
            "p50 ms": 1000 * times[len(times) // 2],
            "p99 ms": 1000 * times[int(len(times) * 0.99)],
            "max ms": 1000 * times[-1],
            "load CPU share": (time.process_time() - cpu) / took,
        }

    await answer_lines(run)


if __name__ == "__main__":
    uvloop.run(main(read_line()))
