"""How many decimals an instrument's prices have: asked of market, remembered for a minute."""

from __future__ import annotations

import structlog

from libs.common.bus import Bus
from libs.common.clock import Clock
from libs.common.errors import AppError
from libs.common.messages.market import SymbolList
from libs.common.subjects import SYMBOL_LIST

log = structlog.get_logger()

FRESH_S = 60.0
RETRY_S = 5.0


class Digits:
    """Never fails: with market away it gives what it knew, or None."""

    def __init__(self, bus: Bus, clock: Clock) -> None:
        self._bus = bus
        self._clock = clock
        self._known: dict[str, int] = {}
        self._ask_after_s = 0.0

    async def of(self, symbol: str) -> int | None:
        """The digits of a symbol; None when nobody says."""
        if not symbol:
            return None
        if self._clock.monotonic_s() >= self._ask_after_s:
            await self._ask()
        return self._known.get(symbol)

    async def _ask(self) -> None:
        try:
            answer = await self._bus.request(SYMBOL_LIST, SymbolList())
        except AppError as e:
            log.warning("digits not known", error=str(e))
            self._ask_after_s = self._clock.monotonic_s() + RETRY_S
            return
        self._known = {instrument.symbol: instrument.digits for instrument in answer.symbols}
        self._ask_after_s = self._clock.monotonic_s() + FRESH_S
