"""Record statistics of every pattern on real prices, written to ``docs/pattern-records.md``.

``.venv/bin/python -m bench.pattern_records`` judges EURUSD hourly, GOOG daily and BTCUSD monthly (the series
the package ``backtesting`` carries) bar by bar as the scanner does, and counts what became of the records.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from pathlib import Path

from libs.common.candles import BY_NAME
from services.scanner.bars import bars_of
from services.scanner.catalogue import PATTERNS
from services.scanner.evidence import baseline_of, wilson
from services.scanner.outcomes import Closed
from services.scanner.places import Place, Task, judge
from services.scanner.snapshot import snapshots
from tests.series import series

SERIES = (("EURUSD", "1h", "hourly"), ("GOOG", "1d", "daily"), ("BTCUSD", "1M", "monthly"))
PAGE = Path(__file__).resolve().parents[1] / "docs/pattern-records.md"
HEAD = """# Pattern records on real prices

What became of every record the scanner would have opened on three real series, judged bar by bar with
nothing known in advance. The rules of records, hit rate, interval and baseline stand in
[patterns](patterns.md). Written by `python -m bench.pattern_records`.

Read it with care: these are three series of one past, dozens of patterns were tried at once, and a
twentieth of intervals at 95 % miss by chance alone. Most intervals hold their baseline, which means that
nothing was shown. Costs are not counted.
"""


def records_of(name: str, timeframe: str) -> tuple[int, dict[str, list[Closed]], int]:
    """(bars, pattern → closed records, records still open) of a series."""
    bars = bars_of(series(name))
    place = Place(name, BY_NAME[timeframe])
    task = Task(place, bars, 0)
    positions = list(task.judged)
    found = []
    for start in range(0, len(positions), 256):
        found += snapshots([task.window(at) for at in positions[start : start + 256]])
    closed: dict[str, list[Closed]] = defaultdict(list)
    for line in judge(task, found):
        for one in line.ended:
            if one.closed is not None:
                closed[one.detection.pattern].append(one.closed)
    return len(bars), closed, len(place.open)


def table_of(closed: dict[str, list[Closed]]) -> list[str]:
    """A row per pattern that has closed records, the most records first."""
    lines = [
        "| pattern | direction | n | wins | losses | expired | hit rate | 95 % | baseline | lift "
        "| med. return % | med. MFE % | med. MAE % |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for pattern in sorted(PATTERNS, key=lambda p: (-len(closed.get(p.id, ())), p.id)):
        ends = closed.get(pattern.id, [])
        base = baseline_of(pattern.id)
        if not ends or base is None:
            continue
        wins = sum(end.outcome == "win" for end in ends)
        losses = sum(end.outcome == "loss" for end in ends)
        beside = closed[base]
        hit, at_base = wilson(wins, len(ends)), wilson(sum(e.outcome == "win" for e in beside), len(beside))
        if hit.rate is None or hit.low is None or hit.high is None or at_base.rate is None:
            continue
        medians = [
            statistics.median(getattr(end, name) for end in ends)
            for name in ("return_pct", "mfe_pct", "mae_pct")
        ]
        lines.append(
            f"| [{pattern.id}](patterns.md#{pattern.id}) | {pattern.direction} | {len(ends)} | {wins} "
            f"| {losses} | {len(ends) - wins - losses} | {hit.rate:.3f} | {hit.low:.3f} to {hit.high:.3f} "
            f"| {at_base.rate:.3f} | "
            f"{hit.rate - at_base.rate:+.3f} | " + " | ".join(f"{value:.3f}" for value in medians) + " |"
        )
    return lines


def part_of(name: str, timeframe: str, word: str) -> list[str]:
    """The lines about one series."""
    bars, closed, still_open = records_of(name, timeframe)
    base = [closed["_baseline_long"], closed["_baseline_short"]]
    total = sum(len(ends) for pattern, ends in closed.items() if not pattern.startswith("_"))
    return [
        f"## {name}, {word}",
        "",
        f"{bars:,} bars, {total:,} closed records of patterns, {still_open} open at the end; "
        f"baselines: {len(base[0]):,} long, {len(base[1]):,} short.",
        "",
        *table_of(closed),
        "",
    ]


def main() -> None:
    """Judge the three series and write the page."""
    parts = [HEAD, *(line for one in SERIES for line in part_of(*one))]
    PAGE.write_text("\n".join(parts).rstrip() + "\n", encoding="utf-8")
    print(f"wrote {PAGE.name}")


if __name__ == "__main__":
    main()
