"""What others tell that rules ask for: the scanner's facts of bars, signals, pricing's of stablecoins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from libs.common.bus import decode
from libs.common.messages.pricing import Depegged
from libs.common.messages.scanner import LevelBroken, PatternDetected, RegimeFlipped
from libs.common.messages.signals import SignalRecorded
from libs.common.subjects import (
    DEPEGGED,
    LEVEL_BROKEN,
    PATTERN_DETECTED,
    REGIME_FLIPPED,
    SIGNAL_RECORDED,
    Subject,
)
from services.alerts.rule import PlacedFact
from services.alerts.rule_tree import Fact


class OfBar(NamedTuple):
    """A fact of a bar of a symbol and timeframe."""

    symbol: str
    timeframe: str
    placed: PlacedFact


class Depeg(NamedTuple):
    """A fact of a stablecoin, which is of no bar."""

    fact: Fact


def _pattern(told: PatternDetected) -> Fact:
    return Fact("pattern", told.pattern, told.direction, told.confidence)


def _regime(told: RegimeFlipped) -> Fact:
    return Fact("regime", told.now, "", told.strength)


def _level(told: LevelBroken) -> Fact:
    return Fact("level", told.kind, told.direction, told.strength)


def _signal(told: SignalRecorded) -> Fact:
    return Fact("signal", told.name, told.direction, told.confidence)


def _depeg(told: Depegged) -> Fact:
    return Fact("depeg", f"{told.symbol} {told.token_id}", told.level, told.confidence)


def _kind(subject: str) -> str:
    """The words a subject begins with: its owner, that it is a fact, and which."""
    return ".".join(subject.split(".")[:4])


_READERS: dict[str, tuple[Subject[Any], Callable[[Any], Fact]]] = {
    _kind(subject.template): (subject, read)
    for subject, read in (
        (PATTERN_DETECTED, _pattern),
        (REGIME_FLIPPED, _regime),
        (LEVEL_BROKEN, _level),
        (SIGNAL_RECORDED, _signal),
        (DEPEGGED, _depeg),
    )
}


def read_fact(subject: str, payload: bytes) -> OfBar | Depeg:
    """A fact as it came; MessageUnreadable when it is none."""
    of, read = _READERS[_kind(subject)]
    told: Any = decode(payload, of.message)
    if of is DEPEGGED:
        return Depeg(read(told))
    return OfBar(told.symbol, told.timeframe, PlacedFact(told.bar_open_ms, read(told)))
