"""How a symbol is written, and how one is found by what a caller wrote.

The rule of every surface: an exact known symbol in any case, then without an exchange prefix, then
with the slash removed or inserted, then a bare base with ``/USDT``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

_SYMBOL = re.compile(r"^(?=.*[A-Za-z0-9])[A-Za-z0-9._/:#&+@^=$!*~-]{1,32}$")

FIAT = frozenset(
    [
        "USD",
        "EUR",
        "GBP",
        "JPY",
        "CHF",
        "AUD",
        "NZD",
        "CAD",
        "SEK",
        "NOK",
        "DKK",
        "PLN",
        "CZK",
        "HUF",
        "TRY",
        "ZAR",
        "MXN",
        "SGD",
        "HKD",
        "CNH",
        "CNY",
        "INR",
        "KRW",
        "BRL",
        "THB",
        "ILS",
        "RON",
    ]
)
# What a name may end with and mean a pair; the longest first, so that BTCUSDT is not BTCUSD and a T.
_QUOTES = tuple(sorted(FIAT | {"USDT", "USDC", "BTC", "ETH"}, key=lambda name: (-len(name), name)))
_DEFAULT = "USD"


def is_symbol(text: str) -> bool:
    """Whether ``text`` may name an instrument: 1 to 32 printable characters without spaces or quotes."""
    return _SYMBOL.fullmatch(text) is not None


class Pair(NamedTuple):
    """The currencies a symbol's name says."""

    base: str
    quote: str


def pair_of(symbol: str) -> Pair:
    """The base and quote currency in a name: ``EURUSD``, ``BTC/USDT``, ``EURUSD.m``; else USD twice."""
    name = symbol.upper().partition(":")[0]
    base, slash, quote = name.partition("/")
    if slash and base and quote:
        return Pair(base, quote)
    stem = re.split(r"[^A-Z0-9]", name)[0]
    for quote in _QUOTES:
        base = stem.removesuffix(quote)
        if base != stem and 2 <= len(base) <= 6 and base.isalpha():
            return Pair(base, quote)
    return Pair(_DEFAULT, _DEFAULT)


class SymbolIndex:
    """The known symbols, found by what a caller wrote. Make a new one when they change."""

    def __init__(self, symbols: Iterable[str]) -> None:
        self._exact: dict[str, str] = {}
        self._slashless: dict[str, str] = {}
        for symbol in symbols:
            folded = symbol.upper()
            self._exact[folded] = symbol
            if "/" in folded:
                self._slashless.setdefault(folded.replace("/", ""), symbol)

    def exact(self, text: str) -> str | None:
        """The symbol of this very name, in any case."""
        return self._exact.get(text.upper())

    def find(self, text: str) -> str | None:
        """The canonical symbol a caller means, or None."""
        folded = text.upper()
        found = self._exact.get(folded)
        if found is None and ":" in folded:
            folded = folded.partition(":")[2]
            found = self._exact.get(folded)
        if found is None and "/" in folded:
            found = self._exact.get(folded.replace("/", ""))
        if found is None:
            found = self._slashless.get(folded)
        if found is None and folded and "/" not in folded:
            found = self._exact.get(f"{folded}/USDT")
        return found
