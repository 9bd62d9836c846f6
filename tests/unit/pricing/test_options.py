"""What can be switched on: pools counted once in the confidence, fees taken off the rates."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from libs.common.config import load
from libs.common.errors import ConfigInvalid
from services.pricing.config import PricingConfig
from services.pricing.graph import Graph
from services.pricing.pricer import Anchor, Pricer
from services.pricing.rules import Rules
from services.pricing.tokens import Pool, Token
from tests.unit.pricing.worlds import NOW_MS, moved, world

REQUIRED = {"DATABASE_URL": "postgresql://nowhere/x", "NATS_URL": "nats://nowhere"}
ANCHOR = Anchor(100.0, 0.9)
FEE = 0.003


def rules_of(**settings: str) -> Rules:
    given = {f"TRADEWIND_{name}": value for name, value in settings.items()}
    return load(PricingConfig, {**REQUIRED, **given}).rules


def test_both_are_off_unless_they_are_switched_on() -> None:
    assert (rules_of().unique_pools, rules_of().fee_aware) == (False, False)
    assert rules_of(UNIQUE_POOLS="on") == replace(Rules(), unique_pools=True)
    assert rules_of(FEE_AWARE="on", UNIQUE_POOLS="off") == replace(Rules(), fee_aware=True)
    for name in ("UNIQUE_POOLS", "FEE_AWARE"):
        with pytest.raises(ConfigInvalid, match=name):
            rules_of(**{name: "maybe"})


def fork(rules: Rules) -> tuple[float, float]:
    """Ratio and confidence of X, which reaches the anchor through one pool and then two parallel ones:
    10,000 USD a side each, so 0.01 anchors per X."""
    tokens = [Token("SP.a", "A", "", 6), Token("SP.m", "M", "", 6), Token("SP.x", "X", "", 6)]
    unit = 10**6
    pools = [
        Pool("first", "SP.x", "SP.m", 10_000 * unit, 1_000 * unit, FEE, NOW_MS),
        Pool("left", "SP.m", "SP.a", 1_000 * unit, 100 * unit, FEE, NOW_MS),
        Pool("right", "SP.m", "SP.a", 1_000 * unit, 100 * unit, FEE, NOW_MS),
    ]
    pricer = Pricer(Graph(tokens, pools, "SP.a", rules), [])
    pricer.reprice(NOW_MS, ANCHOR)
    return float(pricer.ratio[2]), float(pricer.confidence[2])


def test_a_shared_pool_counts_once_in_the_confidence() -> None:
    several, once = fork(Rules()), fork(Rules(unique_pools=True))
    assert several[0] == once[0] == pytest.approx(0.01)

    def sure(liquidity: float) -> float:
        return (0.4 + 0.4 * liquidity / 100_000 + 0.2 * 2 / 3) * ANCHOR.confidence

    assert several[1] == pytest.approx(sure(40_000))
    assert once[1] == pytest.approx(sure(30_000))


def test_every_pool_of_a_path_takes_its_fee_off_the_rate() -> None:
    assert fork(Rules(fee_aware=True))[0] == pytest.approx(0.01 * (1 - FEE) ** 2)


@pytest.mark.parametrize("rules", [Rules(unique_pools=True), Rules(fee_aware=True)])
def test_updates_still_equal_a_whole_repricing(rules: Rules) -> None:
    pricer, pools = world(11, rules, tokens=30, pools=80)
    dice = random.Random(12)
    now = {pool.id: pool for pool in pools}
    for _ in range(40):
        changed = moved(dice, now[dice.choice(sorted(now))], NOW_MS)
        now[changed.id] = changed
        pricer.update([changed])
    whole = Pricer(Graph(pricer.graph.tokens, now.values(), "SP.t00000", rules), [1])
    whole.reprice(NOW_MS, pricer.anchor)
    for column in ("ratio", "confidence", "variation", "kept"):
        assert np.array_equal(getattr(pricer, column), getattr(whole, column)), column
