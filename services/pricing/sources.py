"""What pricing asks of the outside: where pools come from, and what the anchor costs.

Each outsider is one file in ``adapters``. None of them may end the process or hold it up: they raise
``SourceFailed`` within their deadline, and what was there before goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from services.pricing.tokens import Pool, Token


class SourceFailed(Exception):
    """A source did not answer, or not with what it should."""


@dataclass(frozen=True, slots=True)
class PoolGraph:
    """A graph as a source gives it; ``anchor_id`` empty: it names none."""

    tokens: Sequence[Token]
    pools: Sequence[Pool]
    anchor_id: str = ""


class PoolSource(Protocol):
    """Gives the graph."""

    async def fetch(self) -> PoolGraph | None:
        """The graph now; None when it is what it was. Raises SourceFailed."""
        ...


class AnchorSource(Protocol):
    """Gives the anchor's price in USD. A lower priority counts more; what is not ``remote`` costs nothing to
    ask, so it is asked again at once after a failure."""

    name: str
    priority: int
    remote: bool

    async def price(self) -> float:
        """The price now; raises SourceFailed."""
        ...
