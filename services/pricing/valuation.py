"""What a token is worth for the sake of weighing pools: prices spread from the anchor and the stablecoins.

Never shown as a price. In cycles each token that has no value yet takes its best candidate among the pools
to tokens that have one: the highest confidence, then the deepest known side in USD, then the lowest pool id;
``P = P_known · u(R_known) / u(R_new)``, confidence ``max(0.1, 0.8·known)``. Pools whose known side is worth
less than ``pool_usd_min`` say nothing. Pure.

``full`` and ``update`` agree to the bit: the cycle in which a token gets its value is its ``level``, and only
neighbours one level below can be its candidates, so a change is followed level by level. Where a level itself
would change, everything is valued anew.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from services.pricing.rules import Rules

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
NOWHERE = 1_000_000


class Valuation:
    """Values of every token. Pools and tokens are indexes; index order is id order."""

    def __init__(
        self,
        count: int,
        a: Ints,
        b: Ints,
        touching: Sequence[Sequence[int]],
        fixed: Sequence[bool],
        rules: Rules,
    ) -> None:
        self._a, self._b = a, b
        self._a_list, self._b_list = a.tolist(), b.tolist()
        self._touching = touching  # token → its pools, ascending
        self._fixed = list(fixed)
        self._both_fixed = np.asarray(fixed, bool)[a] & np.asarray(fixed, bool)[b]
        self._rules = rules
        self.price: Floats = np.zeros(count)  # 0: no value
        self._price: list[float] = []
        self._confidence: list[float] = []
        self._level: list[int] = []

    @property
    def prices(self) -> list[float]:
        """``price`` as a list."""
        return self._price

    def full(self, seeds: dict[int, tuple[float, float]], ua: Floats, ub: Floats) -> None:
        """Value everything anew from ``seeds`` (token → price, confidence)."""
        rules, count = self._rules, len(self.price)
        price: Floats = np.zeros(count)
        confidence: Floats = np.zeros(count)
        level = np.full(count, NOWHERE, np.int64)
        for token, seed in seeds.items():
            (price[token], confidence[token]), level[token] = seed, 0
        known = level == 0
        usable = (ua > 0) & (ub > 0) & ~self._both_fixed
        for cycle in range(1, rules.cycles_max + 1):
            at = np.flatnonzero(usable & (known[self._a] != known[self._b]))
            forward = known[self._a[at]]
            source = np.where(forward, self._a[at], self._b[at])
            target = np.where(forward, self._b[at], self._a[at])
            depth = price[source] * np.where(forward, ua[at], ub[at])
            value = depth / np.where(forward, ub[at], ua[at])
            sure = np.maximum(rules.valuation_confidence_min, rules.valuation_decay * confidence[source])
            good = (depth >= rules.pool_usd_min) & np.isfinite(value) & (value > 0)
            picked = np.flatnonzero(good)
            if not picked.size:
                break
            order = picked[np.lexsort((at[picked], -depth[picked], -sure[picked], target[picked]))]
            first = np.ones(order.size, bool)
            first[1:] = target[order[1:]] != target[order[:-1]]
            best = order[first]
            price[target[best]], confidence[target[best]] = value[best], sure[best]
            level[target[best]] = cycle
            known = level < NOWHERE
        self.price = price
        self._price, self._confidence = price.tolist(), confidence.tolist()
        self._level = level.tolist()

    def update(self, pools: Iterable[int], ua: list[float], ub: list[float]) -> set[int] | None:
        """Follow changed reserves; the tokens whose value changed. None: a level would change."""
        level, price = self._level, self._price
        waiting: list[tuple[int, int]] = []
        queued: set[int] = set()

        def hear(token: int, other: int) -> None:
            """``other`` may have changed for ``token``."""
            if level[other] < level[token] and not self._fixed[token] and token not in queued:
                queued.add(token)
                heapq.heappush(waiting, (level[token], token))

        for pool in pools:
            a, b = self._a_list[pool], self._b_list[pool]
            hear(a, b)
            hear(b, a)
        changed: set[int] = set()
        while waiting:
            _, token = heapq.heappop(waiting)
            found, value, sure = self._best(token, ua, ub)
            if found != level[token]:
                return None
            if value == price[token] and sure == self._confidence[token]:
                continue
            price[token], self._confidence[token] = value, sure
            self.price[token] = value
            changed.add(token)
            for pool in self._touching[token]:
                other = self._b_list[pool] if self._a_list[pool] == token else self._a_list[pool]
                hear(other, token)
        return changed

    def _best(self, token: int, ua: list[float], ub: list[float]) -> tuple[int, float, float]:
        """Level, value and confidence of a token from its neighbours of lower levels."""
        rules, level = self._rules, self._level
        best_level, best_value, best_key = NOWHERE, 0.0, (0.0, 0.0)
        for pool in self._touching[token]:
            forward = self._b_list[pool] == token
            other = self._a_list[pool] if forward else self._b_list[pool]
            above = level[other] + 1
            if above > level[token] or above > best_level or above > rules.cycles_max:
                continue
            known, new = (ua[pool], ub[pool]) if forward else (ub[pool], ua[pool])
            if known <= 0 or new <= 0:
                continue
            depth = self._price[other] * known
            if depth < rules.pool_usd_min:
                continue
            value = depth / new
            if not 0 < value < float("inf"):
                continue
            sure = max(rules.valuation_confidence_min, rules.valuation_decay * self._confidence[other])
            if above < best_level or (sure, depth) > best_key:
                best_level, best_value, best_key = above, value, (sure, depth)
        return best_level, best_value, best_key[0]
