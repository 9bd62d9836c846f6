"""Charts as pictures: candles with levels, the formation and its plan. Only the drawing process imports this.

A figure is drawn with matplotlib's Agg canvas, without pyplot: no window system, no global state. Candles
are two collections (bodies and wicks), whatever their number.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from services.scanner.chart_spec import ChartSpec, ema_of, price_steps, spread, time_labels

WIDTH, HEIGHT, DPI = 1920, 1080, 100
INK, PAPER, GRID, MUTED = "#1c2430", "#ffffff", "#e6eaf0", "#6b7787"
RISE, FALL, NEUTRAL = "#1b8a6b", "#c8443c", "#4464ad"
STOP, TARGET, LEVEL = "#c8443c", "#1b8a6b", "#8a94a6"
SIDE_COLOR = {"bullish": RISE, "bearish": FALL, "neutral": NEUTRAL}
PLAN_PART = 0.08  # of the width of the candles: empty space right of the last one, for the plan
LABEL_CHARS = 10  # of a price; longer ones lose decimals
LEFT, WIDE = 0.066, 0.838  # of the picture's width; labels stand left and right of it
PRICES, VOLUMES = (0.24, 0.66), (0.07, 0.15)  # bottom and height
LABEL_GAP = 21.0  # pixels from label to label
NAME_PIXELS = 11.5  # of a letter of the formation's name, about
_UP = 2  # PNG's filter by the row above


WARM_UP = ChartSpec(  # every kind of text and line there is
    candles=[(0.0, 1.0, 2.0, 0.5, 1.5, 1.0), (1.0, 1.5, 1.75, 1.0, 1.25, 2.0)],
    span_ms=1,
    digits=5,
    title="·",
    subtitle="·",
    footer=".",
    pattern_name="A",
    direction="neutral",
    formation=(0, 0),
    support=[(1.0, 1.0)],
    entry=1.25,
    stop=1.5,
    targets=(1.0,),
    code="A2",
)


class _Board(NamedTuple):
    """The empty sheet: making axes costs as much as all their candles, so it is made once and wiped."""

    figure: Figure
    canvas: FigureCanvasAgg
    prices: Any
    volumes: Any


@cache
def _board() -> _Board:
    # Hinting takes a third of all the time; at this size nobody sees it.
    matplotlib.rcParams["text.hinting"] = "none"
    figure = Figure(figsize=(WIDTH / DPI, HEIGHT / DPI), dpi=DPI, facecolor=PAPER)
    canvas = FigureCanvasAgg(figure)
    prices, volumes = (figure.add_axes((LEFT, bottom, WIDE, high)) for bottom, high in (PRICES, VOLUMES))
    for axes in (prices, volumes):
        axes.set_axis_off()
    return _Board(figure, canvas, prices, volumes)


def draw(spec: ChartSpec) -> bytes:
    """The picture as PNG, 1920 × 1080."""
    figure, canvas, prices, volumes = _board()
    columns = np.array(spec.candles, dtype=np.float64).reshape(-1, 6).T
    try:
        _candles(prices, columns)
        _volumes(volumes, columns)
        _frame(prices, columns, spec)
        _axes(prices, volumes, columns, spec)
        tags: list[float] = []
        if not spec.plain:
            _averages(prices, columns)
            tags = _levels(prices, spec)
            _plan(prices, spec)
        _prices(prices, spec, tags)
        _formation(prices, columns, spec)
        _titles(figure, spec)
        canvas.draw()
        return _png(np.asarray(canvas.buffer_rgba()))
    finally:
        for artist in [*figure.texts, *(one for axes in (prices, volumes) for one in _drawn(axes))]:
            artist.remove()


def _drawn(axes: Any) -> list[Any]:
    return [*axes.collections, *axes.lines, *axes.texts]


def _png(rgba: NDArray[np.uint8]) -> bytes:
    """The picture's file: each row as what differs from the one above, compressed fast. It is sent once, and
    drawing must not wait for the best of filters."""
    high, wide = rgba.shape[:2]
    above = rgba.copy()
    np.subtract(rgba[1:], rgba[:-1], out=above[1:])
    rows = np.empty((high, 1 + 3 * wide), dtype=np.uint8)
    rows[:, 0] = _UP
    for colour in range(3):
        rows[:, 1 + colour :: 3] = above[..., colour]
    about = struct.pack(">IIBBBBB", wide, high, 8, 2, 0, 0, 0)  # 8 bits each of red, green and blue
    parts = ((b"IHDR", about), (b"IDAT", zlib.compress(rows.data, 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    )


def _candles(axes: Any, columns: NDArray[np.float64]) -> None:
    _, opened, high, low, close, _ = columns
    x = np.arange(columns.shape[1], dtype=np.float64)
    colors = np.where(close >= opened, RISE, FALL)
    wicks = np.stack((np.stack((x, low), axis=1), np.stack((x, high), axis=1)), axis=1)
    axes.add_collection(LineCollection(list(wicks), colors=colors, linewidths=1.1, zorder=3), autolim=False)
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
    axes.add_collection(
        PolyCollection(list(bodies), facecolors=colors, edgecolors="none", zorder=4), autolim=False
    )


def _volumes(axes: Any, columns: NDArray[np.float64]) -> None:
    _, opened, _, _, close, volume = columns
    x = np.arange(columns.shape[1], dtype=np.float64)
    colors = np.where(close >= opened, RISE, FALL)
    bars = np.stack((np.stack((x, np.zeros_like(x)), axis=1), np.stack((x, volume), axis=1)), axis=1)
    bar = WIDTH * WIDE / (len(x) * (1 + PLAN_PART) + 1)  # pixels
    axes.add_collection(
        LineCollection(list(bars), colors=colors, linewidths=0.57 * bar, alpha=0.45), autolim=False
    )
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
            axes.add_line(Line2D(np.arange(len(line)), line, color=color, linewidth=1.4, zorder=2))
            axes.figure.text(0.60 + 0.07 * place, 0.915, f"EMA {period}", fontsize=12.5, color=color)


def _right(spec: ChartSpec) -> float:
    """Where the chart ends, in bars."""
    return len(spec.candles) * (1 + PLAN_PART)


def _beside(spec: ChartSpec) -> float:
    """The distance of a label from the chart, in bars: some ten pixels."""
    return (_right(spec) + 1) * 0.006


def _gap(axes: Any) -> float:
    """The least distance of labels, as a price."""
    low, high = axes.get_ylim()
    return float(high - low) * LABEL_GAP / (HEIGHT * PRICES[1])


def _levels(axes: Any, spec: ChartSpec) -> list[float]:
    """Dashed lines with their prices left of the chart; where those stand."""
    low, high = axes.get_ylim()
    shown = sorted(level for level in (*spec.support, *spec.resistance) if low < level[0] < high)
    if not shown:
        return []
    right, beside = _right(spec), _beside(spec)
    tags = spread([price for price, _ in shown], _gap(axes), low, high)
    axes.add_collection(
        LineCollection(
            [((-1, price), (right, price)) for price, _ in shown],
            colors=LEVEL,
            linewidths=[0.8 + 1.2 * strength for _, strength in shown],
            linestyles=[(0, (6, 4))],
            zorder=1,
        ),
        autolim=False,
    )
    _leaders(
        axes, [((-1, price), (-1 - beside, tag)) for (price, _), tag in zip(shown, tags, strict=True)], LEVEL
    )
    for (price, _), tag in zip(shown, tags, strict=True):
        axes.text(
            -1 - 1.2 * beside,
            tag,
            _price(price, spec),
            fontsize=10,
            color=INK,
            ha="right",
            va="center",
            bbox={"facecolor": PAPER, "edgecolor": LEVEL, "linewidth": 0.6, "pad": 1.5},
        )
    return tags


def _leaders(axes: Any, lines: Any, colors: Any) -> None:
    """From a price to its label, which may have had to give way to another one."""
    axes.add_collection(LineCollection(lines, colors=colors, linewidths=0.8, clip_on=False), autolim=False)


def _prices(axes: Any, spec: ChartSpec, tags: Sequence[float]) -> None:
    """The prices of the grid, where no level says its own."""
    gap, x = _gap(axes), -1 - 1.2 * _beside(spec)
    for price in price_steps(*axes.get_ylim()):
        if all(abs(price - tag) >= gap for tag in tags):
            axes.text(x, price, _price(price, spec), fontsize=10, color=MUTED, ha="right", va="center")


def _plan(axes: Any, spec: ChartSpec) -> None:
    """Entry, stop and targets from the telling bar on, labelled right of the chart."""
    if spec.entry is None or spec.stop is None:
        return
    last, edge, beside = len(spec.candles) - 1, _right(spec), _beside(spec)
    lines = [(spec.entry, "entry", INK), (spec.stop, "stop", STOP)]
    lines += [(price, f"target {number}", TARGET) for number, price in enumerate(spec.targets, 1)]
    lines.sort()
    colors = [color for _, _, color in lines]
    bars = [((last, price), (edge, price)) for price, _, _ in lines]
    axes.add_collection(LineCollection(bars, colors=colors, linewidths=1.6, zorder=5), autolim=False)
    tags = spread([price for price, _, _ in lines], _gap(axes), *axes.get_ylim())
    leaders = [((edge, price), (edge + beside, tag)) for (price, _, _), tag in zip(lines, tags, strict=True)]
    _leaders(axes, leaders, colors)
    for (price, name, color), tag in zip(lines, tags, strict=True):
        text = f"{name} {_price(price, spec)}"
        axes.text(edge + 1.2 * beside, tag, text, color=color, fontsize=11, va="center", clip_on=False)
    zones = [(spec.stop, STOP), *((price, TARGET) for price in spec.targets[:1])]
    corners = [((last, spec.entry), (last, price), (edge, price), (edge, spec.entry)) for price, _ in zones]
    axes.add_collection(
        PolyCollection(corners, facecolors=[color for _, color in zones], edgecolors="none", alpha=0.08),
        autolim=False,
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
    tint = PolyCollection([box], facecolors=[color], edgecolors="none", alpha=0.10, zorder=1)
    axes.add_collection(tint, autolim=False)
    frame = LineCollection([[*box, box[0]]], colors=color, linewidths=1.3, zorder=5)
    axes.add_collection(frame, autolim=False)
    right = _right(spec)
    half = len(spec.pattern_name) * NAME_PIXELS / 2 / (WIDTH * WIDE / (right + 1))  # in bars
    x = min(max((start + end) / 2, half - 1), right - half)
    under = columns[:, max(int(x - half), 0) : int(x + half) + 2]
    # Above the box, unless candles stand there and none do below.
    is_below = under.size > 0 and under[2].max() > high + room and under[3].min() >= low - room
    axes.annotate(
        spec.pattern_name,
        (x, low - room if is_below else high + room),
        textcoords="offset points",
        xytext=(0, -5 if is_below else 5),
        ha="center",
        va="top" if is_below else "bottom",
        fontsize=13,
        fontweight="bold",
        color=color,
        zorder=6,
        bbox={"facecolor": PAPER, "edgecolor": "none", "alpha": 0.75, "pad": 1},
    )


def _axes(prices: Any, volumes: Any, columns: NDArray[np.float64], spec: ChartSpec) -> None:
    """Grid and times drawn by hand: matplotlib's own ticks cost more than everything else together."""
    right = _right(spec)
    ticks, labels = time_labels(columns[0], spec.span_ms)
    for axes, steps in ((prices, price_steps(*prices.get_ylim())), (volumes, [0.0])):
        axes.set_xlim(-1, right)
        low, high = axes.get_ylim()
        lines = [((float(x), low), (float(x), high)) for x in ticks]
        lines += [((-1.0, y), (right, y)) for y in steps]
        axes.add_collection(LineCollection(lines, colors=GRID, linewidths=0.8, zorder=0), autolim=False)
    for x, label in zip(ticks, labels, strict=True):
        volumes.text(x, -volumes.get_ylim()[1] * 0.04, label, fontsize=11, color=MUTED, ha="center", va="top")
    volumes.text(
        -1 - 1.2 * _beside(spec),
        volumes.get_ylim()[1] / 2,
        "volume",
        fontsize=10,
        color=MUTED,
        ha="right",
        va="center",
    )


def _titles(figure: Any, spec: ChartSpec) -> None:
    figure.text(LEFT, 0.945, spec.title, fontsize=20, fontweight="bold", color=INK)
    figure.text(LEFT, 0.915, spec.subtitle, fontsize=12.5, color=MUTED)
    figure.text(LEFT, 0.015, spec.footer, fontsize=10, color=MUTED)
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
    text = f"{price:.{spec.digits}f}"
    over = min(len(text) - LABEL_CHARS, spec.digits)
    return text if over <= 0 else f"{price:.{spec.digits - over}f}"
