"""The contract's predicates (broker 8.7), one by one in exact fractions; shares no code with the service."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


def exact(price: float) -> Fraction:
    return Fraction(str(price))


@dataclass
class Plain:
    """An alert as the oracle sees it. ``held`` is the truth of a level condition at the last tick."""

    id: int
    side: int
    condition: int
    repeat: bool
    target: float = 0.0
    low: float = 0.0
    high: float = 0.0
    move: float = 0.0
    reference: float = 0.0
    held: bool = False
    active: bool = True

    def truth(self, p: Fraction) -> bool:
        inside = exact(self.low) <= p <= exact(self.high)
        match self.condition:
            case 2:
                return p > exact(self.target)
            case 3:
                return p < exact(self.target)
            case 6:
                return inside
            case 7:
                return not inside
        raise AssertionError(self.condition)

    def fires(self, q: Fraction | None, p: Fraction) -> bool:
        target, low, high = exact(self.target), exact(self.low), exact(self.high)
        move, reference = exact(self.move), exact(self.reference)
        match self.condition:
            case 0:
                return q is not None and q < target <= p
            case 1:
                return q is not None and q > target >= p
            case 12:
                return q is not None and (q < target <= p or q > target >= p)
            case 4:
                return q is not None and not low <= q <= high and low <= p <= high
            case 5:
                return q is not None and low <= q <= high and not low <= p <= high
            case 8:
                return p - reference >= move
            case 9:
                return reference - p >= move
            case 10:
                return (p - reference) * 100 >= move * reference
            case 11:
                return (reference - p) * 100 >= move * reference
            case _:
                was, self.held = self.held, self.truth(p)
                return self.held and not was


class Oracle:
    """Judges every alert on every tick."""

    def __init__(self, bid: float | None = None, ask: float | None = None) -> None:
        self.alerts: dict[int, Plain] = {}
        self.last: list[float | None] = [bid, ask]

    def tick(self, bid: float, ask: float) -> list[tuple[int, float]]:
        """(id, price) of what fires, by id: the order is another question."""
        fired = []
        for alert in self.alerts.values():
            if not alert.active:
                continue
            p, q = (bid, ask)[alert.side], self.last[alert.side]
            if 8 <= alert.condition <= 11 and alert.reference == 0:
                alert.reference = p  # the first price there is becomes the reference
                continue
            if not alert.fires(None if q is None else exact(q), exact(p)):
                continue
            fired.append((alert.id, p))
            if not alert.repeat:
                alert.active = False
            alert.reference = p
        self.last = [bid, ask]
        return sorted(fired)
