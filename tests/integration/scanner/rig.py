"""Market and the scanner in the test's own process on real servers, asked over the bus."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec

from libs.common import subjects
from libs.common.bus import Subscription
from libs.common.bus_nats import NatsBus
from libs.common.clock import ManualClock
from libs.common.db import Database
from libs.common.errors import ServiceUnavailable
from libs.common.ids import RandomIds
from libs.common.messages.market import CandlesPut
from libs.common.outbox import Outbox, Relay
from libs.common.service import App, Base
from services.scanner.config import ScannerConfig
from services.scanner.wiring import build
from tests.conftest import wait_until
from tests.integration.market.rig import START, open_rig

HOUR_MS = 3_600_000
Bar = tuple[int, float, float, float, float, float]


@dataclass
class Rig:
    """A running market and, while ``running`` holds, a scanner beside it."""

    bus: NatsBus
    clock: ManualClock
    market: Database
    scanner: Database
    app: App
    heard: list[tuple[str, Any]] = field(default_factory=list)  # facts: subject, message

    async def ask(self, command: Any, message: Any) -> Any:
        """What is answered over the bus; a refusal is raised as RemoteError."""
        return await self.bus.request(command, message)

    async def load(self, symbol: str, timeframe: str, bars: Sequence[Bar]) -> None:
        """Write candles as staff does."""
        await self.ask(
            subjects.CANDLES_PUT, CandlesPut(symbol=symbol, timeframe=timeframe, candles=list(bars))
        )

    async def rows(self, sql: str, *arguments: object) -> list[Any]:
        """Rows of the scanner's tables."""
        async with self.scanner.connection() as connection:
            found: list[Any] = await connection.fetch(sql, *arguments)
            return found

    async def _has_none(self, sql: str) -> bool:
        return not await self.rows(sql)

    async def done(self, symbol: str, timeframe: str, open_ms: int) -> None:
        """Wait until a bar was judged."""
        frame = {"1m": 1, "30m": 4, "1h": 5, "4h": 6, "1d": 7, "1M": 9}[timeframe]

        async def reached() -> bool:
            rows = await self.rows(
                "SELECT done_ms FROM scanner.place WHERE symbol = $1 AND timeframe = $2", symbol, frame
            )
            return bool(rows) and rows[0]["done_ms"] >= open_ms

        await wait_until(reached)

    async def facts(self, subject: Any) -> list[Any]:
        """Every fact of a kind, oldest first, when all that is committed is published."""
        waiting = "SELECT FROM scanner.outbox WHERE published_at IS NULL"
        await wait_until(lambda: self._has_none(waiting))
        window = await self.bus.history("SCANNER", subject.pattern, 0, 20_000)
        return [msgspec.json.decode(entry.payload, type=subject.message) for entry in window.entries]


def config_of(**changed: Any) -> ScannerConfig:
    """The scanner's configuration in a test."""
    given = {"database_url": "postgres://unused", "nats_url": "nats://unused", **changed}
    return ScannerConfig(**given)


@asynccontextmanager
async def open_scanner(
    database: Database, bus: NatsBus, clock: ManualClock, **changed: Any
) -> AsyncIterator[App]:
    """The scanner on ``database`` and ``bus``."""
    relay = Relay("scanner", database, bus, clock)
    failures: list[str] = []
    base = Base(
        name="scanner",
        bus=bus,
        database=database,
        outbox=Outbox("scanner"),
        relay=relay,
        clock=clock,
        ids=RandomIds(),
        fail=failures.append,
    )
    served: list[Subscription] = []
    await relay.start()
    try:
        async with build(config_of(**changed), base) as app:
            served = [await bus.serve(command, handler) for command, handler in app.handlers]
            await bus.flush()
            yield app
            for subscription in served:
                await subscription.stop()
    finally:
        await relay.stop()
    assert failures == []


@asynccontextmanager
async def open_both(
    database: Callable[[str], Awaitable[Database]], bus: NatsBus, **changed: Any
) -> AsyncIterator[Rig]:
    """Market under the manual feed, and the scanner."""
    clock = ManualClock(START)
    async with AsyncExitStack() as stack:
        market, scanner = await database("market"), await database("scanner")
        await stack.enter_async_context(open_rig(market, bus, clock=clock))
        app = await stack.enter_async_context(open_scanner(scanner, bus, clock, **changed))
        yield Rig(bus, clock, market, scanner, app)


def bars_of_closes(closes: Sequence[float], step_ms: int = HOUR_MS, start_ms: int = 0) -> list[Bar]:
    """Candles from closes: open is the close before, high and low half a point beyond; they end at START."""
    begin = start_ms or (round(START.timestamp() * 1000) - len(closes) * step_ms)
    found = []
    for number, close in enumerate(closes):
        opened = closes[number - 1] if number else close
        high, low = max(opened, close) + 0.5, min(opened, close) - 0.5
        found.append((begin + number * step_ms, opened, high, low, close, 10.0))
    return found


__all__ = ["HOUR_MS", "Rig", "ServiceUnavailable", "bars_of_closes", "open_both", "open_scanner"]
