"""A broker's day in a few seconds: open positions everywhere, a stream of ticks, and accounts that go under.

Victims hold a position on a symbol of their own. A tick that ruins one is sent while the others' ticks go on;
what counts is the time from the tick, by its own stamp, until the stop-out is decided, as its notice says,
and beside it until the close of the position is heard, committed and published.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from contextlib import suppress
from typing import Any

import uvloop

from bench.children import answer_lines, read_line, write_line
from libs.common import bus_nats
from libs.common.bus import Bus
from libs.common.errors import AppError
from libs.common.messages.market import GroupPut, QuoteIn, QuotesPut, SymbolPut
from libs.common.messages.trading import AccountOpen
from libs.common.messages.trading_orders import TradeOpen
from libs.common.subjects import (
    ACCOUNT_OPEN,
    GROUP_PUT,
    QUOTE,
    QUOTES_PUT,
    SYMBOL_PUT,
    TRADE_OPEN,
    TRADE_PUSH,
    TRADING_NOTICE,
)

SYMBOLS = {"EURUSD": 1.1, "GBPUSD": 1.3, "USDJPY": 150.0, "XAUUSD": 2000.0, "BTCUSD": 70_000.0}
SYMBOLS |= {"ETHUSD": 3500.0, "SOLUSD": 150.0, "BTC/USDT": 70_000.0, "ETH/USDT": 3500.0, "SOL/USDT": 150.0}
FIRST, FIRST_VICTIM = 1_000_000, 2_000_000
AT_ONCE = 64
RICH, POOR = 1e9, 2_000.0
BATCH_S = 0.02  # ticks that market is given together
TRADE_CLOSED = 6


class Day:
    """See the module's text."""

    def __init__(self, bus: Bus, config: dict[str, Any]) -> None:
        self._bus = bus
        self._accounts = range(FIRST, FIRST + config["accounts"])
        self._each = config["positions"] // config["accounts"]
        self._victims = range(FIRST_VICTIM, FIRST_VICTIM + config["victims"])
        self._prices = dict(SYMBOLS)
        self._dice = random.Random(20261120)
        self._heard: dict[int, float] = {}
        self._decided_ms: dict[int, int] = {}
        self._fell_ms: dict[str, int] = {}
        self._all_heard = asyncio.Event()

    async def begin(self) -> None:
        """Symbols, prices, accounts, positions."""
        bus = self._bus
        for login in self._victims:
            fields = {"digits": 5, "quote_currency": "USD", "margin_currency": "USD"}
            await bus.request(SYMBOL_PUT, SymbolPut(symbol=_own(login), fields=fields))
        await self._quote([*self._prices.items(), *((_own(login), 1.0) for login in self._victims)])
        for logins, deposit in ((self._accounts, RICH), (self._victims, POOR)):
            await bus.request(GROUP_PUT, GroupPut(group="demo", fields={"default_deposit": deposit}))
            await self._all([self._account(login) for login in logins])
        names = list(SYMBOLS)
        wanted = [
            TradeOpen(login=login, cmd=n % 2, volume=1 + n % 50, symbol=names[n % len(names)])
            for login in self._accounts
            for n in range(login, login + self._each)
        ]
        wanted += [TradeOpen(login=login, cmd=0, volume=100, symbol=_own(login)) for login in self._victims]
        await self._all([self._open(ask) for ask in wanted])
        pattern = TRADE_PUSH.at(login=0).replace(".0", ".*")
        await bus.subscribe(pattern, self._hear)
        await bus.subscribe(TRADING_NOTICE.at(login=0).replace(".0", ".*"), self._notice)
        for login in self._victims:
            await bus.subscribe(QUOTE.at(profile="raw", symbol=_own(login)), self._fell)

    async def run(self, seconds: float, rate: float) -> dict[str, Any]:
        """Ticks at ``rate``; the victims fall evenly over the time."""
        begun, sent, slowest = time.perf_counter(), 0, 0.0
        victims = list(self._victims)
        falls: set[int] = set()
        tasks: list[asyncio.Task[None]] = []
        while (now := time.perf_counter() - begun) < seconds:
            due = int(now * rate) - sent
            await self._quote([self._step() for _ in range(due)])
            sent += due
            slowest = max(slowest, time.perf_counter() - begun - now)
            if len(falls) < len(victims) * now / seconds:
                victim = victims[len(falls)]
                falls.add(victim)
                tasks.append(asyncio.create_task(self._quote([(_own(victim), 0.9)])))
            await asyncio.sleep(max(0.0, begun + now + BATCH_S - time.perf_counter()))
        took = time.perf_counter() - begun
        await asyncio.gather(*tasks)
        with suppress(TimeoutError):
            async with asyncio.timeout(5.0):
                await self._all_heard.wait()
        fell = self._fell_ms
        times = sorted(1000 * at - fell[_own(login)] for login, at in self._heard.items())
        decided = sorted(at - fell[_own(login)] for login, at in self._decided_ms.items())
        return {
            "ticks": sent + len(falls),
            "ticks per s": sent / took,
            "slowest batch of ticks ms": 1000 * slowest,
            "stop-outs": len(falls),
            "stop-outs heard": len(times),
            "tick to decision p50 ms": decided[len(decided) // 2],
            "tick to decision max ms": decided[-1],
            "tick to close heard p50 ms": times[len(times) // 2],
            "tick to close heard max ms": times[-1],
        }

    def _step(self) -> tuple[str, float]:
        name = self._dice.choice(list(SYMBOLS))
        self._prices[name] *= 1 + self._dice.choice((-1, 1)) * 2e-5
        return name, self._prices[name]

    def _hear(self, subject: str, payload: bytes) -> None:
        at = time.time()
        if not subject.startswith(_VICTIMS):
            return
        frame = json.loads(payload)
        if frame[17] == TRADE_CLOSED:
            self._heard[frame[2]] = at
            if len(self._heard) == len(self._victims):
                self._all_heard.set()

    def _fell(self, subject: str, payload: bytes) -> None:
        quote = json.loads(payload)
        self._fell_ms[quote[1]] = quote[5]

    def _notice(self, subject: str, payload: bytes) -> None:
        told = json.loads(payload)
        if told["token"] == "STOP_OUT":
            self._decided_ms[told["login"]] = told["raised_ms"]

    async def _quote(self, prices: list[tuple[str, float]]) -> None:
        quotes = [QuoteIn(symbol=name, bid=bid, ask=bid * 1.0001) for name, bid in prices]
        if quotes:
            await self._bus.request(QUOTES_PUT, QuotesPut(quotes=quotes))

    async def _account(self, login: int) -> None:
        await self._bus.request(
            ACCOUNT_OPEN,
            AccountOpen(
                login=login, person_id=login, group="demo", currency="USD", leverage=100, opened_ms=0
            ),
        )

    async def _open(self, ask: TradeOpen) -> None:
        while True:
            try:
                await self._bus.request(TRADE_OPEN, ask)
                return
            except AppError as e:
                if e.code not in ("RET_SYMBOL_NOT_FOUND", "RET_TRADE_OFFQUOTES"):  # trading learns of it soon
                    raise
                await asyncio.sleep(0.1)

    @staticmethod
    async def _all(calls: list[Any]) -> None:
        room = asyncio.Semaphore(AT_ONCE)

        async def one(call: Any) -> None:
            async with room:
                await call

        await asyncio.gather(*(one(call) for call in calls))


_VICTIMS = TRADE_PUSH.at(login=FIRST_VICTIM)[:-6]


def _own(login: int) -> str:
    return f"VICTIM{login - FIRST_VICTIM}"


async def main(config: dict[str, Any]) -> None:
    """Begin, then run as asked."""
    bus = await bus_nats.connect(config["nats_url"], "bench-load")
    day = Day(bus, config)
    await day.begin()
    write_line({})

    async def run(asked: dict[str, float]) -> dict[str, Any]:
        return await day.run(asked["seconds"], asked["rate"])

    await answer_lines(run)


if __name__ == "__main__":
    uvloop.run(main(read_line()))
