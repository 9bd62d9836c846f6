"""The price of one token, path by path, for the few tokens a changed reserve concerns. Pure.

The same arithmetic as ``paths`` and ``confidence`` in the same order, in plain floats: for a handful of paths
a loop is faster than any array. What it gives equals what they give, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
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
    found = [path for walk in walks(edges, token) if (path := _weighed(graph, rules, walk)) is not None]
    found.sort()
    del found[rules.paths_max :]
    if not found:
        return One(0.0, 0.0, 0.0, 0, [], [])
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


def walks(edges: Edges, token: int) -> Iterator[tuple[int, ...]]:
    """The edges of every simple path of a token to the anchor."""
    lists = edges.lists
    return _on(lists.start, lists.ends, lists.edge, lists.to, (token,), (), edges.hops_max - 1, edges.anchor)


def _on(
    start: list[int],
    ends: list[list[int]],
    edge: list[int],
    to: list[int],
    seen: tuple[int, ...],
    taken: tuple[int, ...],
    left: int,
    anchor: int,
) -> Iterator[tuple[int, ...]]:
    at = seen[-1]
    for position in range(start[at], ends[left][at]):
        target = to[position]
        if target == anchor:
            yield (*taken, edge[position])
        elif target not in seen:
            further = (*taken, edge[position])
            yield from _on(start, ends, edge, to, (*seen, target), further, left - 1, anchor)


def _weighed(graph: Graph, rules: Rules, walk: tuple[int, ...]) -> Weighed | None:
    rates, depths, ages = graph.rate_list, graph.liquidity_list, graph.age_list
    hops = len(walk)
    pools = tuple([edge >> 1 for edge in walk])
    ratio, depth, liquidity, age, oldest = rates[walk[0]], _INF, 0.0, 0.0, 0.0
    for edge in walk[1:]:
        ratio *= rates[edge]
    if not 0 < ratio < _INF:
        return None
    for pool in pools:
        deep, old = depths[pool], ages[pool]
        depth = min(depth, deep)
        oldest = max(oldest, old)
        liquidity += deep
        age += old
    age /= hops
    reliable = min(1.0, depth / rules.reliable_usd) * max(0.0, 1.0 - age / DAY_MS) * _ROOT[hops]
    weight = max(0.01, reliable) * max(0.01, min(1.0, liquidity / rules.confident_usd))
    weight = weight / _WEIGHT[hops + 1]
    weight = weight * (1.0 + min(rules.boost_max, depth / rules.boost_usd))
    weight = weight * max(0.5, 1.0 - age / HOUR_MS)
    return Weighed(-(reliable / _SCORE[hops + 1]), ratio, pools, walk, max(0.001, weight), liquidity, oldest)
