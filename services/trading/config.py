"""What trading reads from the environment."""

from __future__ import annotations

from libs.common.config import ServiceConfig

_AGELESS = ("synthetic", "replay", "manual")


class TradingConfig(ServiceConfig, frozen=True, kw_only=True):
    """Trading's part of the settings."""

    feed: str = "synthetic"

    @property
    def quotes_age(self) -> bool:
        """Whether an old quote may not be traded at: those of synthetic, replay and manual never are old."""
        return self.feed.partition(":")[0] not in _AGELESS
