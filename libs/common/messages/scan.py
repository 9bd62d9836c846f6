"""Messages of the scan surface, owned by scanner. Major 1 of each.

The replies are the client's JSON: field names and order are those of the contract (scan C2, C3). Times are
ISO 8601 in UTC with ``Z``. ``person_id`` says whose things are meant; 0 has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from libs.common.messages.analysis import Indicators, LevelsSeen, RegimeSeen
from libs.common.messages.scanner import Evidence

# ── scan, patterns, records ───────────────────────────────────────────────────────────────────────


class ScanAsk(msgspec.Struct, frozen=True, kw_only=True):
    """Look at the newest 200 closed candles; ``patterns`` empty is all. The quota is shown, not counted."""

    symbol: str
    tf: str
    patterns: Sequence[str] = ()
    quota_limit: int = 0
    quota_used: int = 0
    quota_resets_ms: int = 0


class DetectionView(msgspec.Struct, frozen=True, kw_only=True):
    """A formation; ``entry``, ``stop`` and ``targets`` are null for neutral ones."""

    detection_id: str
    pattern: str
    direction: str
    confidence: float
    at: int
    start_time: str
    end_time: str
    entry: float | None
    stop: float | None
    targets: Sequence[float] | None
    context_id: str
    evidence: Evidence | None = None


class QuotaView(msgspec.Struct, frozen=True, kw_only=True):
    """The daily quota of scans, this one counted."""

    limit: int
    used: int
    resets_at: str


class ScanView(msgspec.Struct, frozen=True, kw_only=True):
    """What a scan saw."""

    symbol: str
    tf: str
    scanned_at: str
    candles: int
    price: float
    patterns: Sequence[DetectionView]
    levels: LevelsSeen
    regime: RegimeSeen
    indicators: Indicators
    quota: QuotaView


class PatternsAsk(msgspec.Struct, frozen=True):
    """Every pattern."""


class PatternAsk(msgspec.Struct, frozen=True, kw_only=True):
    """One pattern."""

    id: str


class PatternView(msgspec.Struct, frozen=True, kw_only=True):
    """A pattern; ``definition`` is its exact rule, ``definition_url`` the page about it."""

    id: str
    name: str
    direction: str
    category: str
    min_candles: int
    description: str
    definition: str
    definition_url: str


class PatternList(msgspec.Struct, frozen=True, kw_only=True):
    """``{patterns, count}``."""

    patterns: Sequence[PatternView]
    count: int


class PerformanceAsk(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a pattern's records, of one symbol and timeframe where they are given."""

    id: str
    symbol: str = ""
    tf: str = ""


class Performance(msgspec.Struct, frozen=True, kw_only=True):
    """Closed records: counts, hit rate (wins / n) with Wilson's interval at 95 %, the same share of the
    baseline, lift (hit_rate − baseline), medians in percent. Null where there is nothing to count."""

    n: int
    wins: int
    losses: int
    expired: int
    hit_rate: float | None
    ci_low: float | None
    ci_high: float | None
    baseline: float | None
    baseline_n: int
    lift: float | None
    median_return_pct: float | None
    median_mfe_pct: float | None
    median_mae_pct: float | None
    key: str = ""  # the timeframe, symbol or hour (UTC, "00" to "23") of a part


class PerformanceView(msgspec.Struct, frozen=True, kw_only=True):
    """The performance of a pattern in all and in parts."""

    pattern: str
    direction: str
    symbol: str | None
    tf: str | None
    rule: str
    total: Performance
    by_tf: Sequence[Performance]
    by_symbol: Sequence[Performance]
    by_hour: Sequence[Performance]
    disclaimer: str


class RecordsAsk(msgspec.Struct, frozen=True, kw_only=True):
    """A page of records, newest first. ``from_``, ``to`` and ``cursor`` as the client sent them."""

    symbol: str = ""
    tf: str = ""
    pattern: str = ""
    status: str = "all"
    outcome: str = ""
    from_time: str = ""
    to_time: str = ""
    limit: int = 20
    cursor: str = ""


