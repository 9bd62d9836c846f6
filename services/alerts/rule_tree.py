"""A rule's tree: what is taken, what its leaves ask for, whether it is true. Pure; no text is evaluated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from libs.common.messages import alert_rules as m

LEAVES_MAX = 5
DEPTH_MAX = 3  # all and any may stand in each other twice
EVENTS = (m.Pattern, m.Regime, m.LevelBreak, m.Signal, m.Depeg)
_DEPEGS = {"ok": ("ok",), "warn": ("warn", "alert"), "alert": ("alert",)}


class Fact(NamedTuple):
    """An event of a bar, as leaves ask for it. ``kind`` is pattern, regime, level, signal or depeg."""

    kind: str
    name: str
    direction: str
    confidence: float


def leaves_of(tree: m.Expression) -> list[m.Leaf]:
    """The leaves in the order they are written."""
    return list(_leaves(tree))


def _leaves(tree: m.Expression) -> Iterator[m.Leaf]:
    if isinstance(tree, m.AllOf | m.AnyOf):
        for part in tree.of:
            yield from _leaves(part)
    else:
        yield tree


def depth_of(tree: m.Expression) -> int:
    """Nodes on the longest way down, the leaf included."""
    if isinstance(tree, m.AllOf | m.AnyOf):
        return 1 + max(map(depth_of, tree.of))
    return 1


def fault_of(tree: m.Expression) -> str | None:
    """Why a tree is not taken, or None."""
    if depth_of(tree) > DEPTH_MAX:
        return f"when is nested deeper than {DEPTH_MAX} levels"
    leaves = leaves_of(tree)
    if len(leaves) > LEAVES_MAX:
        return f"when has {len(leaves)} conditions, at most {LEAVES_MAX} are taken"
    for leaf in leaves:
        if isinstance(leaf, m.EmaCross) and leaf.fast >= leaf.slow:
            return f"ema_cross: fast ({leaf.fast}) must be below slow ({leaf.slow})"
    return None


def holds(tree: m.Expression, truths: Mapping[m.Leaf, bool]) -> bool:
    """Whether the tree is true; equal leaves have one truth."""
    if isinstance(tree, m.AllOf):
        return all(holds(part, truths) for part in tree.of)
    if isinstance(tree, m.AnyOf):
        return any(holds(part, truths) for part in tree.of)
    return truths[tree]


def matches(leaf: m.Leaf, fact: Fact) -> bool:
    """Whether an event is one that the leaf asks for."""
    match leaf:
        case m.Pattern():
            return (
                fact.kind == "pattern"
                and leaf.pattern in ("", fact.name)
                and leaf.direction in ("any", fact.direction)
                and fact.confidence >= leaf.min_confidence
            )
        case m.Regime():
            return fact.kind == "regime" and leaf.to in ("any", fact.name)
        case m.LevelBreak():
            return fact.kind == "level" and leaf.kind in ("any", fact.name)
        case m.Signal():
            return (
                fact.kind == "signal"
                and leaf.name in ("", fact.name)
                and leaf.direction in ("any", fact.direction)
            )
        case m.Depeg():  # the fact's name is the token's symbol and its id, its direction the level
            tokens = ("", *fact.name.casefold().split())
            return (
                fact.kind == "depeg"
                and fact.direction in _DEPEGS[leaf.level]
                and leaf.token.casefold() in tokens
            )
        case _:
            return False
