"""Kraken's last trade of bitcoin in dollars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from services.pricing.adapters.web import Web, number
from services.pricing.sources import SourceFailed


class _Answer(msgspec.Struct):
    error: Sequence[str] = ()
    result: dict[str, dict[str, Any]] = {}


class Kraken:
    """``GET /0/public/Ticker?pair=XBTUSD`` → ``{"error":[],"result":{"XXBTZUSD":{"c":["price",…],…}}}``."""

    name = "kraken"
    priority = 2
    remote = True

    def __init__(self, web: Web, url: str) -> None:
        self._web = web
        self._url = f"{url.rstrip('/')}/0/public/Ticker?pair=XBTUSD"

    async def price(self) -> float:
        """The price now; raises SourceFailed."""
        said = await self._web.read(self._url, _Answer)
        if said.error:
            raise SourceFailed(said.error[0])
        for ticker in said.result.values():
            last = ticker.get("c")
            if isinstance(last, list) and last:
                return number(last[0])
        raise SourceFailed("no price in the answer")
