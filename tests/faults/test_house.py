"""A whole house whose processes are killed under load: what was answered holds, and nothing happens twice.

Clients trade, arm alerts, listen and pay while services and servers die by SIGKILL and the supervisor brings
them back. Afterwards every acked order is there once, every alert that a quote in force crossed has fired and
was pushed once, the streams have no hole, credit was taken for answers only, and the doctor finds no fault.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from tests.client import Client
from tests.conftest import wait_until
from tests.e2e.observe.load import admin_dsn
from tests.faults.actors import PATIENCE_S, TICKER, Agent, Listener, Quoter, Trader, Watcher, insist
from tests.real_stack import ADMIN, RealStack, real_stack

HOUR_MS = 3_600_000
FIRST_MS = 1_735_689_600_000
BRIEF_MICROS = 10_000
PAGE, FINANCE = 1_000, -1
EVERYBODY = (
    "trading",
    "nats",
    "alerts",
    "gateway",
    "postgres",
    "market",
    "billing",
    "auth",
    "scanner",
    "notifier",
)


@dataclass
class Street:
    """The clients of a house."""

    stack: RealStack
    quoter: Quoter
    trader: Trader
    watcher: Watcher
    agent: Agent
    orders: Listener
    alerts: Listener
    credit: int


@asynccontextmanager
async def street(stack: RealStack, seed: int) -> AsyncIterator[Street]:
    """Everybody is there and has what they need, before the first fault."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as session:
        staff, trader, watcher, agent = (Client(session, stack.url) for _ in range(4))
        await staff.sign_in(1, ADMIN)
        await load_candles(staff)
        await trader.sign_up()
        await watcher.sign_up()
        await staff.call("POST", "/admin/balance/in", {"login": trader.login, "amount": 1_000_000})
        key = await agent.call("POST", "/v1/keys", {"email": "agent@example.com"})
        agent.token = f"Bearer {key['key']}"
        await staff.call("POST", "/admin/credits", {"keyId": key["keyId"], "deltaMicros": 50_000_000})
        quoter = Quoter(staff, random.Random(seed))
        await quoter.quote(1.1)
        yield Street(
            stack,
            quoter,
            Trader(trader, random.Random(seed + 1)),
            Watcher(watcher, random.Random(seed + 2), quoter),
            Agent(agent),
            Listener(trader),
            Listener(watcher),
            int((await agent.call("GET", "/v1/balance"))["balanceMicros"]),
        )


async def load_candles(staff: Client) -> None:
    """Two hundred hours to make briefs of."""
    chance = random.Random(1)
    rows, price = [], 50_000.0
    for n in range(200):
        close = round(price * (1 + chance.uniform(-0.01, 0.01)), 2)
        top, bottom = max(price, close), min(price, close)
        rows.append(
            [FIRST_MS + n * HOUR_MS, price, round(top * 1.002, 2), round(bottom * 0.998, 2), close, 1]
        )
        price = close
    await staff.call("POST", "/admin/candles", {"symbol": TICKER, "timeframe": "1h", "candles": rows})


async def live(street: Street, victims: Iterable[str], alerts: int, calm: int) -> None:
    """Clients go on while one process after another is killed and comes back; see ``all_go_on``."""
    over = asyncio.Event()
    listening = [
        asyncio.create_task(each.listen(street.stack.url)) for each in (street.orders, street.alerts)
    ]
    try:
        async with asyncio.TaskGroup() as group:
            for busy in (street.quoter.walk, street.trader.trade, street.agent.ask):
                group.create_task(busy(over))
            group.create_task(street.watcher.arm(over, alerts))
            try:
                for victim in victims:
                    await all_go_on(street, calm)
                    await killed(street.stack, victim)
                await all_go_on(street, calm)
            finally:
                over.set()
        await settled(street)
    finally:
        for each in listening:
            each.cancel()
        await asyncio.gather(*listening, return_exceptions=True)


async def all_go_on(street: Street, calm: int) -> None:
    """Wait until everybody got on since the last fault: ``calm`` briefs, and of what is quicker more."""
    quoter, trader, agent = street.quoter, street.trader, street.agent
    quotes, orders, paid = len(quoter.told), len(trader.orders), agent.paid

    def went_on() -> bool:
        more = (len(quoter.told) - quotes) // 20, (len(trader.orders) - orders) // 5, agent.paid - paid
        return min(more) >= calm

    await wait_until(went_on, timeout_s=PATIENCE_S)


async def killed(stack: RealStack, victim: str) -> None:
    """End a process as if it had crashed, and wait until the house is whole again."""
    before = stack.pid(victim)
    os.kill(before, signal.SIGKILL)

    async def back() -> bool:
        if stack.pid(victim) == before:
            return False
        async with aiohttp.ClientSession() as session:
            try:
                async with session.get(f"{stack.url}/readyz") as answer:
                    return answer.status == 200
            except aiohttp.ClientError:
                return False

    await wait_until(back, timeout_s=PATIENCE_S)


# ── afterwards ────────────────────────────────────────────────────────────────────────────────────


