"""CoinGecko's simple price of bitcoin."""

from __future__ import annotations

from typing import Any

from services.pricing.adapters.web import Web, number
from services.pricing.sources import SourceFailed


class CoinGecko:
    """``GET /simple/price?ids=bitcoin&vs_currencies=usd`` → ``{"bitcoin":{"usd":n}}``."""

    name = "coingecko"
    priority = 1
    remote = True

    def __init__(self, web: Web, url: str) -> None:
        self._web = web
        self._url = f"{url.rstrip('/')}/simple/price?ids=bitcoin&vs_currencies=usd"

    async def price(self) -> float:
        """The price now; raises SourceFailed."""
        said = await self._web.read(self._url, dict[str, dict[str, Any]])
        if "usd" not in said.get("bitcoin", {}):
            raise SourceFailed("no price in the answer")
        return number(said["bitcoin"]["usd"])
