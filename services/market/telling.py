"""Telling which bars have closed: after the commit that stored them, in order, never before.

A message may be lost on its way, so each carries the life of this process (``run``) and a gap-free
``seq``; one goes out about once a second also when nothing closed, so that a reader sees a hole soon.
Whoever sees one asks for the bars it misses: the database has them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import structlog

from libs.common.bus import Bus, encode
from libs.common.messages.market import BarsClosed
from libs.common.subjects import BARS_CLOSED

log = structlog.get_logger()

BARS_PER_MESSAGE = 4_000  # about 400 kB of the bus's 1 MiB
ClosedBar = tuple[str, str, int, float, float, float, float, float]
LoadedRange = tuple[str, str, int, int]


class BarTeller:
    """Publishes closed bars and loaded ranges; the writer calls it under its lock."""

    def __init__(self, bus: Bus, run: str) -> None:
        self._bus = bus
        self.run = run
        self.seq = 0  # of the last message

    async def tell(self, bars: Sequence[ClosedBar], loaded: Sequence[LoadedRange]) -> None:
        """Say what a commit stored; says that nothing is new when both are empty."""
        for part, ranges in _parts(bars, loaded):
            self.seq += 1
            message = BarsClosed(run=self.run, seq=self.seq, bars=part, loaded=ranges)
            try:
                await self._bus.publish(BARS_CLOSED.at(), encode(message))
            except Exception as e:  # the bus is away: the hole in seq tells the readers
                log.warning("closed bars not told", bars=len(part), error=f"{type(e).__name__}: {e}")


def _parts(
    bars: Sequence[ClosedBar], loaded: Sequence[LoadedRange]
) -> Iterator[tuple[Sequence[ClosedBar], Sequence[LoadedRange]]]:
    size = BARS_PER_MESSAGE
    for at in range(0, max(len(bars), len(loaded), 1), size):
        yield bars[at : at + size], loaded[at : at + size]
