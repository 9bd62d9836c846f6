"""The stream beside the plain aiohttp loop and nats-server's own WebSocket listener.

Three cases: many symbols to many sockets, one symbol to many sockets, and one socket on a quiet
house. A delivery is one quote that reached one socket. Targets are those the project promises.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.runner import (
    Child,
    Comparison,
    Cores,
    Figures,
    Side,
    compare,
    conditions,
    cpu_s,
    folder,
    rss_bytes,
    spawn,
    stop,
    table,
    write_results,
)
from deploy.local.nats import server_program
from libs.common.clock import SystemClock

OURS, LOOP, NATS = "tradewind", "aiohttp send_str loop", "nats-server WebSocket"
WARM_S = 2.0
DRAIN_S = 15.0
MANY_SOCKETS = 100  # fewer say nothing about the memory of one


@dataclass(frozen=True)
class Case:
    """One load: ``rate`` quotes a second over ``symbols``, ``sockets`` with ``each`` subscriptions."""

    name: str
    symbols: int
    rate: float
    sockets: int
    each: int
    burst_s: float = 0.004


MANY = Case("50 symbols, 1,000/s, 1,000 sockets with 10 each", symbols=50, rate=1000, sockets=1000, each=10)
ONE = Case("1 symbol, 100/s, 1,000 sockets", symbols=1, rate=100, sockets=1000, each=1)
QUIET = Case("1 symbol, 20/s, 1 socket", symbols=1, rate=20, sockets=1, each=1)

FIGURES = {
    "deliveries per server-CPU-second": ",.0f",
    "deliveries per second": ",.0f",
    "latency p50 ms": ",.2f",
    "latency p99 ms": ",.2f",
    "latency max ms": ",.2f",
    "server CPU %": ",.1f",
    "bus CPU %": ",.1f",
    "listeners CPU %": ",.1f",
    "memory per socket KiB": ",.1f",
    "lost": ",.0f",
    "out of order": ",.0f",
}


@dataclass(frozen=True)
class Promise:
    """A figure that must hold in the median of its rounds."""

    case: Case
    text: str
    holds: Callable[[Comparison], tuple[bool, str]]


def _ratio(least: float) -> Callable[[Comparison], tuple[bool, str]]:
    def holds(found: Comparison) -> tuple[bool, str]:
        ratio = found.ratio("deliveries per server-CPU-second", OURS, LOOP)
        return ratio["median"] >= least, f"{ratio['min']:.2f} · {ratio['median']:.2f} · {ratio['max']:.2f}"

    return holds


def _at_most(figure: str, most: float) -> Callable[[Comparison], tuple[bool, str]]:
    def holds(found: Comparison) -> tuple[bool, str]:
        values = found.summary()[OURS][figure]
        shown = " · ".join(f"{values[key]:,.2f}" for key in ("min", "median", "max"))
        return values["median"] <= most, shown

    return holds


PROMISES = (
    Promise(MANY, "at least 3 times the aiohttp loop per server-CPU-second", _ratio(3.0)),
    Promise(MANY, "p99 at most 50 ms", _at_most("latency p99 ms", 50.0)),
    Promise(MANY, "nothing lost", _at_most("lost", 0.0)),
    Promise(ONE, "at least 1.1 times the aiohttp loop per server-CPU-second", _ratio(1.1)),
    Promise(ONE, "p99 at most 15 ms", _at_most("latency p99 ms", 15.0)),
    Promise(QUIET, "p50 at most 2 ms", _at_most("latency p50 ms", 2.0)),
)


# ── one round ─────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Nats:
    pid: int
    url: str
    port_ws: int


@contextmanager
def nats_server(core: int) -> Iterator[_Nats]:
    """A nats-server without a disk, with its WebSocket listener."""
    with folder() as place:
        port, port_ws = _free_port(), _free_port()
        config = {
            "listen": f"127.0.0.1:{port}",
            "websocket": {"listen": f"127.0.0.1:{port_ws}", "no_tls": True, "compression": False},
            "log_file": str(place / "nats.log"),
        }
        path = place / "nats.conf"
        path.write_text(json.dumps(config))
        process = spawn([str(server_program()), "-c", str(path)], core)
        try:
            _wait_for(port)
            _wait_for(port_ws)
            yield _Nats(process.pid, f"nats://127.0.0.1:{port}", port_ws)
        finally:
            stop(process)


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _wait_for(port: int) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError("nats-server did not start")


def run_served(module: str) -> Callable[[Case, Cores, float], Figures]:
    """A side that is a Python server behind a nats-server."""

    def run(case: Case, cores: Cores, seconds: float) -> Figures:
        with ExitStack() as stack:
            nats = stack.enter_context(nats_server(cores.load))
            server = Child(module, {"nats_url": nats.url}, cores.server)
            stack.callback(server.stop)
            measured = Measured(
                server.pid, nats.pid, server.ready["port"], "/ws", "stream", lambda: server.ask("state")
            )
            return measure(case, cores, seconds, nats.url, measured, stack)

    return run


def run_nats(case: Case, cores: Cores, seconds: float) -> Figures:
    """nats-server as the server its clients talk to."""
    with ExitStack() as stack:
        nats = stack.enter_context(nats_server(cores.server))
        measured = Measured(nats.pid, None, nats.port_ws, "/", "nats", dict)
        return measure(case, cores, seconds, nats.url, measured, stack)


@dataclass(frozen=True)
class Measured:
    """A server under load: its processes, where its socket is, and how its clients speak."""

    pid: int
    bus_pid: int | None
    port: int
    path: str
    dialect: str
    state: Callable[[], Mapping[str, Any]]


def measure(
    case: Case, cores: Cores, seconds: float, nats_url: str, server: Measured, stack: ExitStack
) -> Figures:
    """Connect everyone, warm up, measure a window, then let everything arrive and count."""
    rss_before = rss_bytes(server.pid)
    wanted = {**asdict(case), "port": server.port, "path": server.path, "dialect": server.dialect}
    listeners = Child("bench.listeners", {**wanted, "seed": 7, "witness_every": 20}, cores.load)
    stack.callback(listeners.stop)
    rss_per_socket = (rss_bytes(server.pid) - rss_before) / case.sockets
    feed = Child("bench.feed", {**asdict(case), "nats_url": nats_url}, cores.load)
    stack.callback(feed.stop)
    feed.ask("start")
    time.sleep(WARM_S)
    before, cpu_before, bus_before = listeners.ask("mark"), cpu_s(server.pid), _cpu_of(server.bus_pid)
    started_s = time.monotonic()
    time.sleep(seconds)
    after, cpu_after, bus_after = listeners.ask("mark"), cpu_s(server.pid), _cpu_of(server.bus_pid)
    window_s = time.monotonic() - started_s
    server.state()
    sent = feed.ask("stop")["sent"]
    expected = _expected(case, sent, listeners.ready["subscribers"])
    end = _drained(listeners, expected)
    deliveries = after["count"] - before["count"]
    figures = {
        "deliveries per server-CPU-second": deliveries / max(cpu_after - cpu_before, 0.01),
        "deliveries per second": deliveries / window_s,
        "latency p50 ms": after["latency_ms_p50"],
        "latency p99 ms": after["latency_ms_p99"],
        "latency max ms": after["latency_ms_max"],
        "server CPU %": 100 * (cpu_after - cpu_before) / window_s,
        "bus CPU %": 100 * (bus_after - bus_before) / window_s,
        "listeners CPU %": 100 * (after["cpu_s"] - before["cpu_s"]) / window_s,
        "lost": expected - end["count"],
        "out of order": end["holes"],
    }
    if case.sockets >= MANY_SOCKETS:
        figures["memory per socket KiB"] = rss_per_socket / 1024
    return figures


def _cpu_of(pid: int | None) -> float:
    return 0.0 if pid is None else cpu_s(pid)


def _expected(case: Case, sent: int, subscribers: Mapping[str, int]) -> int:
    each, more = divmod(sent, case.symbols)
    return sum(
        count * (each + (1 if int(name.removeprefix("SYM")) < more else 0))
        for name, count in subscribers.items()
    )


def _drained(listeners: Child, expected: int) -> dict[str, Any]:
    """Wait until everything sent has arrived, or nothing more comes."""
    end_s = time.monotonic() + DRAIN_S
    while True:
        found = listeners.ask("mark")
        if found["count"] >= expected or time.monotonic() > end_s:
            return found
        time.sleep(0.1)


# ── all of it ─────────────────────────────────────────────────────────────────────────────────────

SIDES = (
    Side(OURS, run_served("bench.peers.tradewind_stream")),
    Side(LOOP, run_served("bench.peers.aiohttp_loop")),
    Side(NATS, run_nats),
)


def run(quick: bool) -> bool:
    """Measure every case; whether every promise held."""
    cores, rounds, seconds = Cores.choose(), 1 if quick else 3, 2.0 if quick else 5.0
    machine = conditions(cores)
    found = {
        case: compare(case, case.name, sides, cores=cores, rounds=rounds, seconds=seconds, say=print)
        for case, sides in ((MANY, SIDES), (ONE, SIDES), (QUIET, SIDES[:1]))
    }
    promises = [(promise, *promise.holds(found[promise.case])) for promise in PROMISES]
    for promise, held, shown in promises:
        print(f"{'held  ' if held else 'MISSED'} {promise.case.name}: {promise.text}: {shown}")
    if not quick:
        _write(machine, found, promises, rounds, seconds)
    return all(held for _, held, _ in promises)


def _write(
    machine: Mapping[str, Any],
    found: Mapping[Case, Comparison],
    promises: list[tuple[Promise, bool, str]],
    rounds: int,
    seconds: float,
) -> Path:
    result = {
        "machine": machine,
        "rounds": rounds,
        "seconds": seconds,
        "cases": {
            case.name: {"load": asdict(case), "figures": comparison.summary(), "rounds": comparison.rounds}
            for case, comparison in found.items()
        },
        "promises": [
            {"case": promise.case.name, "promise": promise.text, "held": held, "measured": shown}
            for promise, held, shown in promises
        ],
    }
    lines = [
        "# The stream beside its peers",
        "",
        _said(machine, rounds, seconds),
        "",
        "| promise | measured | |",
        "|---|---|---|",
        *(
            f"| {promise.case.name}: {promise.text} | {shown} | {'held' if held else '**missed**'} |"
            for promise, held, shown in promises
        ),
    ]
    for case, comparison in found.items():
        lines += ["", f"## {case.name}", "", table(comparison, FIGURES)]
        lines += [
            f"\nOurs to {peer}, deliveries per server-CPU-second: " + _shown(comparison, peer)
            for peer in comparison.rounds
            if peer != OURS
        ]
    return write_results("stream", SystemClock(), result, "\n".join(lines) + "\n")


def _said(machine: Mapping[str, Any], rounds: int, seconds: float) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in machine["packages"].items())
    priority = (
        "; measured processes at real-time priority, which lets a server whose threads spin use the 95 % "
        "that the kernel allows"
        if machine["realtime"]
        else ""
    )
    return (
        f"Server on one core of {machine['cores']} ({machine['processor']}), everything else on another; "
        f"kernel {machine['kernel']}, Python {machine['python']}, {versions}. "
        f"{rounds} rounds of {seconds:g} s, sides in turn; load average before: "
        f"{machine['load_average_1min']}{priority}. Each cell: minimum · median · maximum. "
        "Again: `python -m bench stream`."
    )


def _shown(comparison: Comparison, peer: str) -> str:
    ratio = comparison.ratio("deliveries per server-CPU-second", OURS, peer)
    return f"× {ratio['min']:.2f} · {ratio['median']:.2f} · {ratio['max']:.2f}"
