"""From components to a sentiment: score, label, strength, confidence. Pure.

A component that looked and found nothing is 0 with quality 1 and pulls toward neutral; one that could not
look has quality 0 and takes no part.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal, NamedTuple

from services.scanner.signals.measures import Measures

Sentiment = Literal["bullish", "bearish", "neutral"]
Strength = Literal["strong", "moderate", "weak"]

WEIGHTS = {"mom": 0.22, "reg": 0.18, "pat": 0.18, "vol": 0.12, "lvl": 0.10, "dex": 0.08, "txt": 0.12}
ENTER = 0.20  # a label is taken at this score …
LEAVE = 0.15  # … and left below this one
STRONG = 0.5
PATTERN_HALF_LIFE = 8  # bars
FULL_EVIDENCE = 3  # triggers
DEX_LIQUIDITY = 0.2  # a change of liquidity by a fifth counts in full
DEX_GAP = 0.02  # a gap between the pools' price and the market's that counts in full


class Component(NamedTuple):
    """``value`` in [-1, 1], bullish above 0; ``quality`` in [0, 1], 0 when it was not available."""

    name: str
    value: float
    quality: float


class Score(NamedTuple):
    """``score`` in [-1, 1]; the others in [0, 1]."""

    score: float
    agreement: float
    coverage: float
    evidence: float
    confidence: float


def score_of(components: Iterable[Component], triggers: int, quality: float) -> Score | None:
    """The weighted mean of the components that were available; None when none was.

    ``triggers`` is how many fired on the bar, ``quality`` the quality of the data in [0, 1].
    """
    weighed = [(WEIGHTS[c.name] * c.quality, c.value) for c in components]
    coverage = math.fsum(w for w, _ in weighed)
    if coverage <= 0.0:
        return None
    total = math.fsum(w * value for w, value in weighed)
    loud = math.fsum(w * abs(value) for w, value in weighed)
    agreement = abs(total) / loud if loud > 0.0 else 0.0
    evidence = min(1.0, triggers / FULL_EVIDENCE)
    confidence = (0.5 * agreement + 0.3 * coverage + 0.2 * evidence) * quality
    return Score(total / coverage, agreement, coverage, evidence, confidence)


def label_of(score: float, before: Sentiment = "neutral") -> Sentiment:
    """The sentiment of a score; a label an asset had ``before`` is kept until the score is past 0.15."""
    if score >= ENTER or (before == "bullish" and score >= LEAVE):
        return "bullish"
    if score <= -ENTER or (before == "bearish" and score <= -LEAVE):
        return "bearish"
    return "neutral"


def strength_of(score: float) -> Strength:
    """A word for how far the score is from 0."""
    if abs(score) >= STRONG:
        return "strong"
    return "moderate" if abs(score) >= ENTER else "weak"


def momentum(measures: Measures) -> Component:
    """``0.6 · tanh(z_1h / 2) + 0.4 · tanh(z_24h / 2)``."""
    if measures.z_1h is None or measures.z_24h is None:
        return Component("mom", 0.0, 0.0)
    return Component("mom", 0.6 * math.tanh(measures.z_1h / 2) + 0.4 * math.tanh(measures.z_24h / 2), 1.0)


def regime(trend: str, strength: float) -> Component:
    """The strength of the trend, signed; 0 in a range."""
    return Component("reg", {"up": strength, "down": -strength}.get(trend, 0.0), 1.0)


def patterns(found: Iterable[tuple[int, float, int]]) -> Component:
    """``tanh`` of the sum of ``direction · confidence · 0.5^(age / 8)`` over ``(direction, confidence,
    age in bars)``."""
    total = math.fsum(d * confidence * 0.5 ** (age / PATTERN_HALF_LIFE) for d, confidence, age in found)
    return Component("pat", math.tanh(total), 1.0)


def volume(measures: Measures) -> Component:
    """An unusual volume speaks for the direction of the hour's move: full at a z of 4."""
    if measures.volume_z is None or measures.move_1h is None:
        return Component("vol", 0.0, 0.0)
    loudness = min(1.0, max(0.0, (measures.volume_z - 1.0) / 3.0))
    return Component("vol", math.copysign(loudness, measures.move_1h) if measures.move_1h else 0.0, 1.0)


def level(direction: int, beyond_atr: float) -> Component:
    """How far beyond a broken level the close lies, in ATR, at most 1; ``direction`` 0 without a break."""
    return Component("lvl", direction * min(1.0, beyond_atr), 1.0)


def pools(liquidity_24h: float, gap: float, confidence: float) -> Component:
    """Liquidity that came or went (as a part of 1) and the pools' price above the market's (likewise)."""
    value = 0.5 * liquidity_24h / DEX_LIQUIDITY + 0.5 * gap / DEX_GAP
    return Component("dex", min(1.0, max(-1.0, value)), confidence)


def text(tone: float, documents: float) -> Component:
    """The tone of ``documents`` (their effective number), full quality from 5."""
    return Component("txt", tone, min(1.0, documents / 5.0))


def contributions(components: Iterable[Component]) -> list[tuple[str, float]]:
    """``(name, weight · quality · value)`` of the components that said something, the loudest first."""
    spoken = [(c.name, WEIGHTS[c.name] * c.quality * c.value) for c in components if c.quality * c.value]
    return sorted(spoken, key=lambda part: (-abs(part[1]), part[0]))
