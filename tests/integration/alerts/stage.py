"""Alerts on a real PostgreSQL and NATS, with market's part of the bus played by the test."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
import orjson

from libs.common.bus_nats import NatsBus
from libs.common.clock import ManualClock
from libs.common.db import Database
from libs.common.errors import AppError
from libs.common.ids import RandomIds
from libs.common.lease import Lease
from libs.common.messages import alerts as m
from libs.common.messages.market import (
    CandlesAsk,
    CandleTable,
    GroupView,
    GroupViewAsk,
    Quote,
    Snapshot,
    Ticks,
    TicksSince,
)
from libs.common.outbox import Outbox, Relay
from libs.common.subjects import (
    ALERT_TRIGGERED,
    CANDLES,
    GROUP_VIEW,
    QUOTE,
    QUOTES_SNAPSHOT,
    TICKS_SINCE,
    account_pushes,
)
from services.alerts.reads import AlertReads
from services.alerts.service import AlertService
from services.alerts.store import Store
from services.alerts.writer import Writer
from tests.conftest import wait_until

START = datetime(2026, 3, 2, 12, tzinfo=UTC)
LOGIN = 500


class GroupNotFound(AppError):
    """No such group."""

    code = "GROUP_NOT_FOUND"
    http_status = 404


class MarketStand:
    """Market's side of the bus: numbered ticks, a ring per symbol, what groups see."""

    def __init__(self, bus: NatsBus, *, ring: int = 100_000) -> None:
        self.bus = bus
        self.ring = ring
        self.views: dict[str, dict[str, str]] = {
            "demo": {"EURUSD": "raw", "GBPUSD": "raw", "BTC/USDT": "raw"},
            "wide": {"EURUSD": "f20"},
        }
        self.ticks: dict[str, list[tuple[int, float, float]]] = defaultdict(list)
        self.seq: dict[str, int] = defaultdict(int)
        self.candles: list[list[float]] = []
        self.at_ms = 1_700_000_000_000  # the time of the tick with seq 0
        self.sent: dict[str, list[tuple[float, float]]] = defaultdict(list)

    async def open(self) -> None:
        await self.bus.serve(GROUP_VIEW, self._view)
        await self.bus.serve(QUOTES_SNAPSHOT, self._snapshot)
        self.since = await self.bus.serve(TICKS_SINCE, self._since)
        await self.bus.serve(CANDLES, self._candles)

    async def serve_since(self, handler: Any) -> None:
        """Answer for missing ticks by another handler."""
        await self.since.stop()
        self.since = await self.bus.serve(TICKS_SINCE, handler)

    async def put(self, symbol: str, bid: float, ask: float | None = None, *, lose: bool = False) -> None:
        """A tick: in the ring, and on the bus unless it gets lost."""
        seq = self.seq[symbol] = self.seq[symbol] + 1
        tick = (seq, bid, round(bid + 0.0001, 5) if ask is None else ask)
        self.ticks[symbol].append(tick)
        del self.ticks[symbol][: -self.ring]
        self.sent[symbol].append(tick[1:])
        if not lose:
            for profile in {p for view in self.views.values() for s, p in view.items() if s == symbol}:
                await self.bus.publish(
                    QUOTE.at(profile=profile, symbol=symbol), self._frame(symbol, profile, tick)
                )

    def _frame(self, symbol: str, profile: str, tick: tuple[int, float, float]) -> bytes:
        seq, bid, ask = tick
        if profile.startswith("f"):
            ask = round(bid + int(profile[1:]) / 100_000, 5)
        at_ms = self.at_ms + seq
        return msgspec.json.encode(Quote("t", symbol, bid, ask, at_ms // 1000, at_ms, seq))

    async def _view(self, ask: GroupViewAsk, call: Any) -> GroupView:
        if ask.group not in self.views:
            raise GroupNotFound(f"no group {ask.group}")
        return GroupView(group=ask.group, profiles=self.views[ask.group])

    async def _candles(self, ask: CandlesAsk, call: Any) -> CandleTable:
        found = [row for row in self.candles if ask.from_s <= row[5] <= ask.to_s]
        return CandleTable(("open", "high", "low", "close", "volume", "time"), found)

    async def _snapshot(self, ask: Any, call: Any) -> Snapshot:
        profiles = {p for view in self.views.values() for p in view.values()}
        return Snapshot(
            [
                (profile, msgspec.Raw(self._frame(symbol, profile, ticks[-1])))
                for symbol, ticks in self.ticks.items()
                for profile in sorted(profiles)
                if ticks
            ]
        )

    async def _since(self, ask: TicksSince, call: Any) -> Ticks:
        held = self.ticks[ask.symbol]
        found = [t for t in held if t[0] > ask.after_seq][: ask.limit]
        frames = [msgspec.Raw(self._frame(ask.symbol, ask.profile, tick)) for tick in found]
        return Ticks(frames=frames, first_seq=held[0][0] if held else 0, last_seq=self.seq[ask.symbol])


@dataclass
class Stage:
    """One running alerts service in this process."""

    bus: NatsBus
    database: Database
    market: MarketStand
    clock: ManualClock = field(default_factory=lambda: ManualClock(START))
    alerts_max: int = 100
    service: AlertService = field(init=False)
    reads: AlertReads = field(init=False)
    lease: Lease = field(init=False)
    _stack: AsyncExitStack = field(init=False)
    _tasks: list[asyncio.Task[None]] = field(init=False)

    async def start(self) -> None:
        """Start the service as its process does."""
        self._stack = AsyncExitStack()
        relay = Relay("alerts", self.database, self.bus, self.clock)
        await relay.start()
        self._stack.push_async_callback(relay.stop)
        store = Store()
        self.lease = Lease("alerts", 0, self.database, lambda: None)
        await self.lease.take()
        self._stack.push_async_callback(self.lease.release)
        writer = Writer(
            database=self.database,
            store=store,
            outbox=Outbox("alerts"),
            relay=relay,
            clock=self.clock,
            ids=RandomIds(),
            guard=self.lease,
        )
        self.reads = AlertReads(self.database, store)
        self.service = AlertService(
            bus=self.bus,
            database=self.database,
            store=store,
            writer=writer,
            clock=self.clock,
            alerts_max=self.alerts_max,
        )
        await self.service.start()
        self._tasks = [
            asyncio.create_task(self.service.run()),
            asyncio.create_task(self.service.follow_groups()),
        ]
        await wait_until(lambda: not self.service._regroup_due.is_set() and not self.service._state)

    async def stop(self) -> None:
        """An orderly stop."""
        self.service.stop()
        await self._tasks[0]
        self._tasks[1].cancel()
        await self.service.close()
        await self._stack.aclose()

    async def crash(self) -> None:
        """Stop in the middle of whatever it does, writing nothing more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.service._reader.stop()
        await self._stack.aclose()

    # ── what a client does ────────────────────────────────────────────────────────────────────────

    async def create(self, condition: int = 0, **fields: Any) -> int:
        """An alert's id."""
        given = {"login": LOGIN, "group": "demo", "symbol": "EURUSD", "side": 0, "repeat_mode": 0}
        answer = await self.service.create(m.AlertCreate(**{**given, "condition": condition, **fields}))
        assert answer.structure == ("id",)
        return answer.rows[0][0]

    async def rows(self, login: int = LOGIN) -> list[dict[str, Any]]:
        """The list of alerts, as objects."""
        found = await self.reads.list(m.AlertListAsk(login=login))
        return [dict(zip(found.structure, row, strict=True)) for row in found.rows]

    async def log(self, login: int = LOGIN, **paging: Any) -> list[dict[str, Any]]:
        """The log, newest first, as objects."""
        found = await self.reads.log(m.AlertLogAsk(login=login, **paging))
        return [dict(zip(found.structure, row, strict=True)) for row in found.rows]

    async def pushes(self, login: int = LOGIN) -> list[list[Any]]:
        """The frames pushed to the account's sockets."""
        return await self._history("PUSH", account_pushes(login))

    async def facts(self, login: int = LOGIN) -> list[dict[str, Any]]:
        """The facts told to other services."""
        return await self._history("ALERTS", ALERT_TRIGGERED.at(login=login))

    async def _history(self, stream: str, pattern: str) -> list[Any]:
        found: list[Any] = []
        after = 0
        while True:
            window = await self.bus.history(stream, pattern, after, 1_000)
            if not window.entries:
                return found
            found += [orjson.loads(stored.payload) for stored in window.entries]
            after = window.entries[-1].seq

    async def judged(self, symbol: str = "EURUSD", profile: str = "raw") -> None:
        """Wait until every tick of a symbol has been judged and what fired is written."""
        wanted = self.market.seq[symbol]
        await wait_until(lambda: self.service._book.watch(profile, symbol).seq == wanted)
        # A change answers after its turn, so everything judged before is written.
        try:
            await self.service.delete(m.AlertDelete(id=2**40, login=LOGIN))
        except AppError as e:
            assert e.code == "NOT_FOUND"
