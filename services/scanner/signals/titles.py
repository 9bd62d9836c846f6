"""Title and summary of a signal from its evidence: present tense, no forecast, no target, no advice. Pure.

Every number in a text is one of the evidence, rounded; ``traceable`` holds any other writer to that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from services.scanner.rounding import rounded
from services.scanner.signals.generation import Draft
from services.scanner.signals.score import contributions
from services.scanner.signals.triggers import Trigger

TITLE_MAX = 120
SUMMARY_MAX = 400
BANNED = re.compile(
    r"\b(will|guarantee[ds]?|target|profit|should|must|buy|sell|invest|advice|predict\w*|forecast\w*"
    r"|expect\w*|moon|certain\w*)\b",
    re.IGNORECASE,
)
NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")
# What a title is made of when several triggers fired: the most telling first.
ORDER = (
    "depeg",
    "level_break",
    "regime_flip",
    "price_move",
    "liquidity_shock",
    "pattern",
    "text_divergence",
    "path_divergence",
    "volume_spike",
    "text_burst",
)
TRENDS = {"up": "an uptrend", "down": "a downtrend", "range": "a range"}
SPOKEN = {
    "mom": "momentum",
    "reg": "trend",
    "pat": "patterns",
    "vol": "volume",
    "lvl": "level break",
    "dex": "pools",
    "txt": "texts",
}


class Words(NamedTuple):
    """At most 120 and 400 characters."""

    title: str
    summary: str


def words_of(draft: Draft, name: str, timeframe: str, digits: int) -> Words:
    """The texts of a signal about the asset ``name``, prices with ``digits`` decimals."""
    lead = lead_of(draft)
    title = f"{name} {_verb(lead, digits)}{_on_volume(draft, lead)} ({timeframe})"
    if len(title) > TITLE_MAX:
        title = f"{name[: TITLE_MAX - len(title) - 1]}… {title[len(name) + 1 :]}"
    return Words(title, _summary(draft, lead, timeframe, digits))


def lead_of(draft: Draft) -> Trigger:
    """The most telling trigger: what the title is about."""
    return min(draft.triggers, key=lambda trigger: ORDER.index(trigger.kind))


def number(value: float, decimals: int) -> str:
    """A number as texts say it: ``64,250.5``."""
    text = f"{rounded(value, decimals):,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def traceable(text: str, evidence: Iterable[float], names: Iterable[str] = ()) -> bool:
    """Whether every number in ``text`` is one of ``evidence``, rounded to the decimals it is written with,
    and no banned word is in it. ``names`` (of the asset, of the timeframe) may hold digits of their own."""
    text = without(text, names)
    if BANNED.search(text):
        return False
    known_values = [abs(value) for value in evidence]
    for found in NUMBER.findall(text):
        decimals = len(found.partition(".")[2])
        value = float(found.replace(",", ""))
        if all(rounded(each, decimals) != value for each in known_values):
            return False
    return True


def without(text: str, names: Iterable[str]) -> str:
    """A text without the names that stand in it as words of their own; one without a letter is no name."""
    for name in sorted(names, key=len, reverse=True):
        if any(letter.isalpha() for letter in name):
            text = re.sub(rf"(?<![\w.,]){re.escape(name)}(?!\w)", " ", text)
    return text


def numbers_of(draft: Draft) -> list[float]:
    """Every number a text about the signal may say."""
    m, s = draft.measures, draft.score
    values = [m.close, m.volume_z, m.volume_ratio, m.z_1h, m.z_24h, s.score, s.confidence, s.agreement]
    values += [100.0 * s.confidence]
    values += [value for _, value in contributions(draft.components)]
    for trigger in draft.triggers:
        values += [v for v in trigger.facts.values() if isinstance(v, (int, float))]
    return [value for value in values if value is not None]


def _verb(trigger: Trigger, digits: int) -> str:
    """What happened, beginning with a verb."""
    facts: Mapping[str, float | str] = trigger.facts

    def told(key: str, decimals: int = 1) -> str:
        return number(abs(float(facts[key])), decimals)

    up = trigger.direction > 0
    match trigger.kind:
        case "level_break":
            side = "above resistance" if up else "below support"
            return f"closes {side} at {told('level', digits)}"
        case "regime_flip":
            return f"turns from {TRENDS[str(facts['was'])]} into {TRENDS[str(facts['now'])]}"
        case "price_move":
            return f"{'rises' if up else 'falls'} {told('change_pct', 2)} % within the hour"
        case "pattern":
            return f"completes a {trigger.tag.replace('-', ' ')}"
        case "volume_spike":
            return f"trades {told('volume_ratio')}× its usual volume"
        case "liquidity_shock":
            return f"{'gains' if up else 'loses'} {told('liquidity_change_pct')} % of its pool liquidity"
        case "depeg":
            return f"stands {told('deviation_pct', 2)} % {'above' if up else 'below'} its peg"
        case "path_divergence":
            return f"is priced {told('variation_pct')} % apart over {told('paths', 0)} paths"
        case "text_divergence":
            return f"is written about {'well' if up else 'badly'} while its price stands still"
        case _:
            return f"is mentioned by {told('sources', 0)} sources, far more than usual"


def _on_volume(draft: Draft, lead: Trigger) -> str:
    ratio = draft.measures.volume_ratio
    if lead.kind in ("level_break", "price_move") and ratio is not None and ratio >= 1.5:
        return f" on {number(ratio, 1)}× usual volume"
    return ""


def _summary(draft: Draft, lead: Trigger, timeframe: str, digits: int) -> str:
    """Further triggers, up to three loudest contributions, the strongest against, and the window."""
    said = contributions(draft.components)
    sign = 1 if draft.score.score >= 0 else -1
    for_it = [part for part in said if part[1] * sign > 0][:3]
    against = [part for part in said if part[1] * sign < 0][:1]
    parts = [
        f"Close {number(draft.measures.close, digits)}, score {number(draft.score.score, 2)} "
        f"({draft.sentiment}, {draft.strength}), confidence {number(draft.score.confidence, 2)}."
    ]
    others = [_verb(trigger, digits) for trigger in draft.triggers if trigger is not lead]
    if others:
        parts.append(f"Also: {'; '.join(others[:2])}.")
    if for_it:
        parts.append(f"For it: {_listed(for_it)}.")
    if against:
        parts.append(f"Against it: {_listed(against)}.")
    parts.append(f"Seen on closed {timeframe} bars.")
    while len(text := " ".join(parts)) > SUMMARY_MAX:
        del parts[1]
    return text


def _listed(said: Sequence[tuple[str, float]]) -> str:
    return ", ".join(
        f"{SPOKEN[name]} {'+' if value > 0 else '−'}{number(abs(value), 2)}" for name, value in said
    )
