"""The rules of one symbol and timeframe, its newest bars, and what a bar does. Pure; one writer."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from libs.common.candles import BY_NAME, Timeframe
from libs.common.messages import alert_rules as m
from services.alerts.alert import Status
from services.alerts.rule import Hit, Judged, Memory, Rule
from services.alerts.rule_fold import State, begin, step
from services.alerts.rule_readings import CLOSE, OPEN_MS, WINDOW, Floats, Reading, readings
from services.alerts.rule_tree import EVENTS, Fact, leaves_of, matches


class Outcome(NamedTuple):
    """A rule after a bar, and what it logs of it."""

    rule: Rule
    judged: Judged
    hit: Hit | None


class Place:
    """See the module's text. ``stale`` says that bars may be missing: they must be asked for."""

    def __init__(self, symbol: str, timeframe: str, judged_ms: int) -> None:
        self.symbol = symbol
        self.frame = BY_NAME[timeframe]
        self.rules: dict[int, Rule] = {}
        self.bars: Floats = np.empty((6, 0))
        self.judged_ms = judged_ms  # the last bar judged
        self.stale = True

    def fill(self, bars: Floats) -> Floats:
        """Take history with bars up to the newest; those not judged yet."""
        old = bars[:, bars[OPEN_MS] <= self.judged_ms]
        self.bars = old[:, -WINDOW:]
        self.stale = False
        return bars[:, bars[OPEN_MS] > self.judged_ms]

    def push(self, bar: Sequence[float]) -> None:
        """A closed bar, newer than every one before."""
        self.bars = np.concatenate((self.bars, np.asarray(bar).reshape(6, 1)), axis=1)[:, -WINDOW:]
        self.judged_ms = int(bar[0])

    def judge(self, facts: Sequence[Fact], *, again: bool = False) -> list[Outcome]:
        """What the newest bar does, for rules that have not seen it; ``again`` for facts that came after."""
        close_ms = self.frame.end_ms(self.judged_ms)
        seen: dict[m.Leaf, int] = {}
        found = []
        for rule in list(self.rules.values()):
            if (rule.bar_ms == self.judged_ms) is not again:
                continue
            codes = [self._reading(leaf, facts, seen) for leaf in leaves_of(rule.body.when)]
            outcome = self._outcome(rule, codes, close_ms, again)
            if outcome is not None:
                found.append(outcome)
        return found

    def _reading(self, leaf: m.Leaf, facts: Sequence[Fact], seen: dict[m.Leaf, int]) -> int:
        if isinstance(leaf, EVENTS):
            return Reading.YES if any(matches(leaf, fact) for fact in facts) else Reading.NO
        if leaf not in seen:
            seen[leaf] = int(readings(leaf, self.bars, self.bars.shape[1] - 1)[0])
        return seen[leaf]

    def _outcome(self, rule: Rule, codes: Sequence[int], close_ms: int, again: bool) -> Outcome | None:
        before = rule.memory.before if again else rule.memory.after
        after = step(rule.body, before, codes, close_ms)
        if again and (after.state.held == rule.memory.after.held or rule.memory.after.done):
            # The fact changes nothing that was told; what it leaves for later bars does not get lost.
            marks = (
                rule.memory.after if rule.memory.after.done else _with_marks(rule.memory.after, after.state)
            )
            return self._written(rule, Memory(marks, before), None)
        hit = None
        if after.told:
            told_already = again and rule.memory.after.told_ms == close_ms
            held_back = 0 if told_already else after.held_back
            price = float(self.bars[CLOSE, -1])
            hit = Hit(rule.id, self.judged_ms, close_ms, price, after.told, held_back)
        return self._written(rule, Memory(after.state, before), hit)

    def _written(self, rule: Rule, memory: Memory, hit: Hit | None) -> Outcome:
        status = Status.ACTIVE
        if memory.after.done:
            status = Status.TRIGGERED if not rule.body.repeat and memory.after.told_ms else Status.EXPIRED
        fired_ms = hit.close_ms if hit is not None and hit.told != "summary" else 0
        return Outcome(rule, Judged(rule.id, status, memory, self.judged_ms, fired_ms), hit)

    def apply(self, outcomes: Iterable[Outcome]) -> None:
        """After the commit: rules remember; those that are over leave."""
        for rule, judged, _ in outcomes:
            if judged.status != Status.ACTIVE:
                self.rules.pop(rule.id, None)
                continue
            self.rules[rule.id] = msgspec.structs.replace(
                rule, memory=judged.memory, bar_ms=judged.bar_ms, status=judged.status
            )


def _with_marks(told: State, state: State) -> State:
    return msgspec.structs.replace(told, marks=state.marks, held=state.held)


def placed_on(
    opens: Sequence[int], frame: Timeframe, facts: Mapping[int, Sequence[Fact]]
) -> dict[int, list[Fact]]:
    """Bar → the facts that count on it: of those at a time (Unix ms), the first bar that ends after it."""
    ends = [frame.end_ms(open_ms) for open_ms in opens]
    found: dict[int, list[Fact]] = {}
    for at_ms in sorted(facts):
        at = bisect_right(ends, at_ms)
        if at < len(opens):
            found.setdefault(opens[at], []).extend(facts[at_ms])
    return found


class Tested(NamedTuple):
    """The hits of a test, at most so many."""

    hits: list[Hit]
    truncated: bool


def back_test(
    rule: m.RuleBody, bars: Floats, first: int, facts: Mapping[int, Sequence[Fact]], hits_max: int
) -> Tested:
    """When a rule armed before bar ``first`` would have fired; the bars before that warm it up."""
    frame = BY_NAME[rule.timeframe]
    leaves = leaves_of(rule.when)
    columns = [readings(leaf, bars, first) for leaf in leaves]
    state = begin(rule)
    found: list[Hit] = []
    for at in range(first, bars.shape[1]):
        open_ms = int(bars[OPEN_MS, at])
        told = facts.get(open_ms, ())
        codes = [
            int(column[at - first])
            if not isinstance(leaf, EVENTS)
            else Reading.YES
            if any(matches(leaf, fact) for fact in told)
            else Reading.NO
            for leaf, column in zip(leaves, columns, strict=True)
        ]
        close_ms = frame.end_ms(open_ms)
        after = step(rule, state, codes, close_ms)
        state = after.state
        if after.told:
            if len(found) == hits_max:
                return Tested(found, True)
            found.append(Hit(0, open_ms, close_ms, float(bars[CLOSE, at]), after.told, after.held_back))
        if state.done:
            break
    return Tested(found, False)