class ShowcaseAsk(msgspec.Struct, frozen=True, kw_only=True):
    """The newest records without what people pay for."""

    count: int


class RecordAsk(msgspec.Struct, frozen=True, kw_only=True):
    """One record, by its id or its detection's."""

    id: str


class ReducedRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A record without entry, stop and targets."""

    id: str
    detection_id: str
    symbol: str
    tf: str
    pattern: str
    direction: str
    confidence: float
    detected_at: str
    status: str
    outcome: str
    exit_price: float | None
    exit_at: str | None
    return_pct: float | None


class RecordView(msgspec.Struct, frozen=True, kw_only=True):
    """A record; ``mfe_pct`` and ``mae_pct`` are the greatest moves for and against it."""

    id: str
    detection_id: str
    symbol: str
    tf: str
    pattern: str
    direction: str
    confidence: float
    detected_at: str
    entry: float
    stop: float
    targets: Sequence[float]
    status: str
    outcome: str
    exit_price: float | None
    exit_at: str | None
    return_pct: float | None
    mfe_pct: float | None = None
    mae_pct: float | None = None
    bars: int | None = None
    context_id: str = ""


class RecordPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of records."""

    records: Sequence[RecordView]
    returned_count: int
    has_more: bool
    next_cursor: str | None


class Showcase(msgspec.Struct, frozen=True, kw_only=True):
    """``{records}``, reduced."""

    records: Sequence[ReducedRecord]


class PersonAsk(msgspec.Struct, frozen=True, kw_only=True):
    """What one person has; ``tier`` says how much of it."""

    person_id: int
    tier: str = "free"


class WatchlistView(msgspec.Struct, frozen=True, kw_only=True):
    """A watchlist."""

    id: str
    name: str
    symbols: Sequence[str]
    created_at: str
    updated_at: str


class WatchlistsView(msgspec.Struct, frozen=True, kw_only=True):
    """``{watchlists}``."""

    watchlists: Sequence[WatchlistView]


class WatchlistPut(msgspec.Struct, frozen=True, kw_only=True):
    """Make a watchlist (``id`` empty), change one, or add ``symbol`` to the default one."""

    person_id: int
    id: str = ""
    name: str | None = None
    symbols: Sequence[str] | None = None
    symbol: str | None = None


class WatchlistRemove(msgspec.Struct, frozen=True, kw_only=True):
    """Take a watchlist away, or a symbol from the default one where ``id`` is no list's."""

    person_id: int
    id: str


# How somebody without a good key gets one: an agent can't do it by itself.
KEY_RECOVERY: dict[str, Any] = {
    "flow": "manual_web_agent_key",
    "action": "sign in and make an API key with POST /api/v1/keys",
    "agent_direct_payment": False,
}


class StatusAsk(msgspec.Struct, frozen=True, kw_only=True):
    """How the scanner is; ``has_key``: who asks needs none any more."""

    has_key: bool = False


class StatusView(msgspec.Struct, frozen=True, kw_only=True):
    """``ok`` while closed bars are judged; ``recovery`` says how who has no key gets one, else null."""

    ok: bool
    time: str
    symbols: int
    places: int
    pending_places: int
    recovery: dict[str, Any] | None


class CapabilitiesAsk(msgspec.Struct, frozen=True):
    """What there is."""


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """Markets, timeframes, patterns, indicators, conditions, the usage policy."""

    markets: Sequence[str]
    timeframes: Sequence[str]
    patterns: Sequence[str]
    indicators: Sequence[str]
    conditions: Sequence[dict[str, Any]]
    usage_policy: dict[str, str]


class SymbolSearch(msgspec.Struct, frozen=True, kw_only=True):
    """Symbols whose name or description holds ``query``, by name, after ``cursor``."""

    query: str = ""
    asset: str = ""
    limit: int = 50
    cursor: str = ""


