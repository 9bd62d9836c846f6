"""Frames about floating profit: ``o`` with code 1 and ``b``, about once a second and account. Pure.

They are told beside the facts and never instead of one: an account that facts were just written about waits,
so that no floating frame overtakes the fact that its order is open or closed. At most so many accounts and
orders are told in a second, in turn; whose profit has not moved is passed over.
"""

from __future__ import annotations

from collections.abc import Sequence

from libs.common.bus import encode
from libs.common.subjects import BALANCE_PUSH, TRADE_PUSH
from services.trading import metrics
from services.trading.floor import Decision, Floor
from services.trading.frames import balance_frame, trade_frame
from services.trading.position import Trade
from services.trading.state import Account
from services.trading.trades import Change

EVERY_S = 1.0
ACCOUNTS_MAX = 200  # of one second
ORDERS_MAX = 500
_QUIET_S = 1.0  # after a fact of the account


class Floating:
    """See the module's text."""

    def __init__(self) -> None:
        self._told: dict[int, int] = {}  # login → floating profit as told last
        self._facts_s: dict[int, float] = {}
        self._next_s = 0.0
        self._from = 0  # the login to begin with
        self._places: dict[int, int] = {}  # login → how many of its very many orders were told

    def frames(self, floor: Floor, decisions: Sequence[Decision], now_s: float) -> list[tuple[str, bytes]]:
        """(subject, frame) of what is due now."""
        for account, _ in decisions:
            self._facts_s[account.login] = now_s
            if account.books:
                self._told[account.login] = floor.revaluer.profit(account.login)
        if now_s < self._next_s:
            return []
        self._next_s = now_s + EVERY_S
        self._facts_s = {login: at for login, at in self._facts_s.items() if now_s - at < _QUIET_S}
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
            if is_whole:  # else the rest is due in the next second, whether prices move or not
                self._told[login] = floor.revaluer.profit(login)
            subject = TRADE_PUSH.at(login=login)
            for trade in part:
                orders += 1
                found.append((subject, encode(trade_frame(trade, account, market, Change.UPDATE.value))))
            numbers = floor.numbers(account)
            found.append((BALANCE_PUSH.at(login=login), encode(balance_frame(account, numbers))))
        else:
            self._from = due[ACCOUNTS_MAX] if len(due) > ACCOUNTS_MAX else 0
        metrics.floating.inc(len(found))
        return found

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
            and login not in self._facts_s
            and (profit := floor.revaluer.profit(login)) != self._told.setdefault(login, profit)
        )
        late = [login for login in moved if login >= self._from]
        return late + moved[: len(moved) - len(late)]
