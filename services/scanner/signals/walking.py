"""Going over closed bars one by one: what each tells, with the memory that goes on from bar to bar. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from libs.common.candles import DAY_MS, Timeframe
from services.scanner.bars import Bars
from services.scanner.constants import CANDLES_MIN
from services.scanner.detections import WINDOW
from services.scanner.signals.generation import Draft, Memory, step
from services.scanner.signals.measures import bars_needed
from services.scanner.signals.triggers import Dex, Texts
from services.scanner.snapshot import snapshots

WARM_BARS = 200  # looked at before the first bar that may tell, so that cool-downs and trends are known
PART = 32  # windows analysed together


class Inputs(NamedTuple):
    """What was known beside the bars when they closed, by close time (Unix ms)."""

    pools: Mapping[int, Dex]
    texts: Mapping[int, Texts]


NOTHING = Inputs({}, {})


class Looked(NamedTuple):
    """One bar, by its position; ``memory`` is what the next one needs."""

    at: int
    memory: Memory
    draft: Draft | None


def step_of(frame: Timeframe) -> int:
    """The length of a bar; a month counts 30 days."""
    return frame.span_ms or 30 * DAY_MS


def context_of(frame: Timeframe) -> int:
    """How many bars before the first that tells a walk looks at or measures by."""
    return WARM_BARS + max(bars_needed(step_of(frame)), WINDOW)


def walk(
    bars: Bars, frame: Timeframe, first: int, memory: Memory | None = None, inputs: Inputs = NOTHING
) -> Iterator[list[Looked]]:
    """Look at every bar from position ``first`` on, in parts. Without a ``memory`` the walk begins 200 bars
    earlier and gives only what it was asked for."""
    begin = max(first if memory is not None else first - WARM_BARS, CANDLES_MIN - 1)
    memory = memory or Memory()
    span, need = step_of(frame), bars_needed(step_of(frame))
    for start in range(begin, len(bars), PART):
        places = range(start, min(start + PART, len(bars)))
        analysed = snapshots([bars.cut(max(0, at - WINDOW + 1), at + 1) for at in places])
        part = []
        for at, snapshot in zip(places, analysed, strict=True):
            close_ms = frame.end_ms(int(bars.open_ms[at]))
            memory, draft = step(
                memory,
                bars.cut(max(0, at + 1 - need), at + 1),
                close_ms,
                span,
                snapshot,
                inputs.pools.get(close_ms),
                inputs.texts.get(close_ms),
            )
            if at >= first:
                part.append(Looked(at, memory, draft))
        yield part
