"""``make dashboards``: every board drawn from a running stack, without Grafana, one PNG each.

Starts a Prometheus of its own over the stack's targets, watches for a while and draws what each panel's
queries say.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from deploy.grafana.boards import BOARDS
from deploy.grafana.panels import Board, Panel, Query
from deploy.local.errors import EXIT_REFUSED, StartRefused
from deploy.prometheus.rules import alarm_rules, slo_rules
from deploy.prometheus.server import Prometheus, prometheus_over

INTERVAL = "15s"
_LEGEND = re.compile(r"\{\{\s*(\w+)\s*\}\}")
# By unit, from the largest: (from which value on, factor, what it is called then).
_SCALES = {
    "bytes": ((2**30, 2**-30, "GiB"), (2**20, 2**-20, "MiB"), (0, 2**-10, "KiB")),
    "Bps": ((2**20, 2**-20, "MiB/s"), (0, 2**-10, "KiB/s")),
    "s": ((1.0, 1.0, "s"), (0, 1000.0, "ms")),
    "percentunit": ((0, 100.0, "%"),),
}
_COLOURS = ("#2f6fdf", "#e0752d", "#3f9142", "#a352cc", "#c4162a", "#0a9aa4", "#8f6b32", "#5f6b7a")
_LINES_MAX = 8
# Inches.
_WIDTH, _GRAPH, _STAT, _HEAD, _TITLE = 20.0, 3.0, 1.2, 0.4, 0.6
_LEFT, _RIGHT, _TOP, _BOTTOM = 0.5, 0.15, 0.35, 0.75
_LETTER, _KEY = 0.063, 0.45  # of a legend: a letter's width, and that of what is not text


class Line(NamedTuple):
    """A series of a panel: Unix seconds and values as Prometheus gave them, without NaN."""

    name: str
    times: list[float]
    values: list[float]


Looked = Mapping[Panel, Sequence[Line]]


def filled(expr: str, interval: str = INTERVAL, service: str = ".+") -> str:
    """The query with Grafana's variables replaced."""
    return (
        expr.replace("$__rate_interval", interval)
        .replace('"$service"', f'"{service}"')
        .replace('service="', 'service=~"')
    )


def legend_of(query: Query, labels: Mapping[str, str]) -> str:
    """What a line is called."""
    if query.legend:
        return _LEGEND.sub(lambda found: labels.get(found.group(1), ""), query.legend)
    return ", ".join(f"{k}={v}" for k, v in labels.items()) or "value"


def look(board: Board, prometheus: Prometheus, start_s: float, end_s: float) -> Looked:
    """What every panel of ``board`` says between two moments, Unix seconds."""
    step_s = max(1.0, (end_s - start_s) / 120)
    return {
        panel: [line for query in panel.queries for line in _asked(prometheus, query, start_s, end_s, step_s)]
        for row in board.rows
        for panel in row.panels
    }


def _asked(
    prometheus: Prometheus, query: Query, start_s: float, end_s: float, step_s: float
) -> Iterator[Line]:
    for series in prometheus.query_range(filled(query.expr), start_s, end_s, step_s):
        points = [(float(at), float(value)) for at, value in series["values"] if value != "NaN"]
        if points:
            times, values = zip(*points, strict=True)
            yield Line(legend_of(query, series["metric"]), list(times), list(values))


