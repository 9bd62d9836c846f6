"""Every path from tokens to the anchor, and the best of them. Pure.

A path is simple (no token twice), has at most ``tokens_max`` tokens, and goes through one pool per hop;
parallel pools make paths of their own. Paths of many tokens are found at once, level by level over arrays:
only edges from which the anchor can still be reached in the hops that are left are ever taken.

Rank: ``reliability / n^1.5`` falling, then ratio rising, then the pool ids in order (n: tokens of the path).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from services.pricing import confidence
from services.pricing.graph import Edges, Floats, Graph, Ints

PATHS_AT_ONCE = 500_000
FEW = 24  # so many tokens are never too many at once
SMALL_ROWS = 65_536


@dataclass(frozen=True, slots=True)
class Paths:
    """Paths of several tokens: ``row`` is the position of the token asked for, ``edges[k]`` the edge of hop
    k (-1: the path has ended), ``hops`` how many there are."""

    row: Ints
    edges: tuple[Ints, ...]
    hops: Ints

    def take(self, chosen: Ints) -> Paths:
        """Some of them, in that order."""
        return Paths(self.row[chosen], tuple(edge[chosen] for edge in self.edges), self.hops[chosen])


def _spans(start: Ints, end: Ints) -> tuple[Ints, Ints]:
    """For each i every position from start[i] to end[i]: (i repeated, the positions)."""
    counts = end - start
    rows = np.repeat(np.arange(start.size), counts)
    offsets = np.cumsum(counts) - counts
    return rows, np.arange(rows.size) + np.repeat(start - offsets, counts)


def enumerate_paths(edges: Edges, sources: Ints) -> Paths:
    """All paths of ``sources``; the anchor itself has none."""
    most = edges.hops_max
    row, at = np.arange(sources.size), sources
    taken: list[Ints] = []
    visited = [sources]
    levels: list[tuple[Ints, list[Ints]]] = []
    for hop in range(most):
        near, positions = _spans(edges.start[at], edges.ends[0][at])
        if near.size:
            levels.append((row[near], [*(edge[near] for edge in taken), edges.edge[positions]]))
        if hop == most - 1:
            break
        on, positions = _spans(edges.ends[0][at], edges.ends[most - hop - 1][at])
        to = edges.to[positions]
        if hop:  # a pool never leads back to where it came from in one hop
            fresh = to != visited[0][on]
            for seen in visited[1:-1]:
                fresh &= to != seen[on]
            if not fresh.all():
                keep = np.flatnonzero(fresh)
                on, positions, to = on[keep], positions[keep], to[keep]
            again = to != visited[-1][on]
            if not again.all():
                keep = np.flatnonzero(again)
                on, positions, to = on[keep], positions[keep], to[keep]
        if not on.size:
            break
        row, at = row[on], to
        taken = [*(edge[on] for edge in taken), edges.edge[positions]]
        visited = [*(seen[on] for seen in visited), to]
    return _joined(levels, most)


def _joined(levels: list[tuple[Ints, list[Ints]]], most: int) -> Paths:
    if not levels:
        none = np.zeros(0, np.int64)
        return Paths(none, (none,) * most, none)
    row = np.concatenate([found for found, _ in levels])
    columns = []
    for hop in range(most):
        parts = [
            steps[hop] if hop < len(steps) else np.full(found.size, -1, np.int64) for found, steps in levels
        ]
        columns.append(np.concatenate(parts))
    hops = np.repeat([len(steps) for _, steps in levels], [found.size for found, _ in levels])
    return Paths(row, tuple(columns), hops)


def portions(edges: Edges, sources: Ints) -> Iterator[Ints]:
    """The sources in portions that have a bounded number of paths each."""
    if sources.size <= FEW:
        if sources.size:
            yield sources
        return
    ways = _ways(edges)[sources]
    portion = np.cumsum(ways) // PATHS_AT_ONCE
    cuts = np.flatnonzero(np.diff(portion)) + 1
    yield from (part for part in np.split(sources, cuts) if part.size)


def _ways(edges: Edges) -> Ints:
    """An upper bound of the paths of each token: walks to the anchor."""
    size = edges.start.size
    leaves = np.repeat(np.arange(size), edges.ends[-1] - edges.start)
    direct = edges.distance[edges.to] == 0
    found: Floats = np.zeros(size)
    total: Floats = np.zeros(size)
    for hop in range(edges.hops_max):
        through = direct.astype(np.float64) if hop == 0 else np.where(direct, 0.0, found[edges.to])
        found = np.bincount(leaves, through, size).astype(np.float64)
        total += found
    return total.astype(np.int64)


def ratio_of(graph: Graph, paths: Paths) -> Floats:
    """``Π rate`` from the token to the anchor, hop by hop."""
    with np.errstate(over="ignore", under="ignore"):
        ratio: Floats = graph.rate[paths.edges[0]]
        for edge in paths.edges[1:]:
            ratio = ratio * graph.rate[edge]
    return ratio


def depth_of(graph: Graph, paths: Paths) -> Floats:
    """Liquidity of the shallowest pool."""
    found: Floats = graph.depth[paths.edges[0] >> 1]
    for edge in paths.edges[1:]:
        found = np.minimum(found, graph.depth[edge >> 1])
    return found


def liquidity_of(graph: Graph, paths: Paths) -> Floats:
    """Sum of the pools' liquidity."""
    found: Floats = graph.liquidity[paths.edges[0] >> 1]
    for edge in paths.edges[1:]:
        found = found + graph.liquidity[edge >> 1]
    return found


