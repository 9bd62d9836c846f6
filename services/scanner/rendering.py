"""What the analysis surface shows of a snapshot: rounded once, in the contract's fields. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from msgspec import UNSET

from libs.common.messages import analysis as m
from services.scanner.analogs import Distribution, Match, distribution_of
from services.scanner.bars import Bars
from services.scanner.catalogue import BY_ID
from services.scanner.codec import rows_of
from services.scanner.constants import EVIDENCE_HORIZON
from services.scanner.experience import Evidence, Occurrence
from services.scanner.levels import Level
from services.scanner.rounding import shown
from services.scanner.snapshot import Snapshot
from services.scanner.summary import line_of

DISCLAIMER = "Informational market data only; not investment advice."
ANALOGS_NOTE = (
    "Every past window that was alike enough is counted, losing ones included. "
    "What followed them is history, not a forecast."
)
SCORE_DIGITS = 2
RETURN_DIGITS = 4
RATE_DIGITS = 4

Told = Mapping[str, m.PatternEvidence]


def header_of(symbol: str, timeframe: str, source: str, bars: Bars) -> m.Header:
    """What was analysed."""
    times = bars.open_ms
    return m.Header(sym=symbol, tf=timeframe, src=source, n=len(bars), t0=int(times[0]), t1=int(times[-1]))


def codec_of(bars: Bars, now: Snapshot) -> m.Codec:
    """The candles as text."""
    return m.Codec(rows=rows_of(bars, now.precision), sax=now.sax, precision=now.precision)


def analysis_of(
    symbol: str,
    timeframe: str,
    now: Snapshot,
    fields: Sequence[m.Section] | None = None,
    evidence: Told | None = None,
) -> m.Analysis:
    """The sections asked for, every one where ``fields`` is None; ``evidence`` by the pattern's name."""
    known = evidence or {}

    def wanted(section: m.Section) -> bool:
        return fields is None or section in fields

    return m.Analysis(
        patterns=patterns_of(now, known) if wanted("patterns") else UNSET,
        levels=levels_of(now) if wanted("levels") else UNSET,
        regime=regime_of(now) if wanted("regime") else UNSET,
        indicators=indicators_of(now) if wanted("indicators") else UNSET,
        nl=line_of(symbol, timeframe, now, _history(now, known)) if wanted("nl") else UNSET,
    )


def patterns_of(now: Snapshot, evidence: Told) -> list[m.PatternSeen]:
    """The formations, in the order of the contract."""
    return [
        m.PatternSeen(
            name=found.name,
            confidence=shown(found.confidence, SCORE_DIGITS),
            at=found.at,
            span=found.span,
            evidence=evidence.get(found.name, UNSET),
        )
        for found in now.patterns
    ]


def levels_of(now: Snapshot) -> m.LevelsSeen:
    """Support and resistance."""

    def side(levels: Sequence[Level]) -> list[m.LevelSeen]:
        return [
            m.LevelSeen(price=shown(level.price, now.precision), strength=shown(level.strength, SCORE_DIGITS))
            for level in levels
        ]

    return m.LevelsSeen(support=side(now.support), resistance=side(now.resistance))


def regime_of(now: Snapshot) -> m.RegimeSeen:
    """The regime."""
    return m.RegimeSeen(
        trend=now.regime.trend,
        strength=shown(now.regime.strength, SCORE_DIGITS),
        vol_pct=shown(now.regime.vol_pct, 2),
    )


def indicators_of(now: Snapshot) -> m.Indicators:
    """RSI and EMA; an EMA below 1 has the decimals of the codec."""
    digits = max(2, now.precision) if now.ema_fast >= 1 else now.precision
    return m.Indicators(
        rsi=m.Reading(v=shown(now.rsi, 2), state=now.rsi_state),
        ema=m.Reading(v=shown(now.ema_fast, digits), state=now.ema_state),
    )


