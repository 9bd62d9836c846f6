"""What every feed is: a source of ticks behind one Protocol.

Lifecycle: ``run`` is started once as a task, gives ticks and candles to its sink until it is
cancelled, and returns by itself only when its source has ended (a replay). It reconnects for ever,
with a capped, growing, jittered delay; it never lets an outsider's message stop it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

from libs.common.candles import Candle, Timeframe
from libs.common.messages.market import Instrument

# symbol, bid, ask, exchange time in Unix ms, size: a plain tuple, as twenty thousand are made a second
Tick: TypeAlias = tuple[str, float, float, int, float]


class Sink(Protocol):
    """Where a feed's ticks and candles go."""

    async def quotes(self, ticks: Sequence[Tick], cursor: Any = None) -> None:
        """Publish ticks in order and count them in candles.

        ``cursor`` says how far the source has been read; it is stored together with the candles, so
        a restart neither loses nor repeats a tick in them.
        """
        ...

    async def candles(self, symbol: str, frame: Timeframe, candles: Sequence[Candle]) -> None:
        """Upsert bars the source made itself."""
        ...

    async def instrument(self, names: Sequence[str], digits: int) -> Instrument:
        """The instrument one of the names means; the last name is made known when none does."""
        ...

    def instruments(self) -> Sequence[Instrument]:
        """Every instrument there is."""
        ...

    def last_ms(self, symbol: str) -> int:
        """The time of a symbol's last quote, 0 when there was none."""
        ...

    async def restart(self, symbols: Sequence[str]) -> None:
        """Let these symbols' time begin anew: what follows is older than what was."""
        ...

    async def mark(self, cursor: Any) -> None:
        """Store how far the source has been read, by itself."""
        ...

    async def room(self) -> None:
        """Wait until the candles of what was given are stored, but for a bounded rest."""
        ...


class Feed(Protocol):
    """A source of ticks."""

    @property
    def source(self) -> str:
        """The name stored with candles: ``synthetic``, ``binance``, ``ccxt:kraken``."""
        ...

    @property
    def live(self) -> bool:
        """Whether this is a market of the outside world, whose quotes age and whose sessions end."""
        ...

    async def run(self, sink: Sink) -> None:
        """Give ticks until cancelled or the source ends."""
        ...

    def problem(self) -> str | None:
        """Why nothing good comes from this feed now, or None."""
        ...
