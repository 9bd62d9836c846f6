"""The seven patterns: three kinds of candlestick, doubles, head and shoulders. Pure.

Each detector says how much a formation looks like its idea (confidence 0..1), never what follows from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.scanner import constants as k

Floats = NDArray[np.float64]

NAMES = (
    "bullish_engulfing",
    "bearish_engulfing",
    "hammer",
    "doji",
    "double_top",
    "double_bottom",
    "head_and_shoulders",
)
SPANS = {"bullish_engulfing": 2, "bearish_engulfing": 2, "hammer": 1, "doji": 1}
_LOOK_BACK = k.CANDLESTICK_BARS + k.HAMMER_FALL_BARS + 1


class Found(NamedTuple):
    """A formation: ``at`` is the index of its last bar, ``span`` how many bars it covers."""

    name: str
    confidence: float
    at: int
    span: int


class Rows(NamedTuple):
    """Bars of several symbols, each array ``(symbols, n)``, and the last ATR of each, ``(symbols,)``."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    atr: Floats


def candlesticks(rows: Rows) -> Mapping[str, Floats]:
    """The confidence of each candlestick pattern at each of the last 60 bars (or n, if fewer).

    Shape ``(symbols, bars)`` with 0 where there is none. A bar counts when its range is at least half the
    ATR; a row whose ATR is 0 has none.
    """
    opened, high, low, close = (a[:, -_LOOK_BACK:] for a in rows[:4])
    recent = Rows(opened, high, low, close, rows.atr)
    atr = rows.atr[:, None]
    body, span = np.abs(recent.close - recent.open), recent.high - recent.low
    counts = (span >= k.CANDLESTICK_RANGE_ATR * atr) & (atr > 0)
    found = {**_engulfing(recent, body), **_single(recent, body, span)}
    bars = min(k.CANDLESTICK_BARS, rows.close.shape[1])
    return {
        name: np.clip(np.where(counts & ok, confidence, 0.0), 0.0, 1.0)[:, -bars:]
        for name, (ok, confidence) in found.items()
    }


