"""What rules hear: one function per command, and the scanner's facts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from libs.common.bus import Ack, Call, ConsumeHandler, Handler, Inbound
from libs.common.messages import alert_rules as m
from libs.common.messages.house import Done
from libs.common.messages.scanner import LevelBroken, PatternDetected, RegimeFlipped
from libs.common.messages.signals import SignalRecorded
from libs.common.subjects import (
    LEVEL_BROKEN,
    PATTERN_DETECTED,
    REGIME_FLIPPED,
    RULE_CREATE,
    RULE_DELETE,
    RULE_GET,
    RULE_HITS,
    RULE_LIST,
    RULE_PUT,
    RULE_TEST,
    SIGNAL_RECORDED,
    Command,
    Subject,
)
from services.alerts.rule import PlacedFact
from services.alerts.rule_service import RuleService
from services.alerts.rule_tree import Fact


def rule_handlers_of(service: RuleService) -> list[tuple[Command[Any, Any], Handler]]:
    """The commands of rules."""

    async def list_rules(message: m.RuleListAsk, call: Call) -> m.RuleList:
        return await service.list(message)

    async def get(message: m.RuleAsk, call: Call) -> m.RuleView:
        return await service.get(message)

    async def create(message: m.RuleCreate, call: Call) -> m.RuleView:
        return await service.create(message)

    async def put(message: m.RulePut, call: Call) -> m.RuleView:
        return await service.put(message)

    async def delete(message: m.RuleAsk, call: Call) -> Done:
        return await service.delete(message)

    async def test(message: m.RuleTest, call: Call) -> m.RuleTested:
        return await service.test(message)

    async def hits(message: m.RuleHitsAsk, call: Call) -> m.RuleHits:
        return await service.hits(message)

    return [
        (RULE_LIST, list_rules),
        (RULE_GET, get),
        (RULE_CREATE, create),
        (RULE_PUT, put),
        (RULE_DELETE, delete),
        (RULE_TEST, test),
        (RULE_HITS, hits),
    ]


def _pattern(told: PatternDetected) -> Fact:
    return Fact("pattern", told.pattern, told.direction, told.confidence)


def _regime(told: RegimeFlipped) -> Fact:
    return Fact("regime", told.now, "", told.strength)


def _level(told: LevelBroken) -> Fact:
    return Fact("level", told.kind, told.direction, told.strength)


def _signal(told: SignalRecorded) -> Fact:
    return Fact("signal", told.name, told.direction, told.confidence)


# By the words a subject begins with: its owner, that it is a fact, and which.
_READERS: dict[str, tuple[Subject[Any], Callable[[Any], Fact]]] = {
    ".".join(subject.template.split(".")[:4]): (subject, read)
    for subject, read in (
        (PATTERN_DETECTED, _pattern),
        (REGIME_FLIPPED, _regime),
        (LEVEL_BROKEN, _level),
        (SIGNAL_RECORDED, _signal),
    )
}


def on_scanner_fact(service: RuleService) -> ConsumeHandler:
    """Something was seen on a closed bar."""

    async def handle(inbound: Inbound) -> Ack:
        subject, read = _READERS[".".join(inbound.subject.split(".")[:4])]
        told = inbound.decode(subject.message)
        return await service.on_fact(
            inbound, told.symbol, told.timeframe, PlacedFact(told.bar_open_ms, read(told))
        )

    return handle
