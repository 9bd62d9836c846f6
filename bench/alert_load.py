"""The load of ``bench_alerts``: armed levels and random walks between them, the same for every side.

Prices are points of 1e-5. Each symbol walks within BAND points of its middle. The armed levels lie
outside of the band, so that nothing fires, except for one repeating alert a symbol in its middle that
only the firing walk reaches: how often something fires is the same however much is armed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

POINT = 100_000
MIDDLE, BAND, SPREAD = 110_000, 100, 10
QUIET_FROM = 20  # the quiet walk stays this far above the repeating level, in points
REACH = 100_000  # levels lie up to here away from the band
SEED = 20261120
BID, ASK = 0, 1

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Level:
    """A repeating alert: fires when the bid crosses ``price`` upwards."""

    id: int
    price: float


@dataclass(frozen=True)
class Load:
    """``armed`` alerts on ``symbols`` symbols; every ``symbols``-th belongs to the same one."""

    armed: int
    symbols: int

    @cached_property
    def repeating(self) -> list[Level]:
        """The alert of each symbol that fires in the firing walk; ids from 1."""
        return [Level(number + 1, MIDDLE / POINT) for number in range(self.symbols)]

    def levels(self, number: int) -> list[tuple[int, bool, Ints, Floats]]:
        """(side, upwards, ids, prices) of a symbol's other alerts, in four even parts."""
        ids = np.arange(self.symbols + 1 + number, self.armed + 1, self.symbols, dtype=np.int64)
        dice = np.random.default_rng(SEED + number)
        away = BAND + SPREAD + 1 + dice.integers(0, REACH, len(ids))
        parts = []
        for at, (side, up) in enumerate(((BID, True), (BID, False), (ASK, True), (ASK, False))):
            points = MIDDLE + (away[at::4] if up else -np.minimum(away[at::4], MIDDLE - 1))
            parts.append((side, up, ids[at::4], points / POINT))
        return parts

    def walk(self, count: int, fires: bool) -> Ints:
        """Bids in points, shape (count, symbols): steps of up to 3 points, kept within the band."""
        dice = np.random.default_rng(SEED)
        low, high = (-BAND, BAND) if fires else (QUIET_FROM, BAND)
        steps = dice.integers(-3, 4, (count, self.symbols))
        span = high - low
        folded = np.abs((np.cumsum(steps, axis=0) + span // 2) % (2 * span) - span)  # reflected at both ends
        walked: Ints = MIDDLE + low + folded
        return walked


def prices_of(points: int) -> tuple[float, float]:
    """Bid and ask of a tick."""
    return points / POINT, (points + SPREAD) / POINT


def middle_quote() -> dict[str, Any]:
    """The tick before the first one of every walk."""
    bid, ask = prices_of(MIDDLE + BAND // 2)
    return {"bid": bid, "ask": ask}