def age_of(graph: Graph, paths: Paths) -> Floats:
    """Mean age of the pools' reserves, in milliseconds."""
    found: Floats = graph.age_ms[paths.edges[0] >> 1]
    for edge in paths.edges[1:]:
        found = found + graph.age_ms[edge >> 1]
    return np.divide(found, paths.hops)


def best_paths(graph: Graph, paths: Paths) -> tuple[Paths, Ints]:
    """The best paths of each token in rank order, and the rank of each from 0.

    Scores are compared first; ratios and pool ids are looked at only for those that may be among the best.
    """
    rules = graph.rules
    paths = _computable(graph, paths)
    depth, age = depth_of(graph, paths), age_of(graph, paths)
    score = confidence.reliability(rules, depth, age, paths.hops) / confidence.SCORE_LENGTH[paths.hops + 1]
    order = _by_row_and_score(paths.row, score)
    row = paths.row[order]
    place = np.arange(order.size) - np.searchsorted(row, row)
    if place.size and place.max() >= rules.paths_max:
        last = np.flatnonzero(place == rules.paths_max - 1)
        worst = np.full(int(row[-1]) + 1, -np.inf)
        worst[row[last]] = score[order[last]]
        order = order[score[order] >= worst[row]]
    paths, score = paths.take(order), score[order]
    again = _among_equals(graph, paths, score)
    if again is not None:
        paths = paths.take(again)
    place = np.arange(paths.row.size) - np.searchsorted(paths.row, paths.row)
    if place.size and place.max() >= rules.paths_max:
        best = np.flatnonzero(place < rules.paths_max)
        return paths.take(best), place[best]
    return paths, place


def _by_row_and_score(row: Ints, score: Floats) -> Ints:
    """Positions by row, then by falling score; equal scores of a row in any order."""
    order = np.argsort(-score)
    rows = row[order]
    if rows.size and rows.max() < SMALL_ROWS:
        rows = rows.astype(np.uint16)  # sorted by radix, in one go
    return order[np.argsort(rows, kind="stable")]


def _among_equals(graph: Graph, paths: Paths, score: Floats) -> Ints | None:
    """Positions with equal scores of a row put in order of ratio and pool ids; None where no two are equal.

    The paths come sorted by row and score, so equals stand together.
    """
    same = (score[1:] == score[:-1]) & (paths.row[1:] == paths.row[:-1])
    if not same.any():
        return None
    tied = np.zeros(score.size, bool)
    tied[1:] |= same
    tied[:-1] |= same
    at = np.flatnonzero(tied)
    crowd = np.cumsum(~np.concatenate(([False], same)))[at]
    some = paths.take(at)
    keys = [edge >> 1 for edge in reversed(some.edges)]
    order = np.arange(score.size)
    order[at] = at[np.lexsort((*keys, ratio_of(graph, some), crowd))]
    return order


def _computable(graph: Graph, paths: Paths) -> Paths:
    """Without paths whose ratio a double can't hold."""
    room = 300.0 / len(paths.edges)
    usual = graph.rate[(graph.rate > 0) & np.isfinite(graph.rate)]
    if usual.max() < 10.0**room and usual.min() > 10.0**-room:
        return paths
    ratio = ratio_of(graph, paths)
    return paths.take(np.flatnonzero((ratio > 0) & np.isfinite(ratio)))
