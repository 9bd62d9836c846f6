"""The analysis of every symbol at once, beside the bare TA-Lib calls on the same arrays; codec; briefs.

Everything of one round runs in one process, one after the other, and is measured in CPU time of that
process. What must hold: the whole snapshot (indicators, SAX, swing points, levels, regime, patterns, delta)
of 500 symbols × 500 bars takes at most three times what TA-Lib's 61 candlestick functions alone take on
them; codec and summary take at most 1 ms per 500 rows; one symbol's closed bar at most 1 ms; and at least
300 briefs of 200 candles are answered per CPU-second of the scanner's process, measured from outside in a
whole stack that is asked over HTTP with a key and charges every call.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import msgspec
import numpy as np
import talib

from bench.brief_calls import briefs_per_scanner_second
from bench.runner import Cores, Figures, conditions, folder, spread, write_results
from libs.common.candles import BY_NAME
from libs.common.clock import SystemClock
from libs.common.messages import analysis as m
from services.scanner import rendering
from services.scanner.bars import Bars, fault_of
from services.scanner.codec import rows_of
from services.scanner.delta import notes_of, seen_of
from services.scanner.places import Place, Task, judge
from services.scanner.snapshot import snapshot, snapshots
from services.scanner.summary import line_of

SYMBOLS = 500
BARS = 500
BRIEF_BARS = 200
SEED = 20261120
PATTERNS = [getattr(talib, name) for name in talib.get_function_groups()["Pattern Recognition"]]

RATIO_MAX = 3.0
CODEC_MS_MAX = 1.0
CLOSE_MS_MAX = 1.0
BRIEFS_MIN = 300.0
ANSWERED = "briefs answered per CPU-second of the scanner"


def market() -> list[Bars]:
    """Random walks of 500 symbols, prices with 5 digits; some with ties of the codec's rounding."""
    dice = np.random.default_rng(SEED)
    times = np.arange(BARS, dtype=np.int64) * 3_600_000
    out = []
    for number in range(SYMBOLS):
        close = 10.0 ** (number % 5 - 1) * np.cumprod(1 + dice.normal(0, 0.01, BARS))
        opened = np.concatenate((close[:1], close[:-1]))
        high = np.maximum(opened, close) * (1 + np.abs(dice.normal(0, 0.004, BARS)))
        low = np.minimum(opened, close) * (1 - np.abs(dice.normal(0, 0.004, BARS)))
        columns = [np.round(a, 5) for a in (opened, high, low, close)]
        out.append(Bars(times, *columns, np.round(dice.random(BARS) * 5_000, 3)))
    return out


def bare(series: Sequence[Bars]) -> None:
    """Every candlestick function of TA-Lib on every symbol."""
    for bars in series:
        for function in PATTERNS:
            function(bars.open, bars.high, bars.low, bars.close)


def scan(series: Sequence[Bars]) -> None:
    """The snapshot of every symbol and what is new in it."""
    for now in snapshots(series):
        seen = seen_of(now)
        notes_of(seen, seen)


def text(series: Sequence[Bars]) -> None:
    """Codec and summary of every symbol."""
    for bars, now in zip(series, snapshots(series), strict=True):
        rows_of(bars, now.precision)
        line_of("BTC/USDT", "1h", now)


def closing(recent: Sequence[Bars]) -> list[Task]:
    """The newest bar of every symbol as the scanner meets it, the bar before judged already."""
    tasks = []
    for number, bars in enumerate(recent):
        place = Place(f"B{number:03d}/USDT", BY_NAME["1h"])
        before = Task(place, bars.cut(0, len(bars) - 1), len(bars) - 2)
        list(judge(before, [snapshot(before.window(at)) for at in before.judged]))
        tasks.append(Task(place, bars, len(bars) - 1))
    return tasks


def close(tasks: Sequence[Task]) -> None:
    """A close of every symbol: snapshots, TA-Lib's 61, chart patterns, records, levels, regime."""
    windows = [[task.window(at) for at in task.judged] for task in tasks]
    found = iter(snapshots([window for each in windows for window in each]))
    for task, each in zip(tasks, windows, strict=True):
        list(judge(task, [next(found) for _ in each]))


