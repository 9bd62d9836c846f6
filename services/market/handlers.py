"""One handler per command: the service's method, by subject."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from libs.common import subjects
from libs.common.bus import Call, Handler
from libs.common.subjects import Command
from services.market.bulk import BulkReader
from services.market.service import MarketService


def handlers_for(service: MarketService) -> list[tuple[Command[Any, Any], Handler]]:
    """Every command market answers."""
    return [
        (subjects.SYMBOL_PUT, _waiting(service.put_symbol)),
        (subjects.SYMBOL_LIST, _at_once(lambda ask: service.symbols())),
        (subjects.GROUP_PUT, _waiting(service.put_group)),
        (subjects.GROUP_LIST, _at_once(lambda ask: service.groups())),
        (subjects.GROUP_GET, _at_once(service.group)),
        (subjects.GROUP_VIEW, _at_once(service.group_view)),
        (subjects.ASSETS, _waiting(service.assets)),
        (subjects.SHORT_LIST, _waiting(service.short_list)),
        (subjects.SYMBOL_INFO, _waiting(service.symbol_info)),
        (subjects.CANDLES, _waiting(service.candles)),
        (subjects.CANDLES_PUT, _waiting(service.put_candles)),
        (subjects.QUOTES_PUT, _waiting(service.put_quotes)),
        (subjects.QUOTES_SNAPSHOT, _at_once(lambda ask: service.snapshot())),
        (subjects.TICKS_SINCE, _at_once(service.ticks_since)),
        (subjects.WATCH_LIST, _waiting(service.watch_list)),
        (subjects.WATCH_ADD, _waiting(service.watch)),
        (subjects.WATCH_UPDATE, _waiting(service.change_watched)),
        (subjects.WATCH_REMOVE, _waiting(service.unwatch)),
    ]


def bulk_handlers(reader: BulkReader) -> list[tuple[Command[Any, Any], Handler]]:
    """The commands that read many bars at once."""
    return [
        (subjects.CANDLES_BULK, _waiting(reader.closed)),
        (subjects.FORMING, _at_once(reader.forming)),
    ]


def _waiting(use_case: Callable[[Any], Any]) -> Handler:
    async def handle(message: Any, call: Call) -> Any:
        return await use_case(message)

    return handle


def _at_once(use_case: Callable[[Any], Any]) -> Handler:
    async def handle(message: Any, call: Call) -> Any:
        return use_case(message)

    return handle
