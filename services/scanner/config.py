"""What the scanner reads from the environment."""

from __future__ import annotations

from typing import Literal

from libs.common.candles import BY_NAME
from libs.common.config import ServiceConfig
from libs.common.errors import ConfigInvalid


class ScannerConfig(ServiceConfig, frozen=True, kw_only=True):
    """The scanner's part of the settings."""

    scanner_timeframes: str = "1m,5m,15m,30m,1h,4h,1d,1w,1M"
    scanner_backfill_bars: int = 5_000
    scanner_record_days: int = 90
    assets_file: str = ""
    texts_dir: str = ""
    texts_feeds: str = ""
    texts_poll_s: float = 300.0
    texts_secret: str = ""
    texts_allow_private: Literal["on", "off"] = "off"
    llm_url: str = ""
    llm_model: str = "default"
    llm_key: str = ""
    llm_calls_per_hour: int = 60
    public_url: str = ""
    http_host: str = "127.0.0.1"
    http_port: int = 8080

    @property
    def timeframes(self) -> tuple[str, ...]:
        """The timeframes that are followed; ConfigInvalid when one is none."""
        names = tuple(name.strip() for name in self.scanner_timeframes.split(",") if name.strip())
        unknown = [name for name in names if name not in BY_NAME]
        if unknown or not names:
            wrong = ", ".join(unknown) or "nothing"
            raise ConfigInvalid(f"TRADEWIND_SCANNER_TIMEFRAMES: {wrong} is none of {' '.join(BY_NAME)}")
        return names

    @property
    def methodology_url(self) -> str:
        """Where clients read how everything is computed."""
        return f"{self.public_url or f'http://{self.http_host}:{self.http_port}'}/docs/methodology"
