"""A twin on plain terms, with the few verbs that examples need."""

from __future__ import annotations

from typing import Any

from libs.common.messages.market import Group
from services.trading import commands as c
from services.trading.account import Numbers
from services.trading.draft import Outcome
from services.trading.position import Trade
from tests.unit.trading.engine.scenarios import SYMBOLS, Scenario, instrument
from tests.unit.trading.engine.twin import Twin

SPREADS = {"EURUSD": (110_000, 110_010), "USDJPY": (150_000, 150_010), "XAUUSD": (200_000, 200_030)}


class Stage(Twin):
    """One account; EURUSD 1.10000/1.10010, USDJPY 150.000/150.010 and XAUUSD 2000.00/2000.30 are quoted."""

    def __init__(
        self,
        *,
        currency: str = "USD",
        leverage: int = 100,
        deposit: int = 10_000_00,
        live: bool = False,
        group: dict[str, Any] | None = None,
        symbols: dict[str, dict[str, Any]] | None = None,
        quoted: dict[str, tuple[int, int]] | None = None,
    ) -> None:
        instruments = tuple(instrument(name, **(symbols or {}).get(name, {})) for name in SYMBOLS)
        rules = Group(group="demo", currency=currency, **(group or {}))
        super().__init__(Scenario(rules, instruments, currency, leverage, live, deposit))
        for symbol, (bid, ask) in (SPREADS if quoted is None else quoted).items():
            self.quote(symbol, bid, ask)
        if deposit:
            self.do(c.ChangeBalance(cmd=6, amount_minor=deposit))

    def buy(self, symbol: str = "EURUSD", volume: int = 100, **over: Any) -> Trade:
        """A filled buy."""
        return self.filled(c.OpenTrade(cmd=0, symbol=symbol, volume=volume, **over))

    def sell(self, symbol: str = "EURUSD", volume: int = 100, **over: Any) -> Trade:
        """A filled sell."""
        return self.filled(c.OpenTrade(cmd=1, symbol=symbol, volume=volume, **over))

    def pending(self, cmd: int, points: int, symbol: str = "EURUSD", volume: int = 100, **over: Any) -> Trade:
        """A pending order that was taken."""
        asked = c.PlacePending(cmd=cmd, symbol=symbol, volume=volume, open_points=points, **over)
        return self.trade(self.accepted(asked))

    def filled(self, asked: c.Input) -> Trade:
        """The trade of the first fact of an accepted command."""
        return self.trade(self.accepted(asked))

    def accepted(self, asked: c.Input) -> Outcome:
        """The outcome of a command that must not be refused."""
        outcome = self.do(asked)
        assert outcome.refusal is None, outcome.refusal
        return outcome

    def refused(self, asked: c.Input) -> tuple[str, int]:
        """Code and HTTP status of a command that must be refused, and changes nothing."""
        before = self.account
        outcome = self.do(asked)
        assert outcome.refusal is not None, outcome.events
        assert outcome.account == before
        assert outcome.events == ()
        return outcome.refusal.code, outcome.refusal.http_status

    @staticmethod
    def trade(outcome: Outcome) -> Trade:
        """The trade of the first fact."""
        trade: Trade = outcome.events[0].trade  # type: ignore[union-attr]
        return trade

    @property
    def numbers(self) -> Numbers:
        """The account's numbers now."""
        numbers = self.do(c.OnClock()).numbers
        assert numbers is not None
        return numbers
