"""A place: one symbol in one timeframe, how far it was judged, and the records open in it.

``Place`` holds state between rounds; ``judge`` is pure in what it computes and changes only the place it
is given, so a round that could not be written is undone by loading the places again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from libs.common.candles import Timeframe
from libs.common.ids import Uuid
from services.scanner import candlesticks
from services.scanner.bars import Bars
from services.scanner.catalogue import BASELINE_EVERY, BASELINE_LONG, BASELINE_SHORT
from services.scanner.constants import CANDLES_MIN
from services.scanner.detections import WINDOW, Broken, Detection, Judged, broken, detected
from services.scanner.ids import detection_uuid
from services.scanner.levels import Level
from services.scanner.outcomes import Closed, Track, plan_of
from services.scanner.rings import Ring
from services.scanner.snapshot import Snapshot

FEW = 4  # up to here TA-Lib looks at a window per bar, above at the whole series once


@dataclass(slots=True)
class Opened:
    """A detection with the id it has, and the end of its record if it has one that ended."""

    id: Uuid
    detection: Detection
    detected_ms: int
    closed: Closed | None = None
    exit_ms: int = 0
    stored: bool = False  # written by an earlier round

    @property
    def is_baseline(self) -> bool:
        return self.detection.pattern.startswith("_")


@dataclass(slots=True)
class Place:
    """What is known of one symbol and timeframe. ``done_ms`` 0: nothing was judged yet."""

    symbol: str
    frame: Timeframe
    ring: Ring = field(default_factory=Ring)
    source: str = ""
    done_ms: int = 0
    trend: str = ""
    first_ms: int = 0  # of the oldest judged bar; 0 is not known
    open: list[tuple[Opened, Track]] = field(default_factory=list)
    before: tuple[float, tuple[Level, ...]] | None = None  # the close and the levels of the last judged bar

    @property
    def key(self) -> tuple[str, str]:
        return self.symbol, self.frame.name


@dataclass(slots=True)
class Told:
    """What one closed bar told."""

    place: Place
    open_ms: int
    close_ms: int
    close: float
    close_before: float  # 0 when the bar before is not known
    snapshot: Snapshot | None
    back: int  # how many bars of the place are newer
    opened: list[Opened] = field(default_factory=list)
    ended: list[Opened] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)
    flipped: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """New bars of a place: from ``first`` on ``bars`` are new, before that is what they are judged by."""

    place: Place
    bars: Bars
    first: int
    later: int = 0  # bars that are newer still and wait for another round

    def window(self, at: int) -> Bars:
        """The bars a bar is judged by."""
        return self.bars.cut(max(0, at - WINDOW + 1), at + 1)

    @property
    def judged(self) -> range:
        """The positions whose windows are computed: the new bars that have 20, and the one before them."""
        first = self.first if self.place.before is not None else self.first - 1
        return range(max(first, CANDLES_MIN - 1), len(self.bars))


def judge(task: Task, snapshots: Sequence[Snapshot]) -> Iterator[Told]:
    """What each new bar of a task told, oldest first; ``snapshots`` are those of ``task.judged``.

    The place moves on with each bar that is taken.
    """
    place, bars = task.place, task.bars
    hits = _hits(task)
    by_position = dict(zip(task.judged, snapshots, strict=True))
    earlier = by_position.get(task.first - 1)
    if place.before is None and earlier is not None:
        place.before = _levels(bars, task.first - 1, earlier)
        place.trend = place.trend or earlier.regime.trend
    count = len(bars)
    if not place.done_ms and task.first < count:
        place.first_ms = int(bars.open_ms[task.first])
    for at in range(task.first, count):
        open_ms = int(bars.open_ms[at])
        line = Told(
            place=place,
            open_ms=open_ms,
            close_ms=place.frame.end_ms(open_ms),
            close=float(bars.close[at]),
            close_before=float(bars.close[at - 1]) if at else 0.0,
            snapshot=by_position.get(at),
            back=count - 1 - at + task.later,
        )
        _step(line, float(bars.high[at]), float(bars.low[at]))
        if line.snapshot is not None:
            _read(line, Judged(task.window(at), line.snapshot, hits[:, at - task.first]))
            place.before = _levels(bars, at, line.snapshot)
        place.done_ms = open_ms
        yield line


def _hits(task: Task) -> candlesticks.Hits:
    """TA-Lib's answers at the new bars, shape (61, new)."""
    new = len(task.bars) - task.first
    if new > FEW:
        start = max(0, task.first - candlesticks.LOOK_BACK)
        return candlesticks.hits(task.bars.cut(start))[:, -new:]
    last = range(task.first, len(task.bars))
    return np.stack(
        [
            candlesticks.hits(task.bars.cut(max(0, at + 1 - candlesticks.LOOK_BACK), at + 1))[:, -1]
            for at in last
        ],
        axis=1,
    )


def _levels(bars: Bars, at: int, snap: Snapshot) -> tuple[float, tuple[Level, ...]]:
    return float(bars.close[at]), (*snap.support, *snap.resistance)


def _step(line: Told, high: float, low: float) -> None:
    """Let every open record of the place live through the bar."""
    still = []
    for opened, track in line.place.open:
        if opened.detection.known_ms >= line.open_ms:  # the bar is judged again, and older than the record
            still.append((opened, track))
            continue
        closed = track.step(high, low, line.close)
        if closed is None:
            still.append((opened, track))
            continue
        opened.closed, opened.exit_ms = closed, line.close_ms
        line.ended.append(opened)
    line.place.open = still


def _read(line: Told, judged: Judged) -> None:
    """What the bar's window makes known."""
    place, snap = line.place, judged.snapshot
    if place.before is not None:
        close_before, levels = place.before
        line.broken = broken(levels, close_before, line.close)
    trend = snap.regime.trend
    if place.trend and trend != place.trend:
        line.flipped = (place.trend, trend)
    place.trend = trend
    for detection in (*detected(judged), *_baselines(line, snap.atr)):
        plan = detection.plan
        opened = Opened(
            id=detection_uuid(place.symbol, place.frame.name, detection.pattern, detection.end_ms),
            detection=detection,
            detected_ms=line.close_ms,
        )
        line.opened.append(opened)
        if plan is not None:
            place.open.append((opened, Track(detection.direction, plan)))


def _baselines(line: Told, atr: float) -> list[Detection]:
    """A record each way at every 7th bar, by the bar's place in time: it depends on no series' start."""
    number = line.open_ms // (line.place.frame.span_ms or 2_629_800_000)
    if number % BASELINE_EVERY:
        return []
    found = []
    for pattern, direction in ((BASELINE_LONG, "bullish"), (BASELINE_SHORT, "bearish")):
        plan = plan_of(direction, line.close, atr)
        if plan is not None:
            at = line.open_ms
            found.append(Detection(pattern, direction, 1.0, at, at, at, 1, line.close, atr, plan))
    return found
