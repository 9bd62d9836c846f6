"""A rule from bar to bar: what it remembers, when it fires, when it tells. Pure.

Live judging and back-testing are this one function over the same readings, so they agree by construction.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from libs.common.messages import alert_rules as m
from services.alerts.rule_hours import may_speak
from services.alerts.rule_readings import Reading
from services.alerts.rule_tree import holds, leaves_of

LONG_AGO = 50  # the most bars an event may count
UNKNOWN = -1


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule remembers: a mark of each leaf, whether the tree was true, when it told, what it holds.

    The mark of a level is UNKNOWN, 0 or 1; that of an event how many bars ago it was, at most LONG_AGO.
    """

    marks: tuple[int, ...]
    held: bool = False
    told_ms: int = 0
    held_back: int = 0
    done: bool = False


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A rule after a bar. ``told`` is empty when there is nothing to log; see ``RuleHit``."""

    state: State
    told: str = ""
    held_back: int = 0


def begin(rule: m.RuleBody) -> State:
    """The state before the first bar."""
    return State(marks=tuple(LONG_AGO if _is_event(leaf) else UNKNOWN for leaf in leaves_of(rule.when)))


def step(rule: m.RuleBody, state: State, readings: Sequence[int], close_ms: int) -> Step:
    """A rule after the bar that closed at ``close_ms``; ``readings`` in the order of its leaves."""
    if state.done:
        return Step(state=state)
    leaves = leaves_of(rule.when)
    marks: list[int] = []
    truths: dict[m.Leaf, bool] = {}
    for leaf, mark, reading in zip(leaves, state.marks, readings, strict=True):
        after, truths[leaf] = _mark(leaf, mark, reading)
        marks.append(after)
    now = holds(rule.when, truths)
    after_bar = msgspec.structs.replace(state, marks=tuple(marks), held=now)
    if rule.expires_at and close_ms > rule.expires_at * 1000:
        return _expired(after_bar, close_ms)
    return _speak(rule, after_bar, fires=now and not state.held, close_ms=close_ms)


def _is_event(leaf: m.Leaf) -> bool:
    return hasattr(leaf, "within")


def _mark(leaf: m.Leaf, mark: int, reading: int) -> tuple[int, bool]:
    """The leaf's mark after a bar, and whether it is true on it."""
    if _is_event(leaf):
        age = 0 if reading == Reading.YES else min(mark + 1, LONG_AGO)
        return age, age < leaf.within  # type: ignore[union-attr]
    if reading == Reading.UNKNOWN:
        return UNKNOWN, False
    after = int(reading == Reading.YES or (reading == Reading.NEAR and mark == 1))
    if getattr(leaf, "op", "").startswith("crosses"):
        return after, after == 1 and mark == 0
    return after, after == 1


def _expired(state: State, close_ms: int) -> Step:
    """A rule that is over tells what it held back, then nothing more."""
    done = msgspec.structs.replace(state, done=True, held_back=0)
    if not state.held_back:
        return Step(state=done)
    return Step(
        state=msgspec.structs.replace(done, told_ms=close_ms), told="summary", held_back=state.held_back
    )


def _speak(rule: m.RuleBody, state: State, *, fires: bool, close_ms: int) -> Step:
    if not fires and not state.held_back:
        return Step(state=state)
    blocked = ""
    if not may_speak(rule.schedule, close_ms):
        blocked = "quiet"
    elif state.told_ms and close_ms < state.told_ms + rule.cooldown_s * 1000:
        blocked = "cooldown"
    if blocked:
        held = msgspec.structs.replace(state, held_back=state.held_back + fires)
        return Step(state=held, told=blocked if fires else "")
    told = msgspec.structs.replace(state, told_ms=close_ms, held_back=0, done=not rule.repeat)
    return Step(state=told, told="yes" if fires else "summary", held_back=state.held_back)
