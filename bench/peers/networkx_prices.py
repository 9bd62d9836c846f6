"""Token prices over networkx: every path of every token by `all_simple_edge_paths`, same caps and weights.

What the graph library gives is used as it is meant: a directed multigraph of the admitted edges, with rate,
depth and age on each edge, searched once per token. Only the arithmetic of the weights is ours, in Python.
"""

from __future__ import annotations

import math
from typing import Any

import networkx as nx

from services.pricing.graph import Edges, Graph


def graph_of(graph: Graph, edges: Edges) -> Any:
    """The admitted edges as a networkx graph; nodes and keys are the indexes of ours."""
    made = nx.MultiDiGraph()
    made.add_nodes_from(range(graph.size))
    for edge in edges.edge.tolist():
        pool = edge >> 1
        made.add_edge(
            int(graph.edge_from[edge]),
            int(graph.edge_to[edge]),
            key=edge,
            rate=float(graph.rate[edge]),
            depth=float(graph.liquidity[pool]),
            age=float(graph.age_ms[pool]),
        )
    return made


def prices(made: Any, anchor: int, hops_max: int, anchor_confidence: float) -> dict[int, tuple[float, float]]:
    """Ratio and confidence of every token that has a path."""
    found = {}
    for token in made.nodes:
        if token == anchor:
            continue
        walks = nx.all_simple_edge_paths(made, token, anchor, cutoff=hops_max)
        paths = [_weighed(made, walk) for walk in walks]
        if paths:
            found[token] = _price(paths, anchor_confidence)
    return found


def _weighed(made: Any, walk: Any) -> tuple[float, float, tuple[int, ...], float, float, float]:
    hops = len(walk)
    ratio, shallowest, liquidity, age, oldest = 1.0, math.inf, 0.0, 0.0, 0.0
    for a, b, key in walk:
        data = made[a][b][key]
        ratio *= data["rate"]
        shallowest = min(shallowest, data["depth"])
        liquidity += data["depth"]
        age += data["age"]
        oldest = max(oldest, data["age"])
    age /= hops
    reliable = min(1.0, shallowest / 10_000) * max(0.0, 1.0 - age / 86_400_000) * (1.0 / math.sqrt(hops))
    weight = max(0.01, reliable) * max(0.01, min(1.0, liquidity / 50_000)) / (hops + 1) ** 1.2
    weight = weight * (1.0 + min(2.0, shallowest / 10_000)) * max(0.5, 1.0 - age / 3_600_000)
    pools = tuple(key >> 1 for _, _, key in walk)
    return -reliable / (hops + 1) ** 1.5, ratio, pools, max(0.001, weight), liquidity, oldest


def _price(paths: list[Any], anchor_confidence: float) -> tuple[float, float]:
    best = sorted(paths)[:10]
    rising = sorted(best, key=lambda path: path[1])
    median = rising[len(rising) // 2][1]
    kept = [path for path in rising if abs(path[1] - median) / median <= 0.5]
    total = sum(path[3] for path in kept)
    mean = sum(path[3] * path[1] for path in kept) / total
    variance = sum(path[3] * (path[1] - mean) ** 2 for path in kept) / total
    spread = math.sqrt(variance) / mean if len(kept) > 1 else 0.0
    liquidity = min(1.0, sum(path[4] for path in kept) / 100_000)
    sure = 0.4 * max(0.0, 1.0 - spread) + 0.4 * liquidity + 0.2 * min(1.0, len(kept) / 3)
    oldest = max(path[5] for path in kept)
    fresh = 2.0 ** (-max(0.0, oldest - 300_000) / 1_800_000)
    return mean, sure * anchor_confidence * fresh
