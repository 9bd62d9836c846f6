"""Floating profit, equity and margin level of many accounts per tick, in numpy. Pure.

A ``Revaluer`` holds every open position of a partition in columns, one ``Stripe`` per symbol, group and
account currency, since those share terms, quotes and rates. A tick revalues the stripes it concerns
(those of the symbol, and those whose conversion goes through it) and names the accounts whose margin
level may have crossed a threshold.

numpy proposes, exact arithmetic decides. Profits are exact: integers where they fit 64 bits, else a
double whose rounding is checked and, near a tie, done again in exact integers. Thresholds are doubles
with a tolerance, so an account at the boundary is always named; ``risk.py`` then decides on exact
numbers and may find nothing to do.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from math import gcd
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from services.trading import events as e
from services.trading.account import LEVEL_MARGIN_CALL, LEVEL_OK, LEVEL_STOP_OUT
from services.trading.equity import margin_of_book
from services.trading.exact import scale_of
from services.trading.instrument import Market
from services.trading.position import BUY, Trade
from services.trading.profit import Valuation, amount, valuation
from services.trading.risk import BY_MONEY
from services.trading.state import Account

Ints: TypeAlias = npt.NDArray[np.int64]
Doubles: TypeAlias = npt.NDArray[np.float64]

_FIRST = 64
_SAFE = 2**62
_EPSILON = 4e-15  # over the rounding errors of a product of doubles
_BOUNDARY = 1e-9


class Stripe:
    """The positions of one symbol, group and currency, in columns; a slot is free to move."""

    __slots__ = (
        "_bought",
        "_columns",
        "_cost",
        "_open",
        "_order",
        "_owners",
        "_reach",
        "_rows",
        "_slots",
        "_sold",
        "count",
        "currency",
        "market",
        "profit",
        "symbol",
        "worth",
    )

    def __init__(self, symbol: str, market: Market, currency: str) -> None:
        self.symbol = symbol
        self.market = market
        self.currency = currency
        self.count = 0
        self.worth: Valuation | None = None
        self._slots: dict[int, int] = {}
        self._owners: Ints | None = None
        self._reach = 1  # no volume and no open price is above these
        # Volumes are negative in ``_sold``, ``_cost`` is volume · open price.
        columns: list[Ints] = [np.zeros(_FIRST, np.int64) for _ in range(7)]
        self._order, self._rows, self._open, self._bought, self._sold, self._cost, self.profit = columns
        self._columns = columns

    def add(self, trade: Trade, row: int) -> int:
        """Take a position in; its profit at the last valuation."""
        slot = self.count
        if slot == len(self._order):
            for column in self._columns:  # in place: fresh memory for 100,000 positions costs 50 ms
                column.resize(slot + max(slot >> 3, _FIRST), refcheck=False)
        bought, sold = (trade.volume, 0) if trade.cmd == BUY else (0, -trade.volume)
        self._reach = max(self._reach, trade.volume, trade.open_points)
        safe = self._reach * self._reach < _SAFE
        cost = (bought + sold) * trade.open_points if safe else 0
        values = (trade.order, row, trade.open_points, bought, sold, cost)
        for column, value in zip(self._columns, values, strict=False):
            column[slot] = value
        self._slots[trade.order] = slot
        self.count += 1
        self._owners = None
        profit = self._exact(slot)
        self.profit[slot] = profit
        return profit

    def remove(self, order: int) -> int:
        """Give a position up; the profit it had."""
        slot, last = self._slots.pop(order), self.count - 1
        profit = int(self.profit[slot])
        if slot != last:
            for column in self._columns:
                column[slot] = column[last]
            self._slots[int(self._order[slot])] = slot
        self.count = last
        self._owners = None
        return profit

    def __contains__(self, order: int) -> bool:
        return order in self._slots

    def profit_of(self, order: int) -> int:
        """The floating profit of one position."""
        return int(self.profit[self._slots[order]])

    def revalue(self, sums: Ints) -> bool:
        """Value every position at the quotes of now and correct the accounts' ``sums``."""
        worth = self.worth_now() if self.count else None
        if worth is None or worth == self.worth:
            return False
        self.worth = worth
        fresh = self._profits(worth)
        n = self.count
        np.add.at(sums, self._rows[:n], fresh - self.profit[:n])
        self.profit[:n] = fresh
        return True

    def worth_now(self) -> Valuation | None:
        """The valuation at the quotes of now; None while one is missing."""
        terms = self.market.terms.get(self.symbol)
        tick = self.market.quotes.get(self.symbol)
        if terms is None or tick is None or tick.bid <= 0:
            return None
        return valuation(self.market, terms, tick, self.currency)

    def owners(self) -> Ints:
        """The rows of the accounts that have a position here."""
        if self._owners is None:
            self._owners = np.unique(self._rows[: self.count])
        return self._owners

    def _profits(self, worth: Valuation) -> Ints:
        n = self.count
        if 2 * max(self._reach, worth.ask) ** 2 >= _SAFE:
            return np.array([self._exact(slot) for slot in range(n)], np.int64)
        product = worth.bid * self._bought[:n] + worth.ask * self._sold[:n] - self._cost[:n]
        gain, loss = _lowest(worth.gain_num, worth.gain_den), _lowest(worth.loss_num, worth.loss_den)
        top = max(int(product.max(initial=0)), -int(product.min(initial=0)))
        if all(2 * top * number + of < _SAFE for number, of in (gain, loss)):
            if gain == loss:
                return _rounded(product, *gain)
            return np.where(product >= 0, _rounded(product, *gain), _rounded(product, *loss))
        return self._by_doubles(product, worth)

    def _by_doubles(self, product: Ints, worth: Valuation) -> Ints:
        rate = np.where(product >= 0, worth.gain_num / worth.gain_den, worth.loss_num / worth.loss_den)
        value = product * rate
        near = np.rint(value)
        doubt = np.abs(np.abs(value - near) - 0.5) <= np.maximum(np.abs(value), 1.0) * _EPSILON
        profits = near.astype(np.int64)
        for slot in np.flatnonzero(doubt):
            profits[slot] = self._exact(int(slot))
        return profits

    def _exact(self, slot: int) -> int:
        worth = self.worth
        if worth is None:
            return 0
        volume, opened = int(self._bought[slot]), int(self._open[slot])
        if volume:
            return amount(worth, worth.bid - opened, volume)
        return amount(worth, opened - worth.ask, -int(self._sold[slot]))


