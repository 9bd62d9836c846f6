"""Bars as numpy columns: history is made and aggregated whole, not tick by tick. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from libs.common.candles import DAY_MS, TIMEFRAMES, Candle, Timeframe

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars of one symbol and timeframe, oldest first; ``open_ms`` rises."""

    open_ms: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    def __len__(self) -> int:
        return len(self.open_ms)

    def __getitem__(self, part: slice) -> Bars:
        return Bars(
            self.open_ms[part],
            self.open[part],
            self.high[part],
            self.low[part],
            self.close[part],
            self.volume[part],
        )

    def columns(self) -> tuple[Ints, Floats, Floats, Floats, Floats, Floats]:
        """The six columns in the order of a Candle."""
        return self.open_ms, self.open, self.high, self.low, self.close, self.volume

    def candles(self) -> list[Candle]:
        """The bars as values."""
        return [Candle(*row) for row in zip(*(column.tolist() for column in self.columns()), strict=True)]

    def own(self) -> Bars:
        """The same bars without the memory of the longer series they are a part of."""
        return Bars(
            self.open_ms.copy(),
            self.open.copy(),
            self.high.copy(),
            self.low.copy(),
            self.close.copy(),
            self.volume.copy(),
        )

    def since(self, open_ms: int) -> Bars:
        """The bars that open at ``open_ms`` or later."""
        return self[int(np.searchsorted(self.open_ms, open_ms)) :]

    def before(self, open_ms: int) -> Bars:
        """The bars that open before ``open_ms``."""
        return self[: int(np.searchsorted(self.open_ms, open_ms))]


def bars_of(candles: Iterable[Sequence[float]]) -> Bars:
    """Columns of candles, in their order."""
    rows = list(candles)
    o, h, low, c, v = np.array([row[1:6] for row in rows], dtype=np.float64).reshape(len(rows), 5).T
    return Bars(np.array([row[0] for row in rows], dtype=np.int64), o, h, low, c, v)


def concatenated(parts: Sequence[Bars]) -> Bars:
    """One after the other."""
    return Bars(
        np.concatenate([part.open_ms for part in parts]),
        np.concatenate([part.open for part in parts]),
        np.concatenate([part.high for part in parts]),
        np.concatenate([part.low for part in parts]),
        np.concatenate([part.close for part in parts]),
        np.concatenate([part.volume for part in parts]),
    )


def opens_of(open_ms: Ints, frame: Timeframe) -> Ints:
    """``frame.open_ms`` of every element."""
    if frame.span_ms == 0:
        months = open_ms.astype("datetime64[ms]").astype("datetime64[M]")
        return months.astype("datetime64[ms]").astype(np.int64)
    offset = frame.open_ms(0)  # weeks open on Monday, not on Unix time's Thursday
    return (open_ms - offset) // frame.span_ms * frame.span_ms + offset


def aggregated(bars: Bars, frame: Timeframe) -> Bars:
    """The bars of a longer timeframe made of these; the first and last may be parts."""
    if len(bars) == 0:
        return bars
    opens = opens_of(bars.open_ms, frame)
    starts = np.flatnonzero(np.concatenate(([True], opens[1:] != opens[:-1])))
    ends = np.append(starts[1:], len(bars)) - 1
    return Bars(
        opens[starts],
        bars.open[starts],
        np.maximum.reduceat(bars.high, starts),
        np.minimum.reduceat(bars.low, starts),
        bars.close[ends],
        np.add.reduceat(bars.volume, starts),
    )


def every_frame(minutes: Bars) -> dict[int, Bars]:
    """Timeframe id → the bars of it made of minutes; shorter ones feed the longer."""
    frames: dict[int, Bars] = {}
    of_day = minutes
    for frame in TIMEFRAMES:
        # A week is no part of a month: both are made of days.
        frames[frame.id] = aggregated(of_day, frame)
        if frame.span_ms and frame.span_ms <= DAY_MS:
            of_day = frames[frame.id]
    return frames
