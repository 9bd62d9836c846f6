"""The past judged later is what would have been judged at once."""

from __future__ import annotations

import numpy as np
import pytest

from libs.common.candles import BY_NAME
from services.scanner.bars import Bars
from services.scanner.past import Past
from services.scanner.places import Opened, Place, Task, judge
from services.scanner.snapshot import snapshots
from tests.unit.scanner.series import walk

FIRST = 430  # where the judged bars begin
COUNT = 500


def columns_of(bars: Bars) -> np.ndarray:
    return np.stack(
        [bars.open_ms.astype(np.float64), bars.open, bars.high, bars.low, bars.close, bars.volume]
    )


def place_of(bars: Bars, first: int, source: str = "synthetic", frame: str = "1h") -> Place:
    place = Place("EURUSD", BY_NAME[frame], source=source)
    place.ring.load(columns_of(bars))
    place.first_ms = int(bars.open_ms[first])
    return place


def told_at_once(bars: Bars, first: int) -> list[Opened]:
    """Every detection of the bars from ``first`` on, by one look over the whole series."""
    task = Task(Place("EURUSD", BY_NAME["1h"]), bars, first)
    lines = list(judge(task, snapshots([task.window(at) for at in task.judged])))
    return [one for line in lines for one in line.opened]


def finish(past: Past) -> tuple[int, list[Opened]]:
    """How many parts the next job took, and what it found."""
    job = past.job()
    assert job is not None and past.job() is job
    parts = 1
    while job.step():
        parts += 1
    job.place.first_ms = job.first_ms
    past.drop()
    return parts, job.opened


@pytest.mark.parametrize("seed", [1, 2])
def test_it_tells_what_one_look_over_everything_tells(seed: int) -> None:
    bars = walk(seed, COUNT)
    past = Past({("EURUSD", "1h"): place_of(bars, FIRST)})
    parts, found = finish(past)
    expected = [one for one in told_at_once(bars, 199) if one.detection.known_ms < int(bars.open_ms[FIRST])]
    assert len(expected) > 50 and parts > 10
    assert [(one.id, one.detection, one.detected_ms) for one in found] == [
        (one.id, one.detection, one.detected_ms) for one in expected
    ]
    assert [(one.closed, one.exit_ms) for one in found] == [(one.closed, one.exit_ms) for one in expected]
    assert all(one.closed is not None for one in found if one.detection.plan is not None)
    assert past.job() is None  # once


def test_the_bars_that_were_judged_first_are_left_alone() -> None:
    bars = walk(3, COUNT)
    place = place_of(bars, FIRST)
    place.done_ms, place.trend = int(bars.open_ms[-1]), "up"
    before = place.done_ms, place.trend, list(place.open), place.before
    finish(Past({place.key: place}))
    assert (place.done_ms, place.trend, place.open, place.before) == before
    assert place.first_ms == int(bars.open_ms[199])


@pytest.mark.parametrize(
    ("first", "source", "frame"),
    [
        (FIRST, "import", "1h"),  # somebody's own history is judged as far as the settings say, or never
        (FIRST, "synthetic", "5m"),
        (199, "synthetic", "1h"),  # no bar before has 200 bars to be judged by
        (COUNT - 29, "synthetic", "1h"),  # records could still be open
    ],
)
def test_some_pasts_are_never_judged(first: int, source: str, frame: str) -> None:
    place = place_of(walk(4, COUNT), first, source, frame)
    assert Past({place.key: place}).job() is None


def test_a_place_nobody_judged_yet_has_no_past() -> None:
    place = place_of(walk(5, COUNT), FIRST)
    place.first_ms = 0
    assert Past({place.key: place}).job() is None
