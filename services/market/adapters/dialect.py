"""How an exchange speaks, and what is heard from it: what each adapter gives to the common machinery."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import aiohttp
import msgspec

from libs.common.candles import Candle, Timeframe
from libs.common.messages.market import Instrument


@dataclass(frozen=True, slots=True)
class HeardQuote:
    """Top of book of an exchange's symbol; ``at_ms`` None when the exchange says no time."""

    name: str
    bid: float
    ask: float
    at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class HeardTrade:
    """Something was traded: its size belongs to the next tick."""

    name: str
    size: float


@dataclass(frozen=True, slots=True)
class HeardCandles:
    """Bars the exchange made; ``reply`` is what to say to it then."""

    name: str
    frame: Timeframe
    candles: Sequence[Candle]
    reply: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class HeardRefusal:
    """The exchange does not give what was asked for."""

    reason: str


@dataclass(frozen=True, slots=True)
class HeardLeave:
    """The exchange asks us to connect anew."""

    reason: str


Heard: TypeAlias = HeardQuote | HeardTrade | HeardCandles | HeardRefusal | HeardLeave


class Unreadable(Exception):
    """A message of the exchange that means nothing to us."""


# What reading a message of nobody knows what shape may raise.
UNREADABLE = (
    Unreadable,
    msgspec.MsgspecError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
)


class RestRefused(Exception):
    """The exchange will not answer this question, now or later."""


class Dialect(Protocol):
    """How one exchange speaks. Pure but for the two questions over HTTP."""

    source: str
    url: str

    def names(self, instruments: Sequence[Instrument]) -> dict[str, list[str]]:
        """The exchange's name → our symbols it quotes."""
        ...

    def subscribe(self, names: Sequence[str]) -> list[str]:
        """What to say to hear these."""
        ...

    def ping(self) -> str | None:
        """A message the exchange answers, where it has one beside WebSocket's own."""
        ...

    @property
    def history_by_stream(self) -> bool:
        """Whether the stream itself begins with candles; ``history`` is not asked then."""
        ...

    def read(self, text: str) -> list[Heard]:
        """What a message says; nothing for acknowledgements and heartbeats. Raises one of UNREADABLE."""
        ...

    async def snapshot(self, http: aiohttp.ClientSession, names: Sequence[str]) -> list[HeardQuote]:
        """The quotes now, where the stream itself does not begin with them."""
        ...

    async def history(
        self, http: aiohttp.ClientSession, name: str, frame: Timeframe, since_ms: int
    ) -> list[Candle]:
        """Bars since ``since_ms`` (0: the last ones), oldest first."""
        ...


def size_of(given: str | float) -> float:
    """A traded size; raises ValueError when it is none."""
    size = float(given)
    if not 0 <= size < float("inf"):
        raise ValueError(f"size was {given}")
    return size
