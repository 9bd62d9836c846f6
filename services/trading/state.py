"""The state of a trading account, and how facts change it: state = fold(events). Pure.

An ``Account`` is a value: ``apply`` gives a new one and shares what did not change. Positions are kept
by symbol in a ``Book`` with the sums that the account's numbers need, so that reading them costs by
the symbols, not by the positions; each book remembers its floating profit at the last valuation it
was asked for, which is a memory, not a part of the value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

import msgspec

from libs.common.errors import invariant
from libs.common.sessions import day_of
from services.trading import events as e
from services.trading.account import NO_LIMITS, PAPER, Limits, Venue
from services.trading.order_map import EMPTY, OrderMap
from services.trading.position import BALANCE_IN, BALANCE_OUT, BUY, FINANCE_CMDS, Trade
from services.trading.profit import Valuation, profit_of


class Book:
    """The open positions of an account on one symbol, with their sums."""

    __slots__ = (
        "_profit",
        "_worth",
        "buy_margin",
        "buy_volume",
        "commission",
        "positions",
        "sell_margin",
        "sell_volume",
        "storage",
    )

    def __init__(self) -> None:
        self.positions = EMPTY
        self.buy_volume = self.sell_volume = 0
        self.buy_margin = self.sell_margin = 0
        self.commission = self.storage = 0
        self._worth: Valuation | None = None
        self._profit = 0

    def changed(self, before: Trade | None, after: Trade | None) -> Book:
        """The book with ``before`` replaced by ``after``, either of which may be absent."""
        book = Book.__new__(Book)
        book.positions = self.positions
        book.buy_volume, book.sell_volume = self.buy_volume, self.sell_volume
        book.buy_margin, book.sell_margin = self.buy_margin, self.sell_margin
        book.commission, book.storage = self.commission, self.storage
        book._worth, book._profit = self._worth, self._profit
        if before is not None:
            book._count(before, -1)
            if after is None or after.order != before.order:
                book.positions = book.positions.without(before.order)
        if after is not None:
            book._count(after, 1)
            book.positions = book.positions.put(after)
        return book

    def profit(self, worth: Valuation) -> int:
        """The floating profit of all positions, each rounded."""
        if worth != self._worth:
            self._profit = sum([profit_of(trade, worth) for trade in self.positions])
            self._worth = worth
        return self._profit

    def volume_of(self, side: int) -> int:
        """The volume that is open on one side."""
        return self.buy_volume if side == BUY else self.sell_volume

    def _count(self, trade: Trade, sign: int) -> None:
        if trade.cmd == BUY:
            self.buy_volume += sign * trade.volume
            self.buy_margin += sign * trade.margin_minor
        else:
            self.sell_volume += sign * trade.volume
            self.sell_margin += sign * trade.margin_minor
        self.commission += sign * trade.commission_minor
        self.storage += sign * trade.storage_minor
        if self._worth is not None:
            self._profit += sign * profit_of(trade, self._worth)

    def __len__(self) -> int:
        return len(self.positions)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Book) and self.positions == other.positions

    __hash__ = None  # type: ignore[assignment]


_NO_BOOK = Book()


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A trading account as the engine sees it. ``level_type``: 0 OK, 1 margin call, 2 stop-out.

    ``day_net_minor`` is what the trades closed on the UTC ``day`` came to, ``recent_ms`` the times of the
    last orders taken: both are kept only from when ``limits`` look at them.
    """

    login: int
    group: str
    currency: str
    leverage: int
    enabled: bool = True
    read_only: bool = False
    balance_minor: int = 0
    credit_minor: int = 0
    level_type: int = 0
    rolled_day: int = 0
    limits: Limits = NO_LIMITS
    halted: int = 0
    fill_profile: str = ""
    venue: Venue = PAPER
    day: int = 0
    day_net_minor: int = 0
    recent_ms: tuple[int, ...] = ()
    books: Mapping[str, Book] = {}
    pendings: OrderMap = EMPTY

    def book(self, symbol: str) -> Book:
        """The positions on a symbol; an empty book when there are none."""
        return self.books.get(symbol, _NO_BOOK)

    def position(self, order: int) -> Trade | None:
        """An open position by its number."""
        for book in self.books.values():
            found = book.positions.get(order)
            if found is not None:
                return found
        return None

    def positions(self) -> Iterator[Trade]:
        """Every open position, in no stated order."""
        for book in self.books.values():
            yield from book.positions

    @property
    def position_count(self) -> int:
        """How many positions are open."""
        return sum(map(len, self.books.values()))

    def day_net(self, at_ms: int) -> int:
        """What the trades closed on the UTC day of ``at_ms`` came to."""
        return self.day_net_minor if self.day == day_of(at_ms) else 0

    @property
    def is_idle(self) -> bool:
        """Whether nothing is open and nothing waits."""
        return not self.books and not self.pendings


def fold(events: Iterable[e.AccountEvent]) -> Account:
    """The state that a history of facts leads to; it starts with ``AccountOpened``."""
    account: Account | None = None
    for event in events:
        account = apply(account, event)
    invariant(account is not None, "a history starts with the opening of its account")
    return cast(Account, account)


def restored(account: Account, trades: Iterable[Trade]) -> Account:
    """A stored account with its stored open positions and pending orders: the state to go on from.

    ``account`` carries what its row keeps: money, level, ``rolled_day`` and flags, but no orders.
    """
    books, pendings = dict(account.books), account.pendings
    for trade in trades:
        if trade.is_pending:
            pendings = pendings.put(trade)
        else:
            books[trade.symbol] = books.get(trade.symbol, _NO_BOOK).changed(None, trade)
    return msgspec.structs.replace(account, books=books, pendings=pendings)


