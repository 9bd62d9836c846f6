"""How a token's liquidity is spread over its pools, and the risk of each. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

CONCENTRATED_SHARE = 0.6
DIVERSE_POOLS = 3
SAFE_USD = 100_000.0
LOW_USD = 1_000.0
STALE_MS = 600_000
HALF_DAY_MS = 43_200_000


@dataclass(frozen=True, slots=True)
class PoolPart:
    """A pool's liquidity in USD and the age of its reserves."""

    pool: int
    liquidity: float
    age_ms: float


@dataclass(frozen=True, slots=True)
class Part:
    """A pool's share of the token's liquidity, its risk and what to know."""

    pool: int
    liquidity: float
    share: float
    risk: str
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Analysis:
    """All pools of a token; ``hhi`` is the sum of squared shares."""

    total: float
    hhi: float
    concentrated: bool
    diversified: bool
    parts: tuple[Part, ...]


def risk_of(liquidity: float, age_ms: float) -> str:
    """high below 0.3 of 100,000 USD or older than a day, medium below 0.6 or half a day, else low."""
    score = min(1.0, liquidity / SAFE_USD)
    if score < 0.3 or age_ms > 2 * HALF_DAY_MS:
        return "high"
    return "medium" if score < 0.6 or age_ms > HALF_DAY_MS else "low"


def analyse(pools: Sequence[PoolPart]) -> Analysis:
    """Shares, concentration and risk, the deepest pool first."""
    total = sum(pool.liquidity for pool in pools)
    parts = [
        Part(
            pool.pool,
            pool.liquidity,
            pool.liquidity / total if total > 0 else 0.0,
            risk_of(pool.liquidity, pool.age_ms),
            _warnings(pool),
        )
        for pool in sorted(pools, key=lambda pool: (-pool.liquidity, pool.pool))
    ]
    largest = max((part.share for part in parts), default=0.0)
    concentrated = largest > CONCENTRATED_SHARE
    return Analysis(
        total,
        sum(part.share**2 for part in parts),
        concentrated,
        len(parts) >= DIVERSE_POOLS and not concentrated,
        tuple(parts),
    )


def _warnings(pool: PoolPart) -> tuple[str, ...]:
    found = []
    if pool.liquidity < LOW_USD:
        found.append("low liquidity")
    if pool.age_ms > STALE_MS:
        found.append("stale reserves")
    return tuple(found)
