"""The past of the synthetic market, judged after the present and beside it. Pure but for the job it holds.

A first start judges the newest 100 bars of each place, so that it is ready at once; most patterns have no
records to be measured by then. What the rings hold before those bars is judged here, place by place, while no
closed bar waits: a part of some milliseconds, then a pause many times as long. A place is written whole, with
where its judged bars begin now: a scanner that stops in between judges that past again and writes it once.

No look-ahead: a bar is judged by the 200 bars that end with it, and only bars that have so many are judged.
Records are followed through the bars behind them, of which there are enough for each to end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from services.scanner.detections import WINDOW
from services.scanner.outcomes import BARS_MAX as RECORD_BARS
from services.scanner.places import Opened, Place, Task, judge
from services.scanner.rings import bars_of_columns
from services.scanner.snapshot import Snapshot, snapshots

PART = 16  # windows computed, or bars judged, without a pause
FRAMES = frozenset(("1h", "4h", "1d"))
SOURCE = "synthetic"
Columns = NDArray[np.float64]


class Job:
    """The past of one place on its way: ``step`` does a part; ``opened`` is whole when there is no more."""

    def __init__(self, place: Place, held: Columns, end: int) -> None:
        """``held``: the bars of the place, shape (6, n); those from ``end`` on were judged before."""
        first = WINDOW - 1
        self.place = place
        self.first_ms = int(held[0, first])
        self.bars = end - first
        self.opened: list[Opened] = []
        self._task = Task(Place(place.symbol, place.frame), bars_of_columns(held[:, :end].copy()), first)
        self._after = held[:, end : end + RECORD_BARS].T.tolist()
        self._wanted = self._task.judged
        self._snapshots: list[Snapshot] = []
        self._judging: Iterator[None] | None = None

    def step(self) -> bool:
        """Do a part; whether there is more."""
        done = len(self._snapshots)
        if done < len(self._wanted):
            part = self._wanted[done : done + PART]
            self._snapshots += snapshots([self._task.window(at) for at in part])
            return True
        if self._judging is None:
            self._judging = self._judge()
        return sum(1 for _ in islice(self._judging, PART)) == PART

    def _judge(self) -> Iterator[None]:
        for line in judge(self._task, self._snapshots):
            self.opened += line.opened
            yield
        frame = self.place.frame
        running = self._task.place.open
        for open_ms, _open, high, low, close, _volume in self._after:
            for opened, track in running:
                if opened.closed is None:
                    opened.closed = track.step(high, low, close)
                    opened.exit_ms = frame.end_ms(int(open_ms))


class Past:
    """Which past is judged next."""

    def __init__(self, places: Mapping[tuple[str, str], Place]) -> None:
        self._places = places
        self._job: Job | None = None

    def job(self) -> Job | None:
        """The job under way, or the next one; None when every past is judged."""
        if self._job is None:
            self._job = next(filter(None, map(_job_of, self._places.values())), None)
        return self._job

    def drop(self) -> None:
        """The job is done, or can't be: whatever is left of it is found again."""
        self._job = None


def _job_of(place: Place) -> Job | None:
    if place.source != SOURCE or place.frame.name not in FRAMES or not place.first_ms:
        return None
    held = place.ring.columns()
    end = int(np.searchsorted(held[0], place.first_ms))
    if end < WINDOW or held.shape[1] - end < RECORD_BARS:
        return None
    return Job(place, held, end)