def apply(account: Account | None, event: e.AccountEvent) -> Account:
    """The state after one fact."""
    if isinstance(event, e.AccountOpened):
        return Account(login=event.login, group=event.group, currency=event.currency, leverage=event.leverage)
    if account is None or account.login != event.login:
        invariant(False, f"a fact of login {event.login} met another account")
    return _FOLDS[type(event)](cast(Account, account), event)


def _with(account: Account, before: Trade | None, after: Trade | None) -> dict[str, Book]:
    """The account's books with a position replaced, made or taken out."""
    symbol = cast(Trade, after or before).symbol
    book = account.book(symbol).changed(before, after)
    books = dict(account.books)
    if book:
        books[symbol] = book
    else:
        del books[symbol]
    return books


def _day(account: Account, event: Any) -> int:
    """The last day dealt with: an idle account has nothing that an earlier day's end concerns."""
    return day_of(event.at_ms) if account.is_idle else account.rolled_day


def _held(account: Account, order: int) -> Trade:
    trade = account.position(order)
    invariant(trade is not None, f"order {order} is open")
    return cast(Trade, trade)


def _account_changed(account: Account, event: Any) -> Account:
    return msgspec.structs.replace(
        account,
        group=event.group,
        leverage=event.leverage,
        enabled=event.enabled,
        read_only=event.read_only,
    )


def _limited(account: Account, event: Any) -> Account:
    return msgspec.structs.replace(
        account, limits=event.limits, halted=event.halted, fill_profile=event.fill_profile
    )


def _opened(account: Account, event: Any) -> Account:
    return msgspec.structs.replace(
        account,
        rolled_day=_day(account, event),
        recent_ms=_recent(account, event),
        books=_with(account, None, event.trade),
    )


def _rejected(account: Account, event: Any) -> Account:
    return msgspec.structs.replace(account, recent_ms=_recent(account, event))


def _recent(account: Account, event: Any) -> tuple[int, ...]:
    """The times of the newest orders, as many as the limit looks at."""
    most = account.limits.orders_per_minute
    return (*account.recent_ms, event.at_ms)[-most:] if most else ()


def _position_changed(account: Account, event: Any) -> Account:
    before = _held(account, event.trade.order)
    return msgspec.structs.replace(account, books=_with(account, before, event.trade))


def _placed(account: Account, event: Any) -> Account:
    return msgspec.structs.replace(
        account,
        rolled_day=_day(account, event),
        recent_ms=_recent(account, event),
        pendings=account.pendings.put(event.trade),
    )


def _pending_changed(account: Account, event: Any) -> Account:
    return msgspec.structs.replace(account, pendings=account.pendings.put(event.trade))


def _pending_gone(account: Account, event: Any) -> Account:
    return msgspec.structs.replace(account, pendings=account.pendings.without(event.trade.order))


def _activated(account: Account, event: Any) -> Account:
    return msgspec.structs.replace(
        account,
        pendings=account.pendings.without(event.trade.order),
        books=_with(account, None, event.trade),
    )


def _closed(account: Account, event: Any) -> Account:
    return _settled(account, event, _held(account, event.trade.order), None)


def _settled(account: Account, event: Any, before: Trade, after: Trade | None) -> Account:
    net, day, of_day = event.trade.net_minor, account.day, account.day_net_minor
    if account.limits.daily_loss_minor:
        day = day_of(event.at_ms)
        of_day = net + account.day_net(event.at_ms)
    return msgspec.structs.replace(
        account,
        balance_minor=account.balance_minor + net,
        day=day,
        day_net_minor=of_day,
        books=_with(account, before, after),
    )


def _partly_closed(account: Account, event: Any) -> Account:
    return _settled(account, event, _held(account, event.trade.order), event.remainder)


def _corrected(account: Account, event: Any) -> Account:
    before, after = event.before, event.trade
    if account.pendings.get(before.order) is not None:
        return _pending_changed(account, event)
    if account.position(before.order) is not None:
        return _position_changed(account, event)
    return _money(account, after.cmd, after.net_minor - before.net_minor)


def _balance_changed(account: Account, event: Any) -> Account:
    return _money(account, event.trade.cmd, event.trade.profit_minor)


def _money(account: Account, cmd: int, amount_minor: int) -> Account:
    if cmd not in FINANCE_CMDS or cmd in (BALANCE_IN, BALANCE_OUT):
        return msgspec.structs.replace(account, balance_minor=account.balance_minor + amount_minor)
    return msgspec.structs.replace(account, credit_minor=account.credit_minor + amount_minor)


def _level(level_type: int) -> Callable[[Account, Any], Account]:
    return lambda account, event: msgspec.structs.replace(account, level_type=level_type)


_FOLDS: dict[type[e.Event], Callable[[Account, Any], Account]] = {
    e.AccountChanged: _account_changed,
    e.AccountLimited: _limited,
    e.TradeOpened: _opened,
    e.OrderRejected: _rejected,
    e.PendingPlaced: _placed,
    e.PendingActivated: _activated,
    e.ActivationDeferred: _pending_changed,
    e.PendingModified: _pending_changed,
    e.PendingCancelled: _pending_gone,
    e.PendingExpired: _pending_gone,
    e.TradeModified: _position_changed,
    e.SwapCharged: _position_changed,
    e.DayRolled: lambda account, event: msgspec.structs.replace(account, rolled_day=event.day),
    e.TradeClosed: _closed,
    e.TradePartlyClosed: _partly_closed,
    e.TradeCorrected: _corrected,
    e.BalanceChanged: _balance_changed,
    e.TradeRejected: lambda account, event: account,
    e.MarginCalled: _level(1),
    e.StoppedOut: _level(2),
    e.LevelEased: lambda account, event: msgspec.structs.replace(account, level_type=event.level_type),
}
