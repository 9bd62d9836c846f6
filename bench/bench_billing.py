"""What metering costs: a metered call beside the same call unmetered, and holds on one hot key.

The call is ``POST /v1/brief`` through gateway, bus and scanner; metered it also asks billing twice. CPU is
that of everything that serves the call, the database included. The holds are those of one wallet by many
callers at once: group commit beside a naive conditional ``UPDATE … RETURNING`` per call with a commit of its
own, on the
same PostgreSQL, which syncs every commit.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp

from bench.runner import Child, Comparison, Cores, Figures, conditions, folder, write_results
from bench.stack import Stack, cpu_by_group, stack
from deploy.local.stack_state import read_state
from libs.common.clock import SystemClock
from libs.common.db import Database, open_database
from libs.common.ids import RandomIds
from libs.common.plans import BUILT_IN, PlansFile
from libs.common.roles import role_name
from services.billing import ledger
from services.billing.meter import Hold, day_of
from services.billing.store import Store
from services.billing.writer import Batcher, Ground

CALLERS = 32
HOLDERS = 128
SERVING = ("services.gateway", "services.scanner", "services.billing", "nats-server", "postgres")
METERED, UNMETERED = "metered", "unmetered"
GROUPED, NAIVE = "group commit", "a commit per hold"
CPU, RATE = "CPU per call, ms", "holds per second"
CPU_RATIO_MAX = 1.3
HOLDS_RATIO_MIN = 5.0
PLENTY = 10**14
PATIENCE_S = 120.0
IDLE_S = 2.0
IDLE_SHARE_MAX = 0.25
BRIEF = {"ticker": "BTC/USDT", "timeframe": "4h"}
NAIVE_SQL = """
UPDATE billing.wallet SET held_micros = held_micros + $2
 WHERE name = $1 AND balance_micros - held_micros >= $2
RETURNING balance_micros - held_micros
"""


def plans_file(data: Path) -> str:
    """The built-in plans with more than enough of everything, so that only the cost of counting counts."""
    plans = json.loads(BUILT_IN.read_bytes())
    for tier in plans["tiers"].values():
        tier |= {"requests_per_min": 10**8, "burst": 10**8}
    plans["limits"] = dict.fromkeys(plans["limits"], 10**8)
    plans["starter"]["micros"] = PLENTY
    path = data / "plans.json"
    path.write_text(json.dumps(plans))
    return str(path)


def serving_s(running: Stack) -> float:
    """CPU of everything that serves a call."""
    groups = cpu_by_group(running.process.pid)
    return sum(groups.get(name, 0.0) for name in SERVING)


def idle_share(running: Stack) -> float:
    """The share of a core that goes on without calls, once what a start brings with it is done."""
    end = time.monotonic() + PATIENCE_S
    while True:
        before = serving_s(running)
        time.sleep(IDLE_S)
        share = (serving_s(running) - before) / IDLE_S
        if share < IDLE_SHARE_MAX or time.monotonic() > end:
            return share


async def key_of(url: str) -> str:
    """A key with credit for every call of the bench, once the history it asks for is there."""
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{url}/v1/keys", json={"email": "bench@example.com"}) as response:
            key = str((await response.json())["key"])
        headers = {"Authorization": f"Bearer {key}"}
        end = time.monotonic() + PATIENCE_S
        while True:
            async with session.post(f"{url}/v1/brief", json=BRIEF, headers=headers) as response:
                if response.status == 200:
                    return key
                if time.monotonic() > end:
                    raise RuntimeError(await response.text())
            await asyncio.sleep(0.2)


def calls(running: Stack, token: str, seconds: float, load: Child) -> Figures:
    """One round of briefs."""
    asked: dict[str, Any] = {
        "port": running.port,
        "token": token,
        "readers": CALLERS,
        "post": "/v1/brief",
        "body": json.dumps(BRIEF),
    }
    load.ask({**asked, "seconds": 1.0})
    idle = idle_share(running)
    before, begun = serving_s(running), time.monotonic()
    answered = load.ask({**asked, "seconds": seconds})
    elapsed_s = time.monotonic() - begun
    took_s = serving_s(running) - before - idle * elapsed_s
    if answered["bad"]:
        raise RuntimeError(f"{answered['bad']} of {answered['done']} calls were refused")
    return {CPU: took_s * 1000 / answered["done"], "calls per second": answered["done"] / elapsed_s}


def compare_calls(rounds: int, seconds: float) -> tuple[Comparison, Comparison]:
    """Both sides, each on a stack of its own; the holds on the first one's database."""
    found = Comparison("a call", {METERED: [], UNMETERED: []})
    holds = Comparison("holds of one key", {GROUPED: [], NAIVE: []})
    load = Child("bench.readers", {}, Cores.choose().load)
    try:
        for _ in range(rounds):
            for side, switch in ((METERED, "on"), (UNMETERED, "off")):
                with folder() as data:
                    settings = {"TRADEWIND_PLANS_FILE": plans_file(data), "TRADEWIND_METERING": switch}
                    with stack(data, settings) as running:
                        token = asyncio.run(key_of(f"http://127.0.0.1:{running.port}"))
                        found.rounds[side].append(calls(running, token, seconds, load))
                        print(side, found.rounds[side][-1], flush=True)
                        if side == METERED:
                            asyncio.run(compare_holds(billing_dsn(running), seconds, holds))
    finally:
        load.stop()
    return found, holds


