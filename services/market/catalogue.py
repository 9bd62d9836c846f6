"""The instruments and groups in force, and the market as each group sees it. Pure; owned by the service.

The database is the truth; as market is the only writer, this copy is exact. Changes are prepared
first (which checks them), then stored, then taken over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from libs.common.messages.market import Group, GroupView, Instrument
from libs.common.symbols import SymbolIndex
from services.market import builtins, groups, instruments
from services.market.errors import GroupNotFound, SymbolNotAllowed, SymbolNotFound
from services.market.profiles import RAW, Profile


@dataclass(frozen=True, slots=True)
class Known:
    """An instrument with its id and what was said of it explicitly."""

    id: int
    said: Mapping[str, Any]
    instrument: Instrument


class Catalogue:
    """``live`` says whether the feed is a market of the outside world."""

    def __init__(self, *, live: bool) -> None:
        self._live = live
        self._known: dict[str, Known] = {}
        self._groups: dict[str, tuple[Mapping[str, Any], Group]] = {}
        self._index = SymbolIndex(())

    # ── instruments ───────────────────────────────────────────────────────────────────────────────

    def take_instrument(self, id_: int, symbol: str, said: Mapping[str, Any]) -> Instrument:
        """Take over what is stored of an instrument."""
        instrument = self._effective(symbol, said)
        new = symbol not in self._known
        self._known[symbol] = Known(id_, said, instrument)
        if new:
            self._index = SymbolIndex(self._known)
        return instrument

    def _effective(self, symbol: str, said: Mapping[str, Any]) -> Instrument:
        return instruments.effective(symbol, {**builtins.instrument(symbol, live=self._live), **said})

    def changed_instrument(
        self, name: str, given: Mapping[str, Any]
    ) -> tuple[str, dict[str, Any], Instrument]:
        """The canonical symbol, what would be said of it and what it would be; raises when unfit."""
        symbol = self._index.exact(name) or name
        stored = self._known[symbol].said if symbol in self._known else {}
        base = builtins.instrument(symbol, live=self._live)
        said = instruments.merged(symbol, base, stored, given)
        return symbol, said, self._effective(symbol, said)

    def find(self, text: str) -> Known:
        """The instrument a caller means, or SymbolNotFound."""
        symbol = self._index.find(text)
        if symbol is None:
            raise SymbolNotFound(f"there is no symbol {text!r}")
        return self._known[symbol]

    def symbol(self, text: str) -> str | None:
        """The canonical symbol a caller means, or None."""
        return self._index.find(text)

    def known(self) -> Iterator[Known]:
        """All instruments, as they are listed."""
        yield from sorted(self._known.values(), key=lambda k: (k.instrument.sort_index, k.id))

    # ── groups ────────────────────────────────────────────────────────────────────────────────────

    def take_group(self, name: str, said: Mapping[str, Any]) -> Group:
        """Take over what is stored of a group."""
        group = groups.effective(name, {**builtins.group(name), **said})
        self._groups[name] = (said, group)
        return group

    def changed_group(self, name: str, given: Mapping[str, Any]) -> tuple[dict[str, Any], Group]:
        """What would be said of a group and what it would be; raises when the change is unfit."""
        stored = self._groups[name][0] if name in self._groups else {}
        base = builtins.group(name)
        said = groups.merged(name, base, stored, given, self._index.find)
        return said, groups.effective(name, {**base, **said})

    def group(self, name: str) -> Group:
        """A group, or GroupNotFound."""
        if name not in self._groups:
            raise GroupNotFound(f"there is no group {name!r}")
        return self._groups[name][1]

    def groups(self) -> list[Group]:
        """All groups, by name."""
        return [self._groups[name][1] for name in sorted(self._groups)]

    # ── the market as a group sees it ─────────────────────────────────────────────────────────────

    def seen(self, group: Group) -> Iterator[tuple[Known, Instrument]]:
        """The instruments a group is shown, with its own values in force."""
        for known in self.known():
            if groups.is_shown(group, known.instrument):
                yield known, groups.as_seen(group, known.instrument)

    def seen_one(self, group: Group, text: str) -> tuple[Known, Instrument]:
        """One instrument as a group sees it; SymbolNotAllowed when it is hidden."""
        known = self.find(text)
        if not groups.is_shown(group, known.instrument):
            raise SymbolNotAllowed(f"{group.group} does not show {known.instrument.symbol}")
        return known, groups.as_seen(group, known.instrument)

    def view(self, name: str) -> GroupView:
        """Canonical symbol → price profile of what a group is shown."""
        group = self.group(name)
        shown = (k.instrument for k in self.known() if groups.is_shown(group, k.instrument))
        return GroupView(group=name, profiles={i.symbol: groups.profile_of(group, i).name for i in shown})

    def profiles_in_use(self, instrument: Instrument) -> set[Profile]:
        """The price profiles some group has for an instrument, raw included."""
        of_groups = {
            groups.profile_of(group, instrument)
            for _, group in self._groups.values()
            if groups.is_shown(group, instrument)
        }
        return of_groups | {RAW}

    def security_groups(self, group: Group) -> list[str]:
        """The names of the security groups a group is shown something of."""
        used = {instrument.sec_index for _, instrument in self.seen(group)}
        return [name for number, name in enumerate(instruments.SECURITY_GROUPS) if number in used]