def _engulfing(rows: Rows, body: Floats) -> dict[str, tuple[NDArray[np.bool_], Floats]]:
    opened, closed, body_before = (_before(a, 1) for a in (rows.open, rows.close, body))
    larger = (body > body_before) & (body_before > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        confidence = body / body_before / 2.0
    bullish = (closed < opened) & (rows.close > rows.open) & (rows.open <= closed) & (rows.close >= opened)
    bearish = (closed > opened) & (rows.close < rows.open) & (rows.open >= closed) & (rows.close <= opened)
    return {
        "bullish_engulfing": (bullish & larger, confidence),
        "bearish_engulfing": (bearish & larger, confidence),
    }


def _single(rows: Rows, body: Floats, span: Floats) -> dict[str, tuple[NDArray[np.bool_], Floats]]:
    upper = rows.high - np.maximum(rows.open, rows.close)
    lower = np.minimum(rows.open, rows.close) - rows.low
    fell = _before(rows.close, 1) < _before(rows.close, k.HAMMER_FALL_BARS + 1)
    hammer = (
        (lower >= k.HAMMER_LOWER * span)
        & (upper <= k.HAMMER_UPPER * span)
        & (lower >= k.HAMMER_BODIES * body)
        & fell
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        hammered = 0.5 + 0.5 * (lower / span - k.HAMMER_LOWER) / k.HAMMER_FULL
        undecided = 1.0 - 0.5 * body / (k.DOJI_BODY * span)
    return {
        "hammer": (hammer, hammered),
        "doji": ((span > 0) & (body <= k.DOJI_BODY * span), undecided),
    }


def _before(values: Floats, bars: int) -> Floats:
    """The value so many bars earlier, NaN where there is none: no comparison holds with it."""
    out = np.full(values.shape, np.nan)
    out[:, bars:] = values[:, :-bars]
    return out


def double_tops(high: Floats, low: Floats, swings: Sequence[int], atr: float) -> Iterator[Found]:
    """The double tops of one symbol, the latest first, from its swing highs (indices, ascending)."""
    for first, last in reversed(list(pairwise(swings))):
        if not k.DOUBLE_SPAN_MIN <= last - first <= k.DOUBLE_SPAN_MAX:
            continue
        apart = abs(float(high[first] - high[last]))
        if apart > k.DOUBLE_APART * atr:
            continue
        depth = min(float(high[first]), float(high[last])) - float(low[first + 1 : last].min())
        if depth >= k.DOUBLE_DEPTH * atr:
            yield Found("double_top", _double(apart, depth, atr), last, last - first + 1)


def double_bottoms(high: Floats, low: Floats, swings: Sequence[int], atr: float) -> Iterator[Found]:
    """The mirror, from swing lows."""
    for first, last in reversed(list(pairwise(swings))):
        if not k.DOUBLE_SPAN_MIN <= last - first <= k.DOUBLE_SPAN_MAX:
            continue
        apart = abs(float(low[first] - low[last]))
        if apart > k.DOUBLE_APART * atr:
            continue
        depth = float(high[first + 1 : last].max()) - max(float(low[first]), float(low[last]))
        if depth >= k.DOUBLE_DEPTH * atr:
            yield Found("double_bottom", _double(apart, depth, atr), last, last - first + 1)


def _double(apart: float, depth: float, atr: float) -> float:
    alike = 1.0 - apart / (k.DOUBLE_APART * atr)
    return _clamped(0.5 * alike + 0.5 * min(1.0, depth / (k.DOUBLE_DEPTH_FULL * atr)))


def heads_and_shoulders(high: Floats, low: Floats, swings: Sequence[int], atr: float) -> Iterator[Found]:
    """The head-and-shoulders tops of one symbol, the latest first, from its swing highs."""
    for left, head, right in zip(swings[-3::-1], swings[-2::-1], swings[::-1], strict=False):
        if right - left > k.SHOULDERS_SPAN_MAX:
            continue
        shoulders = float(high[left]), float(high[right])
        prominence = float(high[head]) - max(shoulders)
        apart = abs(shoulders[0] - shoulders[1])
        if prominence < k.SHOULDERS_PROMINENCE * atr or apart > k.SHOULDERS_APART * atr:
            continue
        neck = abs(float(low[left + 1 : head].min()) - float(low[head + 1 : right].min()))
        legs = head - left, right - head
        if neck > k.SHOULDERS_NECK * atr or min(legs) < k.SHOULDERS_LEGS * max(legs):
            continue
        parts = (
            1.0 - apart / (k.SHOULDERS_APART * atr),
            1.0 - neck / (k.SHOULDERS_NECK * atr),
            min(1.0, prominence / (k.SHOULDERS_PROMINENCE_FULL * atr)),
        )
        yield Found("head_and_shoulders", _clamped(sum(parts) / 3.0), right, right - left + 1)


def found_in(rows: Rows, highs: Sequence[list[int]], lows: Sequence[list[int]]) -> list[tuple[Found, ...]]:
    """What each symbol shows: the latest formation of each name with a confidence of at least 0.5.

    ``highs`` and ``lows`` are the swing points of each symbol. The order is that of the contract: the
    latest first, then the surest, then by name.
    """
    found: list[list[Found]] = [[] for _ in highs]
    offset = rows.close.shape[1] - min(k.CANDLESTICK_BARS, rows.close.shape[1])
    for name, confidence in candlesticks(rows).items():
        enough = confidence >= k.CONFIDENCE_MIN
        latest = enough.shape[1] - 1 - np.argmax(enough[:, ::-1], axis=1)
        for symbol in np.nonzero(enough.any(axis=1))[0].tolist():
            at = int(latest[symbol])
            found[symbol].append(Found(name, float(confidence[symbol, at]), at + offset, SPANS[name]))
    for symbol, atr in enumerate(rows.atr.tolist()):
        if atr > 0:
            high, low = rows.high[symbol], rows.low[symbol]
            for detect, swings in (
                (double_tops, highs[symbol]),
                (double_bottoms, lows[symbol]),
                (heads_and_shoulders, highs[symbol]),
            ):
                sure = (f for f in detect(high, low, swings, atr) if f.confidence >= k.CONFIDENCE_MIN)
                found[symbol] += [f for f in (next(sure, None),) if f is not None]
    return [tuple(sorted(each, key=lambda f: (-f.at, -f.confidence, f.name))) for each in found]


def _clamped(value: float) -> float:
    return min(max(value, 0.0), 1.0)
