"""Alert rules by plain re-evaluation: every bar looks at its own past again. Shares no code with the product.

Rules are JSON as clients send them, bars are rows (open_ms, open, high, low, close, volume). Nothing is
carried from bar to bar but what the meaning itself says: what a level was, how long ago an event was.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

PAST = 600  # bars an indicator sees

Row = Sequence[float]
Event = tuple[str, str, str, float]  # kind, name, direction, confidence


def average(values: Sequence[float], period: int, k: float) -> list[float | None]:
    found: list[float | None] = [None] * len(values)
    if len(values) < period:
        return found
    now = sum(values[:period]) / period
    found[period - 1] = now
    for at in range(period, len(values)):
        now = now + (values[at] - now) * k
        found[at] = now
    return found


def rsi(close: Sequence[float], period: int) -> float | None:
    moves = [b - a for a, b in pairwise(close)]
    gain = average([max(m, 0.0) for m in moves], period, 1 / period)
    loss = average([max(-m, 0.0) for m in moves], period, 1 / period)
    if not moves or gain[-1] is None or loss[-1] is None:
        return None
    if loss[-1] == 0:
        return 100.0 if gain[-1] > 0 else 50.0
    return 100 - 100 / (1 + gain[-1] / loss[-1])


def atr_percent(rows: Sequence[Row], period: int) -> float | None:
    reach = []
    for at, row in enumerate(rows):
        edges = [row[2] - row[3]]
        if at:
            edges += [abs(row[2] - rows[at - 1][4]), abs(row[3] - rows[at - 1][4])]
        reach.append(max(edges))
    last = average(reach, period, 1 / period)[-1]
    return None if last is None else 100.0 * last / rows[-1][4]


def volume_z(rows: Sequence[Row], window: int) -> float | None:
    if len(rows) <= window:
        return None
    logs = [math.log(max(row[5], 1e-9)) for row in rows[-window - 1 :]]
    middle = statistics.median(logs[:-1])
    spread = 1.4826 * statistics.median(abs(v - middle) for v in logs[:-1])
    return 0.0 if spread == 0 else (logs[-1] - middle) / spread


def crossed(close: Sequence[float], fast: int, slow: int) -> int:
    """+1 when the fast average has just come above the slow one, -1 below, else 0."""
    pairs = zip(average(close, fast, 2 / (fast + 1)), average(close, slow, 2 / (slow + 1)), strict=True)
    sides = [0 if a is None or b is None else (a > b) - (a < b) for a, b in pairs]
    before = [side for side in sides[:-1] if side]
    return sides[-1] if sides[-1] and before and before[-1] != sides[-1] else 0


def number(leaf: Mapping[str, Any], rows: Sequence[Row]) -> tuple[float | None, float]:
    """What a level leaf compares, and with what."""
    close = [row[4] for row in rows]
    match leaf["type"]:
        case "price":
            return rows[-1][{"close": 4, "high": 2, "low": 3}[leaf.get("of", "close")]], leaf["value"]
        case "change":
            n = leaf["bars"]
            value = 100.0 * (close[-1] / close[-1 - n] - 1.0) if len(close) > n else None
            return value, leaf["percent"]
        case "rsi":
            return rsi(close, leaf.get("period", 14)), leaf["value"]
        case "atr":
            return atr_percent(rows, leaf.get("period", 14)), leaf["percent"]
        case _:
            return volume_z(rows, leaf.get("window", 96)), leaf["value"]


def asked_for(leaf: Mapping[str, Any], event: Event) -> bool:
    kind, name, direction, confidence = event
    same_way = leaf.get("direction", "any") in ("any", direction)
    match leaf["type"]:
        case "pattern":
            named = leaf.get("pattern", "") in ("", name)
            return kind == "pattern" and named and same_way and confidence >= leaf.get("min_confidence", 0)
        case "regime":
            return kind == "regime" and leaf.get("to", "any") in ("any", name)
        case "level_break":
            return kind == "level" and leaf.get("kind", "any") in ("any", name)
        case _:
            return kind == "signal" and leaf.get("name", "") in ("", name) and same_way


class Leaf:
    """One leaf over time."""

    def __init__(self, said: Mapping[str, Any]) -> None:
        self.said = said
        self.was: bool | None = None
        self.bars_since: float = math.inf

    def true(self, rows: Sequence[Row], events: Sequence[Event]) -> bool:
        said = self.said
        if said["type"] in ("pattern", "regime", "level_break", "signal", "ema_cross"):
            if said["type"] == "ema_cross":
                wanted = 1 if said["direction"] == "up" else -1
                happened = crossed([row[4] for row in rows], said["fast"], said["slow"]) == wanted
            else:
                happened = any(asked_for(said, event) for event in events)
            self.bars_since = 0 if happened else self.bars_since + 1
            return self.bars_since < said.get("within", 1)
        value, level = number(said, rows)
        if value is None:
            self.was = None
            return False
        slack = said.get("hysteresis", 0.0)
        if said["op"].endswith("above"):
            now = value > level or bool(self.was and value > level - slack)
        else:
            now = value < level or bool(self.was and value < level + slack)
        was, self.was = self.was, now
        return was is False and now if said["op"].startswith("crosses") else now


def build(tree: Mapping[str, Any]) -> Any:
    if tree["type"] in ("all", "any"):
        return (tree["type"], [build(part) for part in tree["of"]])
    return Leaf(tree)


def truth(node: Any, rows: Sequence[Row], events: Sequence[Event]) -> bool:
    if isinstance(node, Leaf):
        return node.true(rows, events)
    kind, parts = node
    truths = [truth(part, rows, events) for part in parts]  # every leaf must see every bar
    return all(truths) if kind == "all" else any(truths)


def speaks(schedule: Mapping[str, Any], at_ms: int) -> bool:
    shown = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(ZoneInfo(schedule.get("timezone", "UTC")))
    text, day = shown.strftime("%H:%M"), shown.isoweekday()

    def inside(clock: Mapping[str, str]) -> bool:
        if clock["start"] < clock["end"]:
            return clock["start"] <= text < clock["end"]
        return text >= clock["start"] or text < clock["end"]

    quiet, active = schedule.get("quiet"), schedule.get("active")
    if quiet and inside(quiet):
        return False
    if active:
        if not inside(active):
            return False
        if active["end"] <= active["start"] and text < active["end"]:
            day = 7 if day == 1 else day - 1  # a night belongs to the day it began
    return day in schedule.get("days", range(1, 8))


def hits(
    rule: Mapping[str, Any],
    rows: Sequence[Row],
    first: int,
    events: Mapping[int, Sequence[Event]],
    span_ms: int,
) -> list[tuple[int, str, int]]:
    """(bar, told, held back) of every hit and summary, for a rule armed just before bar ``first``."""
    tree = build(rule["when"])
    found: list[tuple[int, str, int]] = []
    before, last_told, held = False, None, 0
    for at in range(first, len(rows)):
        open_ms = int(rows[at][0])
        close_ms = open_ms + span_ms
        now = truth(tree, rows[max(0, at + 1 - PAST) : at + 1], events.get(open_ms, ()))
        fires, before = now and not before, now
        if rule.get("expires_at") and close_ms > rule["expires_at"] * 1000:
            if held:
                found.append((open_ms, "summary", held))
            return found
        if not fires and not held:
            continue
        if not speaks(rule.get("schedule", {}), close_ms):
            word = "quiet"
        elif last_told is not None and close_ms < last_told + rule.get("cooldown_s", 0) * 1000:
            word = "cooldown"
        else:
            found.append((open_ms, "yes" if fires else "summary", held))
            last_told, held = close_ms, 0
            if not rule.get("repeat"):
                return found
            continue
        if fires:
            held += 1
            found.append((open_ms, word, 0))
    return found