def draw(board: Board, looked: Looked, end_s: float, path: Path) -> None:
    """Draw what ``look`` saw into ``path``; the time axis counts seconds back from ``end_s``."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    heights = [_STAT if all(each.stat for each in row.panels) else _GRAPH for row in board.rows]
    whole = _TITLE + sum(heights) + _HEAD * len(heights)
    figure = plt.figure(figsize=(_WIDTH, whole))
    figure.text(0.01, 1 - 0.3 / whole, board.title, fontsize=16, fontweight="bold", va="center")
    y = whole - _TITLE
    for row, height in zip(board.rows, heights, strict=True):
        figure.text(0.012, (y - 0.2) / whole, row.title, fontsize=11, color="#555555", va="center")
        y -= _HEAD + height
        width = _WIDTH / len(row.panels)
        for place, each in enumerate(row.panels):
            bottom = 0.1 if each.stat else _BOTTOM
            inner = (width - _LEFT - _RIGHT) / _WIDTH, (height - _TOP - bottom) / whole
            axis = figure.add_axes(((place * width + _LEFT) / _WIDTH, (y + bottom) / whole, *inner))
            (_draw_stat if each.stat else _draw_graph)(axis, each, looked[each], end_s, width)
    figure.savefig(path, dpi=75)
    plt.close(figure)


def scale_of(unit: str, largest: float) -> tuple[float, str]:
    """By what to multiply values of ``unit``, and what they are called then."""
    for least, factor, name in _SCALES.get(unit, ((0, 1.0, ""),)):
        if largest >= least:
            return factor, name
    return 1.0, ""


def _largest(lines: Sequence[Line]) -> float:
    return max((max(line.values) for line in lines), default=0.0)


def _draw_stat(axis: Any, each: Panel, lines: Sequence[Line], _: float, __: float) -> None:
    """The last value, large."""
    axis.axis("off")
    axis.set_title(each.title, fontsize=10, loc="left")
    text = "nothing yet"
    if lines:
        last = lines[0].values[-1]
        factor, unit = scale_of(each.unit, last)
        text = f"{last * factor:,.4g} {unit}".strip()
    colour = _COLOURS[0] if lines else "#888888"
    axis.text(0.0, 0.45, text, fontsize=20 if lines else 11, color=colour, va="center")


def _draw_graph(axis: Any, each: Panel, lines: Sequence[Line], end_s: float, width: float) -> None:
    shown = sorted(lines, key=lambda line: -max(line.values))[:_LINES_MAX]
    factor, unit = scale_of(each.unit, _largest(shown))
    more = f", the largest {len(shown)} of {len(lines)}" if len(lines) > len(shown) else ""
    axis.set_title(f"{each.title}{f' ({unit})' if unit else ''}{more}", fontsize=10, loc="left")
    for colour, line in zip(_COLOURS, shown, strict=False):
        axis.plot(
            [at - end_s for at in line.times],
            [value * factor for value in line.values],
            label=line.name[:44],
            color=colour,
            linewidth=1.5,
        )
    if shown:
        letters = max(len(line.name[:44]) for line in shown)
        columns = max(1, int((width - _LEFT) / (letters * _LETTER + _KEY)))
        axis.legend(
            fontsize=6.5 if len(shown) > 2 * columns else 7.5,
            loc="upper left",
            bbox_to_anchor=(-0.02, -0.09),
            ncol=columns,
            frameon=False,
            columnspacing=1.0,
            labelspacing=0.2,
            handlelength=1.2,
        )
        axis.set_ylim(bottom=0, top=_largest(shown) * factor * 1.1 or 1.0)
    else:
        axis.text(
            0.5, 0.5, "nothing yet", ha="center", va="center", transform=axis.transAxes, color="#888888"
        )
        axis.set_xticks([])
        axis.set_yticks([])
    axis.grid(visible=True, alpha=0.25)
    axis.tick_params(labelsize=7)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Watch a running stack and draw every board."""
    parser = argparse.ArgumentParser(prog="make dashboards")
    parser.add_argument("--data-dir", default=".data")
    parser.add_argument("--out", default="build/dashboards")
    parser.add_argument("--seconds", type=int, default=60)
    chosen = parser.parse_args(arguments)
    targets = Path(chosen.data_dir).absolute() / "prometheus-targets.json"
    if not targets.exists():
        raise StartRefused(f"no stack runs on {chosen.data_dir}: make run, then make dashboards beside it")
    out = Path(chosen.out)
    out.mkdir(parents=True, exist_ok=True)
    rules = {"slos.yml": slo_rules(), "alarms.yml": alarm_rules()}
    with (
        tempfile.TemporaryDirectory() as folder,
        prometheus_over(targets, Path(folder), rules=rules) as prometheus,
    ):
        for second in range(chosen.seconds):
            print(f"\rwatching: {second} of {chosen.seconds} s", end="", flush=True)
            time.sleep(1.0)
        print("\r", end="")
        end_s = prometheus.now_s()
        for board in BOARDS:
            path = out / f"{board.uid.removeprefix('tradewind-')}.png"
            draw(board, look(board, prometheus, end_s - chosen.seconds, end_s), end_s, path)
            print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except StartRefused as e:
        print(f"tradewind: {e}", file=sys.stderr)
        sys.exit(EXIT_REFUSED)
