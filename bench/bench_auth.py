"""Identity under load: what an authenticated read costs, and what a storm of sign-ins does to others.

The read is `GET /settings`, one query: through gateway, bus and service, and beside it the same query in one
aiohttp+asyncpg process that knows the same token. CPU is that of everything that serves the read, the
database included; the figure without it stands beside. The storm is 200 sign-ins at once, each a password
to check, while somebody reads on at an even pace.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp

from bench.runner import Child, Comparison, Cores, Figures, conditions, cpu_s, folder, spread, write_results
from bench.stack import Stack, cpu_by_group, stack
from deploy.local.stack_state import read_state
from libs.common.clock import SystemClock
from libs.common.roles import role_name

READERS = 32
STORM = 200
PACE_PER_S = 100
OURS = ("services.gateway", "services.auth", "nats-server")
SETTINGS = {"theme": "dark", "layout": [1, 2, 3], "symbols": ["EURUSD", "GBPUSD", "BTCUSD"]}
RATIO_MIN = 0.5
STORM_FACTOR_MAX = 3.0


@dataclass(frozen=True)
class Person:
    """Somebody signed up for the bench."""

    login: int
    password: str
    token: str


async def sign_up(session: aiohttp.ClientSession, url: str) -> Person:
    """A new person with settings to read."""
    body = {"name": "Bench", "email": f"{secrets.token_hex(8)}@example.com", "password": "correct horse"}
    async with session.post(f"{url}/sign/up", json=body) as response:
        said = await response.json()
    person = Person(said["login"], body["password"], said["__token"])
    headers = {"Authorization": person.token}
    async with session.put(f"{url}/settings", json={"settings": SETTINGS}, headers=headers) as response:
        if response.status != 200:
            raise RuntimeError(await response.text())
    return person


def figures(
    readers: Child,
    port: int,
    token: str,
    seconds: float,
    own_s: Callable[[], float],
    database_s: Callable[[], float],
) -> Figures:
    """One round of reading against one side."""
    asked = {"port": port, "token": token, "readers": READERS}
    readers.ask({**asked, "seconds": 0.5})  # pools and caches are warm
    before, database_before, begun = own_s(), database_s(), time.monotonic()
    answered = readers.ask({**asked, "seconds": seconds})
    took, database = own_s() - before, database_s() - database_before
    if answered["bad"]:
        raise RuntimeError(f"{answered['bad']} of {answered['done']} reads were refused")
    return {
        "reads per CPU-second": answered["done"] / (took + database),
        "the same, database aside": answered["done"] / took,
        "reads per second": answered["done"] / (time.monotonic() - begun),
    }


def used_s(running: Stack, *names: str) -> float:
    """CPU of some processes of the stack."""
    groups = cpu_by_group(running.process.pid)
    return sum(groups.get(name, 0.0) for name in names)


def auth_dsn(running: Stack) -> str:
    """The database as auth's own role sees it."""

    state = read_state(running.data)
    port = next(child.port for child in state.servers if child.name == "postgres")
    keys = json.loads((running.data / "secrets.json").read_text())
    role = role_name("tradewind", "auth")
    return f"postgresql://{role}:{keys['services']['auth']}@127.0.0.1:{port}/tradewind"


async def compare_reads(running: Stack, url: str, rounds: int, seconds: float) -> Comparison:
    """Both sides in turn, round by round."""
    found = Comparison("an authenticated read", {"tradewind": [], "one aiohttp process": []})
    async with aiohttp.ClientSession() as session:
        person = await sign_up(session, url)
        async with session.get(f"{url}/.well-known/jwks.json") as response:
            keys = (await response.json())["keys"]
    cores = Cores.choose()
    peer = Child("bench.peers.aiohttp_account", {"dsn": auth_dsn(running), "keys": keys}, cores.server)
    readers = Child("bench.readers", {}, cores.load)
    sides: dict[str, tuple[int, Callable[[], float]]] = {
        "tradewind": (running.port, lambda: used_s(running, *OURS)),
        "one aiohttp process": (peer.ready["port"], lambda: cpu_s(peer.pid)),
    }

    def database_s() -> float:
        return used_s(running, "postgres")

    try:
        for _ in range(rounds):
            for name, (port, own_s) in sides.items():
                round_ = figures(readers, port, person.token, seconds, own_s, database_s)
                found.rounds[name].append(round_)
                print(name, {k: round(v) for k, v in found.rounds[name][-1].items()}, flush=True)
    finally:
        peer.stop()
        readers.stop()
    return found


async def paced_reads(
    session: aiohttp.ClientSession, url: str, token: str, until: Callable[[], bool]
) -> list[float]:
    """Milliseconds of reads begun at an even pace, whether earlier ones were answered or not."""
    took: list[float] = []
    tasks: set[asyncio.Task[None]] = set()

    async def read() -> None:
        begun = time.monotonic()
        async with session.get(f"{url}/settings", headers={"Authorization": token}) as response:
            await response.read()
            if response.status != 200:
                raise RuntimeError(f"{response.status}")
        took.append((time.monotonic() - begun) * 1000)

    begun, count = time.monotonic(), 0
    while not until():
        tasks.add(asyncio.create_task(read()))
        count += 1
        await asyncio.sleep(max(begun + count / PACE_PER_S - time.monotonic(), 0))
    await asyncio.gather(*tasks)
    return sorted(took)


