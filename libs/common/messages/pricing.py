"""Messages owned by pricing. Major 1 of each. JSON names are those of the prices contract (camel case)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

T = TypeVar("T")


class PriceTick(msgspec.Struct, array_like=True, frozen=True):
    """A token's price changed enough, or was quiet for long enough. The JSON is the client's ``p`` frame.

    ``usd`` is the price of one token, ``ctm_ms`` when it was calculated (Unix ms); ``seq`` grows by one per
    frame of the token while the service runs.
    """

    tag: Literal["p"]
    token: str
    usd: float
    confidence: float
    ctm_ms: int
    seq: int


class BoardTick(msgspec.Struct, frozen=True, kw_only=True):
    """Prices were calculated anew: answers made from an older version are out of date."""

    version: int
    at_ms: int


class PriceFramesAsk(msgspec.Struct, frozen=True, kw_only=True):
    """The last frame of every token."""


class PriceFrames(msgspec.Struct, frozen=True, kw_only=True):
    """Frames as they were published, with token id and symbol."""

    frames: Sequence[tuple[str, str, msgspec.Raw]]


class Depegged(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A stablecoin is off its dollar, or back on it. ``level`` is ok, warn (1 %) or alert (5 %);
    ``overridden`` says whether it is still shown at one dollar."""

    token_id: str
    symbol: str
    market_price: float
    deviation_pct: float
    confidence: float
    level: str
    overridden: bool
    at_ms: int


# ── what staff puts ───────────────────────────────────────────────────────────────────────────────

Reserve = int | str | float


