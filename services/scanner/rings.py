"""The last bars of every symbol and timeframe, as arrays. Pure.

A ring is one float64 array of six rows (open_ms is exact below 2^53) with room at its end: a bar is
appended behind the last one, and when the room is used up the newest bars move to the front. So the newest
bars always lie together, and a window of them is a view.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from services.scanner.bars import Bars

RING_BARS = 1_000  # 48 kB a place: 2,000 symbols in 6 timeframes take 0.6 GB
SLACK = 24
FIRST_ROOM = 64


class Ring:
    """The newest bars of one place; grows to ``capacity`` and then forgets the oldest."""

    __slots__ = ("_capacity", "_data", "_end", "_start")

    def __init__(self, capacity: int = RING_BARS) -> None:
        self._capacity = capacity
        self._data: NDArray[np.float64] = np.empty((6, 0))
        self._start = self._end = 0

    def __len__(self) -> int:
        return self._end - self._start

    @property
    def full(self) -> bool:
        """Whether older bars may have been forgotten."""
        return len(self) >= self._capacity

    @property
    def last_ms(self) -> int:
        """When the newest bar opened, 0 when there is none."""
        return int(self._data[0, self._end - 1]) if self._end > self._start else 0

    @property
    def first_ms(self) -> int:
        """When the oldest held bar opened, 0 when there is none."""
        return int(self._data[0, self._start]) if self._end > self._start else 0

    def load(self, columns: NDArray[np.float64]) -> None:
        """Replace everything by bars of shape (6, n), oldest first."""
        newest = columns[:, -self._capacity :]
        count = newest.shape[1]
        room = self._capacity + SLACK if count > self._capacity // 2 else max(FIRST_ROOM, 2 * count)
        self._data = np.empty((6, room))
        self._data[:, :count] = newest
        self._start, self._end = 0, count

    def append(self, bar: tuple[float, float, float, float, float, float]) -> None:
        """Add a bar that opens after the newest one."""
        if self._end == self._data.shape[1]:
            self._make_room()
        self._data[:, self._end] = bar
        self._end += 1
        if self._end - self._start > self._capacity:
            self._start += 1

    def _make_room(self) -> None:
        held = self._data[:, self._start : self._end]
        wide = min(max(FIRST_ROOM, 2 * held.shape[1]), self._capacity + SLACK)
        moved = self._data if wide == self._data.shape[1] else np.empty((6, wide))
        moved[:, : held.shape[1]] = held.copy()
        self._data, self._start, self._end = moved, 0, held.shape[1]

    def bars(self, count: int = RING_BARS) -> Bars:
        """At most the newest ``count`` bars; a copy of nothing but the times, valid until the next change."""
        first = max(self._start, self._end - count)
        part = self._data[:, first : self._end]
        return Bars(part[0].astype(np.int64), part[1], part[2], part[3], part[4], part[5])

    def columns(self) -> NDArray[np.float64]:
        """Every held bar, shape (6, n), as a view."""
        return self._data[:, self._start : self._end]

    def after(self, open_ms: int) -> int:
        """How many held bars open after a moment."""
        held = self._data[0, self._start : self._end]
        return len(held) - int(np.searchsorted(held, open_ms, side="right"))


def bars_of_columns(columns: NDArray[np.float64]) -> Bars:
    """Bars of shape (6, n)."""
    return Bars(columns[0].astype(np.int64), columns[1], columns[2], columns[3], columns[4], columns[5])
