"""Frames about floating profit: ``o`` with code 1 and ``b``, about once a second and account. Pure.

They are told beside the facts and never instead of one: an order that facts were just written about waits, so
that no floating frame overtakes the fact that it is open. The account's other orders and its balance do not
wait, however often it trades; once no facts are on their way any more they are told again, for a fact may
have come after a newer floating frame. At most so many accounts and orders are told in a second, in turn;
whose profit has not moved is passed over.

``note`` every turn, ``frames`` whenever they can be sent; ``lost`` when they could not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

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


class Frame(NamedTuple):
    """A push: about whom, where to, and its bytes."""

    login: int
    subject: str
    payload: bytes


class Floating:
    """See the module's text."""

    def __init__(self) -> None:
        self._told: dict[int, int] = {}  # login → floating profit as told last
        self._facts_s: dict[int, float] = {}  # login → when facts were last written about it
        self._orders_s: dict[int, float] = {}  # order → the same
        self._again: set[int] = set()  # logins told while facts were on their way
        self._next_s = 0.0
        self._from = 0  # the login to begin with
        # login → how many of its very many orders were told, and its profit when the first was
        self._passes: dict[int, tuple[int, int]] = {}

    def frames(self, floor: Floor, now_s: float) -> list[Frame]:
        """What is due now."""
        if now_s < self._next_s:
            return []
        self._next_s = now_s + EVERY_S
        self._facts_s = {login: at for login, at in self._facts_s.items() if now_s - at < _QUIET_S}
        self._orders_s = {order: at for order, at in self._orders_s.items() if now_s - at < _QUIET_S}
        due = self._due(floor)
        found: list[Frame] = []
        orders = 0
        for login in due[:ACCOUNTS_MAX]:
            if orders >= ORDERS_MAX:
                self._from = login
                break
            account = floor.accounts[login]
            market = floor.market_of(account)
            told = [
                trade
                for trade in self._part(account, floor.revaluer.profit(login))
                if trade.order not in self._orders_s
            ]
            if login in self._facts_s:
                self._again.add(login)
            else:
                self._again.discard(login)
            subject = TRADE_PUSH.at(login=login)
            for trade in told:
                orders += 1
                frame = encode(trade_frame(trade, account, market, Change.UPDATE.value))
                found.append(Frame(login, subject, frame))
            numbers = encode(balance_frame(account, floor.numbers(account)))
            found.append(Frame(login, BALANCE_PUSH.at(login=login), numbers))
        else:
            self._from = due[ACCOUNTS_MAX] if len(due) > ACCOUNTS_MAX else 0
        metrics.floating.inc(len(found))
        return found

    def lost(self, frames: Iterable[Frame]) -> None:
        """These could not be sent: their accounts are told again."""
        self._again.update(frame.login for frame in frames)

    def note(self, floor: Floor, decisions: Sequence[Decision], now_s: float) -> None:
        """Facts were written about these accounts and orders."""
        whole: set[int] = set()  # whose profit as told has every decision in it
        for account, outcome in decisions:
            login = account.login
            self._facts_s[login] = now_s
            for event in outcome.events:
                for trade in trades_of(event):
                    self._orders_s[trade.order] = now_s
            if not account.books:
                self._told.pop(login, None)
                self._passes.pop(login, None)
                self._again.discard(login)
            elif login not in self._told:
                self._told[login] = floor.revaluer.profit(login)
                whole.add(login)
            elif login not in whole:  # what opened was told with its profit by its fact
                profit = floor.revaluer.profit_of(account, _opened(outcome.events))
                self._told[login] += profit
                if login in self._passes:
                    told, before = self._passes[login]
                    self._passes[login] = told, before + profit

    def _part(self, account: Account, profit: int) -> list[Trade]:
        """The positions to tell now, a second's worth of them.

        Who is told in several parts is told again when its profit moved since the first.
        """
        login, held = account.login, list(account.positions())
        begin, before = self._passes.pop(login, (0, profit))
        part = held[begin : begin + ORDERS_MAX]
        if begin + len(part) < len(held):
            self._passes[login] = begin + len(part), before
        else:
            self._told[login] = before
        return part

    def _due(self, floor: Floor) -> list[int]:
        """Whose floating profit moved, ascending, beginning where the last second ended."""
        moved = sorted(
            login
            for login, account in floor.accounts.items()
            if account.books
            and (
                (profit := floor.revaluer.profit(login)) != self._told.setdefault(login, profit)
                or login in self._passes
                or (login in self._again and login not in self._facts_s)
            )
        )
        late = [login for login in moved if login >= self._from]
        return late + moved[: len(moved) - len(late)]


def _opened(events: Iterable[e.AccountEvent]) -> list[Trade]:
    return [event.trade for event in events if isinstance(event, e.TradeOpened | e.PendingActivated)]
