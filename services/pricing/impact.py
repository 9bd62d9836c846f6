"""What it costs to move a price, and what a trade would get. Pure.

Pools are taken as constant-product pools with the fee on what comes in: ``out = R_out · x / (R_in + x)`` with
``x = in · (1 − fee)``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

UP = math.sqrt(1.02) - 1.0
DOWN = 1.0 / math.sqrt(0.98) - 1.0
SLICES = 40


def usd_to_move(own_usd: float, other_usd: float) -> tuple[float, float]:
    """USD that move a token's price in one pool by 2 % up (paid in the other token) and down (in its own):
    ``R_in · (√1.02 − 1)`` and ``R_in · (1/√0.98 − 1)``."""
    return other_usd * UP, own_usd * DOWN


@dataclass(frozen=True, slots=True)
class Hop:
    """A pool in a direction: its index and both reserves in whole tokens."""

    pool: int
    reserve_in: float
    reserve_out: float
    fee: float
    forward: bool  # from the pool's first token to its second


@dataclass(frozen=True, slots=True)
class Filled:
    """What a trade got: tokens out, and how many slices went along each route."""

    amount_out: float
    slices: tuple[int, ...]


def through(hop: Hop, amount: float) -> float:
    """What comes out of a pool."""
    paid = amount * (1.0 - hop.fee)
    return hop.reserve_out * paid / (hop.reserve_in + paid)


def fill(routes: Sequence[Sequence[Hop]], amount: float, slices: int = SLICES) -> Filled:
    """Trade ``amount`` in equal slices, each along the route that gives most at that point.

    Pools that several routes share are drained by all of them.
    """
    state: dict[int, tuple[float, float]] = {}
    for route in routes:
        for hop in route:
            ends = hop.reserve_in, hop.reserve_out
            state[hop.pool] = ends if hop.forward else ends[::-1]
    slice_in = amount / slices
    taken = [0] * len(routes)
    total = 0.0
    for _ in range(slices):
        tried = [_walk(route, state, slice_in) for route in routes]
        best = max(range(len(routes)), key=lambda number: tried[number][0])
        out, after = tried[best]
        state.update(after)
        taken[best] += 1
        total += out
    return Filled(total, tuple(taken))


def _walk(
    route: Sequence[Hop], state: dict[int, tuple[float, float]], amount: float
) -> tuple[float, dict[int, tuple[float, float]]]:
    after: dict[int, tuple[float, float]] = {}
    for hop in route:
        first, second = state[hop.pool]
        reserve_in, reserve_out = (first, second) if hop.forward else (second, first)
        out = through(Hop(hop.pool, reserve_in, reserve_out, hop.fee, hop.forward), amount)
        left = reserve_in + amount, reserve_out - out
        after[hop.pool] = left if hop.forward else left[::-1]
        amount = out
    return amount, after
