"""What holds for every graph: scaling, swapping, growing, inverse rates, bounds, outliers, manipulation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.pricing.graph import Graph
from services.pricing.impact import Hop, fill, through, usd_to_move
from services.pricing.pricer import Anchor, Pricer
from services.pricing.rules import DEFAULT, LEGACY, Rules
from services.pricing.spread import quartiles
from services.pricing.tokens import Pool, Token
from tests.unit.pricing.worlds import ANCHOR, NOW_MS, world

RESERVES = st.integers(10**6, 10**15)


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[Token], list[Pool]]:
    """Up to seven tokens with up to twelve pools; the first token is the anchor."""
    count = draw(st.integers(2, 7))
    tokens = [Token(f"SP.t{n}", f"T{n}", "", draw(st.integers(0, 18))) for n in range(count)]
    ends = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)).filter(lambda e: e[0] != e[1])
    pools = [
        Pool(f"p{n}", tokens[a].id, tokens[b].id, draw(RESERVES), draw(RESERVES), 0.0, NOW_MS)
        for n, (a, b) in enumerate(draw(st.lists(ends, min_size=1, max_size=12)))
    ]
    return tokens, pools


def priced(tokens: list[Token], pools: list[Pool], rules: Rules = LEGACY) -> Pricer:
    pricer = Pricer(Graph(tokens, pools, tokens[0].id, rules), [])
    pricer.reprice(NOW_MS, ANCHOR)
    return pricer


@given(graphs(), st.integers(2, 1000))
@settings(max_examples=60, deadline=None)
def test_scaling_all_reserves_leaves_every_path_ratio(
    graph: tuple[list[Token], list[Pool]], factor: int
) -> None:
    tokens, pools = graph
    scaled = [replace(p, reserve_a=p.reserve_a * factor, reserve_b=p.reserve_b * factor) for p in pools]
    one, other = priced(tokens, pools), priced(tokens, scaled)
    for number in range(len(tokens)):
        before = {path.pools: path.ratio for path in one.all_paths(number, 999)[0]} if number else {}
        after = {path.pools: path.ratio for path in other.all_paths(number, 999)[0]} if number else {}
        assert before.keys() == after.keys()
        for pools_of_path, ratio in before.items():
            assert after[pools_of_path] == pytest.approx(ratio, rel=1e-12)


@given(graphs(), st.data())
@settings(max_examples=60, deadline=None)
def test_swapping_the_sides_of_pools_changes_nothing(
    graph: tuple[list[Token], list[Pool]], data: st.DataObject
) -> None:
    tokens, pools = graph
    swapped = [
        Pool(p.id, p.b, p.a, p.reserve_b, p.reserve_a, p.fee, p.updated_ms) if data.draw(st.booleans()) else p
        for p in pools
    ]
    for rules in (LEGACY, DEFAULT):
        one, other = priced(tokens, pools, rules), priced(tokens, swapped, rules)
        assert one.ratio.tobytes() == other.ratio.tobytes()
        assert one.confidence.tobytes() == other.confidence.tobytes()


@given(graphs(), RESERVES, RESERVES)
@settings(max_examples=60, deadline=None)
def test_a_further_pool_never_lowers_liquidity(
    graph: tuple[list[Token], list[Pool]], ra: int, rb: int
) -> None:
    tokens, pools = graph
    more = [*pools, Pool("q", tokens[0].id, tokens[1].id, ra, rb, 0.0, NOW_MS)]
    before = priced(tokens, pools).graph.node_liquidity
    assert (priced(tokens, more).graph.node_liquidity >= before * (1 - 1e-12)).all()


@given(graphs())
@settings(max_examples=60, deadline=None)
def test_rates_are_inverse_and_confidence_is_a_share(graph: tuple[list[Token], list[Pool]]) -> None:
    for rules in (LEGACY, DEFAULT):
        pricer = priced(*graph, rules)
        rates = pricer.graph.rate[:-1].reshape(-1, 2)
        assert np.allclose(rates[:, 0] * rates[:, 1], 1.0, rtol=1e-12)
        assert ((pricer.confidence >= 0) & (pricer.confidence <= 1)).all()
        assert (pricer.ratio >= 0).all()


@given(st.lists(st.floats(0.99, 1.01), min_size=3, max_size=7), st.floats(3.0, 1e6), st.booleans())
@settings(max_examples=60, deadline=None)
def test_an_outlier_path_moves_nothing_while_the_median_stands(
    offs: list[float], factor: float, above: bool
) -> None:
    tokens = [Token("SP.a", "A", "", 8), Token("SP.b", "B", "", 6)]
    fair = [
        Pool(f"p{n}", "SP.b", "SP.a", 10**15, int(10**13 * off), 0.0, NOW_MS) for n, off in enumerate(offs)
    ]
    scale = factor if above else 1 / factor
    lie = Pool("q", "SP.b", "SP.a", 10**15, int(10**13 * scale), 0.0, NOW_MS)
    one, other = priced(tokens, fair), priced(tokens, [*fair, lie])
    assert not [p for p in other.best(1) if p.kept and p.edges[0] >> 1 == len(fair)]
    assert other.ratio[1] == pytest.approx(one.ratio[1], rel=1e-12)


@pytest.mark.parametrize("factor", [1e-6, 0.1, 1.4, 10.0, 1e6])
def test_a_dust_pool_with_an_absurd_ratio_moves_no_price(factor: float) -> None:
    pricer, pools = world(11, DEFAULT, tokens=30, pools=140, spread=0.004)
    graph = pricer.graph
    sound = [p for p in pools if p.reserve_a and p.reserve_b]
    target = int(np.argmax(np.where(pricer.kept >= 5, pricer.confidence, 0.0)))
    token = graph.tokens[target]
    before = Pricer(Graph(graph.tokens, sound, graph.tokens[graph.anchor].id, DEFAULT), pricer.stables)
    before.reprice(NOW_MS, ANCHOR)
    fair = float(before.ratio[target])
    bitcoin = graph.tokens[graph.anchor]
    # Fifty dollars on the anchor's side, the other as if the token were worth ``factor`` times its price.
    units = 50 / ANCHOR.price
    dust = Pool(
        "zz-dust",
        bitcoin.id,
        token.id,
        max(1, int(units * 10**bitcoin.decimals)),
        max(1, int(units / (fair * factor) * 10**token.decimals)),
        0.0,
        NOW_MS,
    )
    after = Pricer(Graph(graph.tokens, [*sound, dust], bitcoin.id, DEFAULT), pricer.stables)
    after.reprice(NOW_MS, ANCHOR)
    moved = np.abs(after.ratio[before.ratio > 0] / before.ratio[before.ratio > 0] - 1)
    assert moved.max() <= 0.001
    assert np.abs(after.confidence - before.confidence).max() <= 0.001


def test_a_token_with_nothing_but_dust_is_priced_with_no_confidence_to_speak_of() -> None:
    tokens = [Token("SP.a", "A", "", 8), Token("SP.b", "B", "", 6)]
    thin = Pool("p", "SP.b", "SP.a", 10**9, 200_000, 0.0, NOW_MS)  # 120 dollars a side
    pricer = priced(tokens, [thin], DEFAULT)
    assert pricer.ratio[1] > 0
    assert pricer.confidence[1] < 0.5


# ── trades ────────────────────────────────────────────────────────────────────────────────────────

AMOUNTS = st.floats(1.0, 1e6)


@given(AMOUNTS, AMOUNTS, st.floats(0.001, 1e5), st.floats(0, 0.05))
def test_a_swap_never_shrinks_the_product_of_the_reserves(
    r_in: float, r_out: float, amount: float, fee: float
) -> None:
    out = through(Hop(0, r_in, r_out, fee, True), amount)
    assert 0 < out < r_out
    assert (r_in + amount) * (r_out - out) >= r_in * r_out * (1 - 1e-9)


@given(st.lists(st.tuples(AMOUNTS, AMOUNTS), min_size=1, max_size=4), st.floats(0.1, 1e4))
@settings(max_examples=50)
def test_splitting_is_never_worse_than_the_best_single_route(
    pools: list[tuple[float, float]], amount: float
) -> None:
    routes = [[Hop(number, a, b, 0.003, True)] for number, (a, b) in enumerate(pools)]
    best = max(through(route[0], amount) for route in routes)
    found = fill(routes, amount)
    assert found.amount_out >= best * (1 - 0.003 * len(routes))  # slices of one route pay no more than that
    assert sum(found.slices) == 40


def test_what_two_per_cent_cost() -> None:
    up, down = usd_to_move(100_000, 100_000)
    assert up == pytest.approx(995.05, abs=0.005)
    assert down == pytest.approx(1015.25, abs=0.05)


@given(st.lists(st.tuples(st.floats(0.1, 10), st.floats(0.01, 5)), min_size=1, max_size=10))
def test_a_band_holds_half_of_the_weight(pairs: list[tuple[float, float]]) -> None:
    low, high = quartiles(pairs)
    inside = sum(weight for value, weight in pairs if low <= value <= high)
    assert low <= high
    assert inside >= 0.5 * sum(weight for _, weight in pairs) * (1 - 1e-12)


def test_the_anchor_moves_dollars_and_no_ratio() -> None:
    pricer, _ = world(3, LEGACY, tokens=20, pools=60)
    before = pricer.ratio.copy()
    pricer.reprice(NOW_MS, Anchor(123.0, 0.5))
    assert pricer.ratio.tobytes() == before.tobytes()
