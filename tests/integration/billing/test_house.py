"""Billing as a process, without a provider: what it says then, prices that change, its death at a call."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import pytest_asyncio

from libs.common import bus_nats
from libs.common.bus import Call
from libs.common.plans import read_plans, version_of
from libs.common.subjects import BRIEF
from tests.conftest import empty_streams, wait_until
from tests.contract.auth.people import Caller, Town
from tests.contract.billing.conftest import PAIR
from tests.contract.billing.test_metered_rows import balance, key_of
from tests.databases import Databases
from tests.house import ROOT, House
from tests.servers import NatsServer


class Scanner:
    """Stands in for the scanner; a brief is answered once ``go`` is set."""

    def __init__(self) -> None:
        self.asked = 0
        self.go = asyncio.Event()
        self.go.set()

    async def brief(self, ask: Any, call: Call) -> bytes:
        self.asked += 1
        await self.go.wait()
        return b'{"header":{"sym":"BTC/USDT"}}'


class Shop(NamedTuple):
    """The house, and what a test looks at beside it."""

    house: House
    town: Town
    scanner: Scanner
    plans: Path
    db: asyncpg.Connection


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(template: Databases, nats: NatsServer, tmp_path_factory: Any) -> AsyncIterator[Shop]:
    await empty_streams(nats)
    bus = await bus_nats.connect(nats.url, "stand-in")
    scanner, folder = Scanner(), tmp_path_factory.mktemp("shop")
    await bus.serve(BRIEF, scanner.brief)
    plans = folder / "plans.json"
    plans.write_bytes((ROOT / "tests/plans.json").read_bytes())
    async with template.fresh() as dsns:
        house = House(dsns, nats.url, folder)
        town, db = Town(house), await asyncpg.connect(dsns["admin"])
        try:
            await house.start("auth", "market", "billing", "gateway", PLANS_FILE=str(plans))
            yield Shop(house, town, scanner, plans, db)
        finally:
            await town.close()
            await db.close()
            await house.stop()
            await bus.close()


async def test_providers_without_keys_are_off_and_say_so(shop: Shop) -> None:
    caller = await key_of(shop.town)
    person = await shop.town.browser(await shop.town.user())
    plan = {"plan": "pro", "period": "month"}
    doors: tuple[tuple[Caller, str, Any], ...] = (
        (caller, "/v1/topup", {}),
        (shop.town.stranger(), "/v1/topup", {}),
        (caller, "/v1/topup/stripe", {}),
        (shop.town.stranger(), "/v1/stripe/webhook", {"id": "evt_1"}),
        (person, "/payments/x402", plan),
        (person, "/payments/nowpayments/invoice", plan),
        (shop.town.stranger(), "/payments/nowpayments/ipn", {"order_id": "ord_1"}),
    )
    for who, path, body in doors:
        answer = await who.call("POST", path, body)
        assert (answer.status, answer.code) == (503, "provider_not_configured"), (path, answer.body)
        shape = {"error", "message"} if path.startswith("/v1/") else {"code", "detail", "hint", "meta"}
        assert set(answer.json) == shape, path
    stranger = shop.town.stranger()
    assert (await stranger.call("POST", "/v1/brief", PAIR)).status == 401
    paying = await stranger.call("POST", "/v1/brief", PAIR, headers={"X-PAYMENT": "e30="})
    assert (paying.status, paying.json["accepts"]) == (402, [])
    for _ in range(5):
        await caller.done("POST", "/v1/brief", PAIR)
    refused = await caller.call("POST", "/v1/brief", PAIR)
    assert (refused.status, refused.code) == (402, "PAYMENT_REQUIRED")
    assert (refused.json["x402Version"], refused.json["accepts"]) == (1, [])
    assert "PAYMENT-REQUIRED" not in refused.headers
    assert await shop.db.fetchval("SELECT count(*) FROM billing.payment") == 0


async def test_prices_change_without_a_restart_and_the_ledger_keeps_which_were_in_force(shop: Shop) -> None:
    caller, before = await key_of(shop.town), shop.plans.read_bytes()
    await caller.done("POST", "/v1/brief", PAIR)
    changed = json.loads(before)
    changed["prices"]["brief"] = 20_000
    after = json.dumps(changed).encode()
    assert read_plans(after).prices["brief"] == 20_000
    shop.plans.write_bytes(b"{")  # a file that can't be read changes nothing
    shop.plans.write_bytes(after)

    async def in_force() -> bool:
        return bool(
            await shop.db.fetchval("SELECT 1 FROM billing.plans WHERE version = $1", version_of(after))
        )

    await wait_until(in_force)
    answer = await caller.call("POST", "/v1/brief", PAIR)
    assert (answer.status, answer.headers["X-Credits-Charged"]) == (200, "2")
    assert await balance(caller) == 20_000
    wallet = "key:" + caller.headers["key-id"]
    booked = await shop.db.fetch(
        """SELECT -p.amount_micros AS micros, e.plans
             FROM billing.posting AS p
             JOIN billing.account AS a ON a.id = p.account_id
             JOIN billing.entry AS e ON e.id = p.entry_id
            WHERE a.ref = $1 AND e.reason = 'usage' ORDER BY e.id""",
        wallet,
    )
    assert [tuple(row) for row in booked] == [(10_000, version_of(before)), (20_000, version_of(after))]
    kept = dict(await shop.db.fetch("SELECT version, body FROM billing.plans"))
    assert kept[version_of(before)] == before.decode() and kept[version_of(after)] == after.decode()
    shop.plans.write_bytes(before)
    await wait_until(lambda: priced(shop, 10_000))


async def priced(shop: Shop, micros: int) -> bool:
    """Whether a call without credit is told this price."""
    poor = await key_of(shop.town)
    admin = await shop.town.admin()
    taken = {"keyId": poor.headers["key-id"], "deltaMicros": -50_000}
    await admin.done("POST", "/admin/credits", taken)
    refused = await poor.call("POST", "/v1/brief", PAIR)
    return f"costs {micros} micros" in refused.json["message"]


async def test_billing_killed_between_hold_and_charge_charges_once(shop: Shop) -> None:
    caller = await key_of(shop.town)
    for late in (False, True):  # its hold stands, or was given back meanwhile
        before = await balance(caller)
        shop.scanner.go.clear()
        asked = shop.scanner.asked
        calling = asyncio.create_task(caller.call("POST", "/v1/brief", PAIR))
        await wait_until(lambda asked=asked: shop.scanner.asked == asked + 1)
        held = (await caller.done("GET", "/v1/balance"))["heldMicros"]
        assert held == 10_000
        await shop.house.end("billing-0", signal.SIGKILL)
        await shop.house.start("billing", PLANS_FILE=str(shop.plans))
        if late:
            await shop.db.execute("UPDATE billing.call SET held_ms = 0 WHERE state = 0")
            await wait_until(lambda before=before: whole(caller, before))
        shop.scanner.go.set()
        answer = await calling
        assert (answer.status, answer.headers["X-Credits-Charged"]) == (200, "1")
        assert await balance(caller) == before - 10_000
    assert await shop.db.fetchval("SELECT count(*) FROM billing.call WHERE state = 0") == 0
    assert await shop.db.fetchval("SELECT sum(amount_micros) FROM billing.posting") == 0


async def whole(caller: Caller, micros: int) -> bool:
    """Whether nothing is held any more."""
    return await balance(caller) == micros
