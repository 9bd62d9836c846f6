"""Messages of the analysis surface, owned by scanner. Major 1 of each.

The replies are the client's JSON: field names, order and omissions are those of the contract (analysis A1).
Times are Unix milliseconds. Numbers are rounded where they are made and whole ones have no point.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

Section = Literal["candles", "patterns", "levels", "regime", "indicators", "nl"]


class BriefAsk(msgspec.Struct, frozen=True, kw_only=True):
    """A brief of the newest ``limit`` candles.

    ``fields`` None is every section. ``holder`` says whose look it is, so that a delta knows what was seen;
    "" is nobody's. ``evidence`` adds to each pattern what came after it before. ``decimals`` of prices
    stand for those the highest high says.
    """

    ticker: str
    timeframe: str
    limit: int
    fields: Sequence[Section] | None = None
    holder: str = ""
    evidence: bool = False
    decimals: int | None = None


class DeltaAsk(msgspec.Struct, frozen=True, kw_only=True):
    """What is new since the holder's last brief or delta of the same symbol and timeframe."""

    ticker: str
    timeframe: str
    limit: int
    holder: str = ""
    decimals: int | None = None


class CandlesAsk(msgspec.Struct, frozen=True, kw_only=True):
    """The newest ``limit`` candles in the codec."""

    ticker: str
    timeframe: str
    limit: int
    decimals: int | None = None


class AnalogsAsk(msgspec.Struct, frozen=True, kw_only=True):
    """What came after the windows that looked like the last one; both in candles."""

    ticker: str
    timeframe: str
    window: int
    horizon: int


class MultiAsk(msgspec.Struct, frozen=True, kw_only=True):
    """Briefs of one symbol in several timeframes."""

    ticker: str
    timeframes: Sequence[str]
    limit: int


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What was analysed; ``t0`` and ``t1`` are open times of the first and the last candle."""

    sym: str
    tf: str
    src: str
    n: int
    t0: int
    t1: int


class Codec(msgspec.Struct, frozen=True, kw_only=True):
    """The candles as text: ``o,h,l,c,v`` joined by ``;``; the SAX word; decimals of prices."""

    rows: str
    sax: str
    precision: int


class Distribution(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Every outcome at the horizon, losers included; fractions, null where there is none."""

    n: int
    horizon: int
    win_rate: float | None
    median: float | None
    mean: float | None
    min: float | None
    max: float | None


class Lift(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The hit rate beside what any bar did; ``informative`` when it is outside of its interval."""

    baseline: float
    baseline_n: int
    lift: float
    ci95: float
    informative: bool
    reading: str


class PatternEvidence(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What came after earlier formations of this name; shares as fractions, horizon in candles."""

    scope: str
    tf: str
    band: str
    horizon: int
    n: int
    hit_rate: float
    ci95: float
    dist: Distribution
    lift: Lift
    definition: str


class PatternSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A formation: ``at`` is the index of its last candle, ``span`` how many it covers."""

    name: str
    confidence: float
    at: int
    span: int
    evidence: PatternEvidence | UnsetType = UNSET


class LevelSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A price at which the market turned; ``strength`` beside the strongest of its side."""

    price: float
    strength: float


class LevelsSeen(msgspec.Struct, frozen=True, kw_only=True):
    """At most three of each side, the strongest first."""

    support: Sequence[LevelSeen]
    resistance: Sequence[LevelSeen]


class RegimeSeen(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """``trend`` is up, down or range; ``volPct`` is the ATR in percent of the last close."""

    trend: str
    strength: float
    vol_pct: float


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """An indicator's value and the word for it."""

    v: float
    state: str


class Indicators(msgspec.Struct, frozen=True, kw_only=True):
    """RSI(14) and EMA(20)."""

    rsi: Reading
    ema: Reading


class Analysis(msgspec.Struct, frozen=True, kw_only=True):
    """The sections that were asked for."""

    patterns: Sequence[PatternSeen] | UnsetType = UNSET
    levels: LevelsSeen | UnsetType = UNSET
    regime: RegimeSeen | UnsetType = UNSET
    indicators: Indicators | UnsetType = UNSET
    nl: str | UnsetType = UNSET


class Brief(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Candles and their structure. ``codec`` and ``analysis`` are left out when nothing of them was asked."""

    header: Header
    codec: Codec | UnsetType = UNSET
    analysis: Analysis | UnsetType = UNSET
    disclaimer: str
    methodology_url: str


class DeltaNews(msgspec.Struct, frozen=True, kw_only=True):
    """Whether anything material changed, and what."""

    changed: bool
    sym: str
    tf: str
    notes: Sequence[str]


class Delta(msgspec.Struct, frozen=True, kw_only=True):
    """The news; the whole brief only when there is some."""

    delta: DeltaNews
    brief: Brief | UnsetType = UNSET
    disclaimer: str


class Candles(msgspec.Struct, frozen=True, kw_only=True):
    """The candles without their analysis."""

    header: Header
    codec: Codec
    disclaimer: str


class Analogs(msgspec.Struct, frozen=True, kw_only=True):
    """All outcomes after similar windows; ``matches`` is how many there were."""

    sym: str
    tf: str
    window: int
    distribution: Distribution
    matches: int
    note: str
    disclaimer: str


class Alignment(msgspec.Struct, frozen=True, kw_only=True):
    """Whether every timeframe trends the same way, and how each does."""

    aligned: bool
    note: str


class Multi(msgspec.Struct, frozen=True, kw_only=True):
    """A brief per timeframe, in the order asked for."""

    briefs: dict[str, Brief]
    alignment: Alignment
    disclaimer: str


class ScanTableAsk(msgspec.Struct, frozen=True, kw_only=True):
    """The patterns that show now, with what came after them before; None and "all" leave nothing out."""

    asset_class: str = "all"
    regime: str | None = None
    pattern: str | None = None
    timeframe: str | None = None
    base_rate_min: float | None = None
    lift_min: float | None = None
    limit: int = 50


class ScanLine(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A pattern that became known lately; rates as fractions, null where nothing was counted yet."""

    sym: str
    tf: str
    asset_class: str
    regime: str
    pattern: str
    base_rate: float | None
    ci95: float | None
    n: int
    scope: str
    confidence: float
    as_of: int
    baseline: float | None
    lift: float | None
    lift_ci95: float | None
    lift_reading: str | None


class ScanTable(msgspec.Struct, frozen=True, kw_only=True):
    """The lines, the highest rate first."""

    rows: Sequence[ScanLine]
    disclaimer: str
