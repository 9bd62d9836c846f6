"""What is answered about signals on the bus: one use case per command."""

from __future__ import annotations

from typing import Any

from libs.common import subjects as s
from libs.common.bus import Call, Handler
from libs.common.subjects import Command
from services.scanner.signals.service import Signals


def handlers_of(signals: Signals) -> list[tuple[Command[Any, Any], Handler]]:
    """The commands of the signals surface and of its registry."""

    def of(use_case: Any) -> Handler:
        async def handle(message: Any, call: Call) -> Any:
            await signals.ready()
            return await use_case(message)

        return handle

    return [
        (s.SIGNAL_LIST, of(signals.details)),
        (s.SIGNAL_FOLLOW, of(signals.follow)),
        (s.SIGNAL_TEXTS, of(signals.take_texts)),
        (s.SIGNAL_GET, of(signals.one)),
        (s.SIGNAL_NAMES, of(signals.names)),
        (s.SIGNAL_PERFORMANCE, of(signals.performance)),
        (s.SIGNAL_BULLISHNESS, of(signals.bullishness)),
        (s.ASSET_REGISTRY, of(signals.registry)),
        (s.ASSET_REGISTRY_PUT, of(signals.put_assets)),
        (s.SIGNAL_BACKFILL, of(signals.backfill)),
    ]
