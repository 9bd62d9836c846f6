"""Which symbols a group sees and at which price profile, asked from market each time it matters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from libs.common.bus import Bus, decode, encode
from libs.common.messages.market import GroupView, GroupViewAsk
from libs.common.subjects import GROUP_VIEW
from libs.common.symbols import SymbolIndex


@dataclass(frozen=True, slots=True)
class View:
    """A group's symbols: canonical name → price profile, and how to find one."""

    profiles: Mapping[str, str]
    index: SymbolIndex


class Views:
    """Asks market for views; an answer equal to the last one is not read again."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._last: dict[str, tuple[bytes, View]] = {}

    async def of(self, group: str) -> View:
        """What a group sees now; the owner's GROUP_NOT_FOUND when there is no such group."""
        answer = await self._bus.request_bytes(GROUP_VIEW, encode(GroupViewAsk(group=group)))
        known = self._last.get(group)
        if known is not None and known[0] == answer:
            return known[1]
        profiles = decode(answer, GroupView).profiles
        view = View(profiles, SymbolIndex(profiles))
        self._last[group] = (answer, view)
        return view
