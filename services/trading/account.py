"""A margin account and its numbers. Pure; money is in minor units of the account's currency."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal

import msgspec

from services.trading.exact import rounded

LEVEL_OK = 0
LEVEL_MARGIN_CALL = 1
LEVEL_STOP_OUT = 2

# How a group counts floating profit in free margin (broker 9.3, margin_mode).
FLOATING_NOT = 0
FLOATING_ALL = 1
FLOATING_PROFIT = 2
FLOATING_LOSS = 3


# Where an account's orders are filled. There is paper only, and the type says so: an account of a live venue
# would be of another type, which neither the engine nor the rows of these accounts would take.
Venue = Literal["paper"]
PAPER: Final = "paper"

# Who pulled an account's kill switch.
HALTED_NOT, HALTED_BY_OWNER, HALTED_BY_HOUSE = 0, 1, 2


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What an account allows itself at most; 0 is no limit.

    ``daily_loss_minor``: what the UTC day's closed trades and the open positions have lost together, in
    minor units; ``open_volume``: all open volume; ``orders_per_minute``: orders taken in sixty seconds.
    """

    daily_loss_minor: int = 0
    open_volume: int = 0
    orders_per_minute: int = 0


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class MarginAccount:
    """A trading account as trading knows it."""

    login: int
    person_id: int
    group: str
    currency: str
    leverage: int
    opened_ms: int


@dataclass(frozen=True, slots=True)
class Position:
    """What open positions add up to: floating profit, swap and commission (signed, cost negative), margin."""

    profit_minor: int = 0
    storage_minor: int = 0
    commission_minor: int = 0
    margin_minor: int = 0


FLAT = Position()


class Numbers(msgspec.Struct, frozen=True):
    """The numbers of an account (broker 4.2)."""

    balance_minor: int
    credit_minor: int
    profit_minor: int
    commission_minor: int
    storage_minor: int
    margin_minor: int
    margin_free_minor: int
    equity_minor: int
    level_type: int

    @property
    def level(self) -> Fraction:
        """The margin level in percent, unrounded; 0 without margin."""
        if not self.margin_minor:
            return Fraction(0)
        return Fraction(self.equity_minor * 100, self.margin_minor)

    @property
    def margin_level(self) -> float:
        """The level for display: two decimals."""
        return self.level_hundredths / 100

    @property
    def level_hundredths(self) -> int:
        """The level in hundredths of a percent, rounded; 0 without margin."""
        return rounded(self.equity_minor * 10_000, self.margin_minor) if self.margin_minor else 0


def numbers(
    balance_minor: int,
    credit_minor: int,
    position: Position = FLAT,
    *,
    margin_mode: int = FLOATING_ALL,
    level_type: int = LEVEL_OK,
) -> Numbers:
    """Equity, free margin and level by the formulas of broker 4.4 and 9.3."""
    floating = position.profit_minor + position.storage_minor + position.commission_minor
    equity = balance_minor + credit_minor + floating
    counted = 0
    if margin_mode == FLOATING_ALL:
        counted = floating
    elif margin_mode == FLOATING_PROFIT:
        counted = max(floating, 0)
    elif margin_mode == FLOATING_LOSS:
        counted = min(floating, 0)
    margin = position.margin_minor
    return Numbers(
        balance_minor=balance_minor,
        credit_minor=credit_minor,
        profit_minor=position.profit_minor,
        commission_minor=position.commission_minor,
        storage_minor=position.storage_minor,
        margin_minor=margin,
        margin_free_minor=balance_minor + credit_minor + counted - margin,
        equity_minor=equity,
        level_type=level_type,
    )
