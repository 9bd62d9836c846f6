"""Auth, billing and a gateway as processes; the scanner, the facilitator and the providers are the test's."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest_asyncio
from aiohttp import web

from deploy.demo.facilitator import FacilitatorServer, open_facilitator
from libs.common import bus_nats
from libs.common.bus import Call
from libs.common.bus_nats import NatsBus
from libs.common.errors import ErrorBody, RemoteError
from libs.common.subjects import BRIEF, DELTA
from tests.conftest import empty_streams
from tests.contract.auth.people import Town
from tests.databases import Databases
from tests.house import House
from tests.servers import NatsServer

PAY_TO = "0x" + "a1" * 20
STRIPE_SECRET = "whsec_test"
IPN_SECRET = "ipn-secret"
PAIR = {"ticker": "BTC/USDT", "timeframe": "4h"}


@dataclass
class Providers:
    """Stripe's and NOWPayments' APIs: what they were asked for."""

    url: str = ""
    sessions: list[dict[str, str]] = field(default_factory=list)
    invoices: list[dict[str, Any]] = field(default_factory=list)

    def app(self) -> web.Application:
        """The routes billing calls."""

        async def checkout(request: web.Request) -> web.Response:
            self.sessions.append({key: str(value) for key, value in (await request.post()).items()})
            number = len(self.sessions)
            return web.json_response(
                {"id": f"cs_test_{number}", "object": "checkout.session", "url": f"https://pay/{number}"}
            )

        async def invoice(request: web.Request) -> web.Response:
            assert request.headers["x-api-key"] == "np-key"
            self.invoices.append(json.loads(await request.read()))
            number = 4_000 + len(self.invoices)
            return web.json_response({"id": str(number), "invoice_url": f"https://np/?iid={number}"})

        made = web.Application()
        made.add_routes([web.post("/v1/checkout/sessions", checkout), web.post("/v1/invoice", invoice)])
        return made


@dataclass
class Scanner:
    """Stands in for the scanner: answers briefs and deltas, or fails when told to."""

    calls: int = 0
    fail: bool = False
    changed: bool = True

    async def open(self, bus: NatsBus) -> None:
        await bus.serve(BRIEF, self.brief)
        await bus.serve(DELTA, self.delta)

    async def brief(self, ask: Any, call: Call) -> bytes:
        self.calls += 1
        if self.fail:
            body = ErrorBody(code="INSUFFICIENT_DATA", status=422, message="too few")
            raise RemoteError(body)
        return b'{"header":{"sym":"BTC/USDT"}}'

    async def delta(self, ask: Any, call: Call) -> bytes:
        return json.dumps({"delta": {"changed": self.changed, "sym": "x", "tf": "4h", "notes": []}}).encode()


@dataclass
class Till:
    """Everything a test of money needs."""

    house: House
    town: Town
    scanner: Scanner
    facilitator: FacilitatorServer
    providers: Providers
    dsns: dict[str, str]


async def ledger_is_sound(till: Till) -> None:
    """All postings sum to zero, and every wallet is the sum of its own."""
    db = await asyncpg.connect(till.dsns["admin"])
    assert await db.fetchval("SELECT coalesce(sum(amount_micros), 0) FROM billing.posting") == 0
    wrong = """SELECT count(*) FROM billing.wallet AS w
                WHERE balance_micros <> (SELECT coalesce(sum(amount_micros), 0) FROM billing.posting AS p
                                          WHERE p.account_id = w.account_id)"""
    assert await db.fetchval(wrong) == 0
    await db.close()


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def counter(template: Databases, nats: NatsServer, tmp_path_factory: Any) -> AsyncIterator[Till]:
    """The processes, once per module."""
    await empty_streams(nats)
    bus = await bus_nats.connect(nats.url, "stand-in")
    scanner, providers = Scanner(), Providers()
    await scanner.open(bus)
    runner = web.AppRunner(providers.app())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    providers.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with template.fresh() as dsns, open_facilitator() as facilitator:
        house = House(dsns, nats.url, tmp_path_factory.mktemp("till"))
        try:
            await house.start(
                "auth",
                "market",
                "billing",
                "gateway",
                X402_PAY_TO=PAY_TO,
                X402_FACILITATOR_URL=facilitator.url,
                STRIPE_SECRET_KEY="sk_test_1",
                STRIPE_WEBHOOK_SECRET=STRIPE_SECRET,
                STRIPE_API_URL=providers.url,
                NOWPAYMENTS_API_KEY="np-key",
                NOWPAYMENTS_API_URL=providers.url,
                NOWPAYMENTS_IPN_SECRET=IPN_SECRET,
            )
            yield Till(house, Town(house), scanner, facilitator, providers, dsns)
        finally:
            await house.stop()
            await runner.cleanup()
            await bus.close()


@pytest_asyncio.fixture
async def till(counter: Till) -> AsyncIterator[Till]:
    """The same, with callers of this test's own and stand-ins as at the start."""
    counter.scanner.fail, counter.scanner.changed = False, True
    counter.facilitator.lose = lambda: ""
    town = Town(counter.house)
    yield Till(counter.house, town, counter.scanner, counter.facilitator, counter.providers, counter.dsns)
    await town.close()
