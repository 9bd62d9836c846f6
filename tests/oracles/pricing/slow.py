"""Token prices the slow way, straight from the formulas of the reference documents, one path at a time.

Knows nothing of the product's arrays: reserves come as integers, paths are found by a recursive walk, sums
run in plain loops. What the documents leave open is decided as in docs/adr: see `fanout` and `rank`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

FANOUT = 25
EXPLORED = 20_000


@dataclass
class SlowPool:
    id: str
    a: str
    b: str
    ra: int
    rb: int
    updated_ms: int = 0


@dataclass
class SlowPrice:
    ratio: float
    variation: float
    confidence: float
    paths: list[tuple[str, ...]]  # pool ids, by rank
    kept: list[bool]
    weights: list[float]


@dataclass
class SlowMarket:
    decimals: dict[str, int]
    pools: list[SlowPool]
    anchor: str
    anchor_price: float
    anchor_confidence: float
    stables: set[str]
    now_ms: int
    legacy: bool = False
    tokens_max: int = 4
    pool_usd_min: float = 100.0
    value: dict[str, float] = field(default_factory=dict)

    def units(self, pool: SlowPool, token: str) -> float:
        return (pool.ra if token == pool.a else pool.rb) / 10 ** self.decimals[token]

    def valuate(self) -> None:
        """Prices that only weigh pools: cycle by cycle, everybody's best candidate at once."""
        known = {self.anchor: (self.anchor_price, 1.0)}
        known |= {token: (1.0, 0.95) for token in self.stables if token != self.anchor}
        for _ in range(10):
            found: dict[str, tuple[float, float, str, float]] = {}
            for pool in self.pools:
                for source, target in ((pool.a, pool.b), (pool.b, pool.a)):
                    if source not in known or target in known or pool.ra <= 0 or pool.rb <= 0:
                        continue
                    price, sure = known[source]
                    depth = price * self.units(pool, source)
                    if depth < self.pool_usd_min:
                        continue
                    candidate = (max(0.1, 0.8 * sure), depth, pool.id, depth / self.units(pool, target))
                    best = found.get(target)
                    if best is None or (-candidate[0], -candidate[1], candidate[2]) < (
                        -best[0],
                        -best[1],
                        best[2],
                    ):
                        found[target] = candidate
            if not found:
                break
            known |= {token: (price, sure) for token, (sure, _, _, price) in found.items()}
        self.value = {token: price for token, (price, _) in known.items()}

    def depth(self, pool: SlowPool) -> float:
        """L of a pool."""
        ua, ub = self.units(pool, pool.a), self.units(pool, pool.b)
        if self.legacy:
            return math.sqrt(ua * ub)
        if pool.a not in self.value or pool.b not in self.value:
            return 0.0
        return math.sqrt((ua * self.value[pool.a]) * (ub * self.value[pool.b]))

    def exits(self) -> dict[str, list[SlowPool]]:
        """Pools that may be followed out of each token."""
        width = FANOUT
        while sum(width**hop for hop in range(1, self.tokens_max)) > EXPLORED:
            width -= 1
        out: dict[str, list[SlowPool]] = {token: [] for token in self.decimals}
        for pool in self.pools:
            depth = self.depth(pool)
            if pool.ra > 0 and pool.rb > 0 and depth > 0 and (self.legacy or depth >= self.pool_usd_min):
                out[pool.a].append(pool)
                out[pool.b].append(pool)
        for token, pools in out.items():
            pools.sort(key=lambda pool: (self.anchor not in (pool.a, pool.b), -self.depth(pool), pool.id))
            out[token] = pools[:width]
        return out

    def walks(self, token: str, out: dict[str, list[SlowPool]]) -> list[list[SlowPool]]:
        """Every simple path to the anchor."""
        found: list[list[SlowPool]] = []

        def go(at: str, seen: set[str], taken: list[SlowPool]) -> None:
            for pool in out[at]:
                to = pool.b if pool.a == at else pool.a
                if to == self.anchor:
                    found.append([*taken, pool])
                elif to not in seen and len(taken) + 2 < self.tokens_max:
                    go(to, seen | {to}, [*taken, pool])

        go(token, {token}, [])
        return found

    def ratio(self, token: str, path: list[SlowPool]) -> float:
        result, at = 1.0, token
        for pool in path:
            to = pool.b if pool.a == at else pool.a
            result *= self.units(pool, to) / self.units(pool, at)
            at = to
        return result

    def price(self, token: str, out: dict[str, list[SlowPool]]) -> SlowPrice | None:
        described = [d for d in map(self.describe(token), self.walks(token, out)) if d is not None]
        described.sort(key=lambda d: (-d["score"], d["ratio"], d["ids"]))
        described = described[:10]
        if not described:
            return None
        rising = sorted(range(len(described)), key=lambda i: described[i]["ratio"])
        median = described[rising[len(rising) // 2]]["ratio"]
        kept = [abs(d["ratio"] - median) / median <= 0.5 for d in described]
        used = [described[i] for i in rising if kept[i]]
        total = weighted = 0.0
        for d in used:
            total += d["weight"]
            weighted += d["weight"] * d["ratio"]
        mean = weighted / total
        squares = liquidity = oldest = 0.0
        for d in used:
            off = d["ratio"] - mean
            squares += d["weight"] * (off * off)
            liquidity += d["lsum"]
            oldest = max(oldest, d["oldest"])
        variation = math.sqrt(squares / total) / mean if len(used) > 1 else 0.0
        confidence = (
            0.4 * max(0.0, 1.0 - variation)
            + 0.4 * min(1.0, liquidity / 100_000)
            + 0.2 * min(1.0, len(used) / 3)
        ) * self.anchor_confidence
        if not self.legacy and oldest > 300_000:
            confidence *= 2.0 ** (-(oldest - 300_000) / 1_800_000)
        ids = [d["ids"] for d in described]
        return SlowPrice(mean, variation, confidence, ids, kept, [d["weight"] for d in described])

    def describe(self, token: str):  # type: ignore[no-untyped-def]
        def one(path: list[SlowPool]):  # type: ignore[no-untyped-def]
            depths = [self.depth(pool) for pool in path]
            ages = [float(max(0, self.now_ms - pool.updated_ms)) for pool in path]
            hops, length = len(path), len(path) + 1
            lmin, lsum, age = min(depths), sum(depths), sum(ages) / hops
            reliable = min(1.0, lmin / 10_000) * max(0.0, 1.0 - age / 86_400_000) * (1.0 / math.sqrt(hops))
            sure = min(1.0, lsum / 50_000)
            weight = max(0.01, reliable) * max(0.01, sure)
            weight = weight / length**1.2
            weight = weight * (1.0 + min(2.0, lmin / 10_000))
            weight = weight * max(0.5, 1.0 - age / 3_600_000)
            return {
                "score": reliable / length**1.5,
                "ratio": self.ratio(token, path),
                "ids": tuple(pool.id for pool in path),
                "weight": max(0.001, weight),
                "lsum": lsum,
                "oldest": max(ages),
            }

        return one

    def prices(self) -> dict[str, SlowPrice]:
        """Every token but the anchor that has a path."""
        if not self.legacy:
            self.valuate()
        out = self.exits()
        found = {token: self.price(token, out) for token in self.decimals if token != self.anchor}
        return {token: price for token, price in found.items() if price is not None}
