"""Converting an amount of one currency into another at quoted prices. Pure.

Rules, after the decisions:

- A pair is an instrument whose name says two different currencies; a plain name (EURUSD, EUR/USD)
  goes before one with a suffix, then the alphabet decides.
- From A to B: the direct pair A/B, else the inverse pair B/A, else through USD. The first route all
  of whose pairs have a quote is taken.
- Profit is converted at the current rate against the client: a direct pair at bid for gains and at
  ask for losses, an inverse pair divided by ask for gains and by bid for losses; each leg of a cross
  the same way. Margin is converted at the mid rate (an inverse pair divided by its mid).
- USDT counts as USD unless a quoted pair of USDT reaches the other currency.
- An empty currency means the account's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeAlias

import msgspec

from libs.common.symbols import pair_of
from services.trading.exact import ONE, Ratio

CROSS = "USD"
_ALIASES = {"USDT": CROSS}


class Tick(msgspec.Struct, frozen=True, gc=False):
    """A symbol's prices in points, as the account's price profile shows them, and their time."""

    bid: int
    ask: int
    time_ms: int = 0


class Leg(NamedTuple):
    """One pair of a route; ``inverse`` divides by its price. ``scale`` is 10^digits."""

    symbol: str
    inverse: bool
    scale: int


Route: TypeAlias = tuple[Leg, ...]
Quotes: TypeAlias = Mapping[str, Tick]


class Rates(NamedTuple):
    """What one unit is worth: of a gain, of a loss."""

    gain: Ratio
    loss: Ratio


SAME = Rates(ONE, ONE)


class Conversion:
    """The routes between currencies that a set of instruments allows. Make a new one when they change."""

    def __init__(self, instruments: Iterable[tuple[str, int]]) -> None:
        """``instruments``: symbols with their digits."""
        found: dict[tuple[str, str], list[tuple[bool, str, int]]] = {}
        for symbol, digits in instruments:
            base, quote = pair_of(symbol)
            if base != quote:
                plain = symbol.upper() in (f"{base}{quote}", f"{base}/{quote}")
                found.setdefault((base, quote), []).append((not plain, symbol, 10**digits))
        self._pairs = {pair: [(s, scale) for _, s, scale in sorted(of)] for pair, of in found.items()}
        self._routes: dict[tuple[str, str], tuple[Route, ...]] = {}

    def routes(self, source: str, target: str) -> tuple[Route, ...]:
        """Every way from ``source`` to ``target``, the preferred first; an empty way needs no rate."""
        key = (source, target)
        known = self._routes.get(key)
        if known is None:
            known = self._routes[key] = tuple(self._find(source, target))
        return known

    def rates(self, source: str, target: str, quotes: Quotes) -> Rates | None:
        """The current rates against the client; None while no route has all its quotes."""
        if source == target or not source:
            return SAME
        route = self._quoted(source, target, quotes)
        if route is None:
            return None
        gain, loss = ONE, ONE
        for leg in route:
            tick = quotes[leg.symbol]
            low, high = (tick.ask, tick.bid) if leg.inverse else (tick.bid, tick.ask)
            gain, loss = _through(gain, leg, low, 1), _through(loss, leg, high, 1)
        return Rates(gain, loss)

    def mid(self, source: str, target: str, quotes: Quotes) -> Ratio | None:
        """The mid rate; None while no route has all its quotes."""
        if source == target or not source:
            return ONE
        route = self._quoted(source, target, quotes)
        if route is None:
            return None
        rate = ONE
        for leg in route:
            tick = quotes[leg.symbol]
            rate = _through(rate, leg, tick.bid + tick.ask, 2)
        return rate

    def symbols(self, source: str, target: str) -> frozenset[str]:
        """Every symbol whose quote may change the rate."""
        if source == target or not source:
            return frozenset()
        return frozenset(leg.symbol for route in self.routes(source, target) for leg in route)

    def _quoted(self, source: str, target: str, quotes: Quotes) -> Route | None:
        for route in self.routes(source, target):
            if all((tick := quotes.get(leg.symbol)) is not None and tick.bid > 0 for leg in route):
                return route
        return None

    def _find(self, source: str, target: str) -> Iterable[Route]:
        yield from self._straight(source, target)
        if CROSS not in (source, target):
            for first in self._straight(source, CROSS):
                for second in self._straight(CROSS, target):
                    yield first + second
        plain_source, plain_target = _ALIASES.get(source, source), _ALIASES.get(target, target)
        if plain_source == plain_target:
            yield ()
        elif (plain_source, plain_target) != (source, target):
            yield from self._find(plain_source, plain_target)

    def _straight(self, source: str, target: str) -> Iterable[Route]:
        for symbol, scale in self._pairs.get((source, target), ()):
            yield (Leg(symbol, False, scale),)
        for symbol, scale in self._pairs.get((target, source), ()):
            yield (Leg(symbol, True, scale),)


def _through(rate: Ratio, leg: Leg, points: int, halves: int) -> Ratio:
    """``rate`` carried over one leg at ``points``/``halves``."""
    numerator, denominator = rate
    if leg.inverse:
        return numerator * leg.scale * halves, denominator * points
    return numerator * points, denominator * leg.scale * halves
