"""The prices surface: token prices with their confidence, open to everybody, and the graph staff puts.

The documented fields come first; what goes beyond them (bands, freshness, TWAP, depth, history, quotes,
explanations, batches) is additive.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta, structs

from libs.common import subjects
from libs.common.messages import pricing as m
from libs.common.principal import ANONYMOUS
from services.gateway.endpoints.row import ADMIN_ONLY, KIB, PUBLIC, Caller, Endpoint, Fresh
from services.gateway.endpoints.tool import Tool

BASE = "/api/v1/prices"
PAGE_MAX = 100
BATCH_MAX = 100
DIGITS_MAX = 80  # longer numbers are refused by their owner anyway
SOON = Fresh("public, s-maxage=30, stale-while-revalidate=60", 5.0)
ANCHOR = Fresh("public, s-maxage=300, stale-while-revalidate=600", 5.0)
MINUTE = Fresh("public, s-maxage=60", 5.0)
ASIDE = Fresh("public, s-maxage=60", 5.0, counted=False)

TokenId = Annotated[str, Meta(max_length=512, description="Contract id, `<principal>.<contract>`.")]
Share = Annotated[float, Meta(ge=0, le=1)]
Moment = Annotated[int, Meta(ge=0, le=10**14, description="Unix milliseconds.")]
SECONDS_BELOW = 10**11  # a moment below it is seconds


class PricesRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A page of prices. ``limit`` above 100 is 100; ``details`` is accepted, they are always there."""

    limit: Annotated[int, Meta(ge=1)] = 50
    offset: Annotated[int, Meta(ge=0, le=10**9)] = 0
    min_confidence: Share = 0.0
    symbols: Annotated[str, Meta(max_length=4000)] = ""
    details: str = ""


class PriceBatchRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Prices of these tokens; unknown ones are left out."""

    ids: Annotated[list[TokenId], Meta(min_length=1, max_length=BATCH_MAX)]
    min_confidence: Share = 0.0


class TokenPriceRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One token. ``explain=true`` lists every path and why it was dropped; ``at`` (Unix ms) is the price as
    it stood, at most ``searchWidth`` ms before (six hours by default)."""

    token_id: TokenId
    details: str = ""
    explain: str = ""
    at: Moment = 0
    search_width: Annotated[int, Meta(ge=0, le=30 * 86_400_000)] = 0


class TokenHistoryRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Bars from ``from`` to ``to`` (Unix ms), the newest ``limit``; ``interval`` 1m 5m 15m 1h 4h 1d 1w."""

    token_id: TokenId
    from_: Moment = msgspec.field(name="from", default=0)
    to: Moment = 0
    interval: Annotated[str, Meta(max_length=8)] = "1h"
    limit: Annotated[int, Meta(ge=1, le=1000)] = 168


class TokenQuoteRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a trade of ``sizeUsd`` would get."""

    token_id: TokenId
    side: Annotated[str, Meta(pattern="^(buy|sell)$")] = "buy"
    size_usd: Annotated[float, Meta(gt=0, le=1e12)]


class TokenRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One token."""

    token_id: TokenId


class AnchorRequest(msgspec.Struct, frozen=True, kw_only=True):
    """``health=true`` adds how the sources do."""

    health: str = ""


class NothingAsked(msgspec.Struct, frozen=True):
    """No parameters."""


def _list(request: PricesRequest, caller: Caller) -> m.PriceListAsk:
    return m.PriceListAsk(
        limit=min(request.limit, PAGE_MAX),
        offset=request.offset,
        min_confidence=request.min_confidence,
        symbols=request.symbols,
    )


def _batch(request: PriceBatchRequest, caller: Caller) -> m.PriceListAsk:
    return m.PriceListAsk(limit=BATCH_MAX, min_confidence=request.min_confidence, ids=request.ids)


def _one(request: TokenPriceRequest, caller: Caller) -> m.PriceAsk:
    return m.PriceAsk(
        token_id=request.token_id,
        explain=request.explain == "true",
        at_ms=_ms(request.at),
        search_ms=request.search_width,
    )


def _ms(moment: int) -> int:
    return moment * 1000 if 0 < moment < SECONDS_BELOW else moment


def _history(request: TokenHistoryRequest, caller: Caller) -> m.HistoryAsk:
    return m.HistoryAsk(
        token_id=request.token_id,
        from_ms=_ms(request.from_),
        to_ms=_ms(request.to),
        interval=request.interval,
        limit=request.limit,
    )


def _quote(request: TokenQuoteRequest, caller: Caller) -> m.TokenQuoteAsk:
    return m.TokenQuoteAsk(token_id=request.token_id, side=request.side, size_usd=request.size_usd)


def _token(request: TokenRequest, caller: Caller) -> m.PriceAsk:
    return m.PriceAsk(token_id=request.token_id)


def _anchor(request: AnchorRequest, caller: Caller) -> m.OracleAsk:
    return m.OracleAsk(health=request.health == "true")


def _pools(request: m.PoolsPut, caller: Caller) -> m.PoolsPut:
    """The same with whole numbers as texts: JSON on the bus has no integers beyond 64 bits."""
    return structs.replace(
        request,
        tokens=[structs.replace(token, lp_supply=_text(token.lp_supply)) for token in request.tokens],
        pools=[
            structs.replace(pool, reserve_a=_text(pool.reserve_a), reserve_b=_text(pool.reserve_b))
            for pool in request.pools
        ],
    )


def _text(value: m.Reserve) -> m.Reserve:
    return str(value)[:DIGITS_MAX] if isinstance(value, int) else value


def _pools_detail(request: m.PoolsPut) -> Mapping[str, Any]:
    said = msgspec.json.encode(_pools(request, Caller(ANONYMOUS)))
    return {
        "anchorTokenId": request.anchor_token_id,
        "tokens": len(request.tokens),
        "pools": len(request.pools),
        "btcPrices": msgspec.to_builtins(request.btc_prices),
        "sha256": hashlib.sha256(said).hexdigest(),
    }


def _row(path: str, summary: str, **more: Any) -> Endpoint:
    return Endpoint(
        **{
            "method": "GET",
            "path": path,
            "surface": "prices",
            "tags": ("prices",),
            "summary": summary,
            "access": PUBLIC,
            "repeat": "safe",
            "fresh": SOON,
            **more,
        }
    )


def _health(path: str, fresh: Fresh, *, hidden: bool = False) -> Endpoint:
    return _row(
        path,
        "How the prices do",
        request=NothingAsked,
        command=subjects.TOKEN_PRICE_HEALTH,
        response=m.Envelope[m.PriceHealth],
        message=lambda request, caller: m.PriceHealthAsk(),
        fresh=fresh,
        hidden=hidden,
    )


ROWS = (
    _row(
        BASE,
        "Token prices, the surest first",
        request=PricesRequest,
        command=subjects.TOKEN_PRICES,
        message=_list,
        response=m.PriceList,
        tools=(
            Tool(
                "prices",
                "Token prices in USD with a confidence from 0 to 1, the surest first. Filter by symbols"
                " (comma list) and minConfidence; below 0.6 a price should not be relied on.",
                hidden=("details",),
            ),
        ),
    ),
    _row(
        f"{BASE}/batch",
        "Prices of named tokens",
        method="POST",
        repeat="idempotent",
        unkeyed=True,
        request=PriceBatchRequest,
        command=subjects.TOKEN_PRICES,
        message=_batch,
        response=m.PriceList,
    ),
    _row(
        f"{BASE}/btc",
        "The anchor's price and its sources",
        request=AnchorRequest,
        command=subjects.ANCHOR_PRICE,
        response=m.Envelope[m.OraclePrice],
        message=_anchor,
        fresh=ANCHOR,
    ),
    _health(f"{BASE}/health", MINUTE),
    _health("/api/health", ASIDE, hidden=True),
    _health("/api/health/cache", ASIDE, hidden=True),
    _row(
        "/api/health/btc-oracle",
        "The anchor's price and how its sources do",
        request=NothingAsked,
        command=subjects.ANCHOR_PRICE,
        response=m.Envelope[m.OraclePrice],
        message=lambda request, caller: m.OracleAsk(health=True),
        fresh=ASIDE,
        hidden=True,
    ),
    _row(
        f"{BASE}/{{tokenId}}",
        "One token: price, confidence, the pools of its primary path",
        request=TokenPriceRequest,
        command=subjects.TOKEN_PRICE_GET,
        message=_one,
        response=m.OnePrice,
    ),
    _row(
        f"{BASE}/{{tokenId}}/history",
        "Bars of a token's price in USD, and its changes",
        request=TokenHistoryRequest,
        command=subjects.TOKEN_HISTORY,
        response=m.Envelope[m.History],
        message=_history,
        fresh=MINUTE,
    ),
    _row(
        f"{BASE}/{{tokenId}}/quote",
        "What a trade of a size would get along the paths, fees paid",
        request=TokenQuoteRequest,
        command=subjects.TOKEN_QUOTE,
        response=m.Envelope[m.TokenQuote],
        message=_quote,
    ),
    _row(
        f"{BASE}/{{tokenId}}/liquidity",
        "How a token's liquidity is spread over its pools, and the risk of each",
        request=TokenRequest,
        command=subjects.TOKEN_LIQUIDITY,
        response=m.Envelope[m.LiquidityView],
        message=_token,
    ),
    Endpoint(
        method="PUT",
        path="/admin/pools",
        surface="admin",
        tags=("admin",),
        summary="Replace the token graph, whole or not at all; `btcPrices` sets the static oracle",
        access=ADMIN_ONLY,
        repeat="idempotent",
        request=m.PoolsPut,
        command=subjects.POOLS_PUT,
        message=_pools,
        response=m.PoolsTaken,
        body_bytes_max=6 * KIB * KIB,
        audited=True,
        detail=_pools_detail,
        changes_prices=True,
    ),
)
