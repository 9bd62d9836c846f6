"""Every constant of the price calculation, in one place. Pure.

The defaults are those of the reference documents; where these show only what the old engine did, ``legacy``
reproduces it (token-unit liquidity, no minimum depth, no freshness).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

LiquidityMode = Literal["usd", "legacy"]
DAY_MS = 86_400_000.0
HOUR_MS = 3_600_000.0
FANOUT_MAX = 25
EXPLORED_MAX = 20_000


@dataclass(frozen=True, slots=True)
class Rules:
    """What a calculation is done with. Money in USD, times in milliseconds, shares as fractions."""

    liquidity_mode: LiquidityMode = "usd"
    tokens_max: int = 4  # of a path, both ends counted: 4 tokens are 3 pools
    paths_max: int = 10  # best paths of a token that count
    alternatives_max: int = 5
    pool_usd_min: float = 100.0
    cycles_max: int = 10  # of the valuation
    valuation_decay: float = 0.8
    valuation_confidence_min: float = 0.1
    stable_confidence: float = 0.95  # of a stablecoin's dollar inside the valuation
    reliable_usd: float = 10_000.0
    confident_usd: float = 50_000.0
    liquid_usd: float = 100_000.0
    boost_usd: float = 10_000.0
    boost_max: float = 2.0
    outlier_share: float = 0.5
    paths_enough: int = 3
    fresh_ms: float = 300_000.0  # older reserves begin to cost confidence
    fresh_half_ms: float = 1_800_000.0
    unique_pools: bool = False  # count a pool once in the liquidity of the confidence
    fee_aware: bool = False  # rates of what a trade would get, instead of mid prices

    @property
    def hops_max(self) -> int:
        """Pools of the longest path."""
        return self.tokens_max - 1

    @property
    def fanout(self) -> int:
        """Pools followed out of one token, the deepest first: so many that no token explores more than
        ``EXPLORED_MAX`` paths."""
        width = FANOUT_MAX
        while sum(width**hop for hop in range(1, self.hops_max + 1)) > EXPLORED_MAX:
            width -= 1
        return width

    @property
    def legacy(self) -> bool:
        """Whether liquidity is counted in token units, as the published sample does."""
        return self.liquidity_mode == "legacy"

    def in_mode(self, mode: LiquidityMode) -> Rules:
        """The same rules with another measure of liquidity."""
        return replace(self, liquidity_mode=mode)


DEFAULT = Rules()
LEGACY = Rules(liquidity_mode="legacy")
