"""What was written about an asset: which texts mean it, their tone, how unusual their number is. Pure.

A text is data and nothing else. The tone is that of titles by a short list of words written for this project
(no other source); it knows English only, and what it does not know counts as neutral.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from services.scanner.signals.assets import Asset
from services.scanner.signals.measures import DAY_MS, HOUR_MS
from services.scanner.signals.triggers import Texts

HALF_LIFE_MS = 6 * HOUR_MS
USUAL_DAYS = 20
ALIKE = 0.8  # titles that share so many shingles are one text
SHINGLE = 3
QUIET = 0.2  # a fainter tone is none
NEGATION_REACH = 3


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


POSITIVE = _words(
    "gain gains rise rises rally rallies surge surges soar soars jump jumps climb climbs record high growth"
    " grow grows adopt adopts adoption approve approves approved approval upgrade upgrades launch launches"
    " partner partnership win wins strong bullish recover recovers recovery boost boosts inflow inflows"
)
NEGATIVE = _words(
    "loss losses fall falls drop drops plunge plunges crash crashes slump slumps tumble tumbles low lows hack"
    " hacked exploit exploited ban bans banned sue sues lawsuit fraud scam halt halts outage delay delays"
    " weak bearish fear fears liquidation liquidations outflow outflows reject rejects rejected breach"
)
NEGATIONS = _words("no not never without denies deny isn't doesn't won't can't")
# Tickers that are words: they count with a $ or by the full name only.
AMBIGUOUS = _words("gas one near link dot sand hot sun win key fun ape gmt flow rose mask dash time")
_WORD = re.compile(r"\$?[\w']+")


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A text: its title and where it is. ``assets`` are symbols its source says it is about."""

    id: str
    title: str
    source: str
    published_ms: int
    url: str = ""
    assets: tuple[str, ...] = ()


def polarity(title: str) -> float:
    """``(positive - negative) / (positive + negative + 1)``; a negation turns the three words behind it."""
    good = bad = 0
    turned = 0
    for word in _WORD.findall(title.casefold()):
        if word in NEGATIONS:
            turned = NEGATION_REACH
            continue
        up, down = word in POSITIVE, word in NEGATIVE
        if turned:
            up, down, turned = down, up, turned - 1
        good, bad = good + up, bad + down
    return (good - bad) / (good + bad + 1)


def is_about(document: Document, asset: Asset) -> bool:
    """By its source's word, a cashtag, the name or an alias, or the ticker in capitals if it is no word."""
    symbol = asset.symbol.upper()
    if symbol in (named.upper() for named in document.assets):
        return True
    words = _WORD.findall(document.title)
    if f"${symbol}" in (word.upper() for word in words):
        return True
    if symbol in words and symbol.casefold() not in AMBIGUOUS:
        return True
    text = f" {' '.join(word.casefold() for word in words)} "
    names = (" ".join(_WORD.findall(name.casefold())) for name in (asset.name, *asset.aliases))
    return any(f" {name} " in text for name in names if name and name not in AMBIGUOUS)


def distinct(documents: Iterable[Document]) -> list[Document]:
    """The texts without those whose title is nearly that of an earlier one, whoever's; oldest first."""
    kept: list[tuple[Document, int]] = []  # with the number of its shingles
    having: dict[tuple[str, ...], list[int]] = {}
    for document in sorted(documents, key=lambda one: (one.published_ms, one.id)):
        shingles = _shingles(document.title)
        shared = Counter(at for shingle in shingles for at in having.get(shingle, ()))
        if any(both >= ALIKE * (len(shingles) + kept[at][1] - both) for at, both in shared.items()):
            continue
        for shingle in shingles:
            having.setdefault(shingle, []).append(len(kept))
        kept.append((document, len(shingles)))
    return [document for document, _ in kept]


class Library:
    """Texts by the words in them, so that those about an asset are found without looking at all."""

    def __init__(self, documents: Iterable[Document]) -> None:
        self._having: dict[str, list[Document]] = {}
        for document in documents:
            words = {word.casefold() for word in _WORD.findall(document.title)}
            for word in words | {f"asset {named.casefold()}" for named in document.assets}:
                self._having.setdefault(word, []).append(document)

    def about(self, asset: Asset) -> list[Document]:
        """The texts that mean an asset."""
        symbol = asset.symbol.casefold()
        names = (_WORD.findall(name.casefold()) for name in (asset.name, *asset.aliases))
        words = (symbol, f"${symbol}", f"asset {symbol}", *(name[0] for name in names if name))
        maybe = {one.id: one for word in words for one in self._having.get(word, ())}
        return [document for document in maybe.values() if is_about(document, asset)]


def texts_of(documents: Sequence[Document], asset: Asset, close_ms: int) -> Texts | None:
    """What was written about an asset up to a close, the day beside the 20 days before it; None where
    nothing was in all that time. A text published later takes no part."""
    from_ms = close_ms - (USUAL_DAYS + 1) * DAY_MS
    about = [d for d in documents if from_ms < d.published_ms <= close_ms and is_about(d, asset)]
    if not about:
        return None
    days: list[list[Document]] = [[] for _ in range(USUAL_DAYS + 1)]
    for document in distinct(about):
        days[(close_ms - document.published_ms) // DAY_MS].append(document)
    today, *before = days
    usual = [len(day) for day in before]
    mean = math.fsum(usual) / len(usual)
    spread = math.sqrt(math.fsum((count - mean) ** 2 for count in usual) / len(usual))
    toned = [(tone, one) for one in today if abs(tone := polarity(one.title)) >= QUIET]
    weights = [0.5 ** ((close_ms - one.published_ms) / HALF_LIFE_MS) for _, one in toned]
    total = math.fsum(weights)
    return Texts(
        tone=math.fsum(w * tone for w, (tone, _) in zip(weights, toned, strict=True)) / total
        if total
        else 0.0,
        documents=total**2 / math.fsum(w * w for w in weights) if total else 0.0,
        z=(len(today) - mean) / max(spread, 1.0),
        sources=len({one.source for one in today}),
    )


def _shingles(title: str) -> frozenset[tuple[str, ...]]:
    words = _WORD.findall(title.casefold())
    return frozenset(tuple(words[at : at + SHINGLE]) for at in range(max(1, len(words) - SHINGLE + 1)))
