"""Prices of all tokens of a graph: whole, or only what a changed reserve can change. Pure.

``reprice`` does everything at a moment; ages are counted up to that moment until the next one. ``update``
takes changed reserves and prices again the tokens that have a path through a pool that changed, or through
one whose weight changed because the valuation of one of its tokens did. Both run the same arithmetic in the
same order: after any updates the columns equal those of a whole repricing, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from services.pricing import confidence as sure
from services.pricing.graph import Edges, Floats, Graph, Ints
from services.pricing.paths import (
    Paths,
    age_of,
    best_paths,
    depth_of,
    enumerate_paths,
    liquidity_of,
    portions,
    ratio_of,
)
from services.pricing.single import price_one
from services.pricing.tokens import Pool
from services.pricing.valuation import Valuation

WHOLE_SHARE = 0.5  # when so many tokens may change, all are priced
FEW_POOLS = 40  # up to so many pools and tokens a loop beats the arrays
FEW_TOKENS = 12


@dataclass(frozen=True, slots=True)
class Anchor:
    """The anchor's price in USD and how sure it is."""

    price: float
    confidence: float


@dataclass(frozen=True, slots=True)
class FoundPath:
    """One path of a token as it was priced. ``edges`` from the token to the anchor; ages in milliseconds."""

    edges: tuple[int, ...]
    tokens: tuple[int, ...]
    ratio: float
    liquidity: float
    depth: float
    reliability: float
    confidence: float
    weight: float
    age_ms: float
    oldest_ms: float
    kept: bool

    @property
    def pools(self) -> tuple[int, ...]:
        """Indexes of the pools."""
        return tuple(edge >> 1 for edge in self.edges)


