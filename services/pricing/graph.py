"""The graph of pools as arrays: units, rates, liquidity, and the edges a path may take. Pure.

Tokens and pools are kept in id order, so that an index also says who comes first where all else is equal.
A pool is two directed edges: ``2·pool`` from its token A to B, ``2·pool + 1`` back. The last element of
edge and pool columns is neutral, so that a path's missing hop (``-1``) may be looked up like any other.

Which edges a path may take: the pool is deep enough (``pool_usd_min``; in legacy mode any depth), it is
among the ``fanout`` deepest of the token it leaves (pools to the anchor first), and the anchor can still
be reached.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from services.pricing.rules import Rules
from services.pricing.tokens import Pool, Token, units

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
MANY_POOLS = 100  # from so many on an array beats a loop


class Graph:
    """Tokens, pools and what is known of each pool. ``set_reserves`` and ``weigh`` change it in place."""

    def __init__(self, tokens: Iterable[Token], pools: Iterable[Pool], anchor_id: str, rules: Rules) -> None:
        self.rules = rules
        self.tokens = sorted(tokens, key=lambda token: token.id)
        self.pools = sorted(pools, key=lambda pool: pool.id)
        self.index = {token.id: number for number, token in enumerate(self.tokens)}
        self.pool_index = {pool.id: number for number, pool in enumerate(self.pools)}
        self.anchor = self.index[anchor_id]
        count, self.size = len(self.pools), len(self.tokens)
        self.a = np.fromiter((self.index[pool.a] for pool in self.pools), np.int64, count)
        self.b = np.fromiter((self.index[pool.b] for pool in self.pools), np.int64, count)
        ends = np.stack((self.a, self.b), axis=1).reshape(-1)
        self.edge_from, self.edge_to = ends, np.stack((self.b, self.a), axis=1).reshape(-1)
        self.touching = self._touching()
        self.ua, self.ub = np.zeros(count), np.zeros(count)
        self.rate = np.ones(2 * count + 1)
        self.updated_ms = np.zeros(count)
        self.age_ms = np.zeros(count + 1)
        self.liquidity = np.zeros(count + 1)  # the neutral element of a sum
        self.depth = np.full(count + 1, np.inf)  # the same, with the neutral element of a minimum
        self.node_liquidity: Floats = np.zeros(self.size)
        # The same columns as lists: a single number is read from them several times as fast.
        self._a_list, self._b_list = self.a.tolist(), self.b.tolist()
        self.ends_list = list(zip(self._a_list, self._b_list, strict=True))
        self.ua_list, self.ub_list, self.rate_list = self.ua.tolist(), self.ub.tolist(), self.rate.tolist()
        self.age_list, self.liquidity_list = self.age_ms.tolist(), self.liquidity.tolist()
        for number in range(count):
            self._convert(number)

    def _touching(self) -> list[list[int]]:
        found: list[list[int]] = [[] for _ in self.tokens]
        for number, (a, b) in enumerate(zip(self.a.tolist(), self.b.tolist(), strict=True)):
            found[a].append(number)
            found[b].append(number)
        return found

    def _convert(self, number: int) -> None:
        pool = self.pools[number]
        ua = units(pool.reserve_a, self.tokens[self._a_list[number]].decimals)
        ub = units(pool.reserve_b, self.tokens[self._b_list[number]].decimals)
        keeps = 1.0 - pool.fee if self.rules.fee_aware else 1.0
        good = ua > 0 and ub > 0
        there, back = (ub / ua * keeps, ua / ub * keeps) if good else (0.0, 0.0)
        self.ua[number] = self.ua_list[number] = ua
        self.ub[number] = self.ub_list[number] = ub
        self.rate[2 * number] = self.rate_list[2 * number] = there
        self.rate[2 * number + 1] = self.rate_list[2 * number + 1] = back
        self.updated_ms[number] = pool.updated_ms

    def set_reserves(self, number: int, pool: Pool, at_ms: float) -> None:
        """A pool has other reserves; ages are counted up to ``at_ms``."""
        self.pools[number] = pool
        self._convert(number)
        self.age_ms[number] = self.age_list[number] = max(0.0, at_ms - pool.updated_ms)

    def set_time(self, at_ms: float) -> None:
        """Ages are counted up to ``at_ms``; what is newer has none."""
        self.age_ms[:-1] = np.maximum(0.0, at_ms - self.updated_ms)
        self.age_list = self.age_ms.tolist()

    def weigh(self, price: Floats, some: Ints | None = None) -> None:
        """Liquidity of every pool, or of ``some``, from valuation prices: ``sqrt(USDa · USDb)``; 0 where a
        side has no value. In legacy mode ``sqrt(u_a · u_b)``."""
        ua, ub, a, b = self.ua, self.ub, self.a, self.b
        if some is not None:
            ua, ub, a, b = ua[some], ub[some], a[some], b[some]
        with np.errstate(over="ignore", invalid="ignore"):
            product = ua * ub if self.rules.legacy else (ua * price[a]) * (ub * price[b])
            found = np.where(np.isfinite(product), np.sqrt(product), 0.0)
        if some is None:
            self.liquidity[:-1] = self.depth[:-1] = found
            self.liquidity_list = self.liquidity.tolist()
            return
        self.liquidity[some] = self.depth[some] = found
        for number, liquidity in zip(some.tolist(), found.tolist(), strict=True):
            self.liquidity_list[number] = liquidity

    def weigh_few(self, price: list[float], some: Iterable[int]) -> None:
        """The same for a few pools, to the same bit."""
        for number in some:
            ua, ub = self.ua_list[number], self.ub_list[number]
            if self.rules.legacy:
                product = ua * ub
            else:
                product = (ua * price[self._a_list[number]]) * (ub * price[self._b_list[number]])
            found = math.sqrt(product) if math.isfinite(product) else 0.0
            self.liquidity[number] = self.depth[number] = self.liquidity_list[number] = found

    def weigh_nodes(self) -> None:
        """Liquidity of every token: the sum over its pools, in their order."""
        both = np.repeat(self.liquidity[:-1], 2)
        self.node_liquidity = np.bincount(self.edge_from, both, self.size).astype(np.float64)

    def weigh_node(self, token: int) -> None:
        """The same for one token, to the same bit."""
        pools = self.touching[token]
        if len(pools) > MANY_POOLS:
            # One after the other, as the loop below adds them; numpy's own sum pairs them up.
            self.node_liquidity[token] = np.cumsum(self.liquidity[pools])[-1]
            return
        total, liquidity = 0.0, self.liquidity_list
        for pool in pools:
            total += liquidity[pool]
        self.node_liquidity[token] = total

    def admitted(self) -> Bools:
        """Which pools a path may use."""
        rates = self.rate[:-1].reshape(-1, 2)
        good = (self.liquidity[:-1] > 0) & (rates > 0).all(axis=1) & np.isfinite(rates).all(axis=1)
        if not self.rules.legacy:
            good &= self.liquidity[:-1] >= self.rules.pool_usd_min
        return good


class EdgeLists(NamedTuple):
    """The same as the arrays of ``Edges``, for reading single numbers."""

    start: list[int]
    ends: list[list[int]]
    edge: list[int]
    to: list[int]
    distance: list[int]
    member: list[bool]
    pool_ok: list[bool]
    back_start: list[int]
    back_from: list[int]


class Edges:
    """The edges paths take, grouped by the token they leave, those nearest to the anchor first."""

    def __init__(self, graph: Graph) -> None:
        rules, size = graph.rules, graph.size
        self.hops_max, self.anchor = rules.hops_max, graph.anchor
        self.pool_ok = graph.admitted()
        edges = np.flatnonzero(np.repeat(self.pool_ok, 2) & (graph.edge_from != graph.anchor))
        self._rank(graph, edges, rules.fanout)
        edges = edges[self.member[edges]]
        self.distance = self._distances(graph, edges)
        edges = edges[self.distance[graph.edge_to[edges]] < self.hops_max]
        steps = self.distance[graph.edge_to[edges]]
        order = np.lexsort((edges, steps, graph.edge_from[edges]))
        self.edge = edges[order]
        self.to = graph.edge_to[self.edge]
        leaves = graph.edge_from[self.edge]
        self.start = np.searchsorted(leaves, np.arange(size))
        # ends[k][t]: behind the last edge of t whose target is at most k hops away from the anchor.
        self.ends = [
            self.start + np.bincount(leaves[self.distance[self.to] <= k], minlength=size)
            for k in range(self.hops_max)
        ]
        back = np.argsort(self.to, kind="stable")
        self._back_from = leaves[back]
        self._back_start = np.searchsorted(self.to[back], np.arange(size + 1))

    @cached_property
    def lists(self) -> EdgeLists:
        """Made when the first reserve changes."""
        return EdgeLists(
            self.start.tolist(),
            [end.tolist() for end in self.ends],
            self.edge.tolist(),
            self.to.tolist(),
            self.distance.tolist(),
            self.member.tolist(),
            self.pool_ok.tolist(),
            self._back_start.tolist(),
            self._back_from.tolist(),
        )

    def _rank(self, graph: Graph, edges: Ints, fanout: int) -> None:
        """Mark the edges that are among the first of the token they leave; keep where each crowd is cut."""
        self.member = np.zeros(2 * len(graph.pools), bool)
        self.member[edges] = True
        self.cuts: dict[int, list[float]] = {}  # token → the shallowest taken, the deepest left out
        leaves = graph.edge_from[edges]
        crowded = np.flatnonzero(np.bincount(leaves, minlength=graph.size) > fanout)
        if not crowded.size:
            return
        crowd = edges[np.isin(leaves, crowded)]
        to_anchor = graph.edge_to[crowd] == graph.anchor
        depth = graph.liquidity[crowd >> 1]
        order = crowd[np.lexsort((crowd, -depth, ~to_anchor, graph.edge_from[crowd]))]
        leaves = graph.edge_from[order]
        place = np.arange(order.size) - np.searchsorted(leaves, leaves)
        self.member[order[place >= fanout]] = False
        bounds = np.searchsorted(leaves, np.stack((crowded, crowded + 1), axis=1)).tolist()
        for token, (begin, end) in zip(crowded.tolist(), bounds, strict=True):
            own = order[begin:end]
            side = own[graph.edge_to[own] != graph.anchor]
            taken, left = own[:fanout], own[fanout:]
            plain = graph.edge_to[left[0]] != graph.anchor and len(side) > len(left)
            shallowest = float(graph.liquidity[taken[-1] >> 1]) if plain else np.inf
            self.cuts[token] = [shallowest, float(graph.liquidity[left[0] >> 1])]

    def _distances(self, graph: Graph, edges: Ints) -> Ints:
        far = self.hops_max
        distance = np.full(graph.size, far, np.int64)
        distance[graph.anchor] = 0
        leaves, arrives = graph.edge_from[edges], graph.edge_to[edges]
        for step in range(far - 1):
            reached = leaves[distance[arrives] == step]
            distance[reached] = np.minimum(distance[reached], step + 1)
        return distance

    def holds(self, graph: Graph, pools: Iterable[int]) -> bool:
        """Whether the same edges stay after these pools changed; when not, they must be found anew."""
        least = 0.0 if graph.rules.legacy else graph.rules.pool_usd_min
        rates, pool_ok = graph.rate_list, self.lists.pool_ok
        for pool in pools:
            depth = graph.liquidity_list[pool]
            good = depth > 0 and depth >= least
            good = good and 0 < rates[2 * pool] < math.inf and 0 < rates[2 * pool + 1] < math.inf
            if good != pool_ok[pool]:
                return False
            if good and self.cuts:
                a, b = graph.ends_list[pool]
                if not (self._keeps(2 * pool, a, b, depth) and self._keeps(2 * pool + 1, b, a, depth)):
                    return False
        return True

    def _keeps(self, edge: int, leaves: int, arrives: int, depth: float) -> bool:
        """Whether an edge certainly stays on its side of its token's cut."""
        cut = self.cuts.get(leaves)
        if cut is None:
            return True
        member = self.lists.member[edge]
        if arrives == self.anchor:
            return member and cut[0] < math.inf
        if member:
            cut[0] = min(cut[0], depth)
            return depth > cut[1]
        cut[1] = max(cut[1], depth)
        return depth < cut[0]

    def reaching(self, graph: Graph, pools: Iterable[int]) -> set[int]:
        """Every token that may have a path through one of these pools, and a few more."""
        found: set[int] = set()
        lists = self.lists
        for pool in pools:
            if not lists.pool_ok[pool]:
                continue
            a, b = graph.ends_list[pool]
            for edge, token, target in ((2 * pool, a, b), (2 * pool + 1, b, a)):
                if lists.member[edge] and token != self.anchor:
                    self._gather(found, token, self.hops_max - 1 - lists.distance[target])
        return found

    def _gather(self, found: set[int], token: int, hops: int) -> None:
        """Add the token and those that reach it in at most ``hops`` hops; nobody when that is negative."""
        if hops < 0:
            return
        start, leaves = self.lists.back_start, self.lists.back_from
        circle, known = [token], {token}
        for _ in range(hops):
            further: set[int] = set()
            for near in circle:
                further.update(leaves[start[near] : start[near + 1]])
            circle = list(further - known)
            known |= further
        found |= known
