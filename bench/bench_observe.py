"""What it costs to be watched: metrics and traces beside none on the stream, and what a scrape takes.

The stream's heaviest case runs twice a round: as it is, and with every metric of the gateway, traces of one
in a hundred and a Prometheus that asks each 5 s. Then a whole stack with 100 symbols is asked as Prometheus
asks it.
"""

from __future__ import annotations

import json
import statistics
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.bench_stream import FIGURES, MANY, Case, Measured, measure, nats_server
from bench.runner import (
    Child,
    Cores,
    Figures,
    Side,
    compare,
    conditions,
    folder,
    spread,
    table,
    write_results,
)
from bench.stack import Stack, stack
from libs.common.clock import SystemClock

WATCHED, ALONE = "watched", "not watched"
COST = "deliveries per server-CPU-second"
COST_MAX = 0.05
SCRAPE_EVERY_S = 5.0
SCRAPE_MS_MAX = 20.0
SERIES_MAX = 2_000
SYMBOLS = 100
ASKING = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"
PASSWORD = "open sesame"
EXPORTER = "exporter"  # no service: each scrape asks PostgreSQL and nats-server


@dataclass(frozen=True)
class Scrape:
    """What a process said: series, and milliseconds of each answer."""

    process: str
    series: int
    ms: list[float]

    @property
    def met(self) -> bool:
        """Whether it is as small and quick as promised, in the median of its answers."""
        return self.series <= SERIES_MAX and statistics.median(self.ms) <= SCRAPE_MS_MAX


# ── the stream ────────────────────────────────────────────────────────────────────────────────────


def scrape(port: int) -> tuple[int, float]:
    """Ask ``/metrics`` once as Prometheus does: the series, and how many milliseconds it took."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"Accept": ASKING})
    begun = time.perf_counter()
    with urllib.request.urlopen(request, timeout=30) as answer:
        body = answer.read()
    took_ms = 1000 * (time.perf_counter() - begun)
    return sum(1 for line in body.splitlines() if line and not line.startswith(b"#")), took_ms


@contextmanager
def prometheus(port: int) -> Iterator[None]:
    """Somebody who scrapes ``port`` again and again."""
    over = threading.Event()

    def ask() -> None:
        scrape(port)
        while not over.wait(SCRAPE_EVERY_S):
            scrape(port)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield
    finally:
        over.set()
        asking.join()


def run_stream(case: Case, cores: Cores, seconds: float, *, watched: bool) -> Figures:
    """One round of the stream, watched or not."""
    with ExitStack() as opened:
        nats = opened.enter_context(nats_server(cores.load))
        config = {"nats_url": nats.url, "watched": watched}
        server = Child("bench.peers.tradewind_stream", config, cores.server)
        opened.callback(server.stop)
        if watched:
            opened.enter_context(prometheus(server.ready["metrics_port"]))
        measured = Measured(
            server.pid, nats.pid, server.ready["port"], "/ws", "stream", lambda: server.ask("state")
        )
        return measure(case, cores, seconds, nats.url, measured, opened)


SIDES = (
    Side(WATCHED, lambda case, cores, seconds: run_stream(case, cores, seconds, watched=True)),
    Side(ALONE, lambda case, cores, seconds: run_stream(case, cores, seconds, watched=False)),
)


# ── a scrape ──────────────────────────────────────────────────────────────────────────────────────


class Staff:
    """Staff login 1 over HTTP."""

    def __init__(self, running: Stack) -> None:
        self._url = f"http://127.0.0.1:{running.port}"
        self._token = ""
        self._token = self.call("POST", "/sign/in", {"login": 1, "password": PASSWORD})["__token"]

    def call(self, method: str, path: str, body: Mapping[str, Any]) -> Any:
        """One call that must be answered well."""
        headers = {"Content-Type": "application/json", "Authorization": self._token}
        request = urllib.request.Request(
            self._url + path, data=json.dumps(body).encode(), headers=headers, method=method
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)


def scrapes(rounds: int) -> list[Scrape]:
    """Every process of a stack with 100 quoted symbols, asked ``rounds`` times."""
    settings = {"TRADEWIND_FEED": "manual", "TRADEWIND_ADMIN_PASSWORD": PASSWORD}
    with folder() as data, stack(data, settings) as running:
        staff = Staff(running)
        names = [f"SYM{number:03}" for number in range(SYMBOLS)]
        for name in names:
            staff.call("PUT", f"/admin/symbols/{name}", {"digits": 2})
        quotes = [{"symbol": name, "bid": 100.0 + n, "ask": 100.5 + n} for n, name in enumerate(names)]
        staff.call("POST", "/admin/quotes", {"quotes": quotes})
        targets = json.loads((running.data / "prometheus-targets.json").read_text())
        found: dict[str, list[tuple[int, float]]] = {}
        for _ in range(rounds):
            staff.call("POST", "/admin/quotes", {"quotes": quotes})
            for target in targets:
                port = int(target["targets"][0].rpartition(":")[2])
                found.setdefault(target["labels"]["process"], []).append(scrape(port))
        return [
            Scrape(process, max(series for series, _ in answers), [ms for _, ms in answers])
            for process, answers in found.items()
        ]


# ── all of it ─────────────────────────────────────────────────────────────────────────────────────


def run(quick: bool) -> bool:
    """Measure both; whether every promise held."""
    cores, rounds, seconds = Cores.choose(), 1 if quick else 5, 5.0 if quick else 15.0
    machine = conditions(cores)
    asked = scrapes(3 if quick else 20)
    found = compare(MANY, MANY.name, SIDES, cores=cores, rounds=rounds, seconds=seconds, say=print)
    ratio = found.ratio(COST, WATCHED, ALONE)
    cost = 1.0 - ratio["median"]
    cheap, small = cost <= COST_MAX, all(one.met for one in asked if one.process != EXPORTER)
    lines = [
        "# What it costs to be watched",
        "",
        "| promise | measured | |",
        "|---|---|---|",
        f"| metrics and traces take at most {COST_MAX:.0%} of the stream's CPU | {cost:.1%} in the median, "
        f"{1 - ratio['max']:.1%} to {1 - ratio['min']:.1%} | {_said(cheap)} |",
        f"| a scrape of a service takes at most {SCRAPE_MS_MAX:g} ms and has at most {SERIES_MAX:,} series "
        f"with {SYMBOLS} symbols | see below | {_said(small)} |",
        "",
        "| process | series | ms, minimum · median · maximum |",
        "|---|---|---|",
        *(_row(one) for one in sorted(asked, key=lambda one: -one.series)),
        "",
        f"## {MANY.name}",
        "",
        table(found, FIGURES),
        "",
        f"{rounds} rounds of {seconds:g} s, sides in turn, scraped each {SCRAPE_EVERY_S:g} s; "
        f"{machine['cores']} cores, load average before: {machine['load_average_1min']}. "
        "Again: `python -m bench observe`.",
    ]
    print("\n".join(lines))
    if not quick:
        result = {
            "machine": machine,
            "case": asdict(MANY),
            "rounds": found.rounds,
            "cost": cost,
            "scrapes": [asdict(one) for one in asked],
        }
        _write(result, lines)
    return cheap and small


def _row(one: Scrape) -> str:
    ms = spread(one.ms)
    return f"| {one.process} | {one.series:,} | {ms['min']:.1f} · {ms['median']:.1f} · {ms['max']:.1f} |"


def _said(held: bool) -> str:
    return "held" if held else "**missed**"


def _write(result: Mapping[str, Any], lines: list[str]) -> Path:
    return write_results("observe", SystemClock(), result, "\n".join(lines) + "\n")
