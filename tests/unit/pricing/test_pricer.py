"""The arrays against the slow oracle on random graphs, and updates against whole repricings, to the bit."""

from __future__ import annotations

import random

import pytest

from services.pricing.graph import Graph
from services.pricing.pricer import Pricer
from services.pricing.rules import Rules
from services.pricing.tokens import Pool, Token
from tests.unit.pricing.worlds import ANCHOR, NOW_MS, moved, slow_of, world

COLUMNS = ("ratio", "confidence", "variation", "kept", "count", "keep", "weight", "path_edges", "value")


def assert_same_as_slow(pricer: Pricer, pools: list[Pool]) -> int:
    expected = slow_of(pricer, pools).prices()
    graph = pricer.graph
    for number, token in enumerate(graph.tokens):
        if number == graph.anchor:
            continue
        want = expected.get(token.id)
        if want is None:
            assert (pricer.ratio[number], pricer.kept[number]) == (0.0, 0), token.id
            continue
        got = (
            float(pricer.ratio[number]),
            float(pricer.variation[number]),
            float(pricer.confidence[number]),
        )
        assert got == (want.ratio, want.variation, want.confidence), token.id
        best = pricer.best(number)
        assert [tuple(graph.pools[pool].id for pool in path.pools) for path in best] == want.paths
        assert [path.kept for path in best] == want.kept
        assert [path.weight for path in best] == want.weights
    return len(expected)


def compare_worlds(seeds: range, *, tokens_max: int) -> int:
    priced = 0
    for seed in seeds:
        dice = random.Random(seed)
        rules = Rules(
            liquidity_mode=dice.choice(("usd", "usd", "legacy")), tokens_max=dice.choice((3, 4, 4, 5))
        )
        tokens = dice.randint(3, tokens_max)
        pricer, pools = world(seed, rules, tokens=tokens, pools=dice.randint(1, 3 * tokens))
        priced += assert_same_as_slow(pricer, pools)
    return priced


def test_a_thousand_random_graphs_are_priced_as_the_formulas_say() -> None:
    assert compare_worlds(range(1000), tokens_max=16) > 2000


def test_crowded_tokens_follow_their_deepest_pools_only() -> None:
    pricer, pools = world(7, Rules(), tokens=60, pools=400)
    assert pricer.edges.cuts  # some token has more pools than are followed
    assert assert_same_as_slow(pricer, pools) > 30


def test_a_graph_of_the_anchor_alone_and_one_without_pools_can_be_priced() -> None:
    anchor = Token("SP.anchor", "BTC", "Anchor", 8)
    for tokens in ([anchor], [anchor, Token("SP.alone", "A", "Alone", 6)]):
        pricer = Pricer(Graph(tokens, [], anchor.id, Rules()), [])
        pricer.reprice(NOW_MS, ANCHOR)
        assert pricer.kept.tolist() == [0] * pricer.graph.size


@pytest.mark.soak
def test_larger_random_graphs_too() -> None:
    assert compare_worlds(range(1000, 1400), tokens_max=60) > 5000


def fresh(pricer: Pricer, pools: list[Pool]) -> Pricer:
    graph = pricer.graph
    again = Graph(graph.tokens, pools, graph.tokens[graph.anchor].id, pricer.rules)
    whole = Pricer(again, pricer.stables)
    whole.reprice(pricer.at_ms, pricer.anchor)
    return whole


def assert_same_bits(one: Pricer, other: Pricer) -> None:
    for column in COLUMNS:
        assert getattr(one, column).tobytes() == getattr(other, column).tobytes(), column
    assert one.graph.node_liquidity.tobytes() == other.graph.node_liquidity.tobytes()
    assert one.graph.liquidity.tobytes() == other.graph.liquidity.tobytes()


def follow(seed: int, updates: int, every: int, *, tokens: int) -> set[str]:
    """Random updates of one graph, compared with a whole repricing now and then."""
    dice = random.Random(seed)
    rules = Rules(liquidity_mode=dice.choice(("usd", "usd", "legacy")))
    pricer, pools = world(seed, rules, tokens=tokens, pools=dice.randint(tokens, 6 * tokens))
    now = {pool.id: pool for pool in pools}
    seen = set()
    for step in range(updates):
        some = dice.sample(sorted(now), dice.choice((1, 1, 1, 3)))
        changed = [moved(dice, now[name], NOW_MS + step) for name in some]
        now |= {pool.id: pool for pool in changed}
        again = pricer.update(changed)
        seen.add("none" if not again.size else "some" if again.size < pricer.graph.size - 1 else "everything")
        if step % every == every - 1:
            assert_same_bits(pricer, fresh(pricer, list(now.values())))
    return seen


def test_updates_equal_a_whole_repricing_bit_for_bit() -> None:
    seen = set()
    for seed in range(24):
        seen |= follow(seed, 50, 5, tokens=random.Random(seed).randint(5, 60))
    assert seen == {"none", "some", "everything"}


@pytest.mark.soak
def test_ten_thousand_updates_equal_whole_repricings() -> None:
    for seed in range(20):
        follow(100 + seed, 500, 1, tokens=random.Random(seed).randint(5, 90))
