"""The manual feed: nothing comes by itself; staff set every quote."""

from __future__ import annotations

import asyncio

from services.market.feed import Sink


class ManualFeed:
    """Waits. Quotes come through ``/admin/quotes``, which is open under every feed."""

    source = "manual"
    live = False

    async def run(self, sink: Sink) -> None:
        await asyncio.Event().wait()

    def problem(self) -> str | None:
        return None
