"""Price profiles: the prices a group sees, made from the raw quote. Pure.

A quote has one frame per symbol and profile; groups with the same effective spread share one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from services.market.rounding import rounded

_NAME = re.compile(r"^(?:f(\d{1,7})|w(-?\d{1,7}))?(?:b(-?\d{1,7}))?$")


@dataclass(frozen=True, slots=True)
class Profile:
    """An effective spread in points.

    ``fixed`` None keeps the quoted spread, changed by ``widen``; else ask is bid + ``fixed``.
    ``shift`` moves both prices.
    """

    fixed: int | None
    widen: int
    shift: int

    @property
    def name(self) -> str:
        """Safe as a token of a subject: ``raw``, ``f20``, ``w5b-3``."""
        kind = f"f{self.fixed}" if self.fixed is not None else f"w{self.widen}" if self.widen else ""
        return f"{kind}b{self.shift}" if self.shift else kind or "raw"

    @staticmethod
    def of(name: str) -> Profile | None:
        """The profile of a name, or None when it is no such name."""
        if name == "raw":
            return RAW
        match = _NAME.fullmatch(name)
        if match is None or not name:
            return None
        fixed, widen, shift = match.groups()
        return Profile(int(fixed) if fixed else None, int(widen or 0), int(shift or 0))

    @property
    def spread(self) -> int:
        """The spread as the contract prints it: 0 is floating."""
        return self.fixed or 0

    def prices(self, bid: float, ask: float, digits: int) -> tuple[float, float]:
        """The group's bid and ask of a raw quote; never crossed, never below one point."""
        point = 10.0**-digits
        own_bid = max(bid + self.shift * point, point)
        own_ask = (
            own_bid + self.fixed * point
            if self.fixed is not None
            else ask + (self.widen + self.shift) * point
        )
        return rounded(own_bid, digits), rounded(max(own_ask, own_bid), digits)


RAW = Profile(fixed=None, widen=0, shift=0)
