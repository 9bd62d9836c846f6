"""Everything trading knows at a moment: accounts, markets, waiting levels, floating values. Pure.

The floor puts commands, quotes and the clock before the engine and takes over what it decides. It runs
ahead of the tables by what is not committed yet; whoever owns it throws it away and makes a new one when a
commit fails.

A quote is put before the accounts it may concern only: the owners of orders whose level it meets, and
those whose margin level may have crossed a threshold. The clock is put before accounts with an order that
expires, with a day that ended, and before those that are stopped out and could not be closed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from heapq import heappop, heappush
from typing import NamedTuple

from libs.common.errors import InternalError, ServiceUnavailable
from libs.common.sessions import day_of
from services.trading import commands as c
from services.trading.account import LEVEL_STOP_OUT, Numbers
from services.trading.armed import Armed, Place
from services.trading.conversion import Tick
from services.trading.draft import Outcome
from services.trading.engine import decide
from services.trading.equity import numbers_of
from services.trading.events import AccountChanged, AccountEvent
from services.trading.instrument import Market
from services.trading.markets import Markets
from services.trading.position import Trade
from services.trading.revalue import Revaluer
from services.trading.state import Account


class Undecided(InternalError):
    """The engine broke on this account; nothing was done."""


class Decision(NamedTuple):
    """What was decided for one account: the facts, and the account and its numbers after them."""

    account: Account
    outcome: Outcome


class Floor:
    """See the module's text. ``take_order`` gives the next order number of the house."""

    def __init__(self, markets: Markets, take_order: Callable[[], int]) -> None:
        self.markets = markets
        self.accounts: dict[int, Account] = {}
        self.owners: dict[int, int] = {}  # open or pending order → login
        self.revaluer = Revaluer()
        self.armed = Armed()
        self.defects: list[tuple[int, Exception]] = []  # accounts that could not be judged, and why
        self._take_order = take_order
        self._expiring: list[tuple[int, int]] = []  # (expiration ms, order)
        self._day = -1
        self._behind: set[int] = set()  # whose days that ended are not all dealt with
        self._stuck: set[int] = set()  # stopped out with something open

    # ── accounts ──────────────────────────────────────────────────────────────────────────────────

    def adopt(self, account: Account) -> None:
        """Take in an account as its tables say; one that is known stays as it is."""
        if account.login in self.accounts:
            return
        self.accounts[account.login] = account
        market = self.markets.of(account.group)
        if account.books and market is not None:
            self.revaluer.load(account, market)
        for trade in (*account.positions(), *account.pendings):
            self._watch(account, trade)
        self._mark(account)
        if not account.is_idle:
            self._behind.add(account.login)

    def market_of(self, account: Account) -> Market:
        """The market of an account's group; refused while market has not told it."""
        market = self.markets.of(account.group)
        if market is None:
            raise ServiceUnavailable(f"group {account.group} is not known yet")
        return market

    def numbers(self, account: Account) -> Numbers:
        """The numbers of an account for display: a position without a price counts with no profit."""
        found = numbers_of(account, self.market_of(account), guess=True)
        if found is None:
            raise ServiceUnavailable("the account has no numbers")
        return found

    def regroup(self, changed: Iterable[str]) -> None:
        """The market of these groups is another one: profiles, terms and thresholds may have moved."""
        groups = set(changed)
        for name in groups:
            market = self.markets.of(name)
            if market is not None:
                self.revaluer.change_market(market)
        for account in self.accounts.values():
            if account.group in groups and not account.is_idle:
                self.revaluer.settle(account, self.market_of(account))
                for trade in (*account.positions(), *account.pendings):
                    self.armed.put(trade, self.markets.profile(account.group, trade.symbol))

    # ── deciding ──────────────────────────────────────────────────────────────────────────────────

    def decide(self, account: Account, asked: c.Input, now_ms: int) -> Decision:
        """Put a command before the engine and take over what it decides."""
        market = self.market_of(account)
        try:
            outcome = decide(account, asked, market, now_ms, self._take_order)
        except Exception as defect:  # nothing was taken over yet, so nobody else is concerned
            raise Undecided(f"{type(defect).__name__}: {defect}") from defect
        if outcome.events:
            self._follow(outcome.account, outcome.events)
        return Decision(outcome.account, outcome)

    def quote(self, place: Place, tick: Tick, now_ms: int) -> list[Decision]:
        """The price of a symbol in a profile is another one."""
        groups = self.markets.price(place, tick)
        symbol = place[1]
        concerned: dict[int, list[int]] = {}
        met = self.armed.move(place, tick)
        for order in met:
            concerned.setdefault(self.owners[order], []).append(order)
        if groups:
            for login in self.revaluer.tick(symbol, groups):
                concerned.setdefault(login, [])
        if not concerned:
            return []
        done = [
            decision
            for login in sorted(concerned)
            for decision in self._judge(
                login, c.OnQuote(symbol=symbol, orders=tuple(concerned[login])), now_ms
            )
        ]
        for order in met:
            self.armed.renew(order)
        return done

    def clock(self, now_ms: int) -> list[Decision]:
        """Time has passed."""
        due = self._expired(now_ms) | self._stuck
        today = day_of(now_ms)
        if today != self._day:
            self._day = today
            self._behind.update(a.login for a in self.accounts.values() if not a.is_idle)
        due |= self._behind
        done = [decision for login in sorted(due) for decision in self._judge(login, c.OnClock(), now_ms)]
        self._behind = {
            login
            for login in self._behind
            if not (account := self.accounts[login]).is_idle and account.rolled_day < today
        }
        return done

    def _judge(self, login: int, asked: c.Input, now_ms: int) -> Iterator[Decision]:
        """One account must not keep the others from their decisions."""
        try:
            decision = self.decide(self.accounts[login], asked, now_ms)
        except ServiceUnavailable:
            return
        except Exception as defect:
            self.defects.append((login, defect))
            return
        if decision.outcome.events:
            yield decision

    def _expired(self, now_ms: int) -> set[int]:
        found = set()
        while self._expiring and self._expiring[0][0] <= now_ms:
            _, order = heappop(self._expiring)
            login = self.owners.get(order)
            if login is not None:
                found.add(login)
        return found

    def _follow(self, account: Account, events: Iterable[AccountEvent]) -> None:
        self.accounts[account.login] = account
        market = self.market_of(account)
        self.revaluer.follow(account, events, market)
        for event in events:
            if isinstance(event, AccountChanged):
                for trade in (*account.positions(), *account.pendings):
                    self._watch(account, trade)
            for trade in trades_of(event):
                now = account.position(trade.order) or account.pendings.get(trade.order)
                if now is not None:
                    self._watch(account, now)
                else:
                    self.armed.drop(trade.order)
                    self.owners.pop(trade.order, None)
        self._mark(account)

    def _watch(self, account: Account, trade: Trade) -> None:
        self.owners[trade.order] = account.login
        self.armed.put(trade, self.markets.profile(account.group, trade.symbol))
        if trade.is_pending and trade.expiration_ms:
            heappush(self._expiring, (trade.expiration_ms, trade.order))

    def _mark(self, account: Account) -> None:
        if account.level_type == LEVEL_STOP_OUT and account.books:
            self._stuck.add(account.login)
        else:
            self._stuck.discard(account.login)


def trades_of(event: AccountEvent) -> tuple[Trade, ...]:
    """The orders a fact carries, as they are after it, in the order they are told."""
    trade = getattr(event, "trade", None)
    if trade is None:
        return ()
    rest = getattr(event, "remainder", None)
    return (trade,) if rest is None else (trade, rest)
