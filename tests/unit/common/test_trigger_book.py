"""The trigger book against a slow oracle that judges every armed level on every move by its predicate."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from libs.common.trigger_book import Kind, Ladder, TriggerBook

# A small grid of real prices, so that moves often land exactly on levels and between them.
PRICES = [round(1.1 + step / 100_000, 5) for step in range(12)]
prices = st.sampled_from(PRICES)
kinds = st.sampled_from(list(Kind))
TOUCH = (Kind.TOUCH_UP, Kind.TOUCH_DOWN)
UP = (Kind.TOUCH_UP, Kind.ABOVE, Kind.AT_OR_ABOVE)


@dataclass
class Armed:
    id: int
    kind: Kind
    level: float
    repeat: bool
    held: bool = False  # a level condition's truth at the last move; False while nobody judged it

    def holds(self, price: float) -> bool:
        return {
            Kind.ABOVE: price > self.level,
            Kind.BELOW: price < self.level,
            Kind.AT_OR_ABOVE: price >= self.level,
            Kind.AT_OR_BELOW: price <= self.level,
        }[self.kind]

    def fires(self, before: float | None, price: float) -> bool:
        if self.kind is Kind.TOUCH_UP:
            return before is not None and before < self.level <= price
        if self.kind is Kind.TOUCH_DOWN:
            return before is not None and before > self.level >= price
        was, self.held = self.held, self.holds(price)
        return self.held and not was


class Oracle:
    """The contract's predicates, one by one."""

    def __init__(self) -> None:
        self.armed: list[Armed] = []
        self.last: float | None = None

    def move(self, price: float) -> list[int]:
        met = [a for a in self.armed if a.fires(self.last, price)]
        rising = self.last is None or price >= self.last

        # Exceeding a level comes just after reaching it, in either direction of the move.
        def place(a: Armed) -> tuple[float, int, int]:
            beyond = {Kind.ABOVE: 1, Kind.BELOW: -1}.get(a.kind, 0)
            return (a.level, beyond, a.id) if rising else (-a.level, -beyond, a.id)

        self.last = price
        self.armed = [a for a in self.armed if a.repeat or a not in met]
        return [a.id for a in sorted(met, key=place)]


class LadderMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.ladder = Ladder(block=2)
        self.oracle = Oracle()
        self.next_id = 1

    @rule(kind=kinds, level=prices, repeat=st.booleans())
    def arm(self, kind: Kind, level: float, repeat: bool) -> None:
        self.ladder.arm(kind, level, self.next_id, repeat=repeat)
        self.oracle.armed.append(Armed(self.next_id, kind, level, repeat))
        self.next_id += 1

    @rule(price=prices)
    def move(self, price: float) -> None:
        assert list(self.ladder.move(price)) == self.oracle.move(price)

    @precondition(lambda self: self.oracle.armed)
    @rule(data=st.data())
    def disarm(self, data: st.DataObject) -> None:
        armed = data.draw(st.sampled_from(self.oracle.armed))
        assert self.ladder.disarm(armed.kind, armed.level, armed.id)
        assert not self.ladder.disarm(armed.kind, armed.level, armed.id)
        self.oracle.armed.remove(armed)

    @precondition(lambda self: self.oracle.last is not None)
    @rule(kind=kinds, levels=st.lists(prices, max_size=8), repeat=st.booleans())
    def load(self, kind: Kind, levels: list[float], repeat: bool) -> None:
        ids = list(range(self.next_id, self.next_id + len(levels)))
        self.next_id += len(levels)
        self.ladder.load(kind, levels, ids, repeat=repeat)
        for id, level in zip(ids, levels, strict=True):
            armed = Armed(id, kind, level, repeat)
            # What is loaded has been judged by the price the ladder knows.
            armed.held = kind not in TOUCH and armed.holds(self.oracle.last)
            self.oracle.armed.append(armed)

    @invariant()
    def holds_what_is_armed(self) -> None:
        assert len(self.ladder) == len(self.oracle.armed)


LadderMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
TestLadderMachine = LadderMachine.TestCase


