"""The notifier's parts in the test's own process, on a real database and bus, with receivers of the test."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from libs.common.bus import Ack, Bus, Call, Inbound
from libs.common.clock import Clock, ManualClock
from libs.common.db import Database
from libs.common.errors import PermissionDenied
from libs.common.ids import RandomIds
from libs.common.messages.alerts import AlertTriggered
from libs.common.messages.auth import Account, AccountAsk, AccountOpened
from libs.common.messages.market import Instrument, Instruments, SymbolList
from libs.common.messages.notifier import ChannelBind, ChannelBound, Notice, PreferencesPut
from libs.common.outbox import Outbox, Relay
from libs.common.service import Base
from libs.common.subjects import ACCOUNT_OF, ACCOUNT_OPENED, ALERT_TRIGGERED, SYMBOL_LIST, TRADING_NOTICE
from services.notifier.config import NotifierConfig
from services.notifier.wiring import Parts, assemble

LOGIN, PERSON = 100001, 7
EMAIL = "ada@example.com"


@dataclass
class Peers:
    """What market and auth answer to the notifier."""

    digits: dict[str, int] = field(default_factory=lambda: {"EURUSD": 5, "USDJPY": 3})
    accounts: dict[int, Account] = field(default_factory=dict)
    asked: int = 0
    is_broken: bool = False

    async def symbols(self, message: SymbolList, call: Call) -> Instruments:
        self.asked += 1
        return Instruments([Instrument(symbol=s, digits=d) for s, d in self.digits.items()])

    async def account(self, message: AccountAsk, call: Call) -> Account:
        if self.is_broken:
            raise RuntimeError("auth is broken")
        if message.login not in self.accounts:
            raise PermissionDenied
        return self.accounts[message.login]


@dataclass
class Rig:
    """The parts, and what a test does with them."""

    parts: Parts
    base: Base
    peers: Peers
    clock: Clock
    numbers: Any = field(default_factory=itertools.count)

    def advance(self, seconds: float) -> None:
        """Move a manual clock."""
        assert isinstance(self.clock, ManualClock)
        self.clock.advance(seconds)

    async def open_account(self, login: int = LOGIN, person: int = PERSON, email: str = EMAIL) -> None:
        """As auth tells it."""
        opened = AccountOpened(
            login=login,
            person_id=person,
            group="demo",
            currency="USD",
            leverage=100,
            email=email,
            name="Ada",
            opened_ms=self.clock.now_ms(),
        )
        inbound = self.inbound(ACCOUNT_OPENED.at(login=login), opened, f"opened-{login}")
        assert await self.parts.planner.on_account_opened(inbound) is Ack.DONE

    async def want(self, person: int = PERSON, **said: Any) -> None:
        """Put preferences; a channel's name alone switches it on."""
        wishes = {name: {"enabled": True} if value is True else value for name, value in said.items()}
        await self.parts.service.put_preferences(PreferencesPut(person_id=person, said=wishes))

    async def bind(self, channel: str, target: str = "", person: int = PERSON) -> ChannelBound:
        """Bind an address."""
        return await self.parts.binder.bind(ChannelBind(person_id=person, channel=channel, target=target))

    async def fire(self, event_id: str = "", login: int = LOGIN, **changed: Any) -> str:
        """A price alert fires; its event id."""
        event_id = event_id or f"event-{next(self.numbers)}"
        fact = AlertTriggered(
            **{
                "event_id": event_id,
                "alert_id": 1,
                "log_id": 2,
                "login": login,
                "symbol": "EURUSD",
                "indicator_name": "",
                "message": "look",
                "side": 0,
                "condition": 0,
                "target_price": 1.0845,
                "triggered_price": 1.085,
                "triggered_ms": self.clock.now_ms(),
                **changed,
            }
        )
        inbound = self.inbound(ALERT_TRIGGERED.at(login=login), fact, event_id)
        assert await self.parts.planner.on_alert(inbound) is Ack.DONE
        return event_id

    async def tell(self, token: str, login: int = LOGIN, **changed: Any) -> str:
        """Another service raises a notice; its event id."""
        event_id = f"notice-{next(self.numbers)}"
        notice = Notice(event_id=event_id, login=login, token=token, raised_ms=self.clock.now_ms(), **changed)
        inbound = self.inbound(TRADING_NOTICE.at(login=login), notice, event_id)
        assert await self.parts.planner.on_notice(inbound) is Ack.DONE
        return event_id

    def inbound(self, subject: str, message: Any, event_id: str, attempt: int = 1) -> Inbound:
        """A fact as the bus delivers it."""
        return Inbound(1, subject, msgspec.json.encode(message), {"Nats-Msg-Id": event_id}, attempt)

    async def work(self) -> int:
        """The courier sends everything that is due."""
        return await self.parts.courier.work()

    async def rows(self, sql: str, *arguments: Any) -> list[dict[str, Any]]:
        """What the database says."""
        async with self.base.database.connection() as db:
            return [dict(row) for row in await db.fetch(sql, *arguments)]

    async def states(self) -> list[str]:
        """The states of all deliveries, in order."""
        return [row["state"] for row in await self.rows("SELECT state FROM notifier.delivery ORDER BY id")]

    async def delivery(self) -> dict[str, Any]:
        """The newest delivery."""
        return (await self.rows("SELECT * FROM notifier.delivery ORDER BY id DESC LIMIT 1"))[0]


def config_of(folder: Path, **changed: Any) -> NotifierConfig:
    """The configuration of a test; private addresses may be called unless it says otherwise."""
    given = {
        "database_url": "postgres://unused",
        "nats_url": "nats://unused",
        "data_dir": str(folder),
        "mail_from": "Tradewind <tradewind@example.com>",
        "telegram_api_url": "http://127.0.0.1:1",
        "discord_api_url": "http://127.0.0.1:1/api",
        "slack_api_url": "http://127.0.0.1:1",
        "x_api_url": "http://127.0.0.1:1",
        "ntfy_url": "http://127.0.0.1:1",
        "notify_allow_private": "on",
        **changed,
    }
    return NotifierConfig(**given)


@asynccontextmanager
async def open_rig(
    database: Database, bus: Bus, folder: Path, clock: Clock, **changed: Any
) -> AsyncIterator[Rig]:
    """The notifier's parts, nothing running by itself; ``changed`` are settings that differ."""
    peers = Peers()
    base = Base(
        name="notifier",
        bus=bus,
        database=database,
        outbox=Outbox("notifier"),
        relay=Relay("notifier", database, bus, clock),
        clock=clock,
        ids=RandomIds(),
        fail=lambda reason: None,
    )
    served = [await bus.serve(SYMBOL_LIST, peers.symbols), await bus.serve(ACCOUNT_OF, peers.account)]
    parts = assemble(config_of(folder, **changed), base)
    try:
        yield Rig(parts, base, peers, clock)
    finally:
        await parts.outbound.close()
        for subscription in served:
            await subscription.stop()
