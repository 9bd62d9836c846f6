"""Charts as pictures: candles with levels, the formation and its plan. Only the drawing process imports this.

A figure is drawn with matplotlib's Agg canvas, without pyplot: no window system, no global state. Candles
are two collections (bodies and wicks), whatever their number.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from services.scanner.chart_spec import ChartSpec, ema_of, price_steps, time_labels

WIDTH, HEIGHT, DPI = 1920, 1080, 100
INK, PAPER, GRID, MUTED = "#1c2430", "#ffffff", "#e6eaf0", "#6b7787"
RISE, FALL, NEUTRAL = "#1b8a6b", "#c8443c", "#4464ad"
STOP, TARGET, LEVEL = "#c8443c", "#1b8a6b", "#8a94a6"
SIDE_COLOR = {"bullish": RISE, "bearish": FALL, "neutral": NEUTRAL}
RIGHT_BARS = 16  # empty space right of the last candle, for labels


def draw(spec: ChartSpec) -> bytes:
    """The picture as PNG, 1920 × 1080."""
    figure = Figure(figsize=(WIDTH / DPI, HEIGHT / DPI), dpi=DPI, facecolor=PAPER)
    canvas = FigureCanvasAgg(figure)
    prices, volumes = (
        figure.add_axes(place) for place in ((0.03, 0.24, 0.88, 0.66), (0.03, 0.07, 0.88, 0.15))
    )
    prices.set_axis_off()
    volumes.set_axis_off()
    columns = np.array(spec.candles, dtype=np.float64).reshape(-1, 6).T
    _candles(prices, columns)
    _volumes(volumes, columns)
    _frame(prices, columns, spec)
    if not spec.plain:
        _averages(prices, columns)
        _levels(prices, spec)
        _plan(prices, spec)
    _formation(prices, columns, spec)
    _axes(prices, volumes, columns, spec)
    _titles(figure, spec)
    canvas.draw()
    out = io.BytesIO()
    # A fast compression: the picture is sent once, and drawing must not wait for zlib.
    Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3]).save(out, "png", compress_level=1)
    return out.getvalue()


def _candles(axes: Any, columns: NDArray[np.float64]) -> None:
    _, opened, high, low, close, _ = columns
    x = np.arange(columns.shape[1], dtype=np.float64)
    colors = np.where(close >= opened, RISE, FALL)
    wicks = np.stack((np.stack((x, low), axis=1), np.stack((x, high), axis=1)), axis=1)
    axes.add_collection(LineCollection(list(wicks), colors=colors, linewidths=1.1, zorder=3))
    top, bottom = np.maximum(opened, close), np.minimum(opened, close)
    # A body without height would not be seen.
    least = (high.max() - low.min()) * 0.0012
    bottom = np.where(top - bottom < least, (top + bottom - least) / 2, bottom)
    top = np.maximum(top, bottom + least)
    half = 0.33
    bodies = np.stack(
        [
            np.stack((x - half, bottom), axis=1),
            np.stack((x - half, top), axis=1),
            np.stack((x + half, top), axis=1),
            np.stack((x + half, bottom), axis=1),
        ],
        axis=1,
    )
    axes.add_collection(PolyCollection(list(bodies), facecolors=colors, edgecolors="none", zorder=4))


def _volumes(axes: Any, columns: NDArray[np.float64]) -> None:
    _, opened, _, _, close, volume = columns
    x = np.arange(columns.shape[1], dtype=np.float64)
    colors = np.where(close >= opened, RISE, FALL)
    bars = np.stack((np.stack((x, np.zeros_like(x)), axis=1), np.stack((x, volume), axis=1)), axis=1)
    axes.add_collection(LineCollection(list(bars), colors=colors, linewidths=4.2, alpha=0.45))
    axes.set_ylim(0, max(float(volume.max()), 1e-12) * 1.15)


def _frame(axes: Any, columns: NDArray[np.float64], spec: ChartSpec) -> None:
    """The range of prices: the candles, and the plan where it is drawn."""
    shown = [float(columns[2].max()), float(columns[3].min())]
    if not spec.plain and spec.entry is not None and spec.stop is not None:
        shown += [spec.stop, *spec.targets]
    low, high = min(shown), max(shown)
    room = (high - low or abs(high) or 1.0) * 0.06
    axes.set_ylim(low - room, high + room)


def _averages(axes: Any, columns: NDArray[np.float64]) -> None:
    for place, (period, color) in enumerate(((20, "#e0912f"), (50, "#7a5cc4"))):
        line = ema_of(columns[4], period)
        if np.isfinite(line).any():
            axes.plot(line, color=color, linewidth=1.4, zorder=2)
            axes.figure.text(0.60 + 0.07 * place, 0.915, f"EMA {period}", fontsize=12.5, color=color)


def _levels(axes: Any, spec: ChartSpec) -> None:
    low, high = axes.get_ylim()
    for price, strength in (*spec.support, *spec.resistance):
        if low < price < high:
            axes.axhline(price, color=LEVEL, linewidth=0.8 + 1.2 * strength, linestyle=(0, (6, 4)), zorder=1)
            axes.text(
                -0.8,
                price,
                _price(price, spec),
                fontsize=10,
                color=INK,
                va="center",
                zorder=6,
                bbox={"facecolor": PAPER, "edgecolor": LEVEL, "linewidth": 0.6, "pad": 1.5},
            )


def _plan(axes: Any, spec: ChartSpec) -> None:
    """Entry, stop and targets from the telling bar on, labelled at the right edge."""
    if spec.entry is None or spec.stop is None:
        return
    last = len(spec.candles) - 1
    lines = [("entry", spec.entry, INK), ("stop", spec.stop, STOP)]
    lines += [(f"target {number}", price, TARGET) for number, price in enumerate(spec.targets, 1)]
    for name, price, color in lines:
        axes.plot((last, last + RIGHT_BARS), (price, price), color=color, linewidth=1.6, zorder=5)
        axes.text(
            last + RIGHT_BARS + 0.4,
            price,
            f"{name} {_price(price, spec)}",
            color=color,
            fontsize=11,
            va="center",
            clip_on=False,
        )
    axes.fill_between((last, last + RIGHT_BARS), spec.entry, spec.stop, color=STOP, alpha=0.08, linewidth=0)
    if spec.targets:
        axes.fill_between(
            (last, last + RIGHT_BARS), spec.entry, spec.targets[0], color=TARGET, alpha=0.08, linewidth=0
        )


def _formation(axes: Any, columns: NDArray[np.float64], spec: ChartSpec) -> None:
    """A tinted box around the formation's bars, with its name."""
    start, end = spec.formation
    high, low = float(columns[2, start : end + 1].max()), float(columns[3, start : end + 1].min())
    color = SIDE_COLOR[spec.direction]
    room = (axes.get_ylim()[1] - axes.get_ylim()[0]) * 0.012
    box = [
        (start - 0.6, low - room),
        (start - 0.6, high + room),
        (end + 0.6, high + room),
        (end + 0.6, low - room),
    ]
    axes.add_collection(PolyCollection([box], facecolors=[color], edgecolors="none", alpha=0.10, zorder=1))
    axes.plot(*zip(*box, box[0], strict=True), color=color, linewidth=1.3, zorder=5)
    axes.annotate(
        spec.pattern_name,
        ((start + end) / 2, high + room),
        textcoords="offset points",
        xytext=(0, 5),
        ha="center" if (start + end) / 2 < len(spec.candles) - 12 else "right",
        fontsize=13,
        fontweight="bold",
        color=color,
        zorder=6,
    )


