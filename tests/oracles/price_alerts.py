"""Brute force over ticks: which alerts must fire, when, at which price. Shares no code with the product."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

BID, ASK = 0, 1
CROSS_UP, CROSS_DOWN, GREATER, LESS, CROSS_EITHER = 0, 1, 2, 3, 12


@dataclass
class Alert:
    """An alert as the client armed it."""

    id: int
    side: int
    condition: int
    target: float
    repeat: bool
    active: bool = True
    held: bool = False  # a level condition that was true at the previous tick


def holds(condition: int, q: float | None, p: float, target: float) -> bool:
    """The predicate of one condition: q is the tick before, p this one."""
    if condition == GREATER:
        return p > target
    if condition == LESS:
        return p < target
    if q is None:
        return False
    up, down = q < target <= p, q > target >= p
    return {CROSS_UP: up, CROSS_DOWN: down, CROSS_EITHER: up or down}[condition]


def fired(alerts: Sequence[Alert], ticks: Iterable[tuple[float, float]]) -> list[tuple[int, float]]:
    """(alert id, price) of every trigger in tick order; of one tick in the order of ids."""
    found: list[tuple[int, float]] = []
    previous: tuple[float, float] | None = None
    for tick in ticks:
        for alert in alerts:
            if not alert.active:
                continue
            p = tick[alert.side]
            q = previous[alert.side] if previous is not None else None
            now = holds(alert.condition, q, p, alert.target)
            level = alert.condition in (GREATER, LESS)
            if now and not (level and alert.held):
                found.append((alert.id, p))
                alert.active = alert.repeat
            alert.held = now
        previous = tick
    return found
