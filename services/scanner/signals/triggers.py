"""Triggers: what on a closed bar is worth a signal. No trigger, no signal. Pure.

Each trigger carries the numbers it fired on: texts may say those and no others.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from services.scanner.levels import Level
from services.scanner.signals.measures import Measures

PRICE_Z = 3.0
PRICE_MOVE = 0.05
VOLUME_Z = 3.0
PATTERN_CONFIDENCE = 0.70
PATTERN_FRESH_BARS = 8  # a formation known later than this after its last bar is no news
REGIME_STRENGTH = 0.3
REGIME_BARS = 2
LEVEL_BEYOND_ATR = 0.25
LEVEL_VOLUME_Z = 1.0
LIQUIDITY_CHANGE = 0.20
DEPEG_WARN = 0.01
DEPEG_ALERT = 0.05
DIVERGENCE = 0.05
DIVERGENCE_PATHS = 3
TEXT_Z = 3.0
TEXT_SOURCES = 5
QUIET_MOVE = 0.01  # text that bursts while the price moves less than this diverges from it
TEXT_TONE = 0.3


class Trigger(NamedTuple):
    """``direction`` is 1 up, -1 down, 0 neither; ``tag`` is what a reader sees; ``facts`` are its numbers."""

    kind: str
    tag: str
    direction: int
    facts: Mapping[str, float | str]


class Formation(NamedTuple):
    """A pattern at its last bar; ``direction`` as of a trigger, ``age`` in bars."""

    name: str
    direction: int
    confidence: float
    at_ms: int
    age: int


class Dex(NamedTuple):
    """What the token's pools said at the bar's close. Changes are parts of 1; None where nothing is known.

    ``variation`` is the spread of the paths' prices, ``peg`` the deviation of a stablecoin from its peg.
    """

    price: float
    confidence: float
    variation: float | None
    paths: int
    liquidity_1h: float | None
    liquidity_24h: float | None
    peg: float | None


class Texts(NamedTuple):
    """What was written about the asset up to the bar's close: ``tone`` in [-1, 1] from an effective number
    of ``documents``; ``z`` of today's mentions beside its own mean, from ``sources`` independent ones."""

    tone: float
    documents: float
    z: float
    sources: int


def price_move(m: Measures) -> Iterable[Trigger]:
    """A move of three standard deviations, or of 5 %, within the hour."""
    if m.move_1h is None:
        return
    z = m.z_1h or 0.0
    if abs(z) >= PRICE_Z or abs(math.expm1(m.move_1h)) >= PRICE_MOVE:
        up = m.move_1h > 0
        facts = {"change_pct": 100.0 * math.expm1(m.move_1h), "z": z}
        yield Trigger("price_move", "price-surge" if up else "price-drop", 1 if up else -1, facts)


def volume_spike(m: Measures) -> Iterable[Trigger]:
    """A volume three robust standard deviations above the usual."""
    if m.volume_z is not None and m.volume_ratio is not None and m.volume_z >= VOLUME_Z:
        direction = 0 if not m.move_1h else int(math.copysign(1, m.move_1h))
        facts = {"volume_ratio": m.volume_ratio, "z": m.volume_z}
        yield Trigger("volume_spike", "volume-spike", direction, facts)


def pattern(found: Iterable[Formation], told: Mapping[str, int]) -> Iterable[Trigger]:
    """A formation of confidence 0.70 not told yet; ``told`` is the last bar of each name's last one."""
    for f in found:
        fresh = f.age <= PATTERN_FRESH_BARS and f.at_ms > told.get(f.name, 0)
        if fresh and f.confidence >= PATTERN_CONFIDENCE:
            facts = {"confidence": f.confidence, "age_bars": f.age}
            yield Trigger("pattern", f.name.replace("_", "-"), f.direction, facts)


def level_break(
    m: Measures, close_before: float, atr: float, support: Iterable[Level], resistance: Iterable[Level]
) -> Iterable[Trigger]:
    """A close a quarter ATR beyond a level that stood before the bar, on raised volume: the strongest one."""
    if m.volume_z is None or m.volume_z < LEVEL_VOLUME_Z or atr <= 0.0:
        return
    for direction, levels, tag in ((1, resistance, "resistance-break"), (-1, support, "support-break")):
        beyond = [
            (level.strength, direction * (m.close - level.price) / atr, level.price)
            for level in levels
            if direction * (close_before - level.price) <= 0.0
            and direction * (m.close - level.price) >= LEVEL_BEYOND_ATR * atr
        ]
        if beyond:
            strength, distance, price = max(beyond)
            facts = {"level": price, "beyond_atr": distance, "level_strength": strength}
            if m.volume_ratio is not None:
                facts["volume_ratio"] = m.volume_ratio
            yield Trigger("level_break", tag, direction, facts)


def liquidity_shock(dex: Dex) -> Iterable[Trigger]:
    """A fifth of the token's liquidity came or went within the hour."""
    change = dex.liquidity_1h
    if change is not None and abs(change) >= LIQUIDITY_CHANGE:
        added = change > 0
        facts = {"liquidity_change_pct": 100.0 * change}
        yield Trigger(
            "liquidity_shock", "liquidity-add" if added else "liquidity-drain", 1 if added else -1, facts
        )


def depeg(dex: Dex) -> Iterable[Trigger]:
    """A stablecoin 1 % (warning) or 5 % (alert) off its peg."""
    if dex.peg is not None and abs(dex.peg) >= DEPEG_WARN:
        grade = "alert" if abs(dex.peg) >= DEPEG_ALERT else "warning"
        yield Trigger(
            "depeg", "depeg", 1 if dex.peg > 0 else -1, {"deviation_pct": 100.0 * dex.peg, "grade": grade}
        )


def path_divergence(dex: Dex) -> Iterable[Trigger]:
    """The token's price differs by 5 % between at least three paths."""
    if dex.variation is not None and dex.variation >= DIVERGENCE and dex.paths >= DIVERGENCE_PATHS:
        facts = {"variation_pct": 100.0 * dex.variation, "paths": dex.paths}
        yield Trigger("path_divergence", "price-divergence", 0, facts)


def text_burst(texts: Texts) -> Iterable[Trigger]:
    """Three standard deviations more mentions than usual, from five independent sources."""
    if texts.z >= TEXT_Z and texts.sources >= TEXT_SOURCES:
        direction = 0 if not texts.tone else int(math.copysign(1, texts.tone))
        yield Trigger("text_burst", "news-burst", direction, {"z": texts.z, "sources": texts.sources})


def text_divergence(texts: Texts, m: Measures) -> Iterable[Trigger]:
    """A burst of text with a clear tone while the day's price moved less than 1 %."""
    loud = texts.z >= TEXT_Z and texts.sources >= TEXT_SOURCES and abs(texts.tone) >= TEXT_TONE
    if loud and m.move_24h is not None and abs(math.expm1(m.move_24h)) < QUIET_MOVE:
        facts = {"tone": texts.tone, "change_24h_pct": 100.0 * math.expm1(m.move_24h)}
        yield Trigger("text_divergence", "news-divergence", int(math.copysign(1, texts.tone)), facts)
