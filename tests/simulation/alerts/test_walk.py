"""A long random market with gaps over all conditions: the fired set equals brute force, tick by tick.

The oracle works in integers: prices are points, percent conditions are cross-multiplied. It shares no
code with the service. The full size (10^7 ticks) runs with the soak proofs.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from libs.common.messages.market import Quote
from libs.common.tick_reader import Batch
from services.alerts.alert import Alert
from services.alerts.watch import Watch

KEY = ("raw", "EURUSD")
POINTS = 100_000
THOUSANDTHS = 1_000  # percents are drawn in thousandths
ALIVE = 24


class Slow:
    """One alert, judged by its predicate on every tick (broker 8.7)."""

    __slots__ = ("condition", "held", "high", "id", "low", "move", "reference", "repeat", "side")

    def __init__(self, id: int, chance: random.Random, bid: int) -> None:
        self.id = id
        self.side = chance.randrange(2)
        self.condition = chance.randrange(13)
        self.repeat = chance.random() < 0.4
        self.low = bid + chance.randrange(-400, 400)
        self.high = self.low + chance.randrange(1, 300)
        self.reference = bid + chance.randrange(-50, 50)
        percent = self.condition in (10, 11)
        self.move = chance.randrange(1, 300) if percent else chance.randrange(1, 400)
        self.held = False

    def fires(self, q: int, p: int) -> bool:
        match self.condition:
            case 0:
                return q < self.low <= p
            case 1:
                return q > self.low >= p
            case 12:
                return q < self.low <= p or q > self.low >= p
            case 4:
                return not self.low <= q <= self.high and self.low <= p <= self.high
            case 5:
                return self.low <= q <= self.high and not self.low <= p <= self.high
            case 8:
                return p - self.reference >= self.move
            case 9:
                return self.reference - p >= self.move
            case 10:
                return (p - self.reference) * 100 * THOUSANDTHS >= self.move * self.reference
            case 11:
                return (self.reference - p) * 100 * THOUSANDTHS >= self.move * self.reference
            case 2:
                now = p > self.low
            case 3:
                now = p < self.low
            case 6:
                now = self.low <= p <= self.high
            case _:
                now = not self.low <= p <= self.high
        was, self.held = self.held, now
        return now and not was

    def row(self) -> Alert:
        """The same alert as the service takes it."""
        percent = self.condition in (10, 11)
        fields: dict[str, Any] = dict.fromkeys(
            ("login", "created_ms", "updated_ms", "expires_at", "triggered_ms", "reference_time"), 0
        )
        return Alert(
            **fields,
            id=self.id,
            group="demo",
            profile="raw",
            symbol="EURUSD",
            indicator_name="",
            message="",
            comment="",
            side=self.side,
            condition=self.condition,
            target_price=self.low / POINTS,
            channel_low=self.low / POINTS,
            channel_high=self.high / POINTS,
            move_threshold=self.move / (THOUSANDTHS if percent else POINTS),
            status=0,
            repeat_mode=int(self.repeat),
            triggered_price=0.0,
            reference_price=self.reference / POINTS,
            armed_seq=0,
            fired_seq=0,
        )


def market(chance: random.Random, ticks: int) -> Iterator[tuple[int, int]]:
    """Bid and ask in points: quiet steps, jumps, and a pull back to the middle."""
    bid, spread = 110_000, 10
    for _ in range(ticks):
        jump = 400 if chance.random() < 0.002 else 8
        bid += chance.randint(-jump, jump) + (110_000 - bid) // 500
        if chance.random() < 0.01:
            spread = chance.randint(0, 30)
        yield bid, bid + spread


def run(seed: int, ticks: int) -> int:
    """The number of hits; fails at the first batch in which service and oracle differ."""
    chance = random.Random(seed)
    watch = Watch(KEY)
    watch.start(1.1, 1.1001, 0, 0)
    last = (110_000, 110_010)
    slow: dict[int, Slow] = {}
    pending: list[Quote] = []
    expected: list[tuple[int, int, float]] = []
    next_id, total = 1, 0

    def judge() -> int:
        hits = watch.run(Batch(*KEY, pending), [])
        assert sorted((h.seq, h.alert_id, h.price) for h in hits) == sorted(expected), f"seed {seed}"
        count = len(expected)
        pending.clear()
        expected.clear()
        return count

    for seq, prices in enumerate(market(chance, ticks), start=1):
        pending.append(Quote("t", "EURUSD", prices[0] / POINTS, prices[1] / POINTS, 0, 0, seq))
        for alert in list(slow.values()):
            p = prices[alert.side]
            if not alert.fires(last[alert.side], p):
                continue
            expected.append((seq, alert.id, p / POINTS))
            alert.reference = p
            if not alert.repeat:
                del slow[alert.id]
        last = prices
        if chance.random() < 0.05:
            total += judge()
            while len(slow) < ALIVE:
                slow[next_id] = Slow(next_id, chance, last[0])
                watch.arm(slow[next_id].row(), fresh=True)
                next_id += 1
            if chance.random() < 0.05:
                gone = chance.choice(list(slow.values()))
                assert watch.disarm(gone.row())
                del slow[gone.id]
    return total + (judge() if pending else 0)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_long_market_fires_what_brute_force_fires(seed: int) -> None:
    assert run(seed, 400_000) > 10_000


@pytest.mark.soak
def test_ten_million_ticks_fire_what_brute_force_fires() -> None:
    assert run(3, 10_000_000) > 300_000