class Pricer:
    """The columns of all tokens, by index: ``ratio`` (anchors per token, 0: no price), ``confidence``,
    ``variation``, ``kept`` (paths that count). ``stables`` are worth a dollar in the valuation."""

    def __init__(self, graph: Graph, stables: Iterable[int]) -> None:
        self.graph, self.rules = graph, graph.rules
        self.stables = frozenset(stables) - {graph.anchor}
        fixed = [number == graph.anchor or number in self.stables for number in range(graph.size)]
        self._valuation = Valuation(graph.size, graph.a, graph.b, graph.touching, fixed, graph.rules)
        self.anchor = Anchor(0.0, 0.0)
        self.at_ms = 0.0
        self._edges: Edges | None = None
        size, most = graph.size, self.rules.paths_max
        self.ratio, self.confidence, self.variation = np.zeros(size), np.zeros(size), np.zeros(size)
        self.kept, self.count = np.zeros(size, np.int64), np.zeros(size, np.int64)
        self.keep = np.zeros((size, most), bool)
        self.weight = np.zeros((size, most))
        self.path_edges = np.full((self.rules.hops_max, size, most), -1, np.int64)

    @property
    def edges(self) -> Edges:
        """The edges paths take now."""
        if self._edges is None:
            self._edges = Edges(self.graph)
        return self._edges

    @property
    def value(self) -> Floats:
        """Valuation prices in USD, 0 where there is none; never shown as prices."""
        return self._valuation.price

    def reprice(self, at_ms: float, anchor: Anchor) -> None:
        """Everything, as of ``at_ms`` (Unix milliseconds)."""
        self.at_ms, self.anchor = at_ms, anchor
        self.graph.set_time(at_ms)
        self._weigh_all()
        self._price_all()

    def update(self, pools: Sequence[Pool]) -> Ints:
        """These pools have other reserves; the indexes of the tokens that were priced again."""
        graph = self.graph
        numbers = [graph.pool_index[pool.id] for pool in pools]
        for number, pool in zip(numbers, pools, strict=True):
            graph.set_reserves(number, pool, self.at_ms)
        moved = set(numbers)
        if not self.rules.legacy:
            valued = self._valuation.update(numbers, graph.ua_list, graph.ub_list)
            if valued is None:
                self._weigh_all()
                return self._price_all()
            for token in valued:
                moved.update(graph.touching[token])
        before = self.edges
        found = before.reaching(graph, moved)
        if len(moved) <= FEW_POOLS:
            graph.weigh_few(self._valuation.prices, moved)
        else:
            graph.weigh(self.value, np.fromiter(moved, np.int64, len(moved)))
        for token in {end for pool in moved for end in graph.ends_list[pool]}:
            graph.weigh_node(token)
        if not before.holds(graph, moved):
            # Other pools may come in or go out with the changed ones, far from them.
            self._edges = None
            return self._price_all()
        found.discard(graph.anchor)
        if len(found) > WHOLE_SHARE * graph.size:
            return self._price_all()
        if len(found) <= FEW_TOKENS and not self.rules.unique_pools:
            for token in found:
                self._price_single(token)
        else:
            self._price(np.fromiter(sorted(found), np.int64, len(found)))
        return np.fromiter(sorted(found), np.int64, len(found))

    def _price_single(self, token: int) -> None:
        """Price one token anew."""
        priced = price_one(self.graph, self.edges, token, self.anchor.confidence)
        most, count = self.rules.paths_max, len(priced.paths)
        empty, hops = most - count, self.rules.hops_max
        self.ratio[token], self.confidence[token] = priced.ratio, priced.confidence
        self.variation[token], self.kept[token] = priced.variation, priced.kept
        self.count[token] = count
        self.keep[token] = [*priced.keep, *[False] * empty]
        self.weight[token] = [*(path.weight for path in priced.paths), *[0.0] * empty]
        columns = [(*path.edges, *(-1,) * (hops - len(path.edges))) for path in priced.paths]
        self.path_edges[:, token] = -1
        if columns:
            self.path_edges[:, token, :count] = np.array(columns).T

    def _weigh_all(self) -> None:
        graph = self.graph
        if not self.rules.legacy:
            seeds = {graph.anchor: (self.anchor.price, 1.0)}
            seeds |= dict.fromkeys(self.stables, (1.0, self.rules.stable_confidence))
            self._valuation.full(seeds, graph.ua, graph.ub)
        graph.weigh(self.value)
        graph.weigh_nodes()
        self._edges = None

    def _price_all(self) -> Ints:
        everyone = np.delete(np.arange(self.graph.size), self.graph.anchor)
        for part in portions(self.edges, everyone):
            self._price(part)
        return everyone

    def _price(self, tokens: Ints) -> None:
        """Price these tokens anew."""
        graph, rules, most = self.graph, self.rules, self.rules.paths_max
        paths, place = best_paths(graph, enumerate_paths(self.edges, tokens))
        count = np.bincount(paths.row, minlength=tokens.size)
        depth, age = depth_of(graph, paths), age_of(graph, paths)
        liquidity = liquidity_of(graph, paths)
        weight = sure.weight(
            rules,
            sure.reliability(rules, depth, age, paths.hops),
            sure.path_confidence(rules, liquidity),
            depth,
            age,
            paths.hops,
        )
        at = paths.row * most + place

        def column(values: Floats) -> Floats:
            laid = np.zeros(tokens.size * most)
            laid[at] = values
            return laid.reshape(-1, most)

        laid_weight = column(weight)
        table = sure.Table(
            count, column(ratio_of(graph, paths)), laid_weight, column(liquidity), column(self._oldest(paths))
        )
        edges = np.full((len(paths.edges), tokens.size * most), -1, np.int64)
        for hop, edge in enumerate(paths.edges):
            edges[hop, at] = edge
        self.path_edges[:, tokens] = edges.reshape(-1, tokens.size, most)
        priced = sure.price(rules, table, self.anchor.confidence)
        self.ratio[tokens], self.confidence[tokens] = priced.ratio, priced.confidence
        self.variation[tokens], self.kept[tokens] = priced.variation, priced.kept
        self.count[tokens], self.keep[tokens], self.weight[tokens] = count, priced.keep, laid_weight
        if rules.unique_pools:
            self._count_pools_once(tokens, table)

    def _oldest(self, paths: Paths) -> Floats:
        found: Floats = self.graph.age_ms[paths.edges[0] >> 1]
        for edge in paths.edges[1:]:
            found = np.maximum(found, self.graph.age_ms[edge >> 1])
        return found

    def _count_pools_once(self, tokens: Ints, table: sure.Table) -> None:
        """Confidence with every pool counted once, in the order of its first appearance by rank."""
        liquidity = np.zeros(tokens.size)
        for row, token in enumerate(tokens.tolist()):
            pools: dict[int, None] = {}
            for place in np.flatnonzero(self.keep[token]).tolist():
                pools.update(
                    (edge >> 1, None) for edge in self.path_edges[:, token, place].tolist() if edge >= 0
                )
            liquidity[row] = sum(self.graph.liquidity[pool] for pool in pools)
        oldest = np.where(self.keep[tokens], table.oldest_ms, 0.0).max(axis=1, initial=0.0)
        found = sure.token_confidence(
            self.rules, self.variation[tokens], liquidity, self.kept[tokens], self.anchor.confidence
        ) * sure.freshness(self.rules, oldest)
        self.confidence[tokens] = np.where(self.kept[tokens] > 0, found, 0.0)

    # ── what was found, for showing ───────────────────────────────────────────────────────────────

    def best(self, token: int) -> list[FoundPath]:
        """The best paths of a token, by rank."""
        most = int(self.count[token])
        columns = self.path_edges[:, token, :most]
        paths = Paths(np.zeros(most, np.int64), tuple(columns), (columns >= 0).sum(axis=0))
        return self._described(paths, self.keep[token, :most], self.weight[token, :most])

    def all_paths(self, token: int, limit: int) -> tuple[list[FoundPath], int]:
        """The first ``limit`` paths of a token by score, counted or not, and how many there are."""
        found = enumerate_paths(self.edges, np.array([token]))
        total = int(found.row.size)
        graph, rules = self.graph, self.rules
        depth, age = depth_of(graph, found), age_of(graph, found)
        score = sure.reliability(rules, depth, age, found.hops) / sure.SCORE_LENGTH[found.hops + 1]
        keys = [edge >> 1 for edge in reversed(found.edges)]
        order = np.lexsort((*keys, ratio_of(graph, found), -score))[:limit]
        paths = found.take(order)
        keep = np.zeros(order.size, bool)
        counted = min(order.size, int(self.count[token]))
        keep[:counted] = self.keep[token, :counted]
        reliable = sure.reliability(rules, depth[order], age[order], paths.hops)
        confident = sure.path_confidence(rules, liquidity_of(graph, paths))
        weight = sure.weight(rules, reliable, confident, depth[order], age[order], paths.hops)
        return self._described(paths, keep, weight), total

    def _described(self, paths: Paths, keep: np.ndarray, weight: Floats) -> list[FoundPath]:
        graph, rules = self.graph, self.rules
        if not paths.row.size:
            return []
        depth, age, liquidity = depth_of(graph, paths), age_of(graph, paths), liquidity_of(graph, paths)
        columns = {
            "ratio": ratio_of(graph, paths),
            "liquidity": liquidity,
            "depth": depth,
            "reliability": sure.reliability(rules, depth, age, paths.hops),
            "confidence": sure.path_confidence(rules, liquidity),
            "weight": weight,
            "age_ms": age,
            "oldest_ms": self._oldest(paths),
            "kept": keep,
        }
        rows = zip(*(column.tolist() for column in columns.values()), strict=True)
        edges = np.stack(paths.edges, axis=1).tolist()
        return [
            FoundPath(
                edges=(taken := tuple(edge for edge in steps if edge >= 0)),
                tokens=(
                    int(graph.edge_from[taken[0]]),
                    *(int(graph.edge_to[edge]) for edge in taken),
                ),
                **dict(zip(columns, row, strict=True)),
            )
            for steps, row in zip(edges, rows, strict=True)
        ]
