"""20,000 open positions on 1,000 accounts under 1,000 ticks a second, and how soon ruin stops them out.

The ticks go the whole way: into market, over the bus, through trading, and what they lead to is committed and
published. Times are from the tick's own stamp to the decision, and to hearing that the position was closed.
"""

from __future__ import annotations

import re
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.runner import Child, Cores, conditions, cpu_s, folder, spread, write_results
from bench.servers import metrics_port, nats_server, postgres_server, service
from libs.common.clock import SystemClock

SERVICES = ("market", "trading")
ACCOUNTS, POSITIONS, VICTIMS = 1_000, 20_000, 20
RATE = 1_000
STOP_MS_MAX = 100.0
SECONDS = 12.0
PASSED, MERGED = "tradewind_tick_reader_passed_ticks_total", "tradewind_tick_reader_merged_ticks_total"
COMMIT = "tradewind_trading_commit_seconds"


def run(quick: bool) -> bool:
    """Measure, write the results, say whether every promise held."""
    cores, rounds = Cores.choose(), 1 if quick else 3
    found = [measure(cores, SECONDS / 2 if quick else SECONDS) for _ in range(rounds)]
    met = judged(found)
    lines = [f"# {POSITIONS:,} open positions under {RATE:,} ticks a second", "", "| promise | held |"]
    lines += ["|---|---|", *(f"| {name} | {'yes' if ok else '**no**'} |" for name, ok in met.items()), ""]
    lines += [*(__doc__ or "").splitlines()[2:-1], (__doc__ or "").splitlines()[-1], ""]
    lines += ["| figure | min · median · max |", "|---|---|"]
    for name in found[0]:
        values = spread([each[name] for each in found])
        lines.append(f"| {name} | {' · '.join(f'{values[k]:,.1f}' for k in ('min', 'median', 'max'))} |")
    text = "\n".join(lines) + "\n"
    print(text)
    if not quick:
        where = conditions(cores)
        machine = ", ".join(f"{k} {v}" for k, v in where.items() if isinstance(v, str | int))
        date = SystemClock().now().strftime("%Y-%m-%d")
        result = {"conditions": where, "figures": found, "met": met}
        write_results("revalue", SystemClock(), result, f"{text}\nMeasured {date}: {machine}.\n")
    return all(met.values())


def measure(cores: Cores, seconds: float) -> dict[str, Any]:
    """One day, from an empty house."""
    with folder() as place, ExitStack() as stack:
        url = stack.enter_context(nats_server(place, SERVICES))
        dsns = stack.enter_context(postgres_server(place, SERVICES))
        settings = {"FEED": "manual", "LOG_LEVEL": "WARNING"}
        for name, core in (("market", cores.load), ("trading", cores.server)):
            process = stack.enter_context(
                service(name, place, core, nats_url=url, dsn=dsns[name], settings=settings)
            )
        config = {"nats_url": url, "accounts": ACCOUNTS, "positions": POSITIONS, "victims": VICTIMS}
        load = Child("bench.revalue_load", config, cores.load)
        stack.callback(load.stop)
        before, told = cpu_s(process.pid), _metrics(place)
        figures = load.ask({"seconds": seconds, "rate": RATE})
        used = cpu_s(process.pid) - before
        now = _metrics(place)
        grown = {name: now[name] - told[name] for name in now}
        return {
            **figures,
            "ticks judged": grown[PASSED],
            "ticks merged": grown[MERGED],
            "commits": grown[f"{COMMIT}_count"],
            "commit mean ms": 1000 * grown[f"{COMMIT}_sum"] / max(grown[f"{COMMIT}_count"], 1),
            "CPU µs of trading per tick": 1e6 * used / figures["ticks"],
        }


def judged(found: list[dict[str, Any]]) -> dict[str, bool]:
    """Which promises held, in every round."""
    return {
        f"{RATE:,} ticks a second were kept": all(f["ticks per s"] >= 0.98 * RATE for f in found),
        "every tick was judged, none merged": all(
            f["ticks judged"] == f["ticks"] and not f["ticks merged"] for f in found
        ),
        "every ruined account was stopped out": all(f["stop-outs heard"] == f["stop-outs"] for f in found),
        f"a stop-out was decided within {STOP_MS_MAX:g} ms of its tick": all(
            f["tick to decision max ms"] <= STOP_MS_MAX for f in found
        ),
    }


def _metrics(place: Path) -> dict[str, float]:
    """What trading counts."""
    url = f"http://127.0.0.1:{metrics_port('trading', place)}/metrics"
    with urllib.request.urlopen(url, timeout=5) as answer:
        text: str = answer.read().decode()
    found = {}
    for name in (PASSED, MERGED, f"{COMMIT}_sum", f"{COMMIT}_count"):
        values = re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE)
        found[name] = sum(map(float, values))
    return found