def _axes(prices: Any, volumes: Any, columns: NDArray[np.float64], spec: ChartSpec) -> None:
    """Grid and labels drawn by hand: matplotlib's own ticks cost more than everything else together."""
    count = columns.shape[1]
    right = count + RIGHT_BARS
    ticks, labels = time_labels(columns[0], spec.span_ms)
    for axes in (prices, volumes):
        axes.set_xlim(-1, right)
        low, high = axes.get_ylim()
        lines = [((x, low), (x, high)) for x in ticks]
        lines += [((-1, y), (right, y)) for y in price_steps(low, high)]
        axes.add_collection(LineCollection(lines, colors=GRID, linewidths=0.8, zorder=0))
    for x, label in zip(ticks, labels, strict=True):
        volumes.text(
            x, volumes.get_ylim()[0], label, fontsize=11, color=MUTED, ha="center", va="top", clip_on=False
        )
    for price in price_steps(*prices.get_ylim()):
        prices.text(right, price, _price(price, spec), fontsize=10, color=MUTED, ha="right", va="bottom")


def _titles(figure: Any, spec: ChartSpec) -> None:
    figure.text(0.03, 0.945, spec.title, fontsize=20, fontweight="bold", color=INK)
    figure.text(0.03, 0.915, spec.subtitle, fontsize=12.5, color=MUTED)
    figure.text(0.03, 0.015, spec.footer, fontsize=10, color=MUTED)
    if spec.code:
        figure.text(
            0.97,
            0.93,
            spec.code,
            fontsize=24,
            fontweight="bold",
            color=INK,
            ha="right",
            family="monospace",
            bbox={"facecolor": GRID, "edgecolor": "none", "pad": 8},
        )


def _price(price: float, spec: ChartSpec) -> str:
    return f"{price:.{spec.digits}f}"


def sizes(many: Sequence[bytes]) -> list[tuple[int, int]]:
    """Width and height of pictures."""
    return [Image.open(io.BytesIO(one)).size for one in many]
