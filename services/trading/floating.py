"""Frames about floating profit: ``o`` with code 1 and ``b``, about once a second and account. Pure.

They are told beside the facts and never instead of one: an order that facts were just written about waits, so
that no floating frame overtakes the fact that it is open. The account's other orders and its balance do not
wait, however often it trades; once no facts are on their way any more they are told again, for a fact may
have come after a newer floating frame. At most so many accounts and orders are told in a second, in turn;
whose profit has not moved is passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from libs.common.bus import encode
from libs.common.subjects import BALANCE_PUSH, TRADE_PUSH
from services.trading import events as e
from services.trading import metrics
from services.trading.floor import Decision, Floor, trades_of
from services.trading.frames import balance_frame, trade_frame
from services.trading.position import Trade
from services.trading.state import Account
from services.trading.trades import Change

EVERY_S = 1.0
ACCOUNTS_MAX = 200  # of one second
ORDERS_MAX = 500
_QUIET_S = 1.0  # after a fact of the order


class Floating:
    """See the module's text."""

    def __init__(self) -> None:
        self._told: dict[int, int] = {}  # login → floating profit as told last
        self._facts_s: dict[int, float] = {}  # login → when facts were last written about it
        self._orders_s: dict[int, float] = {}  # order → the same
        self._again: set[int] = set()  # logins told while facts were on their way
        self._next_s = 0.0
        self._from = 0  # the login to begin with
        self._places: dict[int, int] = {}  # login → how many of its very many orders were told

    def frames(self, floor: Floor, decisions: Sequence[Decision], now_s: float) -> list[tuple[str, bytes]]:
        """(subject, frame) of what is due now."""
        self._note(floor, decisions, now_s)
        if now_s < self._next_s:
            return []
        self._next_s = now_s + EVERY_S
        self._facts_s = {login: at for login, at in self._facts_s.items() if now_s - at < _QUIET_S}
        self._orders_s = {order: at for order, at in self._orders_s.items() if now_s - at < _QUIET_S}
        due = self._due(floor)
        found: list[tuple[str, bytes]] = []
        orders = 0
        for login in due[:ACCOUNTS_MAX]:
            if orders >= ORDERS_MAX:
                self._from = login
                break
            account = floor.accounts[login]
            market = floor.market_of(account)
            part, is_whole = self._part(account)
            told = [trade for trade in part if trade.order not in self._orders_s]
            if is_whole and len(told) == len(part):  # else the rest is due next, whether prices move or not
                self._told[login] = floor.revaluer.profit(login)
            if login in self._facts_s:
                self._again.add(login)
            else:
                self._again.discard(login)
            subject = TRADE_PUSH.at(login=login)
            for trade in told:
                orders += 1
                found.append((subject, encode(trade_frame(trade, account, market, Change.UPDATE.value))))
            numbers = floor.numbers(account)
            found.append((BALANCE_PUSH.at(login=login), encode(balance_frame(account, numbers))))
        else:
            self._from = due[ACCOUNTS_MAX] if len(due) > ACCOUNTS_MAX else 0
        metrics.floating.inc(len(found))
        return found

    def _note(self, floor: Floor, decisions: Sequence[Decision], now_s: float) -> None:
        """Facts were written about these accounts and orders."""
        for account, outcome in decisions:
            login = account.login
            self._facts_s[login] = now_s
            for event in outcome.events:
                for trade in trades_of(event):
                    self._orders_s[trade.order] = now_s
            if not account.books:
                self._told.pop(login, None)
                self._again.discard(login)
            elif login in self._told:  # what opened was told with its profit by its fact
                self._told[login] += floor.revaluer.profit_of(account, _opened(outcome.events))
            else:
                self._told[login] = floor.revaluer.profit(login)

    def _part(self, account: Account) -> tuple[list[Trade], bool]:
        """The positions to tell now, a second's worth of them, and whether the account is through."""
        held = list(account.positions())
        begin = self._places.pop(account.login, 0)
        part = held[begin : begin + ORDERS_MAX]
        is_whole = begin + len(part) >= len(held)
        if not is_whole:
            self._places[account.login] = begin + len(part)
        return part, is_whole

    def _due(self, floor: Floor) -> list[int]:
        """Whose floating profit moved, ascending, beginning where the last second ended."""
        moved = sorted(
            login
            for login, account in floor.accounts.items()
            if account.books
            and (
                (profit := floor.revaluer.profit(login)) != self._told.setdefault(login, profit)
                or (login in self._again and login not in self._facts_s)
            )
        )
        late = [login for login in moved if login >= self._from]
        return late + moved[: len(moved) - len(late)]


def _opened(events: Iterable[e.AccountEvent]) -> list[Trade]:
    return [event.trade for event in events if isinstance(event, e.TradeOpened | e.PendingActivated)]
