"""What staff do for a client, and what every fact posts to the ledger."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from services.trading import commands as c
from services.trading import events as e
from services.trading.draft import Outcome
from services.trading.engine import decide
from services.trading.ledger import Kind
from services.trading.position import Trade
from services.trading.postings import entry_of
from services.trading.state import apply, fold
from tests.unit.trading.engine.scenarios import START_MS
from tests.unit.trading.engine.stage import Stage


class Desk(Stage):
    """A stage whose account staff change, beside the oracle."""

    def staff(self, asked: c.Input) -> Outcome:
        """Decide and go on from there."""
        outcome = decide(self.account, asked, self.market, self.now_ms, self._take)
        self.account = outcome.account
        return outcome

    def code(self, asked: c.Input) -> tuple[str, int]:
        """The refusal of a staff command."""
        refusal = self.staff(asked).refusal
        assert refusal is not None
        return refusal.code, refusal.http_status


def trade_of(outcome: Outcome) -> Trade:
    assert outcome.refusal is None, outcome.refusal
    return Stage.trade(outcome)


def test_staff_open_at_a_stated_price_time_and_commission() -> None:
    desk = Desk(symbols={"EURUSD": {"comm_base": 7.0, "trade": 0}}, quoted={"EURUSD": (110_000, 110_010)})
    trade = trade_of(
        desk.staff(
            c.StaffOpen(
                cmd=0, symbol="EURUSD", volume=100, open_points=109_500, open_ms=START_MS - 5_000,
                commission_minor=-1_00, storage_minor=-12_00, sl_points=109_400, tp_points=109_600,
            )
        )
    )  # fmt: skip
    assert (trade.open_points, trade.open_ms, trade.commission_minor) == (109_500, START_MS - 5_000, -1_00)
    assert (trade.margin_minor, trade.reason) == (1_100_05, 2)
    assert desk.account.book("EURUSD").storage == trade.storage_minor == -12_00
    pending = trade_of(desk.staff(c.StaffOpen(cmd=2, symbol="EURUSD", volume=100, open_points=120_000)))
    assert desk.account.pendings.get(pending.order) == pending


@pytest.mark.parametrize(
    ("over", "code"),
    [
        ({"symbol": "NOSUCH"}, ("RET_SYMBOL_NOT_FOUND", 404)),
        ({"volume": 0}, ("INVALID_DATA", 400)),
        ({"volume": 100_001}, ("RET_TRADE_BAD_VOLUME", 400)),
        ({"sl_points": 110_010}, ("RET_TRADE_INVALID_SL_TP", 400)),
        ({"volume": 90_000}, ("RET_TRADE_NO_MONEY", 409)),
        ({"symbol": "GBPUSD"}, ("RET_TRADE_OFFQUOTES", 500)),
        ({"cmd": 3, "open_points": 111_000, "expiration_ms": START_MS}, ("INVALID_DATA", 400)),
    ],
)
def test_staff_are_refused_what_can_not_be(over: dict[str, Any], code: tuple[str, int]) -> None:
    given: dict[str, Any] = {"cmd": 0, "symbol": "EURUSD", "volume": 100, **over}
    assert Desk().code(c.StaffOpen(**given)) == code


def test_staff_close_at_stated_amounts_or_computed_ones() -> None:
    desk = Desk()
    order = desk.buy(volume=100).order
    part = desk.staff(
        c.StaffClose(order=order, volume=40, close_points=110_110, commission_minor=-50, comment="by hand")
    )
    (event,) = part.events
    assert isinstance(event, e.TradePartlyClosed)
    assert (event.trade.profit_minor, event.trade.commission_minor, event.trade.state) == (40_00, -50, 4)
    assert event.trade.comment == "by hand"
    rest = event.remainder.order
    assert desk.code(c.StaffClose(order=rest, volume=61)) == ("RET_TRADE_BAD_VOLUME", 400)
    early = c.StaffClose(order=rest, close_ms=START_MS - 1)
    assert desk.code(early) == ("RET_TRADE_BAD_CLOSE_TIME", 400)
    closed = trade_of(desk.staff(c.StaffClose(order=rest, profit_minor=-77, storage_minor=3)))
    assert (closed.close_points, closed.profit_minor, closed.storage_minor) == (110_000, -77, 3)
    assert desk.account.balance_minor == 10_000_00 + 40_00 - 50 - 77 + 3


def test_a_correction_of_an_open_position_moves_its_margin_with_price_and_volume() -> None:
    desk = Desk(symbols={"EURUSD": {"margin_mode": 4}})
    order = desk.buy(volume=100).order
    halved = trade_of(desk.staff(c.StaffUpdate(order=order, volume=50, storage_minor=-5)))
    assert (halved.margin_minor, halved.storage_minor) == (550_05, -5)
    moved = trade_of(desk.staff(c.StaffUpdate(order=order, open_points=100_000, comment="fixed")))
    assert (moved.margin_minor, moved.comment) == (500_00, "fixed")
    assert desk.account.balance_minor == 10_000_00


def test_a_correction_of_a_closed_trade_posts_the_difference() -> None:
    desk = Desk()
    closed = trade_of(desk.staff(c.CloseTrade(order=desk.buy().order)))
    outcome = desk.staff(
        c.StaffUpdate(order=closed.order, before=closed, profit_minor=25_00, commission_minor=-1_00)
    )
    (event,) = outcome.events
    entry = entry_of(event, "USD")
    assert entry is not None
    assert {p.account.kind: p.amount_minor for p in entry.postings} == {
        Kind.BALANCE: 34_00,
        Kind.DEALING: -35_00,
        Kind.COMMISSION: 1_00,
    }
    assert desk.account.balance_minor == 10_000_00 - 10_00 + 34_00
    late = c.StaffUpdate(order=closed.order, before=closed, close_ms=closed.open_ms - 1)
    assert desk.code(late) == ("RET_TRADE_BAD_CLOSE_TIME", 400)
    assert desk.code(c.StaffUpdate(order=closed.order)) == ("RET_NOT_FOUND", 404)


@pytest.mark.parametrize(
    ("cmd", "kind", "other"), [(6, Kind.BALANCE, Kind.DEPOSITS), (7, Kind.CREDIT, Kind.CREDITS)]
)
def test_a_correction_of_a_finance_operation_moves_its_own_money(cmd: int, kind: Kind, other: Kind) -> None:
    desk = Desk(deposit=0)
    booked = trade_of(desk.staff(c.ChangeBalance(cmd=cmd, amount_minor=100_00, comment="in", booked_ms=5)))
    assert (booked.open_ms, booked.close_ms, booked.state, booked.symbol) == (5, 5, 3, "")
    outcome = desk.staff(c.StaffUpdate(order=booked.order, before=booked, profit_minor=80_00))
    entry = entry_of(outcome.events[0], "USD")
    assert entry is not None
    assert {p.account.kind: p.amount_minor for p in entry.postings} == {kind: -20_00, other: 20_00}
    assert desk.account.balance_minor + desk.account.credit_minor == 80_00
    turned = c.StaffUpdate(order=booked.order, before=booked, profit_minor=-1)
    assert desk.code(turned) == ("INVALID_DATA", 400)


def test_staff_correct_a_pending_order_and_change_the_account() -> None:
    desk = Desk()
    order = desk.pending(2, 109_000).order
    changed = trade_of(desk.staff(c.StaffUpdate(order=order, open_points=108_000, volume=7, comment="x")))
    assert (changed.open_points, changed.volume, changed.comment) == (108_000, 7, "x")
    assert desk.account.pendings.get(order) == changed
    desk.staff(c.ChangeAccount(leverage=50, group="other", enabled=False, read_only=True))
    account = desk.account
    assert (account.leverage, account.group, account.enabled, account.read_only) == (50, "other", False, True)
    assert desk.code(c.ChangeAccount(leverage=0)) == ("INVALID_DATA", 400)


def test_a_close_posts_profit_commission_and_swap_to_their_own_accounts() -> None:
    trade = Trade(
        order=9, login=7, symbol="EURUSD", digits=5, cmd=0, volume=1, open_ms=0, open_points=1,
        profit_minor=12_00, commission_minor=-2_00, storage_minor=-10_00,
    )  # fmt: skip
    entry = entry_of(e.TradeClosed(login=7, at_ms=0, trade=trade), "USD")
    assert entry is not None
    assert [(p.account.kind, p.amount_minor) for p in entry.postings] == [
        (Kind.DEALING, -12_00),
        (Kind.COMMISSION, 2_00),
        (Kind.SWAP, 10_00),
    ]  # the client's side comes to nothing
    nothing = msgspec.structs.replace(trade, profit_minor=0, commission_minor=0, storage_minor=0)
    assert entry_of(e.TradeClosed(login=7, at_ms=0, trade=nothing), "USD") is None
    assert entry_of(e.TradeOpened(login=7, at_ms=0, trade=trade), "USD") is None


def test_a_history_folds_to_its_account_and_belongs_to_one_login() -> None:
    stage = Stage()
    stage.buy()
    stage.pending(2, 109_000)
    assert fold(stage.history) == stage.account
    with pytest.raises(Exception, match="another account"):
        apply(stage.account, e.DayRolled(login=8, at_ms=0, day=1))
    with pytest.raises(Exception, match="starts with"):
        fold([])
