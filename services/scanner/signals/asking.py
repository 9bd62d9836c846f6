"""What the pools of an asset's token say when a bar closes, asked of pricing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Protocol

import msgspec
import structlog

from libs.common.bus import Bus
from libs.common.errors import AppError
from libs.common.messages.pricing import PriceListAsk
from libs.common.subjects import TOKEN_PRICES
from services.scanner.signals.triggers import Dex

log = structlog.get_logger()

PATIENCE_S = 2.0


class Pools(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A token as pricing had it: USD, parts of 1. Stored as JSON beside the bar."""

    price: float
    confidence: float
    liquidity: float
    variation: float
    paths: int
    peg: float | None = None


class PoolSource(Protocol):
    """Who knows tokens."""

    async def pools(self, tokens: list[str]) -> Mapping[str, Pools]:
        """By token id; without those that have no price."""
        ...


class Pricing:
    """Pricing over the bus. When it does not answer, signals go without pools."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def pools(self, tokens: list[str]) -> Mapping[str, Pools]:
        """See ``PoolSource``."""
        if not tokens:
            return {}
        try:
            async with asyncio.timeout(PATIENCE_S):
                answer = await self._bus.request(TOKEN_PRICES, PriceListAsk(ids=tokens, limit=len(tokens)))
        except (AppError, TimeoutError) as e:
            log.warning("signals go without pools", error=f"{type(e).__name__}: {e}")
            return {}
        return {
            token.token_id: Pools(
                price=token.usd_price,
                confidence=token.confidence,
                liquidity=token.total_liquidity,
                variation=token.calculation_details.price_variation,
                paths=token.calculation_details.paths_used,
                peg=None
                if isinstance(token.peg_deviation_pct, msgspec.UnsetType)
                else token.peg_deviation_pct / 100.0,
            )
            for token in answer.data
        }


def dex_of(now: Pools, hour_before: Pools | None, day_before: Pools | None) -> Dex:
    """The input of a bar from what the pools said at its close, an hour and a day before."""
    return Dex(
        price=now.price,
        confidence=now.confidence,
        variation=now.variation,
        paths=now.paths,
        liquidity_1h=_change(now, hour_before),
        liquidity_24h=_change(now, day_before),
        peg=now.peg,
    )


def _change(now: Pools, before: Pools | None) -> float | None:
    if before is None or before.liquidity <= 0.0:
        return None
    return now.liquidity / before.liquidity - 1.0