async def settled(street: Street) -> None:
    """What quotes in force have crossed fires by itself; then every other alert by a last sweep."""
    watcher, bids = street.watcher, list(street.quoter.told)
    due = {armed.id for armed in watcher.armed if armed.crossed(bids)}
    await wait_until(lambda: fired_all(street, due), timeout_s=PATIENCE_S)
    await street.quoter.sweep()
    await wait_until(lambda: fired_all(street, {armed.id for armed in watcher.armed}), timeout_s=PATIENCE_S)
    rows = await fired(street)
    await wait_until(lambda: rows.keys() <= pushed(street).keys(), timeout_s=PATIENCE_S)
    await wait_until(lambda: nothing_waits(street), timeout_s=PATIENCE_S)


async def fired(street: Street) -> Counter[int]:
    """Alert → how many rows its log has."""
    code, table = await insist(street.watcher.client, "GET", "/price_alert/logs?limit=10000", None)
    assert code == 200, table
    at = table["structure"].index("alert_id")
    return Counter(row[at] for row in table["rows"])


async def fired_all(street: Street, ids: set[int]) -> bool:
    return ids <= (await fired(street)).keys()


def pushed(street: Street) -> Counter[int]:
    """Alert → how often the stream said that it fired."""
    return Counter(frame[1] for frame in street.alerts.frames.values() if frame[0] == "a")


async def nothing_waits(street: Street) -> bool:
    """Whether every call of billing has ended and every outbox is empty."""
    connection = await asyncpg.connect(admin_dsn(street.stack.data))
    try:
        calls = await connection.fetchval("SELECT count(*) FROM billing.call WHERE state = 0")
        facts = await connection.fetchval("SELECT count(*) FROM trading.outbox WHERE published_at IS NULL")
        return not calls and not facts
    finally:
        await connection.close()


async def check(street: Street) -> None:
    """Every promise, against what the clients wrote down."""
    await check_alerts(street)
    await check_orders(street)
    await check_credit(street)
    doctor = await asyncio.to_thread(street.stack.run, "doctor")
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr


async def check_alerts(street: Street) -> None:
    rows = await fired(street)
    pushes = Counter(frame[1] for frame in await street.alerts.heard(street.stack.url, "a"))
    twice = {alert: count for alert, count in (rows | pushes).items() if count > 1}
    assert not twice, f"fired or pushed more than once: {twice}"
    assert pushes == rows
    assert rows.keys() >= {armed.id for armed in street.watcher.armed}


async def check_orders(street: Street) -> None:
    trader = street.trader
    placed = await orders_of(trader.client)
    assert placed.keys() == set(trader.orders.values()), "an order is missing, or was placed twice"
    assert len(set(trader.orders.values())) == len(trader.orders)
    assert {number for number, at in placed.items() if at == 3} == set(trader.closed)
    assert not trader.refused, trader.refused[:3]
    told = Counter((frame[1], frame[17]) for frame in await street.orders.heard(street.stack.url, "o"))
    once = [(number, 0) for number in placed] + [(number, 6) for number in trader.closed]
    assert {fact: told[fact] for fact in once} == dict.fromkeys(once, 1), "an order was not told once"


async def orders_of(client: Client) -> dict[int, int]:
    """Every order the account ever had → its state."""
    found: dict[int, int] = {}
    while True:
        path = f"/trades?tradeType=0&limit={PAGE}&offset={len(found)}"
        _, table = await insist(client, "GET", path, None)
        order, cmd, state = (table["structure"].index(name) for name in ("order", "cmd", "state"))
        found |= {row[order]: row[state] if row[cmd] in (0, 1) else FINANCE for row in table["rows"]}
        if len(table["rows"]) < PAGE:
            return {number: at for number, at in found.items() if at != FINANCE}


async def check_credit(street: Street) -> None:
    agent = street.agent
    _, wallet = await insist(agent.client, "GET", "/v1/balance", None)
    taken = street.credit - int(wallet["balanceMicros"])
    assert taken % BRIEF_MICROS == 0
    assert agent.paid <= taken // BRIEF_MICROS <= agent.paid + agent.lost, (taken, agent)


def tell(street: Street, seed: int, victims: list[str]) -> None:
    trader, agent = street.trader, street.agent
    print(
        f"seed {seed}: {len(victims)} killed, {len(street.quoter.told)} quotes,"
        f" {len(street.watcher.armed)} alerts, {len(trader.orders)} orders, {len(trader.closed)} closed,"
        f" {agent.paid} briefs paid, {agent.lost} of unknown end,"
        f" {len(street.alerts.frames) + len(street.orders.frames)} events"
    )


async def trouble(folder: Path, seed: int, victims: list[str], alerts: int, calm: int) -> None:
    """A house, its clients, and what kills its processes."""
    with real_stack(folder, FEED="manual") as stack:
        async with street(stack, seed) as clients:
            print(f"seed {seed}: {' '.join(victims)}")
            await live(clients, victims, alerts, calm)
            tell(clients, seed, victims)
            await check(clients)


@pytest.mark.timeout(240)
async def test_nothing_is_lost_or_done_twice_when_processes_die(tmp_path: Path) -> None:
    seed = 23  # PostgreSQL, NATS and trading; the long run draws another one every time
    victims = random.Random(seed).sample(EVERYBODY, 3)
    await trouble(tmp_path, seed, victims, alerts=40, calm=1)


@pytest.mark.soak
@pytest.mark.timeout(3600)
async def test_nothing_is_lost_or_done_twice_in_a_long_run(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(10**6)
    chance = random.Random(seed)
    victims = [victim for _ in range(4) for victim in chance.sample(EVERYBODY, len(EVERYBODY))]
    await trouble(tmp_path, seed, victims, alerts=1_000, calm=4)
