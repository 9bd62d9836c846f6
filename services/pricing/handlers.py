"""One handler per command: the service's method, by subject."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from libs.common import subjects
from libs.common.bus import Call, Handler
from libs.common.subjects import Command
from services.pricing.service import PricingService


def handlers_for(service: PricingService) -> list[tuple[Command[Any, Any], Handler]]:
    """Every command pricing answers."""
    return [
        (subjects.POOLS_PUT, _of(service.put_pools)),
        (subjects.TOKEN_PRICES, _of(service.prices)),
        (subjects.TOKEN_PRICE_GET, _of(service.one)),
        (subjects.TOKEN_HISTORY, _of(service.history)),
        (subjects.TOKEN_QUOTE, _of(service.quote)),
        (subjects.TOKEN_LIQUIDITY, _of(service.liquidity)),
        (subjects.ANCHOR_PRICE, _of(service.anchor)),
        (subjects.TOKEN_PRICE_HEALTH, _of(service.health)),
        (subjects.TOKEN_PRICE_FRAMES, _of(service.frames)),
    ]


def _of(use_case: Callable[[Any], Any]) -> Handler:
    async def handle(message: Any, call: Call) -> Any:
        return await use_case(message)

    return handle
