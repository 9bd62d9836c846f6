"""Tokens that are shares of a pool (LP tokens): what they can be redeemed for, and what they trade at. Pure.

Intrinsic value: the share's part of both reserves at their prices. Where the market is not sure (confidence
below 0.5) the intrinsic value is the price; else both count by their confidence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from services.pricing.tokens import Pool, Token, units

INTRINSIC_CONFIDENCE = 0.8
MARKET_CONFIDENCE_MIN = 0.5
BLEND_CONFIDENCE_MAX = 0.95
ARBITRAGE_PCT = 5.0


@dataclass(frozen=True, slots=True)
class SharePrice:
    """A share's price; ``level`` counts shares within shares from 1."""

    usd: float
    confidence: float
    intrinsic: float
    market: float | None
    deviation_pct: float | None
    reserves_usd: float
    level: int

    @property
    def is_arbitrage(self) -> bool:
        """Whether the market is far from what the share can be redeemed for."""
        return self.deviation_pct is not None and abs(self.deviation_pct) > ARBITRAGE_PCT


def order_of(tokens: Mapping[str, Token], pools: Mapping[str, Pool]) -> list[tuple[str, int]]:
    """Shares with their level, those first that others are made of. Shares of each other are left out."""
    made_of = {
        token.id: [side for side in (pools[token.lp_pool].a, pools[token.lp_pool].b) if tokens[side].lp_pool]
        for token in tokens.values()
        if token.lp_pool in pools
    }
    while True:
        try:
            ordered = list(TopologicalSorter(made_of).static_order())
            break
        except CycleError as e:
            for name in e.args[1]:
                made_of.pop(name, None)
    levels: dict[str, int] = {}
    for name in ordered:
        if name in made_of:
            levels[name] = 1 + max((levels.get(part, 0) for part in made_of[name]), default=0)
    return list(levels.items())


def intrinsic(
    share: Token, pool: Pool, tokens: Mapping[str, Token], usd: Mapping[str, float]
) -> tuple[float, float] | None:
    """Value of one share and of all reserves in USD; None where a side has no price."""
    if pool.a not in usd or pool.b not in usd:
        return None
    whole = units(pool.reserve_a, tokens[pool.a].decimals) * usd[pool.a]
    whole += units(pool.reserve_b, tokens[pool.b].decimals) * usd[pool.b]
    supply = units(share.lp_supply, share.decimals)
    return (whole / supply, whole) if supply > 0 and whole > 0 else None


def blend(
    market: tuple[float, float] | None,
    value: float,
    reserves_usd: float,
    level: int,
    anchor_confidence: float,
) -> SharePrice:
    """The price of a share from its market price and confidence, and its intrinsic value."""
    sure = INTRINSIC_CONFIDENCE * anchor_confidence
    if market is None or market[1] < MARKET_CONFIDENCE_MIN:
        best = max(sure, market[1] if market else 0.0)
        price = value
    else:
        price = (market[0] * market[1] + value * sure) / (market[1] + sure)
        best = min(BLEND_CONFIDENCE_MAX, (market[1] + sure) / 2)
    seen = market[0] if market else None
    off = 100.0 * (seen - value) / value if seen is not None else None
    return SharePrice(price, best, value, seen, off, reserves_usd, level)
