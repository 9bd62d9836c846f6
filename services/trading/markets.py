"""The market as each group of accounts sees it: its rules, terms of every symbol, its live prices. Pure.

A group sees a symbol in a price profile; one it does not see is valued at the raw price. ``take`` follows
instruments and groups, ``tick`` the quotes. A ``Market`` is replaced when its rules or terms change, its
quotes go on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from libs.common.messages.market import Group, Instrument, Quote
from libs.common.symbols import SymbolIndex
from services.trading.armed import Place
from services.trading.conversion import Tick
from services.trading.exact import points_of
from services.trading.instrument import Market, rules_of, terms_of

RAW = "raw"
_DIGITS_UNKNOWN = 5


class Said(NamedTuple):
    """What market says: instruments, groups, and for each group the profiles it sees symbols in."""

    instruments: Sequence[Instrument]
    groups: Sequence[Group]
    views: Mapping[str, Mapping[str, str]]

    @property
    def profiles(self) -> frozenset[str]:
        """Every profile some group sees some symbol in."""
        symbols = [instrument.symbol for instrument in self.instruments]
        return frozenset(view.get(symbol, RAW) for view in self.views.values() for symbol in symbols)


class Markets:
    """See the module's text. ``live`` says that quotes age."""

    def __init__(self, *, live: bool) -> None:
        self._live = live
        self._instruments: dict[str, Instrument] = {}
        self._groups: dict[str, Group] = {}
        self._views: dict[str, Mapping[str, str]] = {}
        self._markets: dict[str, Market] = {}
        self._quotes: dict[str, dict[str, Tick]] = {}  # group → symbol → price
        self._viewers: dict[Place, list[str]] = {}  # who sees a symbol in a profile
        self.last: dict[Place, Quote] = {}
        self.index = SymbolIndex(())
        self.halted = False

    def halt(self, halted: bool) -> None:
        """The kill switch of the house is pulled, or let go of."""
        self.halted = halted
        for market in self._markets.values():
            market.halted = halted

    def take(self, said: Said) -> list[str]:
        """Follow what market says now; the groups whose market is another one than before."""
        instruments, groups, views = said
        known = {instrument.symbol: instrument for instrument in instruments}
        named = {group.group: group for group in groups if group.group in views}
        same = known == self._instruments
        changed = [
            name
            for name, group in named.items()
            if not (same and group == self._groups.get(name) and views[name] == self._views.get(name))
        ]
        self._instruments, self._groups, self._views = known, named, dict(views)
        self.index = SymbolIndex(known)
        self._viewers = {}
        for name in named:
            for symbol in known:
                self._viewers.setdefault((self.profile(name, symbol), symbol), []).append(name)
        for name in changed:
            self._renew(named[name])
        return changed

    def of(self, group: str) -> Market | None:
        """The market of a group."""
        return self._markets.get(group)

    def group(self, name: str) -> Group | None:
        """What market says of a group."""
        return self._groups.get(name)

    def profile(self, group: str, symbol: str) -> str:
        """The price profile a group sees a symbol in."""
        return self._views[group].get(symbol, RAW) if group in self._views else RAW

    def digits(self, symbol: str) -> int:
        """The decimals of a symbol's prices; any number for one that is not known."""
        known = self._instruments.get(symbol)
        return known.digits if known is not None else _DIGITS_UNKNOWN

    @property
    def profiles(self) -> frozenset[str]:
        """Every profile some group sees some symbol in."""
        return frozenset(profile for profile, _ in self._viewers)

    def tick_of(self, quote: Quote, time_ms: int | None = None) -> Tick:
        """A quote in points. ``time_ms`` stands in for its own time."""
        digits = self.digits(quote.symbol)
        return Tick(
            points_of(quote.bid, digits),
            points_of(quote.ask, digits),
            quote.ctm_ms if time_ms is None else time_ms,
        )

    def price(self, place: Place, tick: Tick) -> Sequence[str]:
        """The price of a symbol in a profile is ``tick`` now; the groups that see it."""
        groups = self._viewers.get(place, ())
        for group in groups:
            self._quotes[group][place[1]] = tick
        return groups

    def start(self, quotes: Iterable[tuple[str, Quote]]) -> None:
        """Begin from these last quotes."""
        for profile, quote in quotes:
            place = profile, quote.symbol
            self.last[place] = quote
            self.price(place, self.tick_of(quote))

    def _renew(self, group: Group) -> None:
        quotes = self._quotes.setdefault(group.group, {})
        quotes.clear()
        for symbol in self._instruments:
            quote = self.last.get((self.profile(group.group, symbol), symbol))
            if quote is not None:
                quotes[symbol] = self.tick_of(quote)
        terms = [terms_of(group, instrument) for instrument in self._instruments.values()]
        self._markets[group.group] = Market(
            rules_of(group), terms, quotes, live=self._live, halted=self.halted
        )
