"""Pools from an indexer of decentralised exchanges that speaks GeckoTerminal's API.

It tells prices of both tokens and the whole reserve in USD, not the reserves themselves: each side is taken
for half of it, as it is in a constant-product pool. Ids become ``<network>.<address>``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from libs.common.clock import Clock
from services.pricing.adapters.web import Web, number
from services.pricing.sources import PoolGraph, SourceFailed
from services.pricing.tokens import Pool, Token

AT_ONCE = 30


class _Ref(msgspec.Struct):
    id: str


class _Related(msgspec.Struct):
    data: _Ref


class _Ends(msgspec.Struct):
    base_token: _Related
    quote_token: _Related


class _PoolFields(msgspec.Struct):
    address: str
    reserve_in_usd: str | None = None
    base_token_price_usd: str | None = None
    quote_token_price_usd: str | None = None


class _PoolEntry(msgspec.Struct):
    attributes: _PoolFields
    relationships: _Ends


class _TokenFields(msgspec.Struct):
    address: str
    name: str
    symbol: str
    decimals: int | None = None
    image_url: str | None = None


class _Included(msgspec.Struct):
    id: str
    type: str
    attributes: dict[str, Any]


class _Answer(msgspec.Struct):
    data: Sequence[_PoolEntry]
    included: Sequence[_Included] = ()


class GeckoTerminal:
    """``GET /networks/{network}/pools/multi/{addresses}?include=base_token,quote_token``."""

    def __init__(self, web: Web, url: str, network: str, addresses: Sequence[str], clock: Clock) -> None:
        self._web = web
        self._url = url.rstrip("/")
        self._network = network
        self._addresses = tuple(addresses)
        self._clock = clock

    async def fetch(self) -> PoolGraph | None:
        """The pools that were named. Raises SourceFailed."""
        tokens: dict[str, Token] = {}
        pools: list[Pool] = []
        for start in range(0, len(self._addresses), AT_ONCE):
            some = ",".join(self._addresses[start : start + AT_ONCE])
            url = f"{self._url}/networks/{self._network}/pools/multi/{some}?include=base_token,quote_token"
            answer = await self._web.read(url, _Answer)
            names = self._tokens_of(answer, tokens)
            pools += [self._pool_of(entry, names, tokens) for entry in answer.data]
        return PoolGraph(list(tokens.values()), pools)

    def _tokens_of(self, answer: _Answer, tokens: dict[str, Token]) -> dict[str, str]:
        names: dict[str, str] = {}
        for entry in answer.included:
            if entry.type != "token":
                continue
            try:
                fields = msgspec.convert(entry.attributes, _TokenFields)
            except msgspec.ValidationError as e:
                raise SourceFailed(f"a token of another shape: {e}") from e
            if fields.decimals is None:
                raise SourceFailed(f"{entry.id} has no decimals")
            names[entry.id] = f"{self._network}.{fields.address}"
            tokens[names[entry.id]] = Token(
                names[entry.id], fields.symbol, fields.name, fields.decimals, fields.image_url or ""
            )
        return names

    def _pool_of(self, entry: _PoolEntry, names: dict[str, str], tokens: dict[str, Token]) -> Pool:
        fields, ends = entry.attributes, entry.relationships
        try:
            a, b = names[ends.base_token.data.id], names[ends.quote_token.data.id]
        except KeyError as e:
            raise SourceFailed(f"{fields.address} names a token that did not come along") from e
        side_usd = number(fields.reserve_in_usd or 0) / 2
        return Pool(
            f"{self._network}.{fields.address}",
            a,
            b,
            self._atomic(side_usd, fields.base_token_price_usd, tokens[a].decimals),
            self._atomic(side_usd, fields.quote_token_price_usd, tokens[b].decimals),
            0.0,
            self._clock.now_ms(),
        )

    def _atomic(self, usd: float, price: str | None, decimals: int) -> int:
        worth = number(price or 0)
        try:
            return int(usd / worth * 10**decimals) if worth > 0 else 0
        except (OverflowError, ValueError) as e:
            raise SourceFailed(f"a reserve of {usd} USD at {worth} can't be counted") from e
