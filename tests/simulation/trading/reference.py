"""What should have become of everything: the pure engine, every tick and second told to every account."""

from __future__ import annotations

from collections import defaultdict

from libs.common.messages.market import Group, Instrument
from services.trading import commands as c
from services.trading import events as e
from services.trading.conversion import Tick
from services.trading.draft import Outcome
from services.trading.engine import decide
from services.trading.instrument import Market, rules_of, terms_of
from services.trading.position import Trade
from services.trading.state import Account, fold


class Reference:
    """Accounts in the order of their logins; nothing is lost, nothing fails."""

    def __init__(self, group: Group, instruments: list[Instrument]) -> None:
        self.quotes: dict[str, Tick] = {}
        terms = [terms_of(group, instrument) for instrument in instruments]
        self.market = Market(rules_of(group), terms, self.quotes, live=False)
        self.accounts: dict[int, Account] = {}
        self.trades: dict[int, dict[int, Trade]] = defaultdict(dict)  # login → order → as it is now
        self.codes: dict[int, list[tuple[int, int]]] = defaultdict(list)  # login → (order, code) told
        self.notices: dict[int, int] = defaultdict(int)
        self._last = 0

    def open_account(self, login: int, leverage: int, deposit_minor: int, now_ms: int) -> None:
        """An account with its default deposit."""
        opened = e.AccountOpened(login=login, at_ms=now_ms, group="demo", currency="USD", leverage=leverage)
        self.accounts[login] = fold([opened])
        deposit = c.ChangeBalance(cmd=6, amount_minor=deposit_minor, comment="Default deposit")
        self.do(login, deposit, now_ms)

    def do(self, login: int, asked: c.Input, now_ms: int) -> Outcome:
        """One decision."""
        outcome = decide(self.accounts[login], asked, self.market, now_ms, self._take)
        self.accounts[login] = outcome.account
        for event in outcome.events:
            self._note(login, event)
        return outcome

    def tick(self, symbol: str, bid: int, ask: int, now_ms: int) -> None:
        """A price, told to everybody."""
        self.quotes[symbol] = Tick(bid, ask, now_ms)
        for login in self.accounts:
            self.do(login, c.OnQuote(symbol=symbol), now_ms)

    def clock(self, now_ms: int) -> None:
        """The time, told to everybody."""
        for login in self.accounts:
            self.do(login, c.OnClock(), now_ms)

    def _take(self) -> int:
        self._last += 1
        return self._last

    def _note(self, login: int, event: e.AccountEvent) -> None:
        if isinstance(event, e.MarginCalled | e.StoppedOut | e.TradeRejected):
            self.notices[login] += 1
        trade: Trade | None = getattr(event, "trade", None)
        if trade is None:
            return
        self.trades[login][trade.order] = trade
        if event.code is not None:
            self.codes[login].append((trade.order, event.code))
        if isinstance(event, e.TradePartlyClosed):
            self.trades[login][event.remainder.order] = event.remainder
            self.codes[login].append((event.remainder.order, 0))
