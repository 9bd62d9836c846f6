"""Messages about signals. Owner: scanner, whose process makes them. Major 1 of each. JSON names of what
clients see are those of the signals surface (camel case)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType


class SignalRecorded(msgspec.Struct, frozen=True, kw_only=True):
    """A signal was recorded on a closed bar. Alert rules hear it.

    ``name`` is the signal's kind, ``direction`` bullish, bearish or neutral, ``confidence`` 0 to 1; times
    are Unix milliseconds, ``bar_open_ms`` that of the bar which told it.
    """

    event_id: str
    signal_id: str
    symbol: str
    timeframe: str
    name: str
    direction: str
    confidence: float
    bar_open_ms: int
    bar_close_ms: int
    price: float
    live: bool


class SignalsGrew(msgspec.Struct, frozen=True, kw_only=True):
    """Signals were recorded, so many there are now. It may be lost: whoever follows the record also asks."""

    signals: int


# ── the registry ──────────────────────────────────────────────────────────────────────────────────

Name = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]
Names = Annotated[list[Name], Meta(max_length=50)]
Supply = Annotated[float, Meta(ge=0, le=1e18)] | None


class AssetPut(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """An asset: whose signals ``market`` (a symbol) tells. ``cmcId`` and supplies are facts the operator
    enters; ``token`` is a token id of the prices surface whose pools add to its signals."""

    cmc_id: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    name: Name
    symbol: Annotated[str, Meta(min_length=1, max_length=32, pattern=r"^[^\x00-\x1f\x7f]+$")]
    slug: Annotated[str, Meta(max_length=100)] = ""
    logo: Annotated[str, Meta(max_length=500)] = ""
    chains: Names = []
    narratives: Names = []
    tags: Names = []
    circulating: Supply = None
    total: Supply = None
    max: Supply = None
    market: Annotated[str, Meta(max_length=64)] = ""
    token: Annotated[str, Meta(max_length=512)] = ""
    aliases: Names = []


class AssetsPut(msgspec.Struct, frozen=True, kw_only=True):
    """Assets to add or to replace, by ``cmcId``; others stay."""

    assets: Annotated[list[AssetPut], Meta(max_length=5_000)]


class AssetsTaken(msgspec.Struct, frozen=True, kw_only=True):
    """How many assets were taken, and how many the registry holds."""

    data: Literal["OK"] = "OK"
    taken: int
    assets: int


class RegistryAsk(msgspec.Struct, frozen=True, kw_only=True):
    """The registry."""


class Registry(msgspec.Struct, frozen=True, kw_only=True):
    """Every asset, by cmcId."""

    assets: Sequence[AssetPut]


class BackfillAsk(msgspec.Struct, frozen=True, kw_only=True):
    """Make the signals of past bars that closed between two moments (Unix ms); ``cmc_id`` 0: every asset."""

    timeframe: str
    from_ms: int = 0
    to_ms: int = 2**52
    cmc_id: int = 0


class Backfilled(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a back-fill made: bars looked at, signals they have, and those that were not known before."""

    data: Literal["OK"] = "OK"
    bars: int
    signals: int
    new_signals: int


class TextsCall(msgspec.Struct, frozen=True, kw_only=True):
    """Texts about assets as a caller sent them: the body to the byte, headers of Standard Webhooks."""

    body: bytes
    id: str
    at: str
    signature: str


class TextCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How many texts were new, and how many were known or too old."""

    taken: int
    known: int


class TextsTaken(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """``POST /ai-signal/texts``."""

    status_code: int = 200
    message: str = "Request Successful"
    data: TextCounts


# ── what clients ask ──────────────────────────────────────────────────────────────────────────────


class SignalsAsk(msgspec.Struct, frozen=True, kw_only=True):
    """A page of signals. Filters combine with and, values of a list with or; empty ones ask nothing.
    Times are Unix seconds, None for open. ``cursor`` None: pages by ``offset``."""

    chain: Sequence[str] = ()
    search: str = ""
    tag: Sequence[str] = ()
    narrative: Sequence[int] = ()
    cmc_id: int | None = None
    from_s: float | None = None
    to_s: float | None = None
    sentiment: Sequence[str] = ()
    symbol: str = ""
    timeframe: str = ""
    trigger: Sequence[str] = ()
    min_confidence: float = 0.0
    since: str = ""
    cursor: str | None = None
    limit: int = 10
    offset: int = 0
    evidence: bool = False


class SignalAsk(msgspec.Struct, frozen=True, kw_only=True):
    """One signal."""

    id: str
    evidence: bool = False


class FollowAsk(msgspec.Struct, frozen=True, kw_only=True):
    """What was recorded after a position, or after the signal ``filters.since``, oldest first; with neither
    only where the record ends. Back-filled signals are none of it; pages, cursors and offsets don't count."""

    filters: SignalsAsk
    position: int | None = None


class Followed(msgspec.Struct, frozen=True, kw_only=True):
    """Ids and signals, and up to which position that is said; ``more``: ask again at once."""

    position: int
    ids: Sequence[str]
    signals: Sequence[msgspec.Raw]
    more: bool


class NamesAsk(msgspec.Struct, frozen=True, kw_only=True):
    """Names of one kind that hold a text."""

    kind: Literal["chain", "tag", "narrative"]
    search: str = ""


class OutcomesAsk(msgspec.Struct, frozen=True, kw_only=True):
    """What became of signals; empty fields ask for all."""

    timeframe: str = ""
    cmc_id: int = 0


class BullishnessAsk(msgspec.Struct, frozen=True, kw_only=True):
    """How coins and narratives lean."""


# ── what they are shown ───────────────────────────────────────────────────────────────────────────


