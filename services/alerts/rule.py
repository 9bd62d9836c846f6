"""An alert rule and what belongs to it, as stored. Pure."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from libs.common.messages import alert_rules as m
from services.alerts.alert import Status
from services.alerts.rule_fold import State
from services.alerts.rule_tree import Fact


class Memory(msgspec.Struct, frozen=True):
    """A rule's state after the last bar judged, and before it: a fact of that bar may still come."""

    after: State
    before: State


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the table ``rule``."""

    id: int
    login: int
    symbol: str
    timeframe: str
    status: Status
    body: m.RuleBody
    memory: Memory
    bar_ms: int
    created_ms: int
    updated_ms: int
    fired_ms: int
    fired_count: int


class Judged(NamedTuple):
    """A rule after a bar: what is to be written of it."""

    id: int
    status: Status
    memory: Memory
    bar_ms: int
    fired_ms: int  # 0: it did not fire


class Hit(NamedTuple):
    """A row of the table ``rule_hit``."""

    rule_id: int
    open_ms: int
    close_ms: int
    price: float
    told: str
    held_back: int


class PlacedFact(NamedTuple):
    """A fact and its bar."""

    bar_ms: int
    fact: Fact
