"""Graphs that can't be true are refused with their fault; the merely extreme is priced in bounded work."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.messages.pricing import PoolsPut
from services.pricing.board import Board
from services.pricing.graph import Edges
from services.pricing.oracle import Reading
from services.pricing.reading import document_of, graph_of, whole
from services.pricing.rules import DEFAULT, EXPLORED_MAX, LEGACY, Rules
from services.pricing.tokens import GraphInvalid, Pool, Token, check, check_id
from services.pricing.views import token_price
from tests.unit.pricing.worlds import NOW_MS

A, B = Token("SP.a", "sBTC", "A", 8), Token("SP.b", "B", "B", 6)
GOOD = Pool("p", "SP.a", "SP.b", 10**10, 10**13, 0.003, NOW_MS)
READING = Reading(60_000.0, 0.9, "static", NOW_MS, False)


@pytest.mark.parametrize(
    ("tokens", "pools", "fault"),
    [
        ([A, replace(B, decimals=19)], [], "decimals were 19"),
        ([A, replace(B, decimals=-1)], [], "decimals were -1"),
        ([A, A], [], "stands twice"),
        ([A, replace(B, id="noperiod")], [], "must contain a period"),
        ([A, replace(B, id="SP.with space")], [], "Invalid token contract ID format"),
        ([A, replace(B, symbol="")], [], "no symbol"),
        ([A, replace(B, lp_pool="p")], [GOOD], "positive supply"),
        ([A, B], [GOOD, GOOD], "stands twice"),
        ([A, B], [replace(GOOD, b="SP.c")], "'SP.c' is not known"),
        ([A, B], [replace(GOOD, b="SP.a")], "with itself"),
        ([A, B], [replace(GOOD, reserve_a=-1)], "not negative"),
        ([A, B], [replace(GOOD, reserve_b=10**49)], "above 10^48"),
        ([A, B], [replace(GOOD, fee=1.0)], "fee was 1.0"),
        ([A, B], [replace(GOOD, fee=float("nan"))], "fee was nan"),
        ([A, B], [replace(GOOD, updated_ms=-5)], "lastUpdated was -5"),
        ([A, B], [replace(GOOD, id="")], "has no id"),
    ],
)
def test_a_graph_that_contradicts_itself_is_refused(
    tokens: list[Token], pools: list[Pool], fault: str
) -> None:
    with pytest.raises(GraphInvalid, match=fault.replace("^", r"\^")):
        check(tokens, pools)


def test_a_long_list_of_faults_is_cut() -> None:
    with pytest.raises(GraphInvalid, match="and 95 more"):
        check([], [replace(GOOD, id=f"p{n}") for n in range(50)])


def board(tokens: list[Token], pools: list[Pool], rules: Rules = DEFAULT) -> Board:
    made = Board(tokens, pools, A.id, rules)
    made.reprice(NOW_MS, READING)
    return made


@pytest.mark.parametrize("rules", [DEFAULT, LEGACY])
def test_a_drained_pool_prices_nothing(rules: Rules) -> None:
    made = board([A, B], [replace(GOOD, reserve_a=0)], rules)
    assert made.usd[1] == 0
    assert made.total_liquidity(1) == 0


@pytest.mark.parametrize("rules", [DEFAULT, LEGACY])
@pytest.mark.parametrize(("ra", "rb"), [(10**30, 10**30), (1, 10**48), (10**48, 1), (1, 1)])
def test_extreme_reserves_give_finite_numbers_only(rules: Rules, ra: int, rb: int) -> None:
    huge = replace(GOOD, reserve_a=ra, reserve_b=rb)
    made = board([A, replace(B, decimals=0)], [huge, replace(GOOD, id="q")], rules)
    for column in (made.usd, made.ratio, made.confidence, made.graph.node_liquidity):
        assert np.isfinite(column).all()
    encoded = msgspec.json.encode(token_price(made, 1, whole=True))
    if ra >= 2**63 and made.pricer.best(1)[0].pools == (0,):
        assert str(ra).encode() in encoded  # to the last digit


def test_fifty_thousand_tokens_around_one_hub_are_bounded_work() -> None:
    hub = Token("SP.hub", "HUB", "", 6)
    leaves = [Token(f"SP.l{n:05d}", f"L{n}", "", 6) for n in range(50_000)]
    pools = [Pool(f"p{n:05d}", leaf.id, hub.id, 10**12, 10**12, 0.0, NOW_MS) for n, leaf in enumerate(leaves)]
    pools.append(Pool("to-anchor", hub.id, A.id, 10**12, 10**10, 0.0, NOW_MS))
    made = board([A, hub, *leaves], pools)
    assert (made.pricer.kept[2:] >= 0).all()
    assert (made.usd[[made.graph.index[leaf.id] for leaf in leaves]] > 0).all()
    assert made.pricer.edges.edge.size <= 50_000 + DEFAULT.fanout
    made.update([replace(pools[7], reserve_a=2 * 10**12)])
    assert made.usd[made.graph.index[leaves[7].id]] == pytest.approx(
        made.usd[made.graph.index[leaves[8].id]] / 2
    )


@pytest.mark.parametrize("tokens_max", [2, 3, 4, 5, 6])
def test_no_token_explores_more_than_its_share(tokens_max: int) -> None:
    rules = Rules(tokens_max=tokens_max)
    assert sum(rules.fanout**hop for hop in range(1, rules.hops_max + 1)) <= EXPLORED_MAX
    tokens = [A, *(Token(f"SP.t{n}", f"T{n}", "", 6) for n in range(8))]
    pools = [
        Pool(f"p{a}-{b}-{k}", tokens[a].id, tokens[b].id, 10**12, 10**12, 0.0, NOW_MS)
        for a in range(9)
        for b in range(a)
        for k in range(6)
    ]
    made = board(tokens, pools, Rules(tokens_max=tokens_max, liquidity_mode="legacy"))
    assert isinstance(made.pricer.edges, Edges)
    assert (made.pricer.count[1:] == rules.paths_max).sum() >= (0 if tokens_max == 2 else 8)


@pytest.mark.parametrize("text", ["", "1e3", "12.5", "0x10", "١٢", "-", "9" * 61])
def test_a_text_that_is_no_whole_number_is_refused(text: str) -> None:
    with pytest.raises(GraphInvalid):
        whole(text, "reserveA")


@given(st.integers(0, 10**48))
def test_whole_numbers_come_through_as_they_are(value: int) -> None:
    assert whole(str(value), "x") == value
    assert whole(value, "x") == value


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_what_is_no_document_is_refused_and_nothing_else(body: bytes) -> None:
    try:
        graph_of(body, NOW_MS)
    except GraphInvalid:
        return
    assert isinstance(msgspec.json.decode(body, type=PoolsPut), PoolsPut)


@given(st.lists(st.tuples(st.integers(0, 10**48), st.integers(0, 10**48)), max_size=5))
def test_a_graph_comes_back_from_its_document(reserves: list[tuple[int, int]]) -> None:
    pools = [Pool(f"p{n}", A.id, B.id, a, b, 0.003, NOW_MS + n) for n, (a, b) in enumerate(reserves)]
    found = graph_of(document_of([A, B], pools, A.id), 0)
    assert (list(found.tokens), list(found.pools), found.anchor_id) == ([A, B], pools, A.id)


def test_ids() -> None:
    assert check_id(".stx") == ""
    assert check_id("SP2ZNGJ85ENDY6QRHQ5P2D4FXKGZWCKTB2T0Z55KS.charisma-token") == ""
    assert check_id("charisma") == "Token contract ID must contain a period (.)"
    for bad in ("a.", "a b.c", "a..b", "a/b.c", "é.c", "a." + "x" * 300):
        assert check_id(bad) == "Invalid token contract ID format", bad
