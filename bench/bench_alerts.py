"""Price alerts: what a tick costs whatever is armed, beside a numpy scan and Redis sorted sets.

Five parts: the book alone, from a real nats-server to the book, a million alerts armed from PostgreSQL
at start, and 100,000 that fire on one tick until their last row is durable. And how long it takes until a
second process has taken over.
"""

from __future__ import annotations

import secrets
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop

from bench import alert_takeover
from bench.runner import Child, Comparison, Cores, conditions, folder, spread, stop, table, write_results
from deploy.local.nats import EmbeddedNats
from deploy.local.ports import choose_ports
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.privileges import find_way
from libs.common.clock import SystemClock
from libs.common.migrate import migrate_all
from libs.common.roles import ensure_roles
from libs.common.streams import ensure_streams
from tests.tools import debian_tool

OURS, SCAN, REDIS, PIPELINED = "ours", "numpy scan", "redis", "redis pipelined"
SIDES = (OURS, SCAN, REDIS, PIPELINED)
CASES = ((1_000, 1_000), (100_000, 1_000), (1_000_000, 1_000), (1_000, 1), (1_000_000, 1))
QUICK_CASES = ((1_000, 1_000), (100_000, 1_000), (1_000, 1), (100_000, 1))
BUS_SYMBOLS, BUS_RATE = 100, 400_000
INTRODUCTION = """Every side is given the same levels and the same ticks and must fire the same alerts.
min · median · max of the rounds. *redis* asks once per tick, as one must who acts on a tick; *redis
pipelined* asks for 200 ticks in one write. The sides in the process count CPU time, Redis the wall clock.
Commands are encoded beforehand and Redis has a core of its own.

The storm is judged, written and published by one service, its relay at work meanwhile. Beside it, in the same
database and by one connection with prepared statements: *one by one* is what a simple service does for each
trigger, one after the other: `BEGIN`, one `UPDATE` of the alert's status, one `INSERT` of its log row, one
each of its push and its fact into the outbox, `COMMIT`. *Bare INSERTs* leave everything out but the log row,
and each commits by itself; a trigger of the storm is all four rows."""
FIGURES = {"ticks per s": ",.0f", "fired per 1000 ticks": ".1f"}


@dataclass
class Promise:
    """A figure and what it must be."""

    name: str
    value: float
    bound: float
    at_least: bool
    digits: int = 2

    @property
    def holds(self) -> bool:
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    def row(self) -> str:
        sign, digits = "≥" if self.at_least else "≤", self.digits
        kept = "yes" if self.holds else "**no**"
        return f"| {self.name} | {self.value:,.{digits}f} | {sign} {self.bound:,g} | {kept} |"


@dataclass
class Found:
    """Everything measured."""

    books: list[Comparison] = field(default_factory=list)
    armed: dict[str, dict[str, Any]] = field(default_factory=dict)
    bus: list[dict[str, float]] = field(default_factory=list)
    house: list[dict[str, Any]] = field(default_factory=list)
    takeover: dict[str, float] = field(default_factory=dict)

    def rate(self, armed: int, symbols: int, kind: str, side: str = OURS) -> float:
        """The median rate of a side in a case."""
        for comparison in self.books:
            if comparison.case == _case(armed, symbols, kind):
                return comparison.summary()[side]["ticks per s"]["median"]
        raise KeyError((armed, symbols, kind))


def _case(armed: int, symbols: int, kind: str) -> str:
    return f"{armed:,} armed on {symbols:,} symbol{'s' if symbols > 1 else ''}, {kind}"


# ── the book alone ────────────────────────────────────────────────────────────────────────────────


