"""Random operations and gapping quotes on the engine and its oracle: equal to the cent at every step."""

from __future__ import annotations

import msgspec
import pytest

from services.trading.order_map import EMPTY
from services.trading.state import fold, restored
from tests.unit.trading.engine.walk import Walk

SHORT_SEEDS = range(24)
SHORT_STEPS = 500
LONG_SEEDS = 2_000
LONG_STEPS = 500


def walk(seed: int, steps: int) -> Walk:
    """Walk ``steps`` steps; the seed is in the message of whatever goes wrong."""
    walked = Walk(seed)
    for number in range(steps):
        try:
            walked.step()
        except Exception as cause:
            raise AssertionError(f"seed {seed}, step {number}") from cause
    return walked


@pytest.mark.parametrize("seed", SHORT_SEEDS)
def test_a_seeded_walk_agrees_with_the_oracle(seed: int) -> None:
    walked = walk(seed, SHORT_STEPS)
    account = walked.twin.account
    assert fold(walked.twin.history) == account
    stored = msgspec.structs.replace(account, books={}, pendings=EMPTY)
    assert restored(stored, [*account.positions(), *account.pendings]) == account


@pytest.mark.soak
def test_a_million_operations_agree_with_the_oracle() -> None:
    for seed in range(1_000, 1_000 + LONG_SEEDS):
        walked = walk(seed, LONG_STEPS)
        assert fold(walked.twin.history) == walked.twin.account, f"seed {seed}"
