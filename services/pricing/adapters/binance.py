"""Binance's last price of bitcoin in Tether."""

from __future__ import annotations

from typing import Any

from services.pricing.adapters.web import Web, number
from services.pricing.sources import SourceFailed


class Binance:
    """``GET /api/v3/ticker/price?symbol=BTCUSDT`` → ``{"symbol":…,"price":"n"}``."""

    name = "binance"
    priority = 3
    remote = True

    def __init__(self, web: Web, url: str) -> None:
        self._web = web
        self._url = f"{url.rstrip('/')}/api/v3/ticker/price?symbol=BTCUSDT"

    async def price(self) -> float:
        """The price now; raises SourceFailed."""
        said = await self._web.read(self._url, dict[str, Any])
        if "price" not in said:
            raise SourceFailed("no price in the answer")
        return number(said["price"])