@contextmanager
def redis_server(place: Path, core: int) -> Iterator[str]:
    """A Redis of our own on a Unix socket, keeping nothing; its path."""
    program = debian_tool("redis-server")
    path = place / "redis.sock"
    process = subprocess.Popen(
        ["taskset", "-c", str(core), program, "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    process.stdin.write(f'port 0\nunixsocket {path}\ndir {place}\nsave ""\nappendonly no\n'.encode())
    process.stdin.close()
    try:
        while not path.exists():
            if process.poll() is not None:
                raise RuntimeError(f"redis-server ended with status {process.returncode}")
            time.sleep(0.01)
        yield str(path)
    finally:
        process.terminate()
        process.wait(timeout=10)


def books(found: Found, cores: Cores, cases: Any, rounds: int, seconds: float) -> None:
    """Every side in every case: alone on its core, in turn, after agreeing on what fires."""
    for armed, symbols in cases:
        with folder() as place, redis_server(place, cores.server) as path:
            for kind in ("nothing fires", "some fire"):
                found.books.append(Comparison(_case(armed, symbols, kind), {side: [] for side in SIDES}))
            checked: list[Any] = []
            # A side is alone with its memory; redis is both Redis sides' server, so they go last.
            for side in SIDES:
                core = cores.load if "redis" in side else cores.server
                config = {"side": side, "armed": armed, "symbols": symbols, "redis": path}
                child = Child("bench.alert_sides", config, core)
                try:
                    checked.append(child.ready.pop("checked"))
                    if checked[-1] != checked[0]:
                        raise RuntimeError(f"{side} fires other alerts than {SIDES[0]}")
                    found.armed[f"{side}: {armed:,} on {symbols:,}"] = child.ready
                    for at, fires in ((-2, False), (-1, True)):
                        for _ in range(rounds):
                            figures = child.ask({"fires": fires, "seconds": seconds})
                            found.books[at].rounds[side].append(figures)
                finally:
                    child.stop()
                rates = [_median(found.books[at].rounds[side], "ticks per s") for at in (-2, -1)]
                print(f"{armed:,} on {symbols:,} · {side}: {rates[0]:,.0f} and {rates[1]:,.0f} ticks/s")


# ── the servers around it ─────────────────────────────────────────────────────────────────────────


@contextmanager
def nats_server(place: Path, services: Sequence[str] = ("alerts",)) -> Iterator[str]:
    """A nats-server with every stream; its address."""
    ports = choose_ports(["nats", "nats_monitor"], seed=str(place))
    server = EmbeddedNats(
        place / "nats", port=ports["nats"], monitor_port=ports["nats_monitor"], log=place / "nats.log"
    )
    server.spawn()
    try:
        server.wait_ready()
        uvloop.run(ensure_streams(server.url(), services, 0))
        yield server.url()
    finally:
        server.stop()


@contextmanager
def postgres_server(place: Path, services: Sequence[str] = ("alerts",)) -> Iterator[dict[str, str]]:
    """A durable PostgreSQL with the schemas of services; the DSN of each one's role."""
    way = find_way(place / "postgres", stack_id=f"bench-{secrets.token_hex(8)}")
    port = choose_ports(["postgres"], seed=str(place))["postgres"]
    server = EmbeddedPostgres(way, port=port, password=secrets.token_urlsafe(18), log=place / "postgres.log")
    server.prepare()
    server.spawn()
    try:
        server.wait_ready()
        passwords = {name: secrets.token_urlsafe(18) for name in services}
        dsns = uvloop.run(ensure_roles(server.dsn, services, passwords))
        uvloop.run(migrate_all(server.dsn, services, lambda line: None))
        yield dsns
    finally:
        server.stop()
        shutil.rmtree(way.data, ignore_errors=True)


def bus_to_book(found: Found, cores: Cores, rounds: int, ticks: int) -> None:
    """Ticks from a process on the other core, through a nats-server, into a book with 10^5 alerts."""
    with folder() as place, nats_server(place) as url, ExitStack() as stack:
        config = {"nats_url": url, "symbols": BUS_SYMBOLS, "armed": 100_000}
        publisher = Child("bench.alert_bus", {**config, "role": "publish"}, cores.load)
        stack.callback(publisher.stop)
        reader = Child("bench.alert_bus", {**config, "role": "read"}, cores.server)
        stack.callback(reader.stop)
        for _ in range(rounds):
            answer: list[dict[str, float]] = []
            judging = threading.Thread(target=lambda: answer.append(reader.ask({"ticks": ticks})))  # noqa: B023
            judging.start()
            publisher.ask({"ticks": ticks, "rate": BUS_RATE})
            judging.join()
            found.bus.append(answer[0])
            print("bus to book:", {name: round(value, 2) for name, value in answer[0].items()})


def storms(found: Found, cores: Cores, rounds: int, armed: int, storm: int) -> None:
    """Arming from PostgreSQL, the storm, and one INSERT per trigger."""
    for _ in range(rounds):
        with folder() as place, nats_server(place) as url, postgres_server(place) as dsns:
            config = {
                "nats_url": url,
                "dsn": dsns["alerts"],
                "armed": armed,
                "storm": storm,
                "inserts": 2_000,
            }
            child = Child("bench.alert_storm", config, cores.server)
            found.house.append(child.ready)
            stop(child._process)
            print("PostgreSQL:", child.ready)


def takeovers(found: Found) -> None:
    """A second process of alerts takes over: from one that was killed, from one that sleeps."""
    with (
        folder() as place,
        nats_server(place, alert_takeover.SERVICES) as url,
        postgres_server(place, alert_takeover.SERVICES) as dsns,
    ):
        found.takeover = uvloop.run(alert_takeover.measure(dsns, url, place))
        print("take-over:", found.takeover)


# ── what was promised ─────────────────────────────────────────────────────────────────────────────


def promises(found: Found, most: int) -> list[Promise]:
    """The targets beside what was measured."""
    rate = found.rate
    quiet, some = "nothing fires", "some fire"
    made = [
        Promise(
            "ticks/s, the most armed, 1,000 symbols, nothing fires", rate(most, 1000, quiet), 1e6, True, 0
        ),
        Promise("ticks/s, the most armed, one symbol, nothing fires", rate(most, 1, quiet), 1e6, True, 0),
    ]
    for symbols in (1_000, 1):
        for kind in (quiet, some):
            where = f"{symbols:,} symbol{'s' if symbols > 1 else ''}, {kind}"
            ours, fewer = rate(most, symbols, kind), rate(1_000, symbols, kind)
            made += [
                Promise(f"cost of a tick, the most armed ÷ 1,000 armed, {where}", fewer / ours, 1.5, False),
                Promise(f"times Redis, {where}", ours / rate(most, symbols, kind, REDIS), 20, True, 1),
            ]
    storm = [run["storm"] for run in found.house]
    times = [run["storm"]["triggers per s"] / run["one by one"]["triggers per s"] for run in found.house]
    made += [
        Promise(
            "bus to book, ticks per CPU second of the reader",
            1e6 / _median(found.bus, "CPU µs per tick"),
            1e5,
            True,
            0,
        ),
        Promise(
            "storm: times one trigger after the other (four writes and a commit each)",
            spread(times)["median"],
            20,
            True,
            1,
        ),
        Promise("storm: last row durable, s", _median(storm, "last row durable s"), 5, False),
        Promise(
            "arming from PostgreSQL, s", _median([r["arming"] for r in found.house], "arming s"), 10, False
        ),
    ]
    made += [
        Promise(f"take-over, first owner {name.removesuffix(' s')}, s", seconds, 5, False)
        for name, seconds in found.takeover.items()
    ]
    return made


def _median(runs: list[dict[str, float]], figure: str) -> float:
    return spread([run[figure] for run in runs])["median"]


def report(found: Found, made: list[Promise]) -> str:
    """The page."""
    lines = [
        "# Price alerts: what a tick costs, whatever is armed",
        "",
        "| promise | measured | bound | held |",
    ]
    lines += ["|---|---|---|---|", *(promise.row() for promise in made), ""]
    lines += [INTRODUCTION, ""]
    for comparison in found.books:
        lines += [f"## {comparison.case}", "", table(comparison, FIGURES), ""]
    lines += ["## Memory and arming in the process", "", "| | s to arm | bytes per alert |", "|---|---|---|"]
    lines += [
        f"| {name} | {ready['armed_s']:.2f} | {ready['bytes_per_alert']:,.0f} |"
        for name, ready in found.armed.items()
        if name.startswith((OURS, SCAN))
    ]
    lines += ["", f"## From the bus to the book ({BUS_SYMBOLS} symbols, 100,000 armed, one core)", ""]
    lines += _rows(found.bus)
    for part in ("arming", "storm", "one by one", "bare INSERTs"):
        lines += ["", f"## PostgreSQL: {part}", "", *_rows([run[part] for run in found.house])]
    bare = [run["storm"]["triggers per s"] / run["bare INSERTs"]["triggers per s"] for run in found.house]
    low, middle, high = (spread(bare)[k] for k in ("min", "median", "max"))
    lines += ["", f"Triggers of the storm per bare INSERT: {low:.1f} · {middle:.1f} · {high:.1f}."]
    return "\n".join(lines) + "\n"


def _rows(runs: list[dict[str, float]]) -> list[str]:
    lines = ["| figure | min · median · max |", "|---|---|"]
    for figure in runs[0]:
        values = spread([run[figure] for run in runs])
        lines.append(f"| {figure} | {' · '.join(f'{values[k]:,.2f}' for k in ('min', 'median', 'max'))} |")
    return lines


def run(quick: bool) -> bool:
    """Measure, write the results, say whether every promise held."""
    cores, found = Cores.choose(), Found()
    cases, most = (QUICK_CASES, 100_000) if quick else (CASES, 1_000_000)
    rounds = 1 if quick else 3
    books(found, cores, cases, rounds, 0.3 if quick else 0.5)
    bus_to_book(found, cores, rounds, 200_000 if quick else 1_000_000)
    storms(found, cores, 1 if quick else 2, most, 20_000 if quick else 100_000)
    takeovers(found)
    made = promises(found, most)
    text = report(found, made)
    print(text)
    if not quick:
        where = conditions(cores)
        machine = ", ".join(f"{k} {v}" for k, v in where.items() if isinstance(v, str | int))
        clock = SystemClock()
        result = {
            "conditions": where,
            "books": {c.case: c.summary() for c in found.books},
            "armed": found.armed,
            "bus": found.bus,
            "house": found.house,
            "takeover": found.takeover,
            "met": {promise.name: promise.holds for promise in made},
        }
        date = clock.now().strftime("%Y-%m-%d")
        write_results("alerts", clock, result, f"{text}\nMeasured {date}: {machine}.\n")
    return all(promise.holds for promise in made)