async def storm(url: str, address: str, quiet_s: float) -> Figures:
    """Reads in quiet, then reads while 200 sign in at once; an ``address`` has a limit a minute."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        reader = await sign_up(session, url)
        signed_up = [await sign_up(session, url) for _ in range(20)]
        people = [{"login": person.login, "password": person.password} for person in signed_up]
        end = time.monotonic() + quiet_s
        quiet = await paced_reads(session, url, reader.token, lambda: time.monotonic() >= end)

        crowd = Child("bench.crowd", {"url": url, "people": people, "address": address}, Cores.choose().load)
        try:
            begun = time.monotonic()
            raging = asyncio.create_task(asyncio.to_thread(crowd.ask, {"count": STORM}))
            stormy = await paced_reads(session, url, reader.token, raging.done)
            signed_in = (await raging)["signed_in"]
        finally:
            crowd.stop()
    return {
        "signed in": signed_in,
        "storm, s": time.monotonic() - begun,
        "reads in the storm": len(stormy),
        "quiet p50, ms": percentile(quiet, 0.5),
        "quiet p99, ms": percentile(quiet, 0.99),
        "storm p50, ms": percentile(stormy, 0.5),
        "storm p99, ms": percentile(stormy, 0.99),
    }


def percentile(values: list[float], share: float) -> float:
    """Of sorted values."""
    return values[min(int(len(values) * share), len(values) - 1)]


async def measure(running: Stack, rounds: int, seconds: float) -> tuple[Comparison, list[Figures]]:
    """Everything, on one stack."""
    url = f"http://127.0.0.1:{running.port}"
    reads = await compare_reads(running, url, rounds, seconds)
    storms: list[Figures] = []
    for number in range(rounds):
        storms.append(await storm(url, f"127.0.1.{number + 1}", seconds))
        print({name: round(value, 2) for name, value in storms[-1].items()}, flush=True)
    return reads, storms


def report(reads: Comparison, storms: list[Figures], met: dict[str, bool]) -> str:
    """The results as Markdown."""
    lines = ["# Identity under load", "", "| promise | held |", "|---|---|"]
    lines += [f"| {name} | {'yes' if ok else '**no**'} |" for name, ok in met.items()]
    lines += [
        "",
        "Min · median · max over the rounds.",
        "",
        "| read | tradewind | one aiohttp process |",
        "|---|---|---|",
    ]
    summary = reads.summary()
    for figure in ("reads per CPU-second", "the same, database aside", "reads per second"):
        cells = [f"{shown(summary[side][figure], '.0f')}" for side in summary]
        lines.append(f"| {figure} | {' | '.join(cells)} |")
    for name, figure in (
        ("ratio", "reads per CPU-second"),
        ("ratio, database aside", "the same, database aside"),
    ):
        lines.append(f"| {name} | {shown(reads.ratio(figure, *reads.rounds), '.2f')} | 1 |")
    lines += ["", f"| storm of {STORM} sign-ins | |", "|---|---|"]
    lines += [f"| {name} | {shown(spread([s[name] for s in storms]), '.1f')} |" for name in storms[0]]
    return "\n".join(lines) + "\n"


def shown(values: dict[str, float], form: str) -> str:
    """Minimum, median and maximum in one cell."""
    return " · ".join(format(values[key], form) for key in ("min", "median", "max"))


def judged(reads: Comparison, storms: list[Figures]) -> dict[str, bool]:
    """Which promises held, by the median round."""
    ratio = reads.ratio("reads per CPU-second", *reads.rounds)["median"]
    factor = spread([s["storm p99, ms"] / s["quiet p99, ms"] for s in storms])["median"]
    return {
        f"a read is at least {RATIO_MIN}× the single process per CPU-second ({ratio:.2f})": ratio
        >= RATIO_MIN,
        f"p99 of others stays below {STORM_FACTOR_MAX:g}× in a storm ({factor:.2f})": factor
        <= STORM_FACTOR_MAX,
        "everybody in the storm came in": all(s["signed in"] == STORM for s in storms),
    }


def run(quick: bool) -> bool:
    """Measure, write the results, say whether every promise held."""
    rounds, seconds = (1, 3.0) if quick else (5, 6.0)
    settings = {"TRADEWIND_FEED": "manual", "TRADEWIND_SERVICES": "auth,market,trading,gateway"}
    with folder() as data, stack(data, settings) as running:
        reads, storms = asyncio.run(measure(running, rounds, seconds))
    met = judged(reads, storms)
    text = report(reads, storms, met)
    print(text)
    if not quick:
        where: dict[str, Any] = {**conditions(Cores.choose()), "pinned": None}
        machine = ", ".join(f"{k} {v}" for k, v in where.items() if isinstance(v, str | int | float))
        date = SystemClock().now().strftime("%Y-%m-%d")
        result = {"conditions": where, "reads": reads.rounds, "storms": storms, "met": met}
        write_results("auth", SystemClock(), result, f"{text}\nMeasured {date}: {machine}.\n")
    return all(met.values())