def billing_dsn(running: Stack) -> str:
    """The database as billing's own role sees it."""
    state = read_state(running.data)
    port = next(child.port for child in state.servers if child.name == "postgres")
    keys = json.loads((running.data / "secrets.json").read_text())
    role = role_name("tradewind", "billing")
    return f"postgresql://{role}:{keys['services']['billing']}@127.0.0.1:{port}/tradewind"


async def compare_holds(dsn: str, seconds: float, found: Comparison) -> None:
    """Both ways on one wallet each, in turn."""
    async with open_database(dsn, application="bench", connections_max=16, connections_min=16) as database:
        clock = SystemClock()
        ground = Ground(database, Store(), clock, RandomIds(), PlansFile("", clock))
        for name in ("key:grouped", "key:naive"):
            async with database.transaction() as tx:
                ref = ground.ids.event_id()
                entry = ledger.staff(ref, name, PLENTY, "bench")
                await ground.store.post(tx, entry, now_ms=clock.now_ms(), plans=ground.plans.version)
        batcher = Batcher(ground)
        writing = asyncio.create_task(batcher.run())
        day = day_of(clock.now_ms())

        async def grouped() -> None:
            await batcher.do(Hold(ground.ids.event_id(), "POST /v1/brief", "key:grouped", 10, day))

        async def naive() -> None:
            await one_commit(database)

        for side, act in ((GROUPED, grouped), (NAIVE, naive)):
            found.rounds[side].append({RATE: await rate_of(act, seconds)})
            print(side, found.rounds[side][-1], flush=True)
        batcher.stop()
        await writing


async def one_commit(database: Database) -> None:
    """A hold as it is written first: one conditional update, committed by itself."""
    async with database.connection() as db:
        if await db.fetchval(NAIVE_SQL, "key:naive", 10) is None:
            raise RuntimeError("refused")


async def rate_of(act: Callable[[], Awaitable[None]], seconds: float) -> float:
    """How often ``HOLDERS`` at once get it done per second."""
    end, done = time.monotonic() + seconds, 0

    async def again() -> None:
        nonlocal done
        while time.monotonic() < end:
            await act()
            done += 1

    begun = time.monotonic()
    await asyncio.gather(*(again() for _ in range(HOLDERS)))
    return done / (time.monotonic() - begun)


def shown(values: dict[str, float], form: str) -> str:
    """Minimum, median and maximum in one cell."""
    return " · ".join(format(values[key], form) for key in ("min", "median", "max"))


def report(found: Comparison, holds: Comparison, met: dict[str, bool]) -> str:
    """The results as Markdown."""
    lines = ["# Metering", "", "| promise | held |", "|---|---|"]
    lines += [f"| {name} | {'yes' if ok else '**no**'} |" for name, ok in met.items()]
    lines += ["", "Min · median · max over the rounds.", ""]
    for comparison, figures in ((found, (CPU, "calls per second")), (holds, (RATE,))):
        summary = comparison.summary()
        lines += [f"| {comparison.case} | {' | '.join(summary)} |", "|---|---|---|"]
        for figure in figures:
            cells = [shown(summary[side][figure], ".3g" if figure == CPU else ".0f") for side in summary]
            lines.append(f"| {figure} | {' | '.join(cells)} |")
        one, other = summary
        lines += [f"| ratio | {shown(comparison.ratio(figures[0], one, other), '.2f')} | 1 |", ""]
    return "\n".join(lines)


def run(quick: bool) -> bool:
    """Both comparisons; whether the promises held by the median round."""
    rounds, seconds = (1, 3.0) if quick else (3, 8.0)
    found, holds = compare_calls(rounds, seconds)
    met = {
        f"a metered call costs at most {CPU_RATIO_MAX} times the CPU": (
            found.ratio(CPU, METERED, UNMETERED)["median"] <= CPU_RATIO_MAX
        ),
        f"holds of one key at least {HOLDS_RATIO_MIN:g} times as fast": (
            holds.ratio(RATE, GROUPED, NAIVE)["median"] >= HOLDS_RATIO_MIN
        ),
    }
    print(report(found, holds, met))
    if not quick:
        result = {
            "conditions": conditions(Cores.choose()),
            "calls": found.rounds,
            "holds": holds.rounds,
            "met": met,
        }
        write_results("billing", SystemClock(), result, report(found, holds, met))
    return all(met.values())
