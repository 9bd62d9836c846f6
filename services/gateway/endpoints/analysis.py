"""Analysis rows: briefs, deltas, candles, analogs, the free demo; what the surface offers, and its state."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from libs.common import subjects
from libs.common.messages import analysis
from libs.common.principal import Principal, SessionType
from services.gateway.endpoints.metered import Cost, Metered
from services.gateway.endpoints.row import KIB, PUBLIC, Access, Caller, Endpoint, Limit
from services.gateway.endpoints.tool import Tool

KEY = Access(frozenset({SessionType.CUSTOMER}), scope="read")
DEMO_LIMITS = (
    Limit("demo-hour", 10, 3_600, setting="demo_per_hour"),
    Limit("demo-day", 30, 86_400, setting="demo_per_day"),
)

CANDLES_MIN = 20
CANDLES_DEFAULT = 200
CANDLES_MAX = 1_000
CANDLES_DEMO = 120
ANALOG_WINDOW = 32
ANALOG_HORIZON = 20
ANALOG_MIN = 2
ANALOG_MAX = 500
TIMEFRAMES = ("1m", "5m", "15m", "1h", "4h", "1d")

# What can't be a symbol is refused at the door; whether it is a known one only scanner knows.
Ticker = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=32,
        pattern=r"^(?=.*[A-Za-z0-9])[A-Za-z0-9._/:#&+@^=$!*~-]+$",
        description="A pair such as BTC/USDT, or any known symbol, in any case.",
    ),
]
_PAIR = re.compile(r"[A-Z0-9]{1,15}(/[A-Z0-9]{2,10})?")
Timeframe = Literal["1m", "5m", "15m", "1h", "4h", "1d"]
AnyTimeframe = Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"]
CandleCount = Annotated[
    int, Meta(ge=CANDLES_MIN, le=2**53 - 1, description="How many candles; above 1,000 counts as 1,000.")
]
Bars = Annotated[int, Meta(ge=ANALOG_MIN, le=ANALOG_MAX, description="In candles.")]
Decimals = Annotated[
    int, Meta(ge=0, le=8, description="Decimals of prices, in place of those the highest high says.")
]
Market = Literal["crypto", "stock"]
Pattern = Literal[
    "bullish_engulfing",
    "bearish_engulfing",
    "hammer",
    "doji",
    "double_top",
    "double_bottom",
    "head_and_shoulders",
]


class CandlesRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The newest candles of a symbol."""

    ticker: Ticker
    timeframe: Timeframe
    limit: CandleCount | None = None
    decimals: Decimals | None = None


class BriefRequest(CandlesRequest, frozen=True, kw_only=True):
    """A brief. ``fields`` leaves out the sections it does not name; ``market`` is taken and not needed."""

    fields: Annotated[list[analysis.Section], Meta(max_length=6)] | None = None
    market: Market | None = None
    evidence: Annotated[
        bool, Meta(description="Add to each pattern what came after earlier ones like it.")
    ] = False


class AnalogsRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A search for windows like the last one."""

    ticker: Ticker
    timeframe: Timeframe
    window: Bars | None = None
    horizon: Bars | None = None


class MultiRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Briefs in up to four timeframes."""

    ticker: Ticker
    timeframes: Annotated[list[AnyTimeframe], Meta(min_length=1, max_length=4)] | None = None
    limit: CandleCount | None = None
    market: Market | None = None


class TableRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The patterns that show now. A line without figures passes no bound on them."""

    asset_class: Literal["all", "crypto", "forex", "metal", "other"] = "all"
    regime: Literal["up", "down", "range"] | None = None
    pattern: Pattern | None = None
    tf: AnyTimeframe | None = None
    min_base_rate: Annotated[float, Meta(ge=0, le=1)] | None = None
    min_lift: Annotated[float, Meta(ge=-1, le=1)] | None = None
    limit: Annotated[int, Meta(ge=1, le=500)] = 50


class Asset(msgspec.Struct, frozen=True, kw_only=True):
    """A class of assets and where its candles come from."""

    class_: str = msgspec.field(name="class")
    type: str
    source: str
    delay: str


class Priced(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An endpoint and what a call costs."""

    method: str
    path: str
    price_micros: int
    auth: bool


class AnalogLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The bounds of window and horizon, and what they are where nothing is said."""

    min: int = ANALOG_MIN
    max: int = ANALOG_MAX
    window: int = ANALOG_WINDOW
    horizon: int = ANALOG_HORIZON


class Bounds(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The bounds of requests."""

    min_candles: int = CANDLES_MIN
    default_limit: int = CANDLES_DEFAULT
    max_limit: int = CANDLES_MAX
    demo_candles: int = CANDLES_DEMO
    analogs: AnalogLimits = AnalogLimits()


class Platforms(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the analysis surface offers."""

    version: str
    assets: list[Asset]
    timeframes: list[str]
    endpoints: list[Priced]
    limits: Bounds
    starter_credit_micros: int
    disclaimer: str


class Status(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Whether the surface works; ``upstream`` is degraded while scanner or market has a problem."""

    ok: bool
    version: str
    uptime_sec: int
    upstream: Literal["ok", "degraded"]


class _News(msgspec.Struct):
    changed: bool


class _Told(msgspec.Struct):
    delta: _News


_told = msgspec.json.Decoder(_Told)


def holder_of(principal: Principal) -> str:
    """Whose look at the market it is; "" for somebody without a key."""
    if principal.kind == "key":
        return f"key:{principal.jti}"
    return f"person:{principal.person_id}" if principal.person_id is not None else ""


def _limit(asked: int | None) -> int:
    return min(asked or CANDLES_DEFAULT, CANDLES_MAX)


def _brief(request: BriefRequest, caller: Caller) -> analysis.BriefAsk:
    return analysis.BriefAsk(
        ticker=request.ticker,
        timeframe=request.timeframe,
        limit=_limit(request.limit),
        fields=request.fields,
        holder=holder_of(caller.principal),
        evidence=request.evidence,
        decimals=request.decimals,
    )


def _demo(request: BriefRequest, caller: Caller) -> analysis.BriefAsk:
    return analysis.BriefAsk(
        ticker=request.ticker,
        timeframe=request.timeframe,
        limit=min(request.limit or CANDLES_DEMO, CANDLES_DEMO),
        fields=request.fields,
        evidence=request.evidence,
        decimals=request.decimals,
    )


def _delta(request: CandlesRequest, caller: Caller) -> analysis.DeltaAsk:
    return analysis.DeltaAsk(
        ticker=request.ticker,
        timeframe=request.timeframe,
        limit=_limit(request.limit),
        holder=holder_of(caller.principal),
        decimals=request.decimals,
    )


def _doubtful(asked: CandlesRequest) -> str:
    """A ticker that is not written like a pair has to be a known symbol."""
    return "" if _PAIR.fullmatch(asked.ticker.upper()) else asked.ticker


def _delta_cost(answer: bytes, asked: Any) -> Cost:
    return Cost("delta" if _told.decode(answer).delta.changed else "delta_unchanged")


def _candles(request: CandlesRequest, caller: Caller) -> analysis.CandlesAsk:
    return analysis.CandlesAsk(
        ticker=request.ticker,
        timeframe=request.timeframe,
        limit=_limit(request.limit),
        decimals=request.decimals,
    )


def _analogs(request: AnalogsRequest, caller: Caller) -> analysis.AnalogsAsk:
    return analysis.AnalogsAsk(
        ticker=request.ticker,
        timeframe=request.timeframe,
        window=request.window or ANALOG_WINDOW,
        horizon=request.horizon or ANALOG_HORIZON,
    )


def _multi(request: MultiRequest, caller: Caller) -> analysis.MultiAsk:
    return analysis.MultiAsk(
        ticker=request.ticker,
        timeframes=request.timeframes or ("1h", "4h", "1d"),
        limit=_limit(request.limit),
    )


def _table(request: TableRequest, caller: Caller) -> analysis.ScanTableAsk:
    return analysis.ScanTableAsk(
        asset_class=request.asset_class,
        regime=request.regime,
        pattern=request.pattern,
        timeframe=request.tf,
        base_rate_min=request.min_base_rate,
        lift_min=request.min_lift,
        limit=request.limit,
    )


def _row(**row: Any) -> Endpoint:
    return Endpoint(
        **{
            "surface": "analysis",
            "tags": ("analysis",),
            "body_bytes_max": 16 * KIB,
            **row,
        }
    )


def _paid(path: str, summary: str, metered: Metered, **row: Any) -> Endpoint:
    errors = ("INVALID_PARAM", "PAYMENT_REQUIRED", "INSUFFICIENT_DATA", "UPSTREAM_ERROR")
    return _row(
        method="POST",
        path=path,
        summary=summary,
        access=KEY,
        repeat="key",
        metered=metered,
        errors=(*errors, "GEO_BLOCKED"),
        **row,
    )


ROWS = (
    _paid(
        "/v1/brief",
        "The newest candles of a symbol with patterns, levels, regime, indicators and a line of text",
        Metered("brief", doubtful=_doubtful),
        request=BriefRequest,
        command=subjects.BRIEF,
        message=_brief,
        response=analysis.Brief,
        tools=(
            Tool(
                name="brief",
                description="One market at one timeframe: candles as short text, patterns, support and"
                " resistance, regime, indicators, and a line that sums it up.",
                read_only=True,
                idempotent=True,
            ),
        ),
    ),
    _paid(
        "/v1/delta",
        "What is new since this key's last brief or delta of the symbol and timeframe",
        Metered("delta", cost=_delta_cost, doubtful=_doubtful),
        description="Costs less when nothing changed; the brief comes along only when something did.",
        request=CandlesRequest,
        command=subjects.DELTA,
        message=_delta,
        response=analysis.Delta,
        tools=(
            Tool(
                name="delta",
                description="What is new since this key's last brief or delta of the same market: cheap to"
                " poll, costs more only when something changed.",
                read_only=True,
                idempotent=False,
            ),
        ),
    ),
    _paid(
        "/v1/candles",
        "The newest candles of a symbol as short text",
        Metered("candles", doubtful=_doubtful),
        request=CandlesRequest,
        command=subjects.CODEC_CANDLES,
        message=_candles,
        response=analysis.Candles,
        tools=(
            Tool(
                name="candles",
                description="The newest candles as rows of open,high,low,close,volume joined by semicolons.",
                read_only=True,
                idempotent=True,
            ),
        ),
    ),
    _paid(
        "/v1/analogs",
        "What followed the past windows that looked like the last one, losing ones included",
        Metered("analogs", doubtful=_doubtful),
        request=AnalogsRequest,
        command=subjects.ANALOGS,
        message=_analogs,
        response=analysis.Analogs,
        tools=(
            Tool(
                name="analogs",
                description="Past stretches that looked like the newest one and how they went on: the whole"
                " distribution, losers included. No prediction.",
                read_only=True,
                idempotent=True,
            ),
        ),
    ),
    _paid(
        "/v1/multi",
        "Briefs in several timeframes, and whether they trend the same way",
        Metered("multi", doubtful=_doubtful),
        request=MultiRequest,
        command=subjects.MULTI,
        message=_multi,
        response=analysis.Multi,
    ),
    _paid(
        "/v1/scan",
        "The patterns that became known lately on any symbol, with what came after such before",
        Metered("scan_table"),
        request=TableRequest,
        command=subjects.SCAN_TABLE,
        message=_table,
        response=analysis.ScanTable,
    ),
    _row(
        method="POST",
        path="/v1/demo",
        summary="A brief of 120 candles without a key, ten an hour and thirty a day for an address",
        access=PUBLIC,
        repeat="idempotent",
        unkeyed=True,
        limits=DEMO_LIMITS,
        request=BriefRequest,
        command=subjects.BRIEF,
        message=_demo,
        response=analysis.Brief,
        errors=("INVALID_PARAM", "INSUFFICIENT_DATA", "UPSTREAM_ERROR", "GEO_BLOCKED"),
    ),
    _row(
        method="GET",
        path="/v1/platforms",
        summary="What there is: assets, timeframes, endpoints with their prices, limits",
        access=PUBLIC,
        repeat="safe",
        local="platforms",
        tools=(
            Tool(
                name="capabilities",
                description="What there is: assets, timeframes, endpoints with their prices, limits. Free.",
                open_world=False,
            ),
        ),
        everywhere=True,
        response=Platforms,
    ),
    _row(
        method="GET",
        path="/v1/status",
        summary="Whether the analysis surface works",
        access=PUBLIC,
        repeat="safe",
        local="status",
        everywhere=True,
        response=Status,
    ),
)
