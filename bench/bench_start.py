"""The whole stack: cold and warm time to ready, stop time, memory and CPU while the market just ticks.

Nothing is pinned and nothing stands beside it: these are absolute promises to a person who types
``make run``. A cold start has an empty data folder and installed packages; memory is PSS summed over every
process of the stack, so shared pages count once; CPU is all processes together, in percent of one core.
"""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.runner import (
    ROOT,
    TICKS_PER_S,
    Cores,
    conditions,
    folder,
    spread,
    write_results,
)
from libs.common.clock import SystemClock

POLL_S = 0.02
PATIENCE_S = 120.0
SETTLE_S = 10.0
TARGETS = {
    "cold start, s": 20.0,
    "warm start, s": 8.0,
    "PSS, MB": 900.0,
    "idle CPU, % of one core": 15.0,
}


@dataclass(frozen=True)
class Idle:
    """One process at rest."""

    name: str
    pss_mb: float
    cpu_percent: float


def run(quick: bool) -> bool:
    """Measure, write the results, and say whether every target was met."""
    rounds, idle_s = (1, 10.0) if quick else (3, 60.0)
    found: dict[str, list[float]] = {}
    idle: list[Idle] = []
    for number in range(1, rounds + 1):
        with folder() as data:
            last = number == rounds
            with stack(data) as cold:
                note(found, "cold start, s", cold.ready_s)
            note(found, "stop, s", cold.stop_s)
            with stack(data) as warm:
                note(found, "warm start, s", warm.ready_s)
                if last:
                    time.sleep(SETTLE_S)
                    idle = measure_idle(warm.process.pid, idle_s)
            note(found, "stop, s", warm.stop_s)
        print(f"round {number}: " + ", ".join(f"{k} {v[-1]:.2f}" for k, v in found.items()), flush=True)
    note(found, "PSS, MB", sum(p.pss_mb for p in idle))
    note(found, "idle CPU, % of one core", sum(p.cpu_percent for p in idle))
    met = {name: max(found[name]) <= limit for name, limit in TARGETS.items()}
    text = report(found, idle, met, idle_s)
    print(text)
    if not quick:
        save(found, idle, met, idle_s, text)
    return all(met.values())


def note(found: dict[str, list[float]], name: str, value: float) -> None:
    """One more round of a figure."""
    found.setdefault(name, []).append(value)


class Stack:
    """One run of ``tradewind up``; ``stop_s`` is known after it was stopped."""

    def __init__(self, data: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("TRADEWIND_")}
        for name in ("DATABASE_URL", "NATS_URL"):
            inherited.pop(name, None)
        begun = time.monotonic()
        with (data / "output.txt").open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "deploy.local.cli", "up"],
                cwd=ROOT,
                env={
                    **inherited,
                    "TRADEWIND_DATA_DIR": str(data / "stack"),
                    "TRADEWIND_HTTP_PORT": str(self.port),
                },
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() - begun > PATIENCE_S:
                raise RuntimeError((data / "output.txt").read_text())
            time.sleep(POLL_S)
        self.ready_s = time.monotonic() - begun
        self.stop_s = 0.0

    def is_ready(self) -> bool:
        """Whether the gateway says that every service is ready."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def stop(self) -> None:
        """Ctrl-C, and how long everything took to go."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=PATIENCE_S)
        self.stop_s = time.monotonic() - begun


@contextmanager
def stack(data: Path) -> Iterator[Stack]:
    """A running stack over ``data``, stopped at the end."""
    running = Stack(data)
    try:
        yield running
    finally:
        running.stop()


def family(root: int) -> list[int]:
    """A process and everything below it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(entry.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(entry.parent.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def group_of(pid: int) -> str:
    """What a process is called in the table: the service's name, else its program's."""
    words = (Path("/proc") / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")
    service = next((word for word in words if word.startswith("services.")), "")
    if service:
        return service
    if "deploy.local.cli" in words:
        return "supervisor"
    return Path(words[0].split()[0].rstrip(":")).name if words[0] else "?"


def pss_mb(pid: int) -> float:
    """Proportional memory of one process."""
    for line in (Path("/proc") / str(pid) / "smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def used_s(pid: int) -> float:
    """CPU of a process and of its children that ended: a short-lived one is not lost."""
    fields = (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return sum(int(value) for value in fields[11:15]) / TICKS_PER_S


def cpu_by_group(root: int) -> dict[str, float]:
    """CPU seconds so far, by name."""
    found: dict[str, float] = {}
    for pid in family(root):
        try:
            name = group_of(pid)
            found[name] = found.get(name, 0.0) + used_s(pid)
        except OSError:
            continue
    return found


def measure_idle(root: int, seconds: float) -> list[Idle]:
    """Memory now, CPU over ``seconds``, by name."""
    before, begun = cpu_by_group(root), time.monotonic()
    time.sleep(seconds)
    after, took = cpu_by_group(root), time.monotonic() - begun
    memory: dict[str, float] = {}
    for pid in family(root):
        try:
            name = group_of(pid)
            memory[name] = memory.get(name, 0.0) + pss_mb(pid)
        except OSError:
            continue
    return [
        Idle(name, memory[name], 100 * (after.get(name, 0.0) - before.get(name, 0.0)) / took)
        for name in sorted(memory, key=lambda name: -memory[name])
    ]


def report(found: Mapping[str, list[float]], idle: list[Idle], met: Mapping[str, bool], idle_s: float) -> str:
    """The results as Markdown."""
    lines = ["# Start, stop and rest of the whole stack", "", "| | min · median · max | promised | met |"]
    lines.append("|---|---|---|---|")
    for name, values in found.items():
        s = spread(values)
        limit = f"≤ {TARGETS[name]:g}" if name in TARGETS else "–"
        verdict = {True: "yes", False: "**no**"}[met[name]] if name in met else "–"
        lines.append(
            f"| {name} | {s['min']:.2f} · {s['median']:.2f} · {s['max']:.2f} | {limit} | {verdict} |"
        )
    lines += ["", f"At rest over {idle_s:g} s, synthetic feed at its default rate:", ""]
    lines += ["| process | PSS, MB | CPU, % of one core |", "|---|---|---|"]
    lines += [f"| {p.name} | {p.pss_mb:.1f} | {p.cpu_percent:.2f} |" for p in idle]
    return "\n".join(lines) + "\n"


def save(
    found: Mapping[str, list[float]], idle: list[Idle], met: Mapping[str, bool], idle_s: float, text: str
) -> None:
    """Write the results with date and conditions."""
    where: dict[str, object] = {**conditions(Cores.choose()), "pinned": None}
    machine = ", ".join(f"{name} {value}" for name, value in where.items() if isinstance(value, str | int))
    result = {
        "conditions": where,
        "rounds": found,
        "idle_seconds": idle_s,
        "idle": [asdict(p) for p in idle],
        "met": dict(met),
    }
    date = SystemClock().now().strftime("%Y-%m-%d")
    write_results("start", SystemClock(), result, f"{text}\nMeasured {date}: {machine}.\n")
