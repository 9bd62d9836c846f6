"""Trading on a real PostgreSQL and NATS in this process, with market's side of the bus played by the test."""

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
from libs.common.messages import trading_orders as m
from libs.common.messages.market import (
    CandlesAsk,
    CandleTable,
    Group,
    GroupGet,
    Groups,
    GroupView,
    GroupViewAsk,
    Instrument,
    Instruments,
    Quote,
    Snapshot,
    Ticks,
    TicksSince,
)
from libs.common.messages.trading import AccountOpen
from libs.common.outbox import Outbox, Relay
from libs.common.subjects import (
    CANDLES,
    GROUP_GET,
    GROUP_LIST,
    GROUP_VIEW,
    QUOTE,
    QUOTES_SNAPSHOT,
    SYMBOL_LIST,
    TICKS_SINCE,
    account_pushes,
)
from services.trading.commands import OnClock
from services.trading.dealing import Dealing
from services.trading.desk import Desk
from services.trading.errors import UserUnknown
from services.trading.history import History
from services.trading.service import TradingService
from services.trading.store import Store
from services.trading.writer import Writer
from tests.conftest import wait_until
from tests.unit.trading.engine.scenarios import instrument

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)  # a Monday
LOGIN = 500
SYMBOLS = ("EURUSD", "USDJPY", "XAUUSD", "EURJPY")


class GroupNotFound(AppError):
    """No such group."""

    code = "GROUP_NOT_FOUND"
    http_status = 404


