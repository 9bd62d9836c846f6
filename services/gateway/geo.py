"""Callers of some countries are refused by the analysis surface. Pure.

The country is what a trusted proxy says in its header; nobody else is believed, and where nothing is said
nobody is refused.
"""

from __future__ import annotations

from collections.abc import Mapping

from services.gateway.addresses import Addresses
from services.gateway.endpoints.row import Endpoint
from services.gateway.errors import GeoBlocked

SURFACE = "analysis"


class Geo:
    """The rule. ``header`` empty switches it off; ``block`` is a comma-separated list of countries."""

    def __init__(self, header: str, block: str, addresses: Addresses) -> None:
        self._header = header.strip()
        self._blocked = frozenset(filter(None, (part.strip().upper() for part in block.split(","))))
        self._addresses = addresses

    def check(self, row: Endpoint, peer: str, headers: Mapping[str, str]) -> None:
        """Refuse a call of a blocked country; rows that answer everywhere never are."""
        if not self._header or row.surface != SURFACE or row.everywhere:
            return
        country = headers.get(self._header, "").strip().upper()
        if country in self._blocked and self._addresses.trusts(peer):
            raise GeoBlocked