def analogs_of(symbol: str, timeframe: str, window: int, horizon: int, matches: Sequence[Match]) -> m.Analogs:
    """Every outcome."""
    found = distribution_of(np.array([match.outcome for match in matches], dtype=np.float64))
    return m.Analogs(
        sym=symbol,
        tf=timeframe,
        window=window,
        distribution=_distribution(found, horizon),
        matches=found.n,
        note=ANALOGS_NOTE,
        disclaimer=DISCLAIMER,
    )


def _distribution(found: Distribution, horizon: int) -> m.Distribution:
    def figure(value: float | None) -> float | None:
        return None if value is None else shown(value, RETURN_DIGITS)

    return m.Distribution(
        n=found.n,
        horizon=horizon,
        win_rate=figure(found.win_rate),
        median=figure(found.median),
        mean=figure(found.mean),
        min=figure(found.min),
        max=figure(found.max),
    )


def alignment_of(trends: Mapping[str, str]) -> m.Alignment:
    """Whether every timeframe goes the same way; ranges go nowhere."""
    ways = set(trends.values())
    return m.Alignment(
        aligned=len(ways) == 1 and "range" not in ways,
        note=" / ".join(f"{timeframe} {trend}" for timeframe, trend in trends.items()),
    )


def evidence_of(timeframe: str, pattern: str, known: Evidence) -> m.PatternEvidence:
    """What came after earlier formations of a name and band."""
    return m.PatternEvidence(
        scope="all",
        tf=timeframe,
        band=known.band,
        horizon=EVIDENCE_HORIZON,
        n=known.n,
        hit_rate=shown(known.hit_rate, RATE_DIGITS),
        ci95=shown(known.ci95, RATE_DIGITS),
        dist=_distribution(distribution_of(known.outcomes), EVIDENCE_HORIZON),
        lift=m.Lift(
            baseline=shown(known.baseline, RATE_DIGITS),
            baseline_n=known.baseline_n,
            lift=shown(known.lift, RATE_DIGITS),
            ci95=shown(known.lift_ci95, RATE_DIGITS),
            informative=known.reading != "indistinguishable-from-baseline",
            reading=known.reading,
        ),
        definition=BY_ID[pattern].definition,
    )


def line_of_table(
    symbol: str,
    timeframe: str,
    asset_class: str,
    trend: str,
    found: Occurrence,
    as_of_ms: int,
    known: Evidence | None,
) -> m.ScanLine:
    """A line of the scan table; figures are null where nothing was counted."""

    def rate(value: float | None) -> float | None:
        return None if value is None else shown(value, RATE_DIGITS)

    return m.ScanLine(
        sym=symbol,
        tf=timeframe,
        asset_class=asset_class,
        regime=trend,
        pattern=found.pattern,
        base_rate=rate(known and known.hit_rate),
        ci95=rate(known and known.ci95),
        n=known.n if known is not None else 0,
        scope="all",
        confidence=shown(found.confidence, SCORE_DIGITS),
        as_of=as_of_ms,
        baseline=rate(known and known.baseline),
        lift=rate(known and known.lift),
        lift_ci95=rate(known and known.lift_ci95),
        lift_reading=known.reading if known is not None else None,
    )


_READINGS = {
    "above-baseline": "above baseline",
    "below-baseline": "below baseline",
    "indistinguishable-from-baseline": "within noise",
}


def _history(now: Snapshot, evidence: Told) -> str:
    """What the summary adds about the past of the pattern it names."""
    if not now.patterns:
        return ""
    known = evidence.get(max(now.patterns, key=lambda found: found.confidence).name)
    if known is None:
        return ""
    points = shown(100.0 * known.lift.lift, 1)
    return (
        f", hist {shown(100.0 * known.hit_rate, 0)}% over {known.horizon}b, "
        f"lift {points:+}pp vs {shown(100.0 * known.lift.baseline, 0)}% base "
        f"({_READINGS[known.lift.reading]})"
    )
