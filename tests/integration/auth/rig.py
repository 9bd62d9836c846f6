"""Auth in the test's own process on real servers, with the two services it calls spoken for by the test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from libs.common.bus import Bus, Call, Subscription
from libs.common.clock import ManualClock
from libs.common.db import Database
from libs.common.errors import AppError
from libs.common.ids import RandomIds
from libs.common.messages.auth import KeysAsk, SignedIn, SignUp
from libs.common.messages.market import Group, GroupGet
from libs.common.messages.trading import AccountOpen, AccountState
from libs.common.outbox import Outbox, Relay
from libs.common.service import App, Base
from libs.common.subjects import ACCOUNT_OPEN, GROUP_GET, KEYS_PUBLIC, SIGN_UP
from libs.common.tokens import Claims, PublicKeys
from services.auth.config import AuthConfig
from services.auth.wiring import build

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
ADMIN_PASSWORD = "admin-password"
SECRET = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


class NoSuchGroup(AppError):
    """As market refuses."""

    code = "GROUP_NOT_FOUND"
    http_status = 404


@dataclass
class Peers:
    """What market and trading answer to auth, and what they were asked."""

    groups: dict[str, Group] = field(
        default_factory=lambda: {
            "demo": Group(group="demo", default_leverage=100, default_deposit=10_000.0),
            "vip": Group(group="vip", currency="EUR", default_leverage=500),
        }
    )
    opened: list[AccountOpen] = field(default_factory=list)
    trading_breaks: bool = False

    async def group_get(self, message: GroupGet, call: Call) -> Group:
        if message.group not in self.groups:
            raise NoSuchGroup
        return self.groups[message.group]

    async def account_open(self, message: AccountOpen, call: Call) -> AccountState:
        if self.trading_breaks:
            raise RuntimeError("trading is broken")
        self.opened.append(message)
        numbers = dict.fromkeys(("credit", "profit", "commission", "storage", "margin", "margin_level"), 0.0)
        return AccountState(
            login=message.login,
            balance=10_000.0,
            margin_free=10_000.0,
            equity=10_000.0,
            level_type=0,
            currency=message.currency,
            **numbers,
        )


@dataclass
class Rig:
    """A running auth: call it through its handlers as the bus would."""

    app: App
    base: Base
    peers: Peers
    clock: ManualClock

    async def call(self, command: Any, message: Any) -> Any:
        """What the command's handler answers; its error is raised as it is."""
        handlers = dict(self.app.handlers)
        return await handlers[command](message, Call(command.name))

    async def sign_up(self, email: str = "ada@example.com", **fields: Any) -> SignedIn:
        """A person with an account."""
        given = {"name": "Ada Lovelace", "password": "correct horse", **fields}
        answer: SignedIn = await self.call(SIGN_UP, SignUp(email=email, **given))
        return answer

    async def claims(self, token: str, typ: str = "access") -> Claims:
        """What a token says, verified with the keys auth gives out."""
        keys = await self.call(KEYS_PUBLIC, KeysAsk())
        return PublicKeys.from_jwks(keys.keys).verify(token, now_s=self.clock.now_ms() // 1000, typ=typ)


def config_of(folder: Path, **changed: Any) -> AuthConfig:
    """Auth's configuration in a test."""
    given = {
        "database_url": "postgres://unused",
        "nats_url": "nats://unused",
        "data_dir": str(folder),
        "admin_password": ADMIN_PASSWORD,
        "secret_key": SECRET,
        **changed,
    }
    return AuthConfig(**given)


@asynccontextmanager
async def open_rig(
    database: Database, bus: Bus, folder: Path, *, peers: Peers | None = None, **changed: Any
) -> AsyncIterator[Rig]:
    """Auth on ``database`` and ``bus``; ``changed`` are settings that differ."""
    clock = ManualClock(START)
    own_peers = peers or Peers()
    relay = Relay("auth", database, bus, clock)
    base = Base(
        name="auth",
        bus=bus,
        database=database,
        outbox=Outbox("auth"),
        relay=relay,
        clock=clock,
        ids=RandomIds(),
        fail=lambda reason: None,
    )
    served: list[Subscription] = []
    if peers is None:
        served = [
            await bus.serve(GROUP_GET, own_peers.group_get),
            await bus.serve(ACCOUNT_OPEN, own_peers.account_open),
        ]
    await relay.start()
    try:
        async with build(config_of(folder, **changed), base) as app:
            yield Rig(app, base, own_peers, clock)
    finally:
        await relay.stop()
        for subscription in served:
            await subscription.stop()
