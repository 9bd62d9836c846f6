"""The analog search over 100,000 bars beside stumpy's MASS on the same series, and the same matches.

Both sides run in one process in turn, each once the threads of the other sleep (those of stumpy go on
spinning for some ms, which would be told as ours). MASS only gives the distances; ours also sorts, decides
and reads the outcomes, and still must take at most a fifth of its time. The matches are compared by putting
MASS's distances through the contract's own rules.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import stumpy
from numpy.typing import NDArray

from bench.runner import Cores, Figures, conditions, spread, write_results
from libs.common.clock import SystemClock
from services.scanner.analogs import matches_in
from services.scanner.constants import ANALOG_MATCHES_MAX, ANALOG_SIMILARITY

BARS = 100_000
HORIZON = 20
WINDOWS = (32, 128, 500)
SEED = 20261120
RATIO_MAX = 0.2
QUIET_S = 0.005

Floats = NDArray[np.float64]


def closes() -> Floats:
    """A random walk without ties."""
    dice = np.random.default_rng(SEED)
    return np.asarray(100.0 * np.cumprod(1 + dice.normal(0, 0.001, BARS)))


def matches_of(distance: Floats, window: int) -> list[int]:
    """The ends of the matches that MASS's distances make by the contract's rules."""
    similarity = (1 - np.asarray(distance, dtype=np.float64) ** 2 / (2 * window)).round(9)
    ends = np.arange(len(distance)) + window - 1
    usable = (ends <= BARS - 1 - max(window, HORIZON)) & (similarity >= ANALOG_SIMILARITY)
    order = np.lexsort((-ends[usable], -similarity[usable]))
    taken: list[int] = []
    for end in ends[usable][order].tolist():
        if all(abs(end - other) >= window // 2 for other in taken):
            taken.append(end)
        if len(taken) == ANALOG_MATCHES_MAX:
            break
    return taken


def ms(work: Callable[[], object]) -> float:
    """The CPU time of one call in ms, all threads together, begun when none of them is busy."""
    while True:
        begun = time.process_time()
        time.sleep(QUIET_S)
        if time.process_time() - begun < QUIET_S / 10:
            break
    begun = time.process_time()
    work()
    return 1e3 * (time.process_time() - begun)


def one_round(close: Floats, window: int) -> Figures:
    """Ours and theirs, in turn."""
    ours = ms(lambda: matches_in(close, window, HORIZON))
    theirs = ms(lambda: stumpy.mass(close[-window:], close))
    return {"ours: ms": ours, "stumpy.mass: ms": theirs, "times stumpy": ours / theirs}


def run(quick: bool) -> bool:
    """Measure, write the results, say whether every promise held."""
    close = closes()
    lines = [f"# Analogs over {BARS:,} bars", ""]
    figures, met = {}, {}
    for window in WINDOWS:
        found = [match.end for match in matches_in(close, window, HORIZON)]
        met[f"window {window}: the same matches"] = found == matches_of(
            stumpy.mass(close[-window:], close), window
        )
        one_round(close, window)  # warm
        rounds = [one_round(close, window) for _ in range(5 if quick else 25)]
        figures[window] = {name: spread([r[name] for r in rounds]) for name in rounds[0]}
        met[f"window {window}: at most {RATIO_MAX:g} times stumpy.mass"] = (
            figures[window]["times stumpy"]["median"] <= RATIO_MAX
        )
    lines += ["| promise | held |", "|---|---|"]
    lines += [f"| {name} | {'yes' if ok else '**no**'} |" for name, ok in met.items()]
    lines += ["", "| window | figure | min · median · max |", "|---|---|---|"]
    for window, table in figures.items():
        lines += [
            f"| {window} | {name} | {' · '.join(f'{v:,.3g}' for v in values.values())} |"
            for name, values in table.items()
        ]
    print("\n".join(lines))
    if not quick:
        where = {**conditions(Cores.choose()), "pinned": None}
        machine = ", ".join(f"{k} {v}" for k, v in where.items() if isinstance(v, str | int))
        date = SystemClock().now().strftime("%Y-%m-%d")
        result = {"conditions": where, "figures": figures, "met": met}
        lines += ["", f"CPU time in one process, horizon {HORIZON}. Measured {date}: {machine}."]
        write_results("analogs", SystemClock(), result, "\n".join(lines) + "\n")
    return all(met.values())
