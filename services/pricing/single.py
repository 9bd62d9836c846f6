"""The price of one token, path by path, for the few tokens a changed reserve concerns. Pure.

The same arithmetic as ``paths`` and ``confidence`` in the same order, in plain floats: for a handful of paths
a loop is faster than any array. What it gives equals what they give, bit for bit.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from services.pricing.confidence import ROOT_SHARE, SCORE_LENGTH, WEIGHT_LENGTH
from services.pricing.graph import Edges, Graph
from services.pricing.rules import DAY_MS, HOUR_MS, Rules

_ROOT, _SCORE, _WEIGHT = ROOT_SHARE.tolist(), SCORE_LENGTH.tolist(), WEIGHT_LENGTH.tolist()
_INF = math.inf


class Weighed(NamedTuple):
    """A path: what it is ranked by, then what it counts."""

    falling_score: float
    ratio: float
    pools: tuple[int, ...]
    edges: tuple[int, ...]
    weight: float
    liquidity: float
    oldest_ms: float


# score (falling), ratio, pools, edges; then reliability, depth, liquidity, mean and greatest age
_Path = tuple[float, float, tuple[int, ...], tuple[int, ...], float, float, float, float, float]


class One(NamedTuple):
    """What a token's columns hold; the paths by rank, ``keep`` beside them."""

    ratio: float
    confidence: float
    variation: float
    kept: int
    paths: list[Weighed]
    keep: list[bool]


def price_one(graph: Graph, edges: Edges, token: int, anchor_confidence: float) -> One:
    """The token's price from its paths; ratio 0 without any."""
    rules = graph.rules
    ranked = _Search(graph, edges).ranked(token)
    if not ranked:
        return One(0.0, 0.0, 0.0, 0, [], [])
    found = [_weighed(rules, path) for path in ranked[: rules.paths_max]]
    rising = sorted(range(len(found)), key=lambda rank: found[rank].ratio)
    median = found[rising[len(rising) // 2]].ratio
    keep = [abs(path.ratio - median) / median <= rules.outlier_share for path in found]
    used = [found[rank] for rank in rising if keep[rank]]
    total = weighted = liquidity = 0.0
    for path in used:
        total += path.weight
        weighted += path.weight * path.ratio
        liquidity += path.liquidity
    mean = weighted / total
    squares = oldest = 0.0
    for path in used:
        off = path.ratio - mean
        squares += path.weight * (off * off)
        oldest = max(oldest, path.oldest_ms)
    variation = math.sqrt(squares / total) / mean if len(used) > 1 else 0.0
    sure = (
        0.4 * max(0.0, 1.0 - variation)
        + 0.4 * min(1.0, liquidity / rules.liquid_usd)
        + 0.2 * min(1.0, len(used) / rules.paths_enough)
    ) * anchor_confidence
    if not rules.legacy and oldest > rules.fresh_ms:
        sure = sure * 2.0 ** (-(oldest - rules.fresh_ms) / rules.fresh_half_ms)
    return One(mean, sure, variation, len(used), found, keep)


class _Search:
    """All simple paths of a token to the anchor; what they share in the beginning is computed once."""

    __slots__ = (
        "_ages",
        "_anchor",
        "_depths",
        "_edge",
        "_ends",
        "_found",
        "_hops",
        "_rates",
        "_start",
        "_to",
        "_usd",
    )

    def __init__(self, graph: Graph, edges: Edges) -> None:
        lists = edges.lists
        self._start, self._ends, self._edge, self._to = lists.start, lists.ends, lists.edge, lists.to
        self._rates, self._depths, self._ages = graph.rate_list, graph.liquidity_list, graph.age_list
        self._anchor, self._hops, self._usd = edges.anchor, edges.hops_max, graph.rules.reliable_usd
        self._found: list[_Path] = []

    def ranked(self, token: int) -> list[_Path]:
        """The paths by rank."""
        self._follow((token,), (), (), 1.0, _INF, 0.0, 0.0, 0.0)
        self._found.sort()
        return self._found

    def _follow(
        self,
        seen: tuple[int, ...],
        taken: tuple[int, ...],
        pools: tuple[int, ...],
        ratio: float,
        depth: float,
        liquidity: float,
        age: float,
        oldest: float,
    ) -> None:
        """Every way on from the last token of ``seen``; the numbers are those of the way so far."""
        at, hops = seen[-1], len(seen)
        rates, depths, ages, edge, to = self._rates, self._depths, self._ages, self._edge, self._to
        for position in range(self._start[at], self._ends[self._hops - hops][at]):
            target = to[position]
            if target in seen:
                continue
            number = edge[position]
            pool = number >> 1
            deep, old, rate = depths[pool], ages[pool], ratio * rates[number]
            shallowest = deep if deep < depth else depth
            eldest = old if old > oldest else oldest
            further, through = (*taken, number), (*pools, pool)
            if target != self._anchor:
                self._follow(
                    (*seen, target), further, through, rate, shallowest, liquidity + deep, age + old, eldest
                )
            elif 0 < rate < _INF:
                mean = (age + old) / hops
                reliable = min(1.0, shallowest / self._usd) * max(0.0, 1.0 - mean / DAY_MS) * _ROOT[hops]
                score = -(reliable / _SCORE[hops + 1])
                self._found.append(
                    (score, rate, through, further, reliable, shallowest, liquidity + deep, mean, eldest)
                )


def _weighed(rules: Rules, path: _Path) -> Weighed:
    score, ratio, pools, edges, reliable, depth, liquidity, age, oldest = path
    weight = max(0.01, reliable) * max(0.01, min(1.0, liquidity / rules.confident_usd))
    weight = weight / _WEIGHT[len(edges) + 1]
    weight = weight * (1.0 + min(rules.boost_max, depth / rules.boost_usd))
    weight = weight * max(0.5, 1.0 - age / HOUR_MS)
    return Weighed(score, ratio, pools, edges, max(0.001, weight), liquidity, oldest)