class Coin(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The coin as the registry had it when the signal was recorded."""

    cmc_id: int
    name: str
    symbol: str
    slug: str
    logo: str


class GraphPoint(msgspec.Struct, frozen=True, kw_only=True):
    """The price at a moment, and the volume of the 24 hours before it in USD."""

    time: str
    price: float
    volume: float


class ComponentView(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the score: ``value`` from -1 to 1, ``quality`` 0 to 1, its ``weight``."""

    name: str
    value: float
    quality: float
    weight: float


class TriggerView(msgspec.Struct, frozen=True, kw_only=True):
    """Why there is a signal, with the numbers it rests on; ``direction`` 1, -1 or 0."""

    kind: str
    tag: str
    direction: int
    facts: dict[str, Any]


class Generator(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Who wrote the texts: ``template``, or ``llm`` with its model."""

    kind: str
    model: str = ""
    prompt_version: int = 0


class OutcomeView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the price did in the hours after; per cent. ``hit`` is null for neutral signals."""

    horizon: str
    return_pct: float
    mfe_pct: float
    mae_pct: float
    hit: bool | None


class Link(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The signal's place in the chain of the record: SHA-256 of the hash before and the signal."""

    position: int
    previous_hash: str
    hash: str


class Evidence(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What ``?include=evidence`` adds to a signal; recorded with it."""

    confidence: float
    strength: str
    score: float
    agreement: float
    coverage: float
    components: Sequence[ComponentView]
    triggers: Sequence[TriggerView]
    market: str
    timeframe: str
    bar_close: str
    algo_version: str
    generator: Generator
    disclaimer: str


class SignalBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A signal. Prices in USD, ``priceChange1h`` in per cent; null is not known. ``graphData``: the last
    24 points, oldest first."""

    id: str
    sentiment: str
    price: float
    market_cap: float | None
    fully_diluted_market_cap: float | None
    volume_24h: float = msgspec.field(name="volume24h")
    price_change_1h: float | None = msgspec.field(name="priceChange1h")
    title: str
    summary: str
    recorded_at: str
    coin: Coin
    tags: Sequence[str]
    narratives: Sequence[str]
    graph_data: Sequence[GraphPoint]


class SignalView(SignalBody, frozen=True, kw_only=True, rename="camel"):
    """A signal as it is shown; what follows ``graphData`` only with ``include=evidence``."""

    confidence: float | UnsetType = UNSET
    strength: str | UnsetType = UNSET
    score: float | UnsetType = UNSET
    agreement: float | UnsetType = UNSET
    coverage: float | UnsetType = UNSET
    components: Sequence[ComponentView] | UnsetType = UNSET
    triggers: Sequence[TriggerView] | UnsetType = UNSET
    market: str | UnsetType = UNSET
    timeframe: str | UnsetType = UNSET
    bar_close: str | UnsetType = UNSET
    algo_version: str | UnsetType = UNSET
    generator: Generator | UnsetType = UNSET
    disclaimer: str | UnsetType = UNSET
    outcomes: Sequence[OutcomeView] | UnsetType = UNSET
    chain: Link | UnsetType = UNSET


class SignalList(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A page; ``total`` counts every match. ``nextCursor`` only where a cursor was sent, null at the end."""

    data: Sequence[SignalView]
    total: int
    limit: int
    offset: int
    next_cursor: str | UnsetType | None = UNSET


class SignalDetails(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """``POST /ai-signal/details``."""

    status_code: int
    message: str
    data: SignalList


class RawList(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """``SignalList`` of signals as they are stored."""

    data: Sequence[msgspec.Raw]
    total: int
    limit: int
    offset: int
    next_cursor: str | UnsetType | None = UNSET


class RawDetails(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """``SignalDetails`` of signals as they are stored."""

    status_code: int = 200
    message: str = "Request Successful"
    data: RawList


class OneSignal(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """``GET /ai-signal/details/{id}``."""

    status_code: int
    message: str
    data: SignalView


class RawSignal(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """``OneSignal`` as it is stored."""

    status_code: int = 200
    message: str = "Request Successful"
    data: msgspec.Raw


class NamedId(msgspec.Struct, frozen=True, kw_only=True):
    """A chain, tag or narrative."""

    id: int
    name: str


class NamedIds(msgspec.Struct, frozen=True, kw_only=True):
    """By id."""

    items: Sequence[NamedId]


class PerformanceRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What became of the signals of one trigger, timeframe and sentiment after one horizon.

    Returns in per cent. ``hitRate`` with Wilson's interval at 95 % is null for neutral signals;
    ``baselineReturnPct`` and ``baselineHitRate`` are those of any bar of the same markets; ``brier`` is the
    mean of (confidence - hit)²; ``insufficient``: fewer than 30.
    """

    trigger: str
    timeframe: str
    sentiment: str
    horizon: str
    n: int
    hit_rate: float | None
    ci_low: float | None
    ci_high: float | None
    mean_return_pct: float
    baseline_return_pct: float | None
    baseline_hit_rate: float | None
    mean_mfe_pct: float
    mean_mae_pct: float
    brier: float | None
    insufficient: bool


class CalibrationStep(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Of the signals from this confidence on, until the next step's, so many were right."""

    confidence: float
    hit_rate: float
    n: int


class CalibrationRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How often signals of a confidence are right, of one timeframe after one horizon: an isotonic fit, from
    200 outcomes on. ``brier`` is that of the later half of the outcomes as they were told,
    ``brierCalibrated`` by a fit over the earlier half."""

    timeframe: str
    horizon: str
    n: int
    steps: Sequence[CalibrationStep]
    brier: float
    brier_calibrated: float


class SignalPerformance(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """``GET /ai-signal/performance``. ``headHash`` commits to every signal recorded so far."""

    rows: Sequence[PerformanceRow]
    signals: int
    head_hash: str
    cost_pct: float
    disclaimer: str
    calibration: Sequence[CalibrationRow] = ()


class CoinBullishness(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How a coin's signals of the last days lean: 50 is neither way. ``rankChange`` is against a day ago,
    above 0 when it rose."""

    cmc_id: int
    symbol: str
    bullishness: float
    rank: int
    rank_change: int


class NarrativeBullishness(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The same over all coins of a narrative."""

    id: int
    name: str
    bullishness: float
    rank: int
    rank_change: int


class Bullishness(msgspec.Struct, frozen=True, kw_only=True):
    """``GET /ai-signal/bullishness``."""

    coins: Sequence[CoinBullishness]
    narratives: Sequence[NarrativeBullishness]
