"""Trades: the record of broker 9.1 and what its numbers mean. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Cmd(IntEnum):
    """What a trade is (broker 10.2)."""

    BUY = 0
    SELL = 1
    BUY_LIMIT = 2
    SELL_LIMIT = 3
    BUY_STOP = 4
    SELL_STOP = 5
    BALANCE_IN = 6
    CREDIT_IN = 7
    BALANCE_OUT = 8
    CREDIT_OUT = 9


class State(IntEnum):
    """Where a trade stands (broker 10.3)."""

    OPEN_NORMAL = 0
    OPEN_RESTORED = 2
    CLOSED_NORMAL = 3
    CLOSED_PART = 4
    CLOSED_BY = 5
    DELETED = 6


class Change(IntEnum):
    """What a push tells about its record (broker 10.7)."""

    ADD = 0
    UPDATE = 1
    DELETE = 2
    PENDING_ACTIVATED = 5
    TRADE_CLOSED = 6


@dataclass(frozen=True, slots=True)
class FinanceTrade:
    """A balance or credit operation in the list of trades; its profit is the amount."""

    order: int
    login: int
    cmd: Cmd
    amount_minor: int
    comment: str
    booked_ms: int
