"""The numbers of the reference documents: to the last digit where they were published so."""

from __future__ import annotations

import numpy as np
import pytest

from services.pricing import confidence
from services.pricing.board import Board
from services.pricing.graph import Graph
from services.pricing.oracle import Reading, SourcePrice, agree
from services.pricing.pricer import Anchor, Pricer
from services.pricing.rules import DEFAULT, LEGACY
from services.pricing.tokens import Pool, Token, units
from tests.unit.pricing.worlds import NOW_MS

SBTC, PEPE, CHA = "SM3.sbtc-token", "SP1.pepe-token", "SP2.charisma-token"
TOKENS = [Token(CHA, "CHA", "Charisma", 6), Token(PEPE, "PEPE", "Pepe", 3), Token(SBTC, "sBTC", "sBTC", 8)]
AGE_MS = 100_108
SAMPLE = [
    Pool("p1", CHA, PEPE, 3341462444, 74778606660, 0.0, NOW_MS - AGE_MS),
    Pool("p2", SBTC, PEPE, 8802960, 413502659337, 0.0, NOW_MS - AGE_MS),
]


def one(value: float) -> np.ndarray:
    return np.array([value])


def test_the_published_path_of_charisma_comes_out_to_the_last_digit() -> None:
    graph = Graph(TOKENS, SAMPLE, SBTC, LEGACY)
    pricer = Pricer(graph, [])
    pricer.reprice(NOW_MS, Anchor(99095.63333333335, 1.0))
    (path,) = pricer.best(graph.index[CHA])
    assert graph.liquidity[:-1].tolist() == [499869.8888401243, 6033.280509007714]
    assert path.liquidity == 505903.169349132
    assert path.reliability == 0.42612305271225653
    assert path.confidence == 1.0
    assert len(path.tokens) == 3
    assert path.ratio == 4.7642133964664856e-06
    assert path.weight == pytest.approx(0.1777313571, abs=5e-11)
    board = Board(TOKENS, SAMPLE, SBTC, LEGACY)
    board.reprice(NOW_MS, Reading(99095.63333333335, 1.0, "static", NOW_MS, False))
    assert board.usd[graph.index[CHA]] == path.ratio * 99095.63333333335


def test_published_alternatives_and_token_confidence() -> None:
    assert confidence.path_confidence(LEGACY, one(49270.88226697283))[0] == 0.9854176453394566
    for reliable, deep in ((0.028393292466467008, 402.008), (0.02578666618077362, 365.102)):
        found = confidence.reliability(LEGACY, one(deep), one(AGE_MS), np.array([2]))[0]
        assert found == pytest.approx(reliable, rel=2e-6)
    sure = confidence.token_confidence(LEGACY, one(0.02029004135102099), one(1e9), np.array([10]), 1.0)[0]
    assert sure == 0.9918839834595916
    for printed, anchor in ((0.9844320140756163, 0.9924870554), (0.9699320418391625, 0.9778684383)):
        assert sure * anchor == pytest.approx(printed, abs=1e-10)
    assert 4.732464977274383e-06 * 99095.63333333335 == 0.46896661415082397


def test_three_paths_by_hand() -> None:
    depths = [[20000.0], [8000.0, 12000.0], [500.0, 4000.0, 30000.0]]
    deep = np.array([min(d) for d in depths])
    liquid = np.array([sum(d) for d in depths])
    hops, age = np.array([1, 2, 3]), np.zeros(3)
    reliable = confidence.reliability(DEFAULT, deep, age, hops)
    sure = confidence.path_confidence(DEFAULT, liquid)
    assert reliable.tolist() == pytest.approx([1.0, 0.565685425, 0.0288675135], abs=5e-10)
    assert sure.tolist() == pytest.approx([0.4, 0.4, 0.69])
    scores = reliable / confidence.SCORE_LENGTH[hops + 1]
    assert scores.tolist() == pytest.approx([0.353553, 0.108866211, 0.0036084392], abs=5e-7)
    weights = confidence.weight(DEFAULT, reliable, sure, deep, age, hops)
    assert weights.tolist() == pytest.approx([0.5223303380, 0.1089838084, 0.0039625593], abs=5e-11)
    ratio = np.array([[1.00e-6, 1.02e-6, 1.60e-6]])
    table = confidence.Table(np.array([3]), ratio, weights[None, :], liquid[None, :], np.zeros((1, 3)))
    priced = confidence.price(DEFAULT, table, 0.99)
    assert priced.keep.tolist() == [[True, True, False]]
    assert priced.ratio[0] == pytest.approx(1.0034526015e-06, rel=1e-10)
    assert priced.variation[0] == pytest.approx(0.0075325362, abs=5e-11)
    assert priced.confidence[0] == pytest.approx(0.6834171157, abs=5e-11)
    assert priced.kept[0] == 2


def test_two_sources_of_the_anchor() -> None:
    agreed = agree([SourcePrice("kraken", 100300, 2), SourcePrice("coingecko", 100000, 1)])
    assert agreed is not None
    assert agreed.price == pytest.approx(100100)
    assert agreed.confidence == pytest.approx(0.9850149850, abs=5e-11)
    assert agreed.sources == ("coingecko", "kraken")


def test_decimals_are_taken_out_of_rates() -> None:
    assert units(1500000, 6) / units(150000000, 8) == 1.0


def chain(pools: int) -> Pricer:
    tokens = [Token(f"SP.t{n}", f"T{n}", "", 6) for n in range(pools + 1)]
    made = [Pool(f"p{n}", tokens[n].id, tokens[n + 1].id, 10**12, 10**12, 0.0, NOW_MS) for n in range(pools)]
    pricer = Pricer(Graph(tokens, made, tokens[0].id, LEGACY), [])
    pricer.reprice(NOW_MS, Anchor(1.0, 1.0))
    return pricer


def test_three_pools_reach_the_anchor_and_four_do_not() -> None:
    assert chain(3).ratio[3] == 1.0
    assert chain(4).ratio[4] == 0.0
    assert chain(4).kept[4] == 0
