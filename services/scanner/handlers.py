"""What the scanner answers on the bus: one use case per command."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from libs.common import subjects as s
from libs.common.bus import Call, Handler
from libs.common.subjects import Command
from services.scanner.contexts import Contexts
from services.scanner.people import People
from services.scanner.scans import Scans
from services.scanner.symbols import Symbols


def handlers_of(
    scans: Scans, symbols: Symbols, contexts: Contexts, people: People
) -> list[tuple[Command[Any, Any], Handler]]:
    """The commands of the scan surface."""
    return [
        (s.SCAN, _of(scans.scan)),
        (s.PATTERN_LIST, _at_once(lambda ask: scans.patterns())),
        (s.PATTERN_GET, _at_once(lambda ask: scans.pattern(ask.id))),
        (s.PATTERN_PERFORMANCE, _of(scans.performance)),
        (s.RECORD_LIST, _of(scans.records)),
        (s.RECORD_SHOWCASE, _of(scans.showcase)),
        (s.RECORD_GET, _of(lambda ask: scans.record(ask.id))),
        (s.WATCHLISTS, _of(people.watchlists)),
        (s.WATCHLIST_PUT, _of(people.put_watchlist)),
        (s.WATCHLIST_REMOVE, _of(people.remove_watchlist)),
        (s.SCAN_STATUS, _at_once(symbols.status)),
        (s.CAPABILITIES, _of(lambda ask: symbols.capabilities())),
        (s.SYMBOL_SEARCH, _of(symbols.search)),
        (s.SYMBOL_RESOLVE, _of(symbols.resolve)),
        (s.CONTEXT_LIST, _of(contexts.contexts)),
        (s.CONTEXT_GET, _of(contexts.context)),
        (s.CONTEXT_INSPECT, _of(lambda ask: contexts.inspect(ask.id))),
        (s.CONTEXT_MANIFEST, _of(lambda ask: contexts.manifest(ask.id))),
        (s.CONTEXT_OHLCV, _of(contexts.ohlcv)),
        (s.CONTEXT_CHART, _of(contexts.chart)),
        (s.CONDITION_CHECK, _of(contexts.condition)),
        (s.CONFIRM_VISUAL, _of(contexts.confirm)),
        (s.MONITOR_MAKE, _of(people.make_monitor)),
        (s.MONITOR_LIST, _of(people.monitors)),
        (s.MONITOR_SET, _of(people.set_monitor)),
        (s.MONITOR_REMOVE, _of(people.remove_monitor)),
        (s.FEED_LIST, _of(people.feed)),
        (s.FEED_ACK, _of(people.acknowledge)),
        (s.SCAN_USAGE, _of(people.usage)),
        (s.TIMEZONE_GET, _of(people.timezone)),
        (s.TIMEZONE_PUT, _of(people.put_timezone)),
    ]


def _of(use_case: Callable[[Any], Awaitable[Any]]) -> Handler:
    async def handle(message: Any, call: Call) -> Any:
        return await use_case(message)

    return handle


def _at_once(use_case: Callable[[Any], Any]) -> Handler:
    async def handle(message: Any, call: Call) -> Any:
        return use_case(message)

    return handle