class Revaluer:
    """See the module's text. It is told every outcome of the engine, and every tick after its quotes."""

    def __init__(self) -> None:
        self._stripes: dict[tuple[str, str, str], Stripe] = {}
        self._concerned: dict[str, list[Stripe]] = {}
        self._row_of: dict[int, int] = {}
        self._logins = np.zeros(_FIRST, np.int64)
        self._money = np.zeros(_FIRST, np.int64)  # balance, credit, and fees of open positions
        self._profit = np.zeros(_FIRST, np.int64)
        self._margin = np.zeros(_FIRST, np.int64)
        self._call_at = np.full(_FIRST, -np.inf)
        self._stop_at = np.full(_FIRST, -np.inf)
        self._level = np.zeros(_FIRST, np.int64)

    # ── following the engine ──────────────────────────────────────────────────────────────────────

    def load(self, account: Account, market: Market) -> None:
        """Take in an account with everything it has open; it was not known before."""
        row = self._row(account.login)
        for trade in account.positions():
            self._add(trade, row, market, account.currency)
        self.settle(account, market)

    def follow(self, account: Account, events: Iterable[e.AccountEvent], market: Market) -> None:
        """What a decision did: ``account`` is the state after ``events``."""
        row = self._row(account.login)
        for event in events:
            match event:
                case e.TradeOpened(trade=trade) | e.PendingActivated(trade=trade):
                    self._add(trade, row, market, account.currency)
                case e.TradeClosed(trade=trade):
                    self._remove(trade, row, market, account.currency)
                case e.TradePartlyClosed(trade=trade, remainder=rest):
                    self._remove(trade, row, market, account.currency)
                    self._add(rest, row, market, account.currency)
                case e.AccountChanged():
                    self._move(account, row, market)
                case e.TradeCorrected(before=before, trade=trade) if account.position(trade.order):
                    self._remove(before, row, market, account.currency)
                    self._add(trade, row, market, account.currency)
        self.settle(account, market)

    def settle(self, account: Account, market: Market) -> None:
        """Take over what does not move with the quotes: money, fees, margin, thresholds, level."""
        row = self._row(account.login)
        fees = margin = 0
        for symbol, book in account.books.items():
            fees += book.storage + book.commission
            margin += margin_of_book(book, market, symbol)
        self._money[row] = account.balance_minor + account.credit_minor + fees
        self._margin[row] = margin
        self._level[row] = account.level_type
        rules = market.rules
        for column, (number, of) in (
            (self._call_at, rules.margin_call),
            (self._stop_at, rules.margin_stopout),
        ):
            if rules.margin_type == BY_MONEY:
                column[row] = number * scale_of(account.currency) / of
            else:
                column[row] = number * margin / (100 * of)
        if not margin:
            self._call_at[row] = -np.inf
            self._stop_at[row] = -0.5 if account.books else -np.inf

    def change_market(self, market: Market) -> None:
        """The terms or rules of a group changed: value its stripes by ``market`` from the next tick on.

        Its accounts' margins and thresholds may have changed too: ``settle`` each of them.
        """
        for stripe in self._stripes.values():
            if stripe.market.rules.group == market.rules.group:
                stripe.market = market
        self._concerned.clear()

    # ── following the market ──────────────────────────────────────────────────────────────────────

    def tick(self, symbol: str, groups: Collection[str] | None = None) -> list[int]:
        """A quote of ``symbol`` changed (for ``groups``; None is all): the logins to assess exactly."""
        touched: list[Ints] = []
        for stripe in self._stripes_of(symbol):
            own = groups is None or stripe.market.rules.group in groups
            if own and stripe.revalue(self._profit):
                touched.append(stripe.owners())
        if not touched:
            return []
        rows = touched[0] if len(touched) == 1 else np.unique(np.concatenate(touched))
        found: list[int] = self._logins[rows[self._crossing(rows)]].tolist()
        return found

    def profit(self, login: int) -> int:
        """The floating profit of an account."""
        return int(self._profit[self._row_of[login]])

    def equity(self, login: int) -> int:
        """The equity of an account."""
        row = self._row_of[login]
        return int(self._money[row] + self._profit[row])

    def margin(self, login: int) -> int:
        """The margin of an account."""
        return int(self._margin[self._row_of[login]])

    def profits(self, account: Account) -> dict[int, int]:
        """Order → floating profit of every position of an account."""
        group, currency = account.group, account.currency
        return {
            trade.order: self._stripes[symbol, group, currency].profit_of(trade.order)
            for symbol, book in account.books.items()
            for trade in book.positions
        }

    def profit_of(self, account: Account, trades: Iterable[Trade]) -> int:
        """The floating profit of some of an account's orders; what is not open any more has none."""
        found = 0
        for trade in trades:
            stripe = self._stripes.get((trade.symbol, account.group, account.currency))
            if stripe is not None and trade.order in stripe:
                found += stripe.profit_of(trade.order)
        return found

    def _crossing(self, rows: Ints) -> npt.NDArray[np.bool_]:
        """Which accounts may stand on another side of a threshold than their level says."""
        equity = (self._money[rows] + self._profit[rows]).astype(np.float64)
        call, stop, level = self._call_at[rows], self._stop_at[rows], self._level[rows]
        wide_call, wide_stop = _tolerance(call), _tolerance(stop)
        called = (level == LEVEL_OK) & (equity <= call + wide_call)
        eased = (level == LEVEL_MARGIN_CALL) & (equity >= call - wide_call)
        crossing: npt.NDArray[np.bool_] = (
            called | eased | (equity <= stop + wide_stop) | (level == LEVEL_STOP_OUT)
        )
        return crossing

    def _stripes_of(self, symbol: str) -> list[Stripe]:
        known = self._concerned.get(symbol)
        if known is None:
            known = self._concerned[symbol] = [
                stripe for stripe in self._stripes.values() if symbol in _sources(stripe)
            ]
        return known

    def _stripe(self, symbol: str, market: Market, currency: str) -> Stripe:
        key = (symbol, market.rules.group, currency)
        stripe = self._stripes.get(key)
        if stripe is None:
            stripe = self._stripes[key] = Stripe(symbol, market, currency)
            self._concerned.clear()
        return stripe

    def _add(self, trade: Trade, row: int, market: Market, currency: str) -> None:
        stripe = self._stripe(trade.symbol, market, currency)
        if not stripe.count:  # else the next tick values it with its neighbours, and judges them too
            stripe.worth = stripe.worth_now()
        self._profit[row] += stripe.add(trade, row)

    def _remove(self, trade: Trade, row: int, market: Market, currency: str) -> None:
        self._profit[row] -= self._stripe(trade.symbol, market, currency).remove(trade.order)

    def _move(self, account: Account, row: int, market: Market) -> None:
        """The account may have come to another group: its positions go to that group's stripes."""
        for trade in account.positions():
            home = self._stripe(trade.symbol, market, account.currency)
            for stripe in self._stripes.values():
                if stripe is not home and stripe.symbol == trade.symbol and trade.order in stripe:
                    self._profit[row] -= stripe.remove(trade.order)
                    self._add(trade, row, market, account.currency)
                    break

    def _row(self, login: int) -> int:
        row = self._row_of.get(login)
        if row is None:
            row = self._row_of[login] = len(self._row_of)
            if row == len(self._logins):
                self._grow()
            self._logins[row] = login
        return row

    def _grow(self) -> None:
        size = len(self._logins)
        names = ("_logins", "_money", "_profit", "_margin", "_call_at", "_stop_at", "_level")
        for name in names:
            column: npt.NDArray[Any] = getattr(self, name)
            setattr(self, name, np.concatenate([column, np.zeros(size, column.dtype)]))


def _rounded(product: Ints, number: int, of: int) -> Ints:
    """``exact.rounded`` of ``product`` · number / of, in 64-bit integers that are known to hold it."""
    if of == 1:
        return product * number
    size: Ints = (np.abs(product) * (2 * number) + of) // (2 * of)
    return np.where(product >= 0, size, -size)


def _lowest(number: int, of: int) -> tuple[int, int]:
    common = gcd(number, of)
    return number // common, of // common


def _tolerance(threshold: Doubles) -> Doubles:
    return np.where(np.isfinite(threshold), np.abs(threshold) * _BOUNDARY + 1e-6, 0.0)


def _sources(stripe: Stripe) -> frozenset[str]:
    """The symbols whose quotes move a stripe."""
    terms = stripe.market.terms.get(stripe.symbol)
    if terms is None:
        return frozenset()
    rates = stripe.market.conversion.symbols(terms.quote_currency, stripe.currency)
    return rates | {stripe.symbol}
