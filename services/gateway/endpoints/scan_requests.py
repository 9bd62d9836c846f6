"""The requests of the scan rows. What is one of a few words is read by the scanner, which names them all."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from services.gateway.endpoints.fields import Line

SymbolText = Annotated[
    str, Meta(min_length=1, max_length=64, description="BTCUSDT, BTC/USDT, BINANCE:BTCUSDT")
]
Words = Annotated[str, Meta(max_length=4096, description="comma-separated")]
PageLimit = Annotated[int, Meta(ge=1, le=100)]
Name = Annotated[str, Meta(min_length=1, max_length=50)]
SymbolTexts = Annotated[list[Annotated[str, Meta(min_length=1, max_length=64)]], Meta(max_length=50)]
Filters = Annotated[list[Annotated[str, Meta(min_length=1, max_length=64)]], Meta(max_length=100)]


class ScanRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Scan a symbol; ``patterns`` absent or empty is all."""

    symbol: SymbolText
    tf: Annotated[str, Meta(min_length=1, max_length=8, description="30m, 1h, 4h or 1d")]
    patterns: Words = ""


class IdRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One thing."""

    id: Line


class PerformanceRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A pattern's records, of one symbol and timeframe where they are given."""

    id: Line
    symbol: Annotated[str, Meta(max_length=64)] = ""
    tf: Annotated[str, Meta(max_length=8)] = ""


class RecordsRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A page of records, newest first."""

    symbol: Annotated[str, Meta(max_length=64)] = ""
    tf: Annotated[str, Meta(max_length=8)] = ""
    pattern: Line = ""
    status: Annotated[str, Meta(max_length=16, description="all, active or closed")] = "all"
    outcome: Annotated[str, Meta(max_length=16, description="open, win, loss or expired")] = ""
    from_: Annotated[str, Meta(max_length=40, description="ISO 8601")] = msgspec.field(
        name="from", default=""
    )
    to: Annotated[str, Meta(max_length=40, description="ISO 8601")] = ""
    limit: PageLimit = 20
    cursor: Line = ""


class WatchlistMakeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Make a watchlist, or add ``symbol`` alone to the default one."""

    name: Name | None = None
    symbols: SymbolTexts | None = None
    symbol: SymbolText | None = None


class WatchlistChangeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Change a watchlist; absent fields stay."""

    id: Line
    name: Name | None = None
    symbols: SymbolTexts | None = None


class SearchRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Symbols whose name or description holds a text."""

    query: Annotated[str, Meta(max_length=64)] = ""
    asset: Annotated[str, Meta(max_length=16, description="crypto, stock, forex, metal, index")] = ""
    limit: PageLimit = 50
    cursor: Line = ""


class ResolveRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The symbol a text means."""

    symbol: SymbolText


class ContextsRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The newest contexts of a symbol and timeframe."""

    symbol: SymbolText
    timeframe: Annotated[str, Meta(min_length=1, max_length=8)]
    limit: Annotated[int, Meta(ge=1, le=50)] = 5


class ContextRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One context."""

    ctx_id: Line


class OhlcvRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The candles of a context's chart."""

    ctx_id: Line
    window: Annotated[str, Meta(max_length=16, description="context or wide")] = "context"


class ConditionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Is a condition true at a context?"""

    ctx_id: Line
    condition_id: Line
    parameters: Annotated[dict[str, Any], Meta(max_length=16)] = {}


class ConfirmRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen on the inspection chart."""

    ctx_id: Line
    observed_visual_code: Annotated[str, Meta(max_length=64)]
    method: Annotated[str, Meta(max_length=64)] = ""
    observations: Annotated[str, Meta(max_length=4000)] = ""


class MonitorRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Watch for detections; an empty filter takes everything."""

    name: Name
    symbol_filters: Filters = []
    pattern_filters: Filters = []
    timeframe_filters: Filters = []
    channels: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=16)]],
        Meta(max_length=8, description="Where its events are told beside the feed; webhook needs Pro."),
    ] = []


class FeedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the feed."""

    limit: PageLimit = 50
    unread_only: bool = False
    cursor: Line = ""


class FeedAckRequest(msgspec.Struct, frozen=True, kw_only=True):
    """These events were read."""

    event_ids: Annotated[list[Line], Meta(max_length=500)]


class TimezoneRequest(msgspec.Struct, frozen=True, kw_only=True):
    """An IANA time zone."""

    timezone: Annotated[str, Meta(min_length=1, max_length=64)]
