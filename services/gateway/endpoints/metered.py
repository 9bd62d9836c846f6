"""What a call costs, as its row declares it; ``metering.py`` holds and charges it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple


class Cost(NamedTuple):
    """So many units of an entry of the price list; no units cost nothing."""

    price: str
    units: int = 1


@dataclass(frozen=True, slots=True)
class Metered:
    """What a successful call costs. Amounts stand in the plans file (``libs/common/plans.py``), by name.

    ``price`` is held before the work is done and charged when it succeeded; "" costs nothing. ``units``
    says how many from the request. ``doubtful`` names a symbol of the request that must be a known one
    ("" none): who can't pay is told so first. ``cost`` says from the owner's reply and the request what it
    came to, at most what was held. ``after`` holds nothing: the cost of the reply is charged before it is
    given, and who can't pay it gets no reply. ``quota`` names a daily quota of the caller's tier that a
    success uses up; the message is made with its state (``Caller.quota``). ``keyless`` lets somebody without
    a key pay for the one call by x402.
    """

    price: str = ""
    units: Callable[[Any], int] | None = None
    cost: Callable[[bytes, Any], Cost] | None = None
    after: bool = False
    quota: str = ""
    keyless: bool = True
    doubtful: Callable[[Any], str] | None = None

    @property
    def payable(self) -> bool:
        """Whether an x402 payment may come with the call."""
        return bool(self.price) and not self.after

    def held(self, asked: Any) -> int:
        """How many units a request holds."""
        return self.units(asked) if self.units is not None else 1

    def came_to(self, answer: bytes, asked: Any) -> Cost:
        """What the call cost."""
        if self.cost is not None:
            return self.cost(answer, asked)
        return Cost(self.price, self.held(asked) if self.price else 0)
