"""From a closed bar to a signal, or none: triggers, cool-down, score, label. Pure.

``step`` takes what is remembered of an asset and one bar and gives what to remember next: the same bars give
the same signals, live or back-filled, and a later bar changes nothing said before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from services.scanner.bars import Bars
from services.scanner.catalogue import DIRECTIONS
from services.scanner.levels import Level
from services.scanner.signals import score as scoring
from services.scanner.signals import triggers as t
from services.scanner.signals.measures import HOUR_MS, Measures, measure
from services.scanner.signals.score import Component, Score, Sentiment, Strength
from services.scanner.signals.triggers import Dex, Formation, Texts, Trigger
from services.scanner.snapshot import Snapshot

COOL_DOWN_MS = HOUR_MS
COOL_DOWN_BREAK = 0.25  # a score this far from the one last told breaks the cool-down
SIDES = {"bullish": 1, "bearish": -1}


class Told(msgspec.Struct, frozen=True):
    """When a trigger was last told, and with which score."""

    at_ms: int
    score: float


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered of an asset and timeframe between bars."""

    trend: str = ""  # the trend that held; "" before any
    rising: str = ""  # the trend of the last bars when it is another
    rising_bars: int = 0
    told: dict[str, Told] = {}  # "trigger|direction" → when
    formations: dict[str, int] = {}  # pattern → the last bar of the last one told, Unix ms
    label: Sentiment = "neutral"
    support: tuple[tuple[float, float, int], ...] = ()
    resistance: tuple[tuple[float, float, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """A signal before it has an id, a coin and words."""

    close_ms: int
    measures: Measures
    sentiment: Sentiment
    strength: Strength
    score: Score
    components: tuple[Component, ...]
    triggers: tuple[Trigger, ...]


def step(
    memory: Memory,
    bars: Bars,
    close_ms: int,
    step_ms: int,
    snapshot: Snapshot,
    dex: Dex | None = None,
    texts: Texts | None = None,
) -> tuple[Memory, Draft | None]:
    """Take one closed bar, the last of ``bars``.

    ``snapshot`` is the analysis at that bar, ``close_ms`` its end, ``step_ms`` its length. The first bar of
    an asset is only remembered.
    """
    measures = measure(bars, step_ms)
    found = _formations(snapshot, bars)
    trend, flip = _flip(memory, snapshot)
    fired = [
        *t.price_move(measures),
        *t.volume_spike(measures),
        *t.pattern(found, memory.formations),
        *flip,
        *t.level_break(
            measures, snapshot.before, snapshot.atr, _levels(memory.support), _levels(memory.resistance)
        ),
        *_of_pools(dex),
        *_of_texts(texts, measures),
    ]
    draft = (
        None if memory.trend == "" else _draft(memory, fired, found, snapshot, measures, close_ms, dex, texts)
    )
    return _remembered(memory, trend, snapshot, found, draft), draft


def _draft(
    memory: Memory,
    fired: Sequence[Trigger],
    found: Iterable[Formation],
    snapshot: Snapshot,
    measures: Measures,
    close_ms: int,
    dex: Dex | None,
    texts: Texts | None,
) -> Draft | None:
    """A signal of the triggers that may be told now; None when there is none."""
    components = _components(fired, found, snapshot, measures, dex, texts)
    quality = min(1.0 - measures.stale, dex.confidence if dex else 1.0)
    # The score does not depend on how many fired, so the cool-down can ask it first.
    asked = scoring.score_of(components, len(fired), quality)
    if asked is None:
        return None
    telling = [trigger for trigger in fired if _may_tell(memory.told, trigger, close_ms, asked.score)]
    if not telling:
        return None
    score = scoring.score_of(components, len(telling), quality) or asked
    return Draft(
        close_ms=close_ms,
        measures=measures,
        sentiment=scoring.label_of(score.score, memory.label),
        strength=scoring.strength_of(score.score),
        score=score,
        components=components,
        triggers=tuple(telling),
    )


def _components(
    fired: Iterable[Trigger],
    found: Iterable[Formation],
    snapshot: Snapshot,
    measures: Measures,
    dex: Dex | None,
    texts: Texts | None,
) -> tuple[Component, ...]:
    breaks = [trigger for trigger in fired if trigger.kind == "level_break"]
    strongest = max(breaks, key=lambda b: float(b.facts["beyond_atr"]), default=None)
    beyond = (strongest.direction, float(strongest.facts["beyond_atr"])) if strongest else (0, 0.0)
    components = [
        scoring.momentum(measures),
        scoring.regime(snapshot.regime.trend, snapshot.regime.strength),
        scoring.patterns((f.direction, f.confidence, f.age) for f in found),
        scoring.volume(measures),
        scoring.level(*beyond),
    ]
    if dex is not None:
        components.append(
            scoring.pools(dex.liquidity_24h or 0.0, dex.price / measures.close - 1.0, dex.confidence)
        )
    if texts is not None:
        components.append(scoring.text(texts.tone, texts.documents))
    return tuple(components)


def _formations(snapshot: Snapshot, bars: Bars) -> list[Formation]:
    """The snapshot's patterns with their place in time."""
    first = len(bars) - snapshot.n
    return [
        Formation(
            name=f.name,
            direction=SIDES.get(DIRECTIONS[f.name], 0),
            confidence=f.confidence,
            at_ms=int(bars.open_ms[first + f.at]),
            age=snapshot.n - 1 - f.at,
        )
        for f in snapshot.patterns
    ]


def _flip(memory: Memory, snapshot: Snapshot) -> tuple[Memory, list[Trigger]]:
    """The memory's part about the trend after this bar, and the flip, if another one has held two bars."""
    now = snapshot.regime.trend
    if memory.trend == "":
        return msgspec.structs.replace(memory, trend=now), []
    if now == memory.trend:
        return msgspec.structs.replace(memory, rising="", rising_bars=0), []
    held = memory.rising_bars + 1 if now == memory.rising else 1
    if held < t.REGIME_BARS or (now != "range" and snapshot.regime.strength < t.REGIME_STRENGTH):
        return msgspec.structs.replace(memory, rising=now, rising_bars=held), []
    changed = msgspec.structs.replace(memory, trend=now, rising="", rising_bars=0)
    if snapshot.regime.strength < t.REGIME_STRENGTH:
        return changed, []  # a trend that ends in a weak range is remembered, and no news
    facts: dict[str, float | str] = {"was": memory.trend, "now": now, "strength": snapshot.regime.strength}
    return changed, [Trigger("regime_flip", f"regime-{now}", {"up": 1, "down": -1}.get(now, 0), facts)]


def _of_pools(dex: Dex | None) -> list[Trigger]:
    if dex is None:
        return []
    return [*t.liquidity_shock(dex), *t.depeg(dex), *t.path_divergence(dex)]


def _of_texts(texts: Texts | None, measures: Measures) -> list[Trigger]:
    return [] if texts is None else [*t.text_burst(texts), *t.text_divergence(texts, measures)]


def _levels(kept: Iterable[tuple[float, float, int]]) -> list[Level]:
    return [Level(*level) for level in kept]


def _key(trigger: Trigger) -> str:
    name = trigger.tag if trigger.kind == "pattern" else trigger.kind
    return f"{name}|{trigger.direction}"


def _may_tell(told: Mapping[str, Told], trigger: Trigger, close_ms: int, score: float) -> bool:
    last = told.get(_key(trigger))
    return last is None or close_ms - last.at_ms >= COOL_DOWN_MS or abs(score - last.score) >= COOL_DOWN_BREAK


def _remembered(
    before: Memory, trend: Memory, snapshot: Snapshot, found: Iterable[Formation], draft: Draft | None
) -> Memory:
    """What the next bar needs to know."""
    first = before.trend == ""
    formations = dict(before.formations)
    for f in found:
        if f.confidence >= t.PATTERN_CONFIDENCE or first:
            formations[f.name] = max(f.at_ms, formations.get(f.name, 0))
    told = dict(before.told)
    if draft is not None:
        now = Told(draft.close_ms, draft.score.score)
        told.update((_key(trigger), now) for trigger in draft.triggers)
    return msgspec.structs.replace(
        trend,
        told=told,
        formations=formations,
        label=draft.sentiment if draft else before.label,
        support=tuple(tuple(level) for level in snapshot.support),
        resistance=tuple(tuple(level) for level in snapshot.resistance),
    )
