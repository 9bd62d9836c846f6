"""Market in the test's own process on real servers, asked over the bus as its callers ask."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from libs.common import subjects
from libs.common.bus import Subscription
from libs.common.bus_nats import NatsBus
from libs.common.clock import ManualClock
from libs.common.db import Database
from libs.common.ids import RandomIds
from libs.common.messages import market as m
from libs.common.outbox import Outbox, Relay
from libs.common.service import App, Base
from services.market.config import Config
from services.market.wiring import build

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
START_MS = round(START.timestamp() * 1000)


@dataclass
class Rig:
    """A running market."""

    app: App
    bus: NatsBus
    clock: ManualClock
    app_database: Database
    frames: list[tuple[str, list[Any]]] = field(default_factory=list)  # subject, the frame's values

    async def ask(self, command: Any, message: Any) -> Any:
        """What market answers over the bus; a refusal is raised as RemoteError."""
        return await self.bus.request(command, message)

    async def ask_json(self, command: Any, message: Any) -> Any:
        """The answer as a REST client gets it."""
        return msgspec.json.decode(await self.bus.request_bytes(command, msgspec.json.encode(message)))

    async def put_symbol(self, symbol: str, /, **fields: Any) -> m.Instrument:
        answer: m.Instrument = await self.ask(subjects.SYMBOL_PUT, m.SymbolPut(symbol=symbol, fields=fields))
        return answer

    async def put_group(self, group: str, /, **fields: Any) -> m.Group:
        answer: m.Group = await self.ask(subjects.GROUP_PUT, m.GroupPut(group=group, fields=fields))
        return answer

    async def quote(self, symbol: str, bid: float, ask: float, time: int | None = None) -> None:
        await self.quotes((symbol, bid, ask, time))

    async def quotes(self, *quotes: tuple[str, float, float, int | None]) -> None:
        message = m.QuotesPut(
            quotes=[m.QuoteIn(symbol=s, bid=bid, ask=ask, time=time) for s, bid, ask, time in quotes]
        )
        await self.ask(subjects.QUOTES_PUT, message)

    async def candles(self, symbol: str, frame: str) -> list[list[float]]:
        """All candles of a symbol, as a REST client gets them."""
        message = m.CandlesAsk(symbol=symbol, frame=frame, from_s=0, to_s=2**33)
        answer = await self.ask_json(subjects.CANDLES, message)
        rows: list[list[float]] = answer["data"]
        return rows

    async def put_candles(self, symbol: str, timeframe: str, *candles: Any) -> None:
        message = m.CandlesPut(symbol=symbol, timeframe=timeframe, candles=candles)
        await self.ask(subjects.CANDLES_PUT, message)


def config_of(**changed: Any) -> Config:
    """Market's configuration in a test: the manual feed unless said otherwise."""
    given = {"database_url": "postgres://unused", "nats_url": "nats://unused", "feed": "manual", **changed}
    return Config(**given)


@asynccontextmanager
async def open_rig(
    database: Database, bus: NatsBus, *, clock: ManualClock | None = None, **changed: Any
) -> AsyncIterator[Rig]:
    """Market on ``database`` and ``bus``; ``changed`` are settings that differ."""
    own_clock = clock or ManualClock(START)
    relay = Relay("market", database, bus, own_clock)
    failures: list[str] = []
    base = Base(
        name="market",
        bus=bus,
        database=database,
        outbox=Outbox("market"),
        relay=relay,
        clock=own_clock,
        ids=RandomIds(),
        fail=failures.append,
    )
    served: list[Subscription] = []
    await relay.start()
    try:
        async with build(config_of(**changed), base) as app:
            rig = Rig(app, bus, own_clock, database)
            served = [await bus.serve(command, handler) for command, handler in app.handlers]
            served.append(
                await bus.subscribe(
                    subjects.QUOTE.pattern,
                    lambda subject, payload: rig.frames.append((subject, msgspec.json.decode(payload))),
                )
            )
            await bus.flush()
            for started in app.on_started:
                await started()
            yield rig
            for subscription in served:
                await subscription.stop()
    finally:
        await relay.stop()
    assert failures == []
