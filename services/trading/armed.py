"""Which orders wait at which price: the levels of open positions and pending orders in a trigger book. Pure.

An order is armed with every price at which a quote concerns it (``levels.py``). A level that a quote meets
leaves the book; when the order is still there afterwards (its market is closed, there was no money),
``renew`` arms it again, and it is named again on the next quote that still meets it.
"""

from __future__ import annotations

from typing import TypeAlias

from libs.common.trigger_book import Kind, TriggerBook
from services.trading.conversion import Tick
from services.trading.levels import ASK, BID, Level, levels_of
from services.trading.position import Trade

Place: TypeAlias = tuple[str, str]  # price profile, symbol
_Key: TypeAlias = tuple[str, str, int]


class Armed:
    """See the module's text."""

    def __init__(self) -> None:
        self._book: TriggerBook[_Key] = TriggerBook()
        self._of: dict[int, tuple[Place, frozenset[Level]]] = {}

    def put(self, trade: Trade, profile: str) -> None:
        """Arm an order as it is now; one that has not changed stays as it was judged."""
        wanted = (profile, trade.symbol), frozenset(levels_of(trade))
        if self._of.get(trade.order) != wanted:
            self.drop(trade.order)
            self._arm(trade.order, *wanted)

    def renew(self, order: int) -> None:
        """Arm an order again, whose level was met and that is still there."""
        known = self._of.get(order)
        if known is not None:
            self.drop(order)
            self._arm(order, *known)

    def drop(self, order: int) -> None:
        """Wait for an order no more."""
        place, levels = self._of.pop(order, (("", ""), frozenset()))
        for side, up, points in levels:
            self._book.disarm((*place, side), _kind(up), points, order)

    def move(self, place: Place, tick: Tick) -> set[int]:
        """The orders a quote meets."""
        found = set(self._book.move((*place, BID), tick.bid))
        found.update(self._book.move((*place, ASK), tick.ask))
        return found

    def __len__(self) -> int:
        return len(self._of)

    def _arm(self, order: int, place: Place, levels: frozenset[Level]) -> None:
        for side, up, points in levels:
            self._book.arm((*place, side), _kind(up), points, order)
        if levels:
            self._of[order] = place, levels


def _kind(up: bool) -> Kind:
    return Kind.AT_OR_ABOVE if up else Kind.AT_OR_BELOW
