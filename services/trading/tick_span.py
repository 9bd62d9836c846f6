"""Ticks of one symbol merged under overload, so that no level they passed is missed. Pure.

A span keeps the first and the last tick, and the first that reached each extreme of bid and ask: six at
most, real ticks in their order. Every level that some tick of the span met is met by one that is kept.
What fills does so at a price that was there, which for a stop may be a later one than the first beyond
its level; that is why merging is counted and marked, and independence from batching is claimed for
unmerged ticks only.
"""

from __future__ import annotations

from collections.abc import Iterator

from services.trading.conversion import Tick


class TickSpan:
    """See the module's text."""

    __slots__ = ("_first", "_kept", "_last", "count")

    def __init__(self, tick: Tick) -> None:
        self.count = 1
        self._first = self._last = tick
        self._kept = [(0, tick)] * 4  # lowest and highest bid, lowest and highest ask

    def add(self, tick: Tick) -> None:
        """One more tick, after all others."""
        at, kept = self.count, self._kept
        if tick.bid < kept[0][1].bid:
            kept[0] = at, tick
        elif tick.bid > kept[1][1].bid:
            kept[1] = at, tick
        if tick.ask < kept[2][1].ask:
            kept[2] = at, tick
        elif tick.ask > kept[3][1].ask:
            kept[3] = at, tick
        self._last = tick
        self.count = at + 1

    def __iter__(self) -> Iterator[Tick]:
        """The ticks to judge, in their order."""
        found = dict([(0, self._first), *self._kept, (self.count - 1, self._last)])
        return iter([found[at] for at in sorted(found)])