@pytest.mark.parametrize("seed", range(4))
def test_a_long_walk_with_gaps_fires_what_the_oracle_fires(seed: int) -> None:
    chance = random.Random(seed)
    ladder, oracle = Ladder(block=8), Oracle()
    price, next_id, fired = 1.1, 1, 0
    for _ in range(3_000):
        for _ in range(chance.randrange(3)):
            kind, repeat = chance.choice(list(Kind)), chance.random() < 0.3
            level = round(price + chance.gauss(0, 0.002), 5)
            ladder.arm(kind, level, next_id, repeat=repeat)
            oracle.armed.append(Armed(next_id, kind, level, repeat))
            next_id += 1
        if oracle.armed and len(oracle.armed) > 300:
            gone = oracle.armed.pop(chance.randrange(len(oracle.armed)))
            assert ladder.disarm(gone.kind, gone.level, gone.id)
        price = round(price + chance.gauss(0, 0.0002 if chance.random() < 0.95 else 0.004), 5)
        met = list(ladder.move(price))
        assert met == oracle.move(price), f"seed {seed}"
        fired += len(met)
    assert fired > 500


@given(levels=st.lists(prices, min_size=1, max_size=40), rising=st.booleans())
def test_a_gap_fires_every_level_in_price_order_then_by_id(levels: list[float], rising: bool) -> None:
    ladder = Ladder(1.0 if rising else 2.0)
    for id, level in enumerate(levels):
        ladder.arm(Kind.TOUCH_UP if rising else Kind.TOUCH_DOWN, level, id)
    by_price = sorted(range(len(levels)), key=lambda id: (levels[id] if rising else -levels[id], id))
    assert list(ladder.move(2.0 if rising else 1.0)) == by_price
    assert len(ladder) == 0


def test_a_bulk_load_equals_arming_one_by_one() -> None:
    chance = random.Random(5)
    levels = [round(chance.uniform(1, 2), 5) for _ in range(5_000)]
    bulk, singly = Ladder(1.0), Ladder(1.0)
    bulk.load(Kind.TOUCH_UP, levels[:4_000], range(4_000), repeat=False)
    bulk.load(Kind.TOUCH_UP, levels[4_000:], range(4_000, 5_000), repeat=False)
    for id, level in enumerate(levels):
        singly.arm(Kind.TOUCH_UP, level, id)
    for price in (1.25, 1.1, 1.7, 1.69, 2.0):
        assert list(bulk.move(price)) == list(singly.move(price))
    assert len(bulk) == len(singly) == 0


def test_arming_twice_at_one_level_is_refused() -> None:
    ladder = Ladder(1.0)
    ladder.arm(Kind.TOUCH_UP, 1.5, 7)
    with pytest.raises(ValueError, match="armed at this level already"):
        ladder.arm(Kind.TOUCH_UP, 1.5, 7)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_prices_and_levels_that_are_no_numbers_are_refused(bad: float) -> None:
    ladder = Ladder(1.0)
    with pytest.raises(ValueError, match="level was"):
        ladder.arm(Kind.ABOVE, bad, 1)
    with pytest.raises(ValueError, match="price was"):
        ladder.move(bad)
    assert list(ladder.move(1.0)) == []


def test_levels_of_one_key_do_not_hear_another() -> None:
    book: TriggerBook[str] = TriggerBook()
    book.arm("EURUSD", Kind.AT_OR_ABOVE, 1.1, 1)
    book.arm("GBPUSD", Kind.AT_OR_ABOVE, 1.1, 2)
    assert list(book.move("EURUSD", 1.2)) == [1]
    assert len(book) == 1
    assert book.disarm("GBPUSD", Kind.AT_OR_ABOVE, 1.1, 2)
    assert set(book) == {"EURUSD", "GBPUSD"}


def test_integer_points_are_exact() -> None:
    ladder = Ladder(110_000)
    ladder.arm(Kind.AT_OR_BELOW, 109_999, 1)
    ladder.arm(Kind.BELOW, 109_999, 2)
    assert list(ladder.move(110_000)) == []
    assert list(ladder.move(109_999)) == [1]
    assert list(ladder.move(109_998)) == [2]
