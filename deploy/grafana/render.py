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
from typing import Any

from deploy.grafana.boards import BOARDS
from deploy.grafana.panels import Board, Panel, Query
from deploy.local.errors import EXIT_REFUSED, StartRefused
from deploy.prometheus.rules import alarm_rules, slo_rules
from deploy.prometheus.server import Prometheus, prometheus_over

INTERVAL = "15s"
_LEGEND = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_UNITS = {
    "bytes": (1 / 2**20, "MiB"),
    "Bps": (1 / 2**10, "KiB/s"),
    "s": (1000.0, "ms"),
    "percentunit": (100.0, "%"),
}
_COLOURS = ("#2f6fdf", "#e0752d", "#3f9142", "#a352cc", "#c4162a", "#0a9aa4", "#8f6b32", "#5f6b7a")
_LINES_MAX = 8


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


def draw(board: Board, prometheus: Prometheus, span_s: float, path: Path) -> None:
    """Draw ``board`` over the last ``span_s`` seconds into ``path``."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    width = max(len(row.panels) for row in board.rows)
    figure, axes = plt.subplots(
        len(board.rows), width, figsize=(5.2 * width, 3.1 * len(board.rows)), squeeze=False
    )
    figure.suptitle(board.title, fontsize=15, fontweight="bold", x=0.01, ha="left")
    end_s = prometheus.now_s()
    for line, row in zip(axes, board.rows, strict=True):
        for place, axis in enumerate(line):
            if place >= len(row.panels):
                axis.axis("off")
                continue
            each = row.panels[place]
            _draw_panel(axis, each, list(_lines(prometheus, each, end_s - span_s, end_s)))
    figure.tight_layout(rect=(0, 0, 1, 0.97))
    figure.savefig(path, dpi=80)
    plt.close(figure)


def _lines(
    prometheus: Prometheus, each: Panel, start_s: float, end_s: float
) -> Iterator[tuple[str, list[float], list[float]]]:
    scale, _ = _UNITS.get(each.unit, (1.0, ""))
    for query in each.queries:
        for series in prometheus.query_range(
            filled(query.expr), start_s, end_s, max(1.0, (end_s - start_s) / 120)
        ):
            points = [(float(at), float(value)) for at, value in series["values"] if value != "NaN"]
            if points:
                name = legend_of(query, series["metric"])
                yield name, [at - end_s for at, _ in points], [value * scale for _, value in points]


def _draw_panel(axis: Any, each: Panel, lines: Sequence[tuple[str, list[float], list[float]]]) -> None:
    _, unit = _UNITS.get(each.unit, (1.0, ""))
    axis.set_title(f"{each.title}{f' ({unit})' if unit else ''}", fontsize=10, loc="left")
    shown = sorted(lines, key=lambda line: -max(line[2]))[:_LINES_MAX]
    for colour, (name, times, values) in zip(_COLOURS, shown, strict=False):
        axis.plot(times, values, label=name[:38], color=colour, linewidth=1.4)
    if shown:
        axis.legend(fontsize=6.5, loc="upper left", frameon=False)
        axis.set_ylim(bottom=0, top=max(max(values) for _, _, values in shown) * 1.35 or 1.0)
    else:
        axis.text(
            0.5, 0.5, "nothing yet", ha="center", va="center", transform=axis.transAxes, color="#888888"
        )
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
        for board in BOARDS:
            path = out / f"{board.uid.removeprefix('tradewind-')}.png"
            draw(board, prometheus, float(chosen.seconds), path)
            print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except StartRefused as e:
        print(f"tradewind: {e}", file=sys.stderr)
        sys.exit(EXIT_REFUSED)