def brief(bars: Bars) -> bytes:
    """A whole brief as it leaves the process."""
    fault_of(bars)
    now = snapshot(bars)
    return msgspec.json.encode(
        m.Brief(
            header=rendering.header_of("BTC/USDT", "1h", "synthetic", bars),
            codec=rendering.codec_of(bars, now),
            analysis=rendering.analysis_of("BTC/USDT", "1h", now),
            disclaimer=rendering.DISCLAIMER,
            methodology_url="",
        )
    )


def cpu_s(work: Callable[[], object]) -> float:
    """The CPU time of one call."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def one_round(series: Sequence[Bars]) -> Figures:
    """One round of every side."""
    recent = [bars.last(BRIEF_BARS) for bars in series]
    theirs, ours = cpu_s(lambda: bare(series)), cpu_s(lambda: scan(series))
    snapped = cpu_s(lambda: snapshots(series))
    texted = cpu_s(lambda: text(series)) - snapped
    tasks = closing(recent)
    closes = cpu_s(lambda: close(tasks))
    briefs = cpu_s(lambda: [brief(bars) for bars in recent])
    return {
        "TA-Lib, 61 functions: ms": 1e3 * theirs,
        "snapshot and delta: ms": 1e3 * ours,
        "times TA-Lib": ours / theirs,
        "codec and summary: ms per 500 rows": 1e3 * texted / SYMBOLS,
        "one symbol's closed bar, everything on: ms": 1e3 * closes / SYMBOLS,
        "briefs computed per CPU-second": SYMBOLS / briefs,
    }


def judged(found: dict[str, dict[str, float]]) -> dict[str, bool]:
    """Which promises held, by the medians."""
    return {
        f"the scan takes at most {RATIO_MAX:g} times the bare TA-Lib calls": found["times TA-Lib"]["median"]
        <= RATIO_MAX,
        f"codec and summary take at most {CODEC_MS_MAX:g} ms per 500 rows": found[
            "codec and summary: ms per 500 rows"
        ]["median"]
        <= CODEC_MS_MAX,
        f"a closed bar takes at most {CLOSE_MS_MAX:g} ms of one symbol": found[
            "one symbol's closed bar, everything on: ms"
        ]["median"]
        <= CLOSE_MS_MAX,
        f"at least {BRIEFS_MIN:g} briefs answered per CPU-second of the scanner": found[ANSWERED]["median"]
        >= BRIEFS_MIN,
    }


def run(quick: bool) -> bool:
    """Measure, write the results, say whether every promise held."""
    series = market()
    one_round(series)  # warm
    rounds = [one_round(series) for _ in range(2 if quick else 7)]
    found = {name: spread([r[name] for r in rounds]) for name in rounds[0]}
    with folder() as data:
        answered = briefs_per_scanner_second(data, series[:12], 400 if quick else 4_000)
    found[ANSWERED] = spread([answered])
    met = judged(found)
    lines = [f"# The analysis of {SYMBOLS} symbols × {BARS} bars", "", "| promise | held |", "|---|---|"]
    lines += [f"| {name} | {'yes' if ok else '**no**'} |" for name, ok in met.items()]
    lines += ["", "| figure | min · median · max |", "|---|---|"]
    lines += [f"| {name} | {' · '.join(f'{v:,.3g}' for v in found[name].values())} |" for name in found]
    print("\n".join(lines))
    if not quick:
        where = {**conditions(Cores.choose()), "pinned": None}
        machine = ", ".join(f"{k} {v}" for k, v in where.items() if isinstance(v, str | int))
        date = SystemClock().now().strftime("%Y-%m-%d")
        result = {"conditions": where, "figures": found, "met": met, "rounds": len(rounds)}
        lines += ["", f"{len(rounds)} rounds in one process, CPU time. Measured {date}: {machine}."]
        write_results("scan", SystemClock(), result, "\n".join(lines) + "\n")
    return all(met.values())