class MarketStand:
    """Market's side of the bus: instruments, groups, numbered ticks, a ring per symbol."""

    def __init__(self, bus: NatsBus) -> None:
        self.bus = bus
        self.instruments: dict[str, Instrument] = {name: instrument(name) for name in SYMBOLS}
        self.groups: dict[str, Group] = {
            "demo": Group(group="demo", default_deposit=10_000.0),
            "empty": Group(group="empty"),
            "yen": Group(group="yen", currency="JPY", default_deposit=500.0),
        }
        self.ticks: dict[str, list[tuple[int, float, float]]] = defaultdict(list)
        self.seq: dict[str, int] = defaultdict(int)
        self.candles: list[list[float]] = []
        self.at_ms = 1_700_000_000_000
        self.group_asked = 0
        self.profile = "raw"  # in which every group sees every symbol
        self.gate = asyncio.Event()  # the last quotes are told only while it is open
        self.gate.set()
        self.waiting = 0  # askers at the gate

    async def open(self) -> None:
        """Answer."""
        await self.bus.serve(SYMBOL_LIST, self._symbols)
        await self.bus.serve(GROUP_LIST, self._groups)
        await self.bus.serve(GROUP_GET, self._group)
        await self.bus.serve(GROUP_VIEW, self._view)
        await self.bus.serve(QUOTES_SNAPSHOT, self._snapshot)
        await self.bus.serve(TICKS_SINCE, self._since)
        await self.bus.serve(CANDLES, self._candles)

    async def put(
        self, symbol: str, bid: float, ask: float, *, lose: bool = False, at_ms: int | None = None
    ) -> None:
        """A tick: in the ring, and on the bus unless it gets lost."""
        seq = self.seq[symbol] = self.seq[symbol] + 1
        if at_ms is not None:
            self.at_ms = at_ms - seq
        tick = (seq, bid, ask)
        self.ticks[symbol].append(tick)
        if not lose:
            for profile in {"raw", self.profile}:
                await self.bus.publish(QUOTE.at(profile=profile, symbol=symbol), self._frame(symbol, tick))

    def forget(self, symbol: str) -> None:
        """The ring is lost, its numbers are not."""
        self.ticks[symbol].clear()

    def _frame(self, symbol: str, tick: tuple[int, float, float]) -> bytes:
        seq, bid, ask = tick
        at_ms = self.at_ms + seq
        return msgspec.json.encode(Quote("t", symbol, bid, ask, at_ms // 1000, at_ms, seq))

    async def _symbols(self, ask: Any, call: Any) -> Instruments:
        return Instruments(list(self.instruments.values()))

    async def _groups(self, ask: Any, call: Any) -> Groups:
        return Groups(list(self.groups.values()))

    async def _group(self, ask: GroupGet, call: Any) -> Group:
        self.group_asked += 1
        if ask.group not in self.groups:
            raise GroupNotFound(f"no group {ask.group}")
        return self.groups[ask.group]

    async def _view(self, ask: GroupViewAsk, call: Any) -> GroupView:
        return GroupView(group=ask.group, profiles=dict.fromkeys(self.instruments, self.profile))

    async def _snapshot(self, ask: Any, call: Any) -> Snapshot:
        self.waiting += 1
        await self.gate.wait()
        self.waiting -= 1
        return Snapshot(
            [
                (profile, msgspec.Raw(self._frame(symbol, ticks[-1])))
                for profile in {"raw", self.profile}
                for symbol, ticks in self.ticks.items()
                if ticks
            ]
        )

    async def _since(self, ask: TicksSince, call: Any) -> Ticks:
        held = self.ticks[ask.symbol]
        found = [tick for tick in held if tick[0] > ask.after_seq][: ask.limit]
        frames = [msgspec.Raw(self._frame(ask.symbol, tick)) for tick in found]
        return Ticks(frames=frames, first_seq=held[0][0] if held else 0, last_seq=self.seq[ask.symbol])

    async def _candles(self, ask: CandlesAsk, call: Any) -> CandleTable:
        found = [row for row in self.candles if ask.from_s <= row[5] <= ask.to_s]
        return CandleTable(("open", "high", "low", "close", "volume", "time"), found)


@dataclass
class Stage:
    """One running trading service in this process."""

    bus: NatsBus
    database: Database
    market: MarketStand
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))
    live: bool = False
    failed: list[str] = field(default_factory=list)
    service: TradingService = field(init=False)
    dealing: Dealing = field(init=False)
    history: History = field(init=False)
    desk: Desk = field(init=False)
    store: Store = field(default_factory=Store)
    relay: Relay = field(init=False)
    lease: Lease = field(init=False)
    _stack: AsyncExitStack = field(init=False)
    _tasks: list[asyncio.Task[None]] = field(init=False)

    async def start(self, *, relaying: bool = True) -> None:
        """Start the service as its process does; without ``relaying`` nothing is published."""
        self._stack = AsyncExitStack()
        self.relay = Relay("trading", self.database, self.bus, self.clock)
        if relaying:
            await self.relay.start()
            self._stack.push_async_callback(self.relay.stop)
        parts: dict[str, Any] = {"database": self.database, "store": self.store}
        self.lease = Lease("trading", 0, self.database, lambda: self.failed.append("lease lost"))
        await self.lease.take()
        self._stack.push_async_callback(self.lease.release)
        writer = Writer(
            **parts,
            outbox=Outbox("trading"),
            relay=self.relay,
            clock=self.clock,
            ids=RandomIds(),
            guard=self.lease,
        )
        self.desk = Desk(
            **parts, bus=self.bus, writer=writer, clock=self.clock, live=self.live, fail=self.failed.append
        )
        self.service = TradingService(
            **parts,
            bus=self.bus,
            outbox=Outbox("trading"),
            relay=self.relay,
            clock=self.clock,
            ids=RandomIds(),
            writer=writer,
            desk=self.desk,
        )
        self.dealing = Dealing(**parts, desk=self.desk)
        self.history = History(**parts, desk=self.desk)
        self._tasks = [asyncio.create_task(self._run()), asyncio.create_task(self.desk.follow_market())]
        await wait_until(lambda: not self.desk._state)

    async def _run(self) -> None:
        await self.desk.start()
        await self.desk.run()

    @property
    def running(self) -> bool:
        """Whether it was not stopped yet."""
        return not self._tasks[0].done()

    async def stop(self) -> None:
        """An orderly stop."""
        self.desk.stop()
        await self._tasks[0]
        self._tasks[1].cancel()
        await self.desk.close()
        await self._stack.aclose()

    async def crash(self) -> None:
        """Stop in the middle of whatever it does, writing nothing more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.desk._reader.stop()
        await self._stack.aclose()

    # ── what clients and the market do ────────────────────────────────────────────────────────────

    async def account(self, login: int = LOGIN, group: str = "demo", currency: str = "USD") -> None:
        """Open an account."""
        await self.service.open_account(wanted(login, group, currency))

    async def quote(self, symbol: str, bid: float, ask: float, **how: Any) -> None:
        """A tick that has been judged when this returns."""
        await self.market.put(symbol, bid, ask, **how)
        await self.judged(symbol)

    async def judged(self, symbol: str = "EURUSD") -> None:
        """Wait until every tick of a symbol is judged and what it did is committed."""
        wanted_seq = self.market.seq[symbol]
        await wait_until(lambda: self.desk._intake._seqs.get(("raw", symbol), 0) >= wanted_seq)
        await self.turn()

    async def turn(self) -> None:
        """Wait for a whole turn: a command answers after the one it is part of."""
        try:
            await self.desk.submit(LOGIN, OnClock())
        except UserUnknown:
            return  # a refusal, too, comes at the end of a turn

    async def later(self, seconds: float) -> None:
        """Let time pass, in which the facts so far go out, and the clock act."""
        await wait_until(self.is_published)
        self.clock.advance(max(seconds, 2.0))
        await self.turn()

    async def buy(self, volume: int = 100, symbol: str = "EURUSD", **over: Any) -> int:
        """A filled buy."""
        return await self.open(cmd=0, volume=volume, symbol=symbol, **over)

    async def sell(self, volume: int = 100, symbol: str = "EURUSD", **over: Any) -> int:
        """A filled sell."""
        return await self.open(cmd=1, volume=volume, symbol=symbol, **over)

    async def open(self, *, login: int = LOGIN, **fields: Any) -> int:
        """A filled market order."""
        ack = await self.dealing.open(m.TradeOpen(login=login, **fields))
        assert isinstance(ack, m.TradeAck)
        return ack.order

    async def pending(self, cmd: int, price: float, *, login: int = LOGIN, **over: Any) -> int:
        """A pending order."""
        fields = {"volume": 100, "symbol": "EURUSD", **over}
        ack = await self.dealing.open_pending(m.PendingOpen(login=login, cmd=cmd, open_price=price, **fields))
        assert isinstance(ack, m.TradeAck)
        return ack.order

    async def trades(self, login: int = LOGIN, **ask: Any) -> dict[int, dict[str, Any]]:
        """The list of trades."""
        table = await self.history.trades(m.TradesAsk(login=login, limit=1000, **ask))
        return {row[0]: dict(zip(table.structure, row, strict=True)) for row in table.rows}

    async def pushes(self, login: int = LOGIN) -> list[list[Any]]:
        """The frames pushed to the account's sockets."""
        window = await self.bus.history("PUSH", account_pushes(login), 0, 1_000)
        return [orjson.loads(stored.payload) for stored in window.entries]

    async def is_published(self) -> bool:
        """Whether every fact that is committed was published."""
        return not await self.rows("SELECT FROM trading.outbox WHERE published_at IS NULL")

    async def rows(self, sql: str, *arguments: Any) -> list[tuple[Any, ...]]:
        """What a query gives."""
        async with self.database.connection() as connection:
            return [tuple(row) for row in await connection.fetch(sql, *arguments)]

    async def sound(self) -> None:
        """The ledger sums to zero, and every balance is the sum of its postings."""
        async with self.database.connection() as connection:
            assert await self.store.ledger_sums(connection) == {}
            for login, account in self.desk._committed.items():
                stored = await self.store.load(connection, login)
                assert stored == account, login


def wanted(login: int = LOGIN, group: str = "demo", currency: str = "USD") -> AccountOpen:
    """What auth asks for."""
    return AccountOpen(
        login=login, person_id=9, group=group, currency=currency, leverage=100, opened_ms=1_772_000_000_000
    )
