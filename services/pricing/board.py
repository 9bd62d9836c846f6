"""The prices that are shown: what the paths say, with the anchor, stablecoins, shares of pools and the guard
against a sudden price. Pure: the moment and the anchor's reading come with each call.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

import numpy as np

from services.pricing import history, shares, stablecoins
from services.pricing.graph import Graph
from services.pricing.oracle import Reading
from services.pricing.pricer import Anchor, Pricer
from services.pricing.rules import Rules
from services.pricing.shares import SharePrice
from services.pricing.tokens import Pool, Token, check

ANCHOR_DECIMALS = 8


class Board:
    """Prices of one graph. ``listed`` are the tokens that were given: the anchor's node exists anyway.

    ``usd``, ``ratio`` and ``confidence`` by index; 0 where there is no price. ``twap`` is kept from outside.
    """

    def __init__(
        self,
        tokens: Sequence[Token],
        pools: Sequence[Pool],
        anchor_id: str,
        rules: Rules,
        *,
        lost: AbstractSet[str] = frozenset(),
        allowed: AbstractSet[str] = frozenset(),
        denied: AbstractSet[str] = frozenset(),
    ) -> None:
        check(tokens, pools)
        known = {token.id for token in tokens}
        all_tokens = list(tokens)
        if anchor_id not in known:
            all_tokens.append(Token(anchor_id, "sBTC", "Anchor", ANCHOR_DECIMALS))
        self.graph = Graph(all_tokens, pools, anchor_id, rules)
        self.listed = [number for number, token in enumerate(self.graph.tokens) if token.id in known]
        self.listed_set = frozenset(self.listed)
        self.stables = {
            number
            for number, token in enumerate(self.graph.tokens)
            if number != self.graph.anchor and stablecoins.is_stable(token, allowed, denied)
        }
        self.held = {number for number in self.stables if self.graph.tokens[number].id not in lost}
        self.pricer = Pricer(self.graph, self.held)
        by_id = {token.id: token for token in self.graph.tokens}
        self._share_order = shares.order_of(by_id, {pool.id: pool for pool in pools})
        self._by_id: Mapping[str, Token] = by_id
        self.shares: dict[int, SharePrice] = {}
        size = self.graph.size
        self.usd, self.ratio, self.confidence = np.zeros(size), np.zeros(size), np.zeros(size)
        self.twap = np.full(size, np.nan)
        self.guarded = np.zeros(size, bool)
        self.reading: Reading | None = None
        self.at_ms = 0

    @property
    def rules(self) -> Rules:
        """What the prices were calculated with."""
        return self.pricer.rules

    def reprice(self, at_ms: int, reading: Reading) -> None:
        """Everything, as of ``at_ms``."""
        self.reading, self.at_ms = reading, at_ms
        self.pricer.reprice(float(at_ms), Anchor(reading.price, reading.confidence))
        self._finish(np.arange(self.graph.size))

    def update(self, pools: Sequence[Pool]) -> None:
        """These pools have other reserves. Only after a ``reprice``."""
        again = self.pricer.update(pools)
        if again.size or self.shares:
            self._finish(again)

    def adopt(self, other: Board) -> None:
        """Keep what was learnt of the tokens that were there before."""
        for number, token in enumerate(self.graph.tokens):
            before = other.graph.index.get(token.id)
            if before is not None:
                self.twap[number] = other.twap[before]

    def market_price(self, number: int) -> tuple[float, float] | None:
        """What the paths say of a token, whatever is shown: USD and confidence."""
        ratio = float(self.pricer.ratio[number])
        if ratio <= 0 or self.reading is None:
            return None
        return ratio * self.reading.price, float(self.pricer.confidence[number])

    def priced(self) -> list[int]:
        """Listed tokens that have a price, the surest first, then the most liquid, then by id."""
        numbers = np.array([n for n in self.listed if self.usd[n] > 0], np.int64)
        order = np.lexsort((numbers, -self.graph.node_liquidity[numbers], -self.confidence[numbers]))
        return [int(number) for number in numbers[order]]

    def _finish(self, numbers: np.ndarray) -> None:
        reading = self.reading
        if reading is None:
            return
        pricer = self.pricer
        self.ratio[numbers] = pricer.ratio[numbers]
        self.usd[numbers] = pricer.ratio[numbers] * reading.price
        self.confidence[numbers] = pricer.confidence[numbers]
        self._guard(numbers)
        anchor = self.graph.anchor
        self._show(anchor, reading.price, 1.0, reading.confidence)
        for number in self.held:
            self._show(number, 1.0, 1.0 / reading.price, 1.0)
        self._price_shares(reading)

    def _show(self, number: int, usd: float, ratio: float, confidence: float) -> None:
        self.usd[number], self.ratio[number], self.confidence[number] = usd, ratio, confidence
        self.guarded[number] = False

    def _guard(self, numbers: np.ndarray) -> None:
        if self.rules.legacy:
            return
        usd, mean = self.usd[numbers], self.twap[numbers]
        with np.errstate(invalid="ignore"):
            off = np.abs(usd - mean) > history.GUARD_SHARE * mean  # never where no mean is known
        self.guarded[numbers] = off & (usd > 0)
        self.confidence[numbers] = np.where(
            self.guarded[numbers], self.confidence[numbers] * history.GUARD_FACTOR, self.confidence[numbers]
        )

    def _price_shares(self, reading: Reading) -> None:
        graph = self.graph
        self.shares = {}
        for token_id, level in self._share_order:
            number, token = graph.index[token_id], self._by_id[token_id]
            pool = graph.pools[graph.pool_index[token.lp_pool]]
            usd = {side: float(self.usd[graph.index[side]]) for side in (pool.a, pool.b)}
            found = shares.intrinsic(token, pool, self._by_id, {k: v for k, v in usd.items() if v > 0})
            if found is None or number == graph.anchor:
                continue
            share = shares.blend(self.market_price(number), *found, level, reading.confidence)
            self.shares[number] = share
            self._show(number, share.usd, share.usd / reading.price, share.confidence)

    def total_liquidity(self, number: int) -> float:
        """What is shown as a token's liquidity: its pools', for a share the reserves behind it."""
        share = self.shares.get(number)
        return share.reserves_usd if share else float(self.graph.node_liquidity[number])


def sides(pools: Iterable[Pool]) -> dict[str, tuple[str, str, float]]:
    """What of the pools makes the graph's shape: all but reserves and times."""
    return {pool.id: (pool.a, pool.b, pool.fee) for pool in pools}
