"""A close of everything: 2,000 symbols in 6 timeframes held, one bar of each symbol judged; and charts.

Held: the memory of the process with every ring full, above what it had before. Judged: one closed bar of
every symbol of a timeframe with all patterns, records and baselines, in CPU time per bar, in the parts the
scanner computes without a pause (the longest of them is how long a brief may have to wait). Charts: the time
of one picture in the drawing process, asked for and received, once that is ready.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.runner import Cores, conditions, cpu_s, write_results
from libs.common.candles import BY_NAME
from libs.common.clock import SystemClock
from services.scanner.chart_spec import ChartSpec
from services.scanner.drawing import Drawer
from services.scanner.places import Place, Task, judge
from services.scanner.rings import RING_BARS
from services.scanner.rounds import PART
from services.scanner.snapshot import snapshots

SYMBOLS, FRAMES = 2_000, ("1m", "5m", "15m", "1h", "4h", "1d")
WINDOW = 200
SEED = 20261120
HELD_GB_MAX, BAR_MS_MAX, CHART_MS_MAX = 1.5, 1.0, 150.0
MINUTE_MS = 60_000


@dataclass(frozen=True)
class Measured:
    """The figures, and whether they are what they must be."""

    places: int
    held_gb: float
    bar_ms: float
    pause_ms_max: float
    detections_per_bar: float
    chart_ms: float
    chart_ms_max: float
    chart_cpu_ms: float

    @property
    def good(self) -> bool:
        return self.held_gb <= HELD_GB_MAX and self.bar_ms <= BAR_MS_MAX and self.chart_ms <= CHART_MS_MAX


def columns_of(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """A random walk of ``count`` bars, shape (6, count)."""
    close = 100 * np.cumprod(1 + rng.normal(0, 0.01, count))
    opened = np.concatenate((close[:1], close[:-1]))
    high = np.maximum(opened, close) * (1 + np.abs(rng.normal(0, 0.004, count)))
    low = np.minimum(opened, close) * (1 - np.abs(rng.normal(0, 0.004, count)))
    times = np.arange(count, dtype=np.float64) * MINUTE_MS
    return np.stack((times, opened, high, low, close, rng.uniform(1, 100, count)))


def resident_gb() -> float:
    """The memory of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 1e9


def hold(symbols: int) -> tuple[list[Place], float]:
    """Every place with a full ring, and what they take."""
    rng = np.random.default_rng(SEED)
    walks = [columns_of(rng, RING_BARS) for _ in range(50)]
    before = resident_gb()
    places = []
    for number in range(symbols):
        for name in FRAMES:
            place = Place(f"S{number}", BY_NAME[name])
            place.ring.load(walks[(number * 7 + len(name)) % len(walks)])
            place.done_ms = place.ring.last_ms - MINUTE_MS
            places.append(place)
    return places, resident_gb() - before


def close(places: list[Place]) -> tuple[float, float, float]:
    """Judge the last bar of each place: CPU ms per bar, the longest part in ms, detections per bar."""
    tasks = [Task(place, place.ring.bars(WINDOW + 1), WINDOW) for place in places]
    for task in tasks:  # the bar before was judged, as it is on every close but the first
        task.place.before = (float(task.bars.close[-2]), ())
    parts, told = [], 0
    begun = time.process_time()
    for start in range(0, len(tasks), PART):
        part = tasks[start : start + PART]
        part_begun = time.process_time()
        found = snapshots([task.window(WINDOW) for task in part])
        for task, snap in zip(part, found, strict=True):
            told += sum(len(line.opened) for line in judge(task, [snap]))
        parts.append(time.process_time() - part_begun)
    spent = time.process_time() - begun
    return 1000 * spent / len(tasks), 1000 * max(parts), told / len(tasks)


async def charts(count: int) -> tuple[float, float, float]:
    """The median and the longest time of a picture, and the CPU of the drawing process, in ms; each picture
    is another one."""
    columns = columns_of(np.random.default_rng(SEED), WINDOW)
    drawer = Drawer(SystemClock())
    times, before, used = [], 0.0, 0.0
    for number in range(count + 1):
        spec = ChartSpec(
            candles=[tuple(row) for row in columns.T.tolist()],
            span_ms=MINUTE_MS,
            digits=2,
            title=f"Chart {number}",
            subtitle="a random walk",
            footer="",
            pattern_name="Double top",
            direction="bearish",
            formation=(150, 180),
            resistance=[(float(columns[2].max()) * (1 - step / 50), 1.0) for step in range(3)],
            support=[(float(columns[3].min()) * (1 + step / 50), 0.5) for step in range(3)],
            entry=float(columns[4, -1]),
            stop=float(columns[4, -1]) * 1.02,
            targets=(float(columns[4, -1]) * 0.97,),
        )
        begun = time.perf_counter()
        await drawer.draw(spec)
        used = cpu_s(drawer.pid)
        before = used if number == 0 else before
        times.append(1000 * (time.perf_counter() - begun))
    await drawer.close()
    return statistics.median(times[1:]), max(times[1:]), 1000 * (used - before) / count


def run(quick: bool) -> bool:
    """Measure; the quick run holds a tenth and writes nothing."""
    symbols = SYMBOLS // 10 if quick else SYMBOLS
    places, held = hold(symbols)
    bar_ms, pause_ms, per_bar = close([place for place in places if place.frame.name == "1h"])
    chart_ms, chart_ms_max, chart_cpu_ms = asyncio.run(charts(3 if quick else 20))
    measured = Measured(len(places), held, bar_ms, pause_ms, per_bar, chart_ms, chart_ms_max, chart_cpu_ms)
    text = text_of(measured)
    print(text)
    if not quick:
        where = {**conditions(Cores.choose()), "pinned": None}
        machine = ", ".join(f"{key} {value}" for key, value in where.items() if isinstance(value, str | int))
        date = SystemClock().now().strftime("%Y-%m-%d")
        result = {"conditions": where, "measured": asdict(measured)}
        write_results("closes", SystemClock(), result, f"{text}\nMeasured {date}: {machine}.\n")
    return measured.good


def text_of(measured: Measured) -> str:
    """The page of the result."""
    return "\n".join(
        [
            "# A close of everything",
            "",
            "| | measured | at most |",
            "|---|--:|--:|",
            f"| {measured.places:,} rings of {RING_BARS:,} bars, GB "
            f"| {measured.held_gb:.2f} | {HELD_GB_MAX} |",
            f"| one closed bar with everything on, ms of CPU | {measured.bar_ms:.3f} | {BAR_MS_MAX} |",
            f"| the longest part without a pause, ms | {measured.pause_ms_max:.1f} | |",
            f"| detections and baselines per bar | {measured.detections_per_bar:.2f} | |",
            f"| one chart, ms (median) | {measured.chart_ms:.0f} | {CHART_MS_MAX:.0f} |",
            f"| the slowest chart of them, ms | {measured.chart_ms_max:.0f} | |",
            f"| CPU of the drawing process per chart, ms | {measured.chart_cpu_ms:.0f} | |",
            "",
        ]
    )
