"""What trading reads from the environment."""

from __future__ import annotations

from libs.common.config import ServiceConfig


class TradingConfig(ServiceConfig, frozen=True, kw_only=True):
    """Trading's part of the settings."""