class SymbolView(msgspec.Struct, frozen=True, kw_only=True):
    """A symbol as the scan surface writes it; ``name`` is market's."""

    symbol: str
    name: str
    description: str
    asset: str
    digits: int


class SymbolPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of symbols."""

    items: Sequence[SymbolView]
    returned_count: int
    total_count: int
    has_more: bool
    next_cursor: str | None


class SymbolResolve(msgspec.Struct, frozen=True, kw_only=True):
    """The symbol a text means."""

    symbol: str


class ContextsAsk(msgspec.Struct, frozen=True, kw_only=True):
    """The newest contexts of a symbol and timeframe."""

    symbol: str
    timeframe: str
    limit: int = 5


class ContextView(msgspec.Struct, frozen=True, kw_only=True):
    """A detection with the chart around it. ``visual_status``, where one is asked for: ``visual_confirmed``
    once who asks has confirmed its chart, else ``unconfirmed``."""

    context_id: str
    detection_id: str
    record_id: str | None
    symbol: str
    timeframe: str
    pattern: str
    direction: str
    confidence: float
    start_time: str
    end_time: str
    detected_at: str
    price: float
    entry: float | None
    stop: float | None
    targets: Sequence[float] | None
    outcome: str | None
    evidence: Evidence | None = None
    visual_status: str | msgspec.UnsetType = msgspec.UNSET


class ContextPage(msgspec.Struct, frozen=True, kw_only=True):
    """The contexts that are ready; ``queued`` says that the next close may bring one."""

    contexts: Sequence[ContextView]
    returned_count: int
    queued: bool
    retry_after_s: int | None = None


class ContextAsk(msgspec.Struct, frozen=True, kw_only=True):
    """One context, seen by one person; ``window`` is context or wide."""

    id: str
    person_id: int = 0
    window: str = "context"


class ChartOf(msgspec.Struct, frozen=True, kw_only=True):
    """Where a chart is, and how large."""

    endpoint: str
    inspection_endpoint: str
    dimensions: dict[str, int]


class Inspection(msgspec.Struct, frozen=True, kw_only=True):
    """``…/inspect``."""

    chart: ChartOf
    context: dict[str, str]


class ChartAsk(msgspec.Struct, frozen=True, kw_only=True):
    """A picture of a context: ``kind`` is chart, original or inspection."""

    id: str
    kind: str
    person_id: int = 0


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a context is made of, so that somebody else comes to the same."""

    schema: str
    context_id: str
    detection_id: str
    symbol: str
    timeframe: str
    pattern: str
    definition: str
    direction: str
    confidence: float
    formation: dict[str, Any]
    window: dict[str, Any]
    levels: LevelsSeen
    regime: RegimeSeen
    indicators: Indicators
    plan: dict[str, Any] | None
    evidence: Evidence | None
    charts: dict[str, str]
    disclaimer: str


class ManifestView(msgspec.Struct, frozen=True, kw_only=True):
    """``{manifest}``."""

    manifest: Manifest


class OhlcvView(msgspec.Struct, frozen=True, kw_only=True):
    """The candles of a context's chart: ``[time_ms, open, high, low, close, volume]``."""

    context_id: str
    symbol: str
    timeframe: str
    window: str
    columns: Sequence[str]
    candles: Sequence[Sequence[float]]
    returned_count: int


class ConditionAsk(msgspec.Struct, frozen=True, kw_only=True):
    """Is a condition true at a context? ``parameters`` are the condition's own."""

    id: str
    condition_id: str
    parameters: dict[str, Any]


class ConditionView(msgspec.Struct, frozen=True, kw_only=True):
    """The answer, and the figures it was made of."""

    condition_id: str
    parameters: dict[str, Any]
    met: bool
    values: dict[str, Any]
    context_id: str


class ConfirmAsk(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody saw on the inspection chart."""

    id: str
    person_id: int
    observed_visual_code: str
    method: str
    observations: str


class Confirmed(msgspec.Struct, frozen=True, kw_only=True):
    """``{visual_status}``."""

    visual_status: str
    context_id: str
