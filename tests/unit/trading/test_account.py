"""The numbers of an account, by the contract's own examples."""

from __future__ import annotations

from fractions import Fraction

import pytest

from services.trading.account import Position, numbers


def test_an_account_without_positions_is_free_and_has_no_level() -> None:
    found = numbers(1_000_000, 0)
    assert (found.equity_minor, found.margin_free_minor, found.margin_minor) == (1_000_000, 1_000_000, 0)
    assert (found.margin_level, found.level) == (0.0, Fraction(0))


def test_equity_is_balance_credit_profit_swap_and_commission() -> None:
    # Broker 4.4: 1500 - 12.5 - 3.2 = 1484.3
    found = numbers(150_000, 0, Position(storage_minor=-1_250, commission_minor=-320, margin_minor=25_000))
    assert found.equity_minor == 148_430
    assert found.margin_level == 593.72
    assert found.margin_free_minor == 123_430


@pytest.mark.parametrize(
    ("mode", "profit", "free"),
    [
        (0, 500, 9_000),
        (1, 500, 9_500),
        (1, -500, 8_500),
        (2, 500, 9_500),
        (2, -500, 9_000),
        (3, 500, 9_000),
        (3, -500, 8_500),
    ],
)
def test_free_margin_counts_floating_profit_as_the_group_says(mode: int, profit: int, free: int) -> None:
    position = Position(profit_minor=profit, margin_minor=1_000)
    assert numbers(9_000, 1_000, position, margin_mode=mode).margin_free_minor == free


def test_the_level_is_kept_unrounded_and_shown_with_two_decimals_half_away_from_zero() -> None:
    found = numbers(49_875, 0, Position(margin_minor=100_000))
    assert found.level == Fraction(49_875, 1_000)
    assert found.margin_level == 49.88
