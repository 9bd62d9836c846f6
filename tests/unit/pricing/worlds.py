"""Random pool graphs for the tests and the benchmark, made from a seed."""

from __future__ import annotations

import random

from services.pricing.graph import Graph
from services.pricing.pricer import Anchor, Pricer
from services.pricing.rules import Rules
from services.pricing.tokens import Pool, Token
from tests.oracles.pricing.slow import SlowMarket, SlowPool

NOW_MS = 1_800_000_000_000
ANCHOR = Anchor(60_000.0, 0.9)


def world(
    seed: int, rules: Rules, *, tokens: int, pools: int, spread: float = 0.02
) -> tuple[Pricer, list[Pool]]:
    """A priced graph. Some pools are dust, old or empty; some tokens are hubs; one is a stablecoin."""
    dice = random.Random(seed)
    made = [
        Token(f"SP.t{n:05d}", "USDC" if n == 1 else f"T{n}", f"Token {n}", dice.choice((0, 3, 6, 8, 18)))
        for n in range(tokens)
    ]
    prices = [ANCHOR.price, 1.0, *(10 ** dice.uniform(-6, 3) for _ in range(tokens - 2))]
    found = []
    for n in range(pools):
        a, b = n + 1 if n + 1 < tokens else int(tokens * dice.random()), int(tokens * dice.random() ** 3)
        if a == b:
            b = (a + 1) % tokens
        if dice.random() < 0.5:
            a, b = b, a
        depth = 10 ** dice.uniform(1, 6)
        found.append(pool_of(dice, f"p{n:05d}", made, prices, (a, b), depth, spread))
    graph = Graph(made, found, made[0].id, rules)
    pricer = Pricer(graph, [1])
    pricer.reprice(NOW_MS, ANCHOR)
    return pricer, found


def pool_of(
    dice: random.Random,
    name: str,
    tokens: list[Token],
    prices: list[float],
    ends: tuple[int, int],
    depth: float,
    spread: float,
) -> Pool:
    """A pool worth ``depth`` USD on each side, off the fair ratio by about ``spread``."""
    a, b = ends
    off = 1 + dice.gauss(0, spread)
    if dice.random() < 0.03:
        off *= 10 ** dice.uniform(-2, 2)
    return Pool(
        name,
        tokens[a].id,
        tokens[b].id,
        0 if dice.random() < 0.01 else max(1, int(depth / prices[a] * 10 ** tokens[a].decimals)),
        max(1, int(depth / prices[b] * abs(off) * 10 ** tokens[b].decimals)),
        0.003,
        NOW_MS - (0 if dice.random() < 0.5 else int(dice.expovariate(1 / 600_000))),
    )


def slow_of(pricer: Pricer, pools: list[Pool]) -> SlowMarket:
    """The same market for the oracle."""
    graph = pricer.graph
    return SlowMarket(
        decimals={token.id: token.decimals for token in graph.tokens},
        pools=[SlowPool(p.id, p.a, p.b, p.reserve_a, p.reserve_b, p.updated_ms) for p in pools],
        anchor=graph.tokens[graph.anchor].id,
        anchor_price=pricer.anchor.price,
        anchor_confidence=pricer.anchor.confidence,
        stables={graph.tokens[number].id for number in pricer.stables},
        now_ms=int(pricer.at_ms),
        legacy=pricer.rules.legacy,
        tokens_max=pricer.rules.tokens_max,
        pool_usd_min=pricer.rules.pool_usd_min,
    )


def moved(dice: random.Random, pool: Pool, at_ms: int) -> Pool:
    """The same pool after a trade, or after it was drained or filled."""
    share = 0.0 if dice.random() < 0.02 else 1 + dice.gauss(0, 0.05)
    if dice.random() < 0.02:
        share *= 10 ** dice.uniform(-3, 3)
    return Pool(
        pool.id,
        pool.a,
        pool.b,
        int(max(pool.reserve_a, 10**6) * abs(share)),
        int(max(pool.reserve_b, 10**6) / (abs(share) or 1.0)),
        pool.fee,
        at_ms,
    )
