"""What pricing reads from the environment."""

from __future__ import annotations

from typing import Literal

from libs.common.config import ServiceConfig
from libs.common.errors import ConfigInvalid
from services.pricing.rules import LiquidityMode, Rules
from services.pricing.sample import ANCHOR_ID

LOCAL_FEEDS = ("synthetic", "manual", "replay")
ALL_SOURCES = ("market", "coingecko", "kraken", "binance")
TOKENS_MAX = (2, 6)


class PricingConfig(ServiceConfig, frozen=True, kw_only=True):
    """Pricing's part of the settings."""

    feed: str = "synthetic"
    liquidity_mode: LiquidityMode = "usd"
    pools: str = ""
    pools_poll_s: float = 30.0
    path_tokens_max: int = 4
    unique_pools: Literal["on", "off"] = "off"
    fee_aware: Literal["on", "off"] = "off"
    anchor_token: str = ""
    anchor_sources: str = ""
    anchor_symbols: str = ""
    anchor_poll_s: float = 10.0
    stable_tokens: str = ""
    unstable_tokens: str = ""
    coingecko_url: str = ""
    geckoterminal_url: str = ""
    kraken_rest_url: str = ""
    binance_rest_url: str = ""

    @property
    def anchor_id(self) -> str:
        """The token prices are counted in."""
        return self.anchor_token or ANCHOR_ID

    @property
    def has_sample(self) -> bool:
        """Whether the built-in sample is the graph to begin with."""
        return self.feed == "synthetic" and not self.pools

    @property
    def rules(self) -> Rules:
        """The constants of the calculation; ConfigInvalid when one can't be used."""
        low, high = TOKENS_MAX
        if not low <= self.path_tokens_max <= high:
            raise ConfigInvalid(f"TRADEWIND_PATH_TOKENS_MAX can't be used: it is between {low} and {high}")
        return Rules(
            liquidity_mode=self.liquidity_mode,
            tokens_max=self.path_tokens_max,
            unique_pools=self.unique_pools == "on",
            fee_aware=self.fee_aware == "on",
        )

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the anchor's sources; ConfigInvalid names one that is none."""
        named = words(self.anchor_sources)
        for name in named:
            if name not in ALL_SOURCES:
                known = ", ".join(ALL_SOURCES)
                raise ConfigInvalid(f"TRADEWIND_ANCHOR_SOURCES can't be used: {name} is none of {known}")
        local = self.feed.partition(":")[0] in LOCAL_FEEDS
        return named or (("market",) if local else ALL_SOURCES)


def words(text: str) -> tuple[str, ...]:
    """The parts of a comma-separated setting."""
    return tuple(part.strip() for part in text.split(",") if part.strip())
