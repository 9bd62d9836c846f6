"""What one decision has come to so far: the facts decided, and the account after them. Pure.

A draft lives for one call of ``engine.decide`` and is the only thing in the engine that changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from libs.common.errors import AppError
from services.trading.account import Numbers
from services.trading.equity import numbers_of
from services.trading.events import AccountEvent
from services.trading.instrument import Market
from services.trading.state import Account, apply


class Failure(NamedTuple):
    """One order of a group operation that was refused."""

    order: int
    error: AppError


class Outcome(NamedTuple):
    """A decision: facts in order, the account after them, its numbers (None while one position has no
    price), why a command was refused, and for a group operation how many orders matched and which failed.

    A refused command may come with facts: days that ended, and what they led to, happened all the same.
    """

    account: Account
    events: tuple[AccountEvent, ...]
    numbers: Numbers | None
    refusal: AppError | None
    matched: int
    failures: tuple[Failure, ...]


class Draft:
    """See the module's text. ``take_order`` gives the next order number."""

    __slots__ = (
        "_foreseen",
        "_numbers",
        "_numbers_of",
        "account",
        "events",
        "failures",
        "market",
        "matched",
        "now_ms",
        "refusal",
        "take_order",
    )

    def __init__(self, account: Account, market: Market, now_ms: int, take_order: Callable[[], int]) -> None:
        self.account = account
        self.market = market
        self.now_ms = now_ms
        self.take_order = take_order
        self.events: list[AccountEvent] = []
        self.refusal: AppError | None = None
        self.matched = 0
        self.failures: list[Failure] = []
        self._numbers: Numbers | None = None
        self._numbers_of: Account | None = None
        self._foreseen: tuple[AccountEvent, Account] | None = None

    def branch(self) -> Draft:
        """A draft to try things on from here; its facts count when they are recorded in this one."""
        return Draft(self.account, self.market, self.now_ms, self.take_order)

    def foresee(self, event: AccountEvent) -> Numbers | None:
        """The numbers the account would have with one more fact, which may be recorded next."""
        after = apply(self.account, event)
        self._foreseen = event, after
        return numbers_of(after, self.market)

    def record(self, event: AccountEvent) -> None:
        """A fact: it is in force for what is decided next."""
        foreseen, self._foreseen = self._foreseen, None
        if foreseen is not None and foreseen[0] is event:
            self.account = foreseen[1]
        else:
            self.account = apply(self.account, event)
        self.events.append(event)

    def numbers(self) -> Numbers | None:
        """The account's numbers after everything recorded; computed once per state."""
        if self._numbers_of is not self.account:
            self._numbers = numbers_of(self.account, self.market)
            self._numbers_of = self.account
        return self._numbers

    def outcome(self) -> Outcome:
        """The finished decision."""
        return Outcome(
            self.account,
            tuple(self.events),
            self.numbers(),
            self.refusal,
            self.matched,
            tuple(self.failures),
        )
