"""The whole stack: cold and warm time to ready, stop time, memory and CPU while the market just ticks.

Nothing is pinned and nothing stands beside it: these are absolute promises to a person who types
``make run``. A cold start has an empty data folder and installed packages; memory is PSS summed over every
process of the stack, so shared pages count once; CPU is all processes together, in percent of one core. At
rest is a house whose past is stored, judged and heard: until then it works on what the first start gave it.
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from bench.runner import Cores, conditions, folder, spread, write_results
from bench.stack import Stack, cpu_by_group, family, group_of, pss_mb, stack
from libs.common.clock import SystemClock

SETTLE_S = 10.0
LOOK_S = 2.0
PAST_S_MAX = 400.0
WAITING = ("tradewind_scanner_pending_places", "tradewind_nats_consumer_pending_messages")
PAST = "past stored and judged after, s"
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
                    note(found, PAST, until_rest(warm))
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


def until_rest(running: Stack) -> float:
    """Wait until nothing of the past is left to do; how many seconds it took."""
    begun = time.monotonic()
    quiet = 0
    while quiet < 3:
        if time.monotonic() - begun > PAST_S_MAX:
            raise RuntimeError(f"the house is not at rest after {PAST_S_MAX:g} s")
        time.sleep(LOOK_S)
        quiet = quiet + 1 if waiting(running) == 0 else 0
    return time.monotonic() - begun - 3 * LOOK_S


def waiting(running: Stack) -> float:
    """Bars to be judged and facts to be heard, as the house's own metrics tell."""
    found = 0.0
    for target in json.loads((running.data / "prometheus-targets.json").read_text()):
        with urllib.request.urlopen(f"http://{target['targets'][0]}/metrics", timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        found += sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(WAITING))
    return found


def note(found: dict[str, list[float]], name: str, value: float) -> None:
    """One more round of a figure."""
    found.setdefault(name, []).append(value)


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
    machine = ", ".join(
        f"{name.replace('_', ' ')} {value}"
        for name, value in where.items()
        if isinstance(value, str | int | float) and not isinstance(value, bool)
    )
    result = {
        "conditions": where,
        "rounds": found,
        "idle_seconds": idle_s,
        "idle": [asdict(p) for p in idle],
        "met": dict(met),
    }
    date = SystemClock().now().strftime("%Y-%m-%d")
    write_results("start", SystemClock(), result, f"{text}\nMeasured {date}: {machine}.\n")
