"""How a window of calls counts. Pure: state and time in, state and verdict out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple


class Window(NamedTuple):
    """What is kept per key: when the window began (Unix ms) and the calls taken in it."""

    began_ms: int
    taken: int


FRESH = Window(0, 0)


@dataclass(frozen=True, slots=True)
class Rule:
    """At most ``count`` calls per ``window_ms``; an aligned window begins on its own multiple."""

    count: int
    window_ms: int
    aligned: bool = False


@lru_cache(maxsize=1024)
def rule_of(count: int, window_ms: int, *, aligned: bool = False) -> Rule:
    """The rule; made once, since every call needs one."""
    return Rule(count, window_ms, aligned)


class Verdict(NamedTuple):
    """Whether the call is taken, how many more are, and when the window ends (Unix ms)."""

    taken: bool
    remaining: int
    resets_ms: int


def hit(state: Window, rule: Rule, now_ms: int) -> tuple[Window, Verdict]:
    """Count one call. A refused call is not counted: the state stays as it was."""
    window = current(state, rule, now_ms)
    resets_ms = window.began_ms + rule.window_ms
    if window.taken >= rule.count:
        return window, Verdict(False, 0, resets_ms)
    window = Window(window.began_ms, window.taken + 1)
    return window, Verdict(True, rule.count - window.taken, resets_ms)


def look(state: Window, rule: Rule, now_ms: int) -> Verdict:
    """How the window stands, without counting: ``taken`` says whether a call would be."""
    window = current(state, rule, now_ms)
    remaining = max(rule.count - window.taken, 0)
    return Verdict(remaining > 0, remaining, window.began_ms + rule.window_ms)


def current(state: Window, rule: Rule, now_ms: int) -> Window:
    """The window ``now_ms`` falls into: the one kept, or a new and empty one.

    A window that seems to begin in the future was written before the clock was set back: it would
    lock its caller out, so it is given up.
    """
    began_ms = now_ms - now_ms % rule.window_ms if rule.aligned else now_ms
    if state.taken and state.began_ms <= now_ms < state.began_ms + rule.window_ms:
        return state
    return Window(began_ms, 0)
