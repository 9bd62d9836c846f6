"""The part of the settings market reads."""

from __future__ import annotations

from libs.common.config import ServiceConfig


class Config(ServiceConfig, frozen=True, kw_only=True):
    """See ``libs.common.config.SETTINGS`` for what each means."""

    feed: str = "synthetic"
    seed: int = 1
    synthetic_ticks_per_s: float = 2.0
    binance_ws_url: str = ""
    binance_rest_url: str = ""
    kraken_ws_url: str = ""