class TokenPut(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A token. ``lpPool`` and ``lpSupply`` (atomic units) make it the share of a pool."""

    token_id: str
    symbol: str
    name: str
    decimals: int
    image: str = ""
    description: str = ""
    lp_pool: str = ""
    lp_supply: Reserve = 0


class PoolPut(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A pool; reserves are whole numbers of atomic units, also as texts. ``lastUpdated`` in Unix ms."""

    pool_id: str
    token_a: str
    token_b: str
    reserve_a: Reserve
    reserve_b: Reserve
    fee: float = 0.0
    last_updated: int | None = None


class AnchorQuote(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A price of the anchor that stands until it is replaced; lower priorities count more."""

    source: str
    price: float
    priority: int = 1


class PoolsPut(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The whole graph. ``anchorTokenId`` absent: the one before, else the sample's; ``btcPrices`` absent: as
    before, empty: the configured sources again."""

    tokens: Sequence[TokenPut]
    pools: Sequence[PoolPut]
    anchor_token_id: str | None = None
    btc_prices: Sequence[AnchorQuote] | None = None


class PoolsTaken(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The graph that is in force now. ``ignoredPools`` have no reserves."""

    data: Literal["OK"] = "OK"
    tokens: int
    pools: int
    ignored_pools: int
    priced: int
    anchor_token_id: str
    version: int


# A whole number of any size: beyond 64 bits it is written by hand (``msgspec.Raw``).
Atomic = Annotated[Any, Meta(extra_json_schema={"type": "integer"})]

# ── what clients ask ──────────────────────────────────────────────────────────────────────────────


class PriceListAsk(msgspec.Struct, frozen=True, kw_only=True):
    """Prices, the surest first. ``ids`` or ``symbols`` empty: all."""

    limit: int = 50
    offset: int = 0
    min_confidence: float = 0.0
    symbols: str = ""
    ids: Sequence[str] = ()


class PriceAsk(msgspec.Struct, frozen=True, kw_only=True):
    """One token. ``at_ms`` 0: now; ``search_ms``: how far before it a price may lie."""

    token_id: str
    explain: bool = False
    at_ms: int = 0
    search_ms: int = 0


class HistoryAsk(msgspec.Struct, frozen=True, kw_only=True):
    """Bars of a token's price between two moments (Unix ms)."""

    token_id: str
    from_ms: int
    to_ms: int
    interval: str
    limit: int


class TokenQuoteAsk(msgspec.Struct, frozen=True, kw_only=True):
    """What a trade of ``size_usd`` would get."""

    token_id: str
    side: str
    size_usd: float


class OracleAsk(msgspec.Struct, frozen=True, kw_only=True):
    """The anchor's price; ``health`` adds how its sources do."""

    health: bool = False


class PriceHealthAsk(msgspec.Struct, frozen=True, kw_only=True):
    """How the prices do."""


class PoolView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A pool as it was read; reserves in atomic units, ``lastUpdated`` in Unix ms."""

    pool_id: str
    token_a: str
    token_b: str
    reserve_a: Atomic
    reserve_b: Atomic
    fee: float
    last_updated: int


class Path(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A path to the anchor: ids of its tokens, sums over its pools. ``pools`` only for one token."""

    tokens: Sequence[str]
    pools: Sequence[PoolView] | UnsetType = UNSET
    pool_count: int
    total_liquidity: float
    reliability: float
    confidence: float
    path_length: int


class Calculation(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How a price came about."""

    btc_price: float
    paths_used: int
    price_variation: float
    method: str | UnsetType = UNSET


class Freshness(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How old what a price rests on is; ``stale`` from five minutes."""

    oldest_reserve_age_ms: int
    stale: bool
    carried_forward: bool


class Twap(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The mean of the last half hour. ``guarded``: the price is more than a tenth away, so its confidence
    counts half."""

    usd_price: float
    deviation_pct: float
    guarded: bool


class Depth(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """USD that move the token's pools by two per cent, up and down."""

    usd_up: float
    usd_down: float


class PoolShare(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a pool means to a token: its part of the liquidity and the risk of it."""

    pool_id: str
    other_token: str
    liquidity: float
    share: float
    risk: str
    warnings: Sequence[str]


class LiquidityView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How a token's liquidity is spread; ``hhi`` from 0 (everywhere) to 1 (one pool)."""

    total_liquidity: float
    hhi: float
    concentrated: bool
    diversified: bool
    pools: Sequence[PoolShare]


class PathWeighed(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A path with what it counted; ``dropped`` says why it did not."""

    tokens: Sequence[str]
    pool_ids: Sequence[str]
    ratio: float
    usd_price: float
    weight: float
    reliability: float
    confidence: float
    total_liquidity: float
    min_liquidity: float
    age_ms: float
    dropped: str | None


class Explanation(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Every path (up to a bound) and how the price follows from them."""

    paths_found: int
    paths: Sequence[PathWeighed]
    median: float
    consistency: float
    liquidity: float
    path_count: float
    btc_confidence: float
    freshness: float
    formula: str


class TokenPrice(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The price of a token. What follows ``alternativePathCount`` goes beyond the documented fields."""

    token_id: str
    symbol: str
    name: str
    decimals: int
    image: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    usd_price: float
    sbtc_ratio: float
    confidence: float
    last_updated: int
    total_liquidity: float
    calculation_details: Calculation
    primary_path: Path | None
    alternative_paths: Sequence[Path] | UnsetType = UNSET
    alternative_path_count: int
    anchor_ratio: float
    confidence_band: str
    price_low: float
    price_high: float
    freshness: Freshness
    twap: Twap | UnsetType = UNSET
    depth2_pct: Depth | UnsetType = UNSET
    market_price: float | UnsetType = UNSET
    peg_deviation_pct: float | UnsetType = UNSET
    tags: Sequence[str] | UnsetType = UNSET
    is_lp_token: bool | UnsetType = UNSET
    intrinsic_value: float | UnsetType = UNSET
    price_deviation: float | UnsetType = UNSET
    is_arbitrage_opportunity: bool | UnsetType = UNSET
    nest_level: int | UnsetType = UNSET
    change_pct: dict[str, float | None] | UnsetType = UNSET
    liquidity: LiquidityView | UnsetType = UNSET
    explanation: Explanation | UnsetType = UNSET


class GraphStats(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The graph in numbers; the last seven under the names older clients read."""

    total_nodes: int
    total_edges: int
    average_liquidity: float
    last_update: int
    total_tokens: int
    total_pools: int
    avg_pools_per_token: float
    sbtc_pair_count: int
    global_max_liquidity: float
    last_updated: int
    age_ms: int


class PriceListMeta(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the list says of itself."""

    count: int
    total_tokens_available: int
    processing_time_ms: float
    min_confidence: float
    include_details: bool
    graph_stats: GraphStats
    limit: int
    offset: int


class PriceList(msgspec.Struct, frozen=True, kw_only=True):
    """``GET /prices``."""

    status: Literal["success"]
    data: Sequence[TokenPrice]
    metadata: PriceListMeta


class PriceMeta(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What an answer says of itself."""

    processing_time_ms: float
    include_details: bool = True


class OnePrice(msgspec.Struct, frozen=True, kw_only=True):
    """``GET /prices/{tokenId}``."""

    status: Literal["success"]
    data: TokenPrice
    metadata: PriceMeta


class PastPrice(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A price as it stood: the close of the bar at or before the moment asked."""

    token_id: str
    symbol: str
    usd_price: float
    sbtc_ratio: float
    confidence: float
    at: int
    age_ms: int


class Bar(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A bar of a price in USD; ``time`` is its beginning (Unix ms)."""

    time: int
    open: float
    high: float
    low: float
    close: float
    sbtc_ratio: float
    confidence: float


class History(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Bars, oldest first, and the change over the usual spans in per cent (null: not known so far back)."""

    token_id: str
    symbol: str
    interval: str
    bars: Sequence[Bar]
    change_pct: dict[str, float | None]


class Leg(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A part of a trade along one path."""

    share: float
    pool_ids: Sequence[str]
    tokens: Sequence[str]


class TokenQuote(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a trade would get, fees of the pools paid; ``impactPct`` is worse than the spot price."""

    token_id: str
    side: str
    size_usd: float
    tokens: float
    average_price: float
    spot_price: float
    impact_pct: float
    legs: Sequence[Leg]


class OracleHealth(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How the anchor's sources do."""

    last_successful_update: int
    consecutive_failures: int
    available_sources: Sequence[str]
    last_error: str | UnsetType = UNSET


class OraclePrice(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The anchor's price; ``age`` in ms."""

    price: float
    source: str
    confidence: float
    timestamp: int
    age: int
    health: OracleHealth | UnsetType = UNSET


class Envelope(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """The shape of every success; ``data`` is what the operation says."""

    status: Literal["success"]
    data: T
    metadata: PriceMeta | UnsetType = UNSET


class Standing(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """healthy with 100, degraded with 75, 50 or 25."""

    status: str
    score: int


class OracleStanding(OracleHealth, frozen=True, kw_only=True, rename="camel"):
    """How the anchor does; no price: null."""

    price: float | None
    confidence: float


class GraphStanding(GraphStats, frozen=True, kw_only=True, rename="camel"):
    """How the graph does; ``freshness`` is fresh below ten minutes, else stale."""

    age_minutes: float | None
    freshness: str
    version: int


class Coverage(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How many of the tokens have a price; ``pricingCoverage`` in per cent."""

    total_tokens_in_system: int
    tokens_with_pricing: int
    pricing_coverage: float


class PriceHealth(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """``GET /prices/health``."""

    overall: Standing
    btc_oracle: OracleStanding
    price_graph: GraphStanding
    data_availability: Coverage
    warnings: Sequence[str] | UnsetType = UNSET
