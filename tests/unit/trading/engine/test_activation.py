"""What quotes and the clock set off: gaps, levels, pending orders, margin calls, stop-outs, ends of days."""

from __future__ import annotations

from typing import Any

import pytest

from libs.common.messages.market import SecGroup, SessionDay, SessionSpan
from services.trading import commands as c
from services.trading import events as e
from services.trading.conversion import Tick
from services.trading.engine import decide
from services.trading.position import Trade
from tests.unit.trading.engine.scenarios import DAY_MS, START_MS
from tests.unit.trading.engine.stage import Stage

MORNING = (SessionDay(trade=(SessionSpan(open_hour=6, close_hour=12),)),) * 7
HOUR_MS = 3_600_000


def closes(events: tuple[e.AccountEvent, ...]) -> list[Trade]:
    return [event.trade for event in events if isinstance(event, e.TradeClosed)]


@pytest.mark.parametrize(
    ("levels", "bid", "price", "note", "activation"),
    [
        ({"sl_points": 109_900}, 109_900, 109_900, "[sl]", 1),
        ({"sl_points": 109_900}, 109_650, 109_650, "[sl]", 1),  # a gap: the first price beyond the level
        ({"tp_points": 110_300}, 110_300, 110_300, "[tp]", 2),
        ({"tp_points": 110_300}, 110_720, 110_720, "[tp]", 2),  # better than the level
    ],
)
def test_levels_of_a_buy_fill_at_the_first_bid_at_or_beyond_them(
    levels: dict[str, Any], bid: int, price: int, note: str, activation: int
) -> None:
    stage = Stage()
    stage.buy(comment="robot", **levels)
    (closed,) = closes(stage.quote("EURUSD", bid, bid + 10).events)
    assert (closed.close_points, closed.comment, closed.activation) == (price, f"robot {note}", activation)
    assert closed.state == 3


def test_a_level_is_not_met_by_the_other_side_of_the_spread() -> None:
    stage = Stage()
    stage.buy(tp_points=110_050)
    stage.sell(sl_points=110_060)
    assert closes(stage.quote("EURUSD", 110_049, 110_059).events) == []
    assert len(closes(stage.quote("EURUSD", 110_050, 110_060).events)) == 2


@pytest.mark.parametrize(
    ("cmd", "level", "tick", "price"),
    [
        (2, 109_500, (109_480, 109_490), 109_490),  # buy limit: the ask it met, better than its level
        (3, 110_500, (110_540, 110_550), 110_540),  # sell limit at the bid
        (4, 110_500, (110_690, 110_700), 110_700),  # buy stop: a gap over it costs
        (5, 109_500, (109_300, 109_310), 109_300),
    ],
)
@pytest.mark.parametrize("slippage", [1, 0])
def test_pending_orders_fill_at_the_tick_that_met_them(
    cmd: int, level: int, tick: tuple[int, int], price: int, slippage: int
) -> None:
    stage = Stage(group={"allow_sl_tp_slippage": slippage})
    order = stage.pending(cmd, level, comment="wait").order
    stage.now_ms += 5_000
    (event,) = stage.quote("EURUSD", *tick).events
    assert isinstance(event, e.PendingActivated)
    filled = event.trade
    assert (filled.order, filled.cmd, filled.activation) == (order, cmd % 2, 3)
    assert filled.open_points == (price if slippage else level)
    assert (filled.open_ms, filled.comment) == (stage.now_ms, "wait")


def test_a_position_that_a_tick_opened_is_judged_from_the_next_tick_on() -> None:
    stage = Stage()
    stage.pending(4, 110_500, tp_points=110_600)
    assert closes(stage.quote("EURUSD", 110_700, 110_710).events) == []
    (closed,) = closes(stage.quote("EURUSD", 110_700, 110_710).events)
    assert (closed.close_points, closed.profit_minor) == (110_700, -10_00)


def test_without_money_a_pending_order_waits_and_is_told_once() -> None:
    stage = Stage(deposit=1_000_00)
    order = stage.pending(4, 110_100).order
    (event,) = stage.quote("EURUSD", 110_100, 110_110).events
    assert isinstance(event, e.ActivationDeferred)
    assert event.trade.deferred == "RET_TRADE_NO_MONEY"
    assert stage.quote("EURUSD", 110_110, 110_120).events == ()
    stage.accepted(c.ChangeBalance(cmd=6, amount_minor=1_000_00))
    assert stage.quote("EURUSD", 110_000, 110_010).events == ()  # its price is gone again
    (event,) = stage.quote("EURUSD", 110_200, 110_210).events
    assert isinstance(event, e.PendingActivated)
    assert (event.trade.order, event.trade.open_points, event.trade.deferred) == (order, 110_210, "")


def test_in_a_closed_market_levels_and_pending_orders_wait_for_its_opening() -> None:
    stage = Stage(symbols={"EURUSD": {"sessions": MORNING}}, quoted={})
    stage.now_ms = START_MS + 7 * HOUR_MS
    stage.quote("EURUSD", 110_000, 110_010)
    held = stage.buy(sl_points=109_900).order
    stage.pending(2, 109_950)
    stage.now_ms = START_MS + 13 * HOUR_MS
    (event,) = stage.quote("EURUSD", 109_800, 109_810).events
    assert isinstance(event, e.ActivationDeferred)
    assert event.trade.deferred == "RET_TRADE_MARKET_CLOSED"
    closed = ("RET_TRADE_MARKET_CLOSED", 423)
    assert stage.refused(c.CloseTrade(order=held)) == closed
    stage.now_ms = START_MS + 30 * HOUR_MS
    events = stage.quote("EURUSD", 109_790, 109_800).events
    assert [type(x).__name__ for x in events] == ["DayRolled", "TradeClosed", "PendingActivated"]


@pytest.mark.parametrize(
    ("symbol", "group", "error"),
    [
        ({"trade": 1}, {}, "RET_TRADE_DISABLE"),
        ({"long_only": 1}, {}, "RET_TRADE_LONG_ONLY"),
        ({}, {"maxpositions": 1}, "RET_TRADE_LIMIT_REACHED"),
        ({}, {"hedge_prohibited": 1}, "RET_TRADE_HEDGE_PROHIBITED"),
        ({}, {"secgroups": (SecGroup(sec_index=0, show=0),)}, "RET_TRADE_SEC_NOT_FOUND"),
        ({}, {"enable": 0}, "RET_ACCOUNT_DISABLED"),
    ],
)
def test_what_may_not_be_filled_at_all_is_cancelled_with_the_reason(
    symbol: dict[str, Any], group: dict[str, Any], error: str
) -> None:
    stage = Stage()
    stage.buy(volume=1)
    order = stage.pending(5, 109_900, comment="note").order
    stage.change(Stage(symbols={"EURUSD": symbol}, group=group, deposit=0, quoted={}).scenario)
    cancelled, rejected = stage.quote("EURUSD", 109_890, 109_900).events
    assert isinstance(cancelled, e.PendingCancelled)
    gone = cancelled.trade
    assert (gone.order, gone.state, gone.activation) == (order, 6, 5)
    assert gone.comment == f"note [ACTIVATION_CANCEL: {error}]"
    assert isinstance(rejected, e.TradeRejected)
    assert (rejected.order, rejected.error) == (order, error)


def test_an_expired_order_is_not_filled_even_by_a_tick_that_comes_before_the_clock() -> None:
    stage = Stage()
    stage.pending(2, 109_500, expiration_ms=START_MS + 1_000)
    stage.now_ms += 1_000
    (event,) = stage.quote("EURUSD", 109_400, 109_410).events
    assert isinstance(event, e.PendingExpired)
    assert event.trade.state == 6


def test_only_the_orders_that_the_trigger_book_names_are_judged() -> None:
    stage = Stage()
    first, second = stage.buy(sl_points=109_900), stage.buy(sl_points=109_900)
    stage.quotes["EURUSD"] = Tick(109_850, 109_860, stage.now_ms)  # beside the oracle, which judges all
    asked = c.OnQuote(symbol="EURUSD", orders=(second.order, 999, second.order))
    outcome = decide(stage.account, asked, stage.market, stage.now_ms, lambda: 99)
    assert [trade.order for trade in closes(outcome.events)] == [second.order]
    assert outcome.account.position(first.order) is not None


# ── margin call and stop-out ──────────────────────────────────────────────────────────────────────


def test_a_margin_call_is_told_once_per_crossing() -> None:
    stage = Stage(deposit=2_000_00)
    stage.buy()  # margin 1 100.05
    assert stage.quote("EURUSD", 109_111, 109_121).events == ()  # equity 1 101.00
    (event,) = stage.quote("EURUSD", 109_110, 109_120).events  # 1 100.00 is below 1 100.05
    assert isinstance(event, e.MarginCalled)
    assert (event.level_percent_hundredths, event.equity_minor) == (100_00, 1_100_00)
    assert stage.account.level_type == 1
    assert stage.quote("EURUSD", 109_000, 109_010).events == ()
    (event,) = stage.quote("EURUSD", 109_200, 109_210).events
    assert isinstance(event, e.LevelEased)
    assert isinstance(stage.quote("EURUSD", 109_000, 109_010).events[0], e.MarginCalled)


def test_a_stop_out_closes_the_worst_first_computes_again_and_stops() -> None:
    stage = Stage(deposit=3_300_00)
    worst = stage.buy(volume=100, comment="a")
    better = stage.buy(volume=90)
    stage.quote("EURUSD", 108_824, 108_834)  # 3 300 - 1.9 · 1 186 = 1 046.60 on 2 090.10
    assert stage.account.level_type == 1
    events = stage.quote("EURUSD", 108_800, 108_810).events  # 3 300 - 1.9 · 1 210 = 1 001.00: 47.89 %
    stopped_out, sold, eased = events
    assert isinstance(stopped_out, e.StoppedOut)
    assert isinstance(sold, e.TradeClosed)
    assert isinstance(eased, e.LevelEased)
    assert (sold.trade.order, sold.trade.comment, sold.trade.activation) == (worst.order, "a so: 47.89%", 4)
    assert sold.trade.close_points == 108_800
    assert eased.level_type == 0  # 1 001.00 on 990.05
    assert stage.account.position(better.order) is not None


def test_a_gap_can_stop_out_everything_and_below_zero() -> None:
    stage = Stage(deposit=1_200_00)
    stage.buy()
    called, stopped, closed, eased = stage.quote("EURUSD", 108_000, 108_010).events
    assert isinstance(called, e.MarginCalled)
    assert isinstance(stopped, e.StoppedOut)
    assert isinstance(closed, e.TradeClosed)
    assert isinstance(eased, e.LevelEased)
    assert closed.trade.comment == "so: -73.63%"  # -810.00 / 1 100.05
    assert stage.account.balance_minor == -810_00


def test_a_stop_out_by_money_compares_the_equity_with_the_amount() -> None:
    stage = Stage(deposit=2_000_00, group={"margin_type": 1, "margin_call": 900.0, "margin_stopout": 400.25})
    stage.buy()
    assert stage.quote("EURUSD", 108_911, 108_921).events == ()  # 901.00
    assert isinstance(stage.quote("EURUSD", 108_910, 108_920).events[0], e.MarginCalled)  # 900.00
    assert stage.quote("EURUSD", 108_411, 108_421).events == ()  # 401.00
    assert isinstance(stage.quote("EURUSD", 108_410, 108_420).events[0], e.StoppedOut)  # 400.00


def test_a_full_hedge_without_margin_is_stopped_out_below_zero_unless_skipped() -> None:
    for skip, left in ((0, 0), (1, 2)):
        symbols = {"EURUSD": {"margin_hedged": 0.0, "comm_base": 1.0}}
        stage = Stage(deposit=2_000_00, symbols=symbols, group={"stopout_skip_hedged": skip})
        stage.buy()
        stage.sell()
        stage.accepted(c.ChangeBalance(cmd=8, amount_minor=-1_960_00))
        stage.quote("EURUSD", 110_000, 110_030)  # 40 - 2 commission - 10 - 30 spread
        assert stage.account.position_count == left
        assert stage.account.level_type == (2 if left else 0)


def test_what_can_not_be_closed_is_passed_over_by_a_stop_out() -> None:
    stage = Stage(deposit=4_000_00, symbols={"EURUSD": {"sessions": MORNING}}, quoted={})
    stage.now_ms = START_MS + 11 * HOUR_MS
    stage.quote("EURUSD", 110_000, 110_010)
    stage.quote("XAUUSD", 200_000, 200_030)
    held = stage.buy(volume=300)
    gold = stage.buy("XAUUSD", 10)
    stage.now_ms = START_MS + 13 * HOUR_MS
    stage.quote("EURUSD", 109_000, 109_010)
    assert [trade.order for trade in stage.account.positions()] == [held.order]
    assert stage.account.level_type == 2
    assert gold.order != held.order


# ── ends of days ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("gtc", "expired", "sl"), [(0, 1, 0), (1, 0, 109_000), (2, 1, 109_000)])
def test_daily_orders_end_with_their_day(gtc: int, expired: int, sl: int) -> None:
    stage = Stage(symbols={"EURUSD": {"gtc_pendings": gtc}})
    order = stage.buy(sl_points=109_000).order
    stage.pending(2, 109_500)
    stage.now_ms = START_MS + DAY_MS - 1
    assert stage.do(c.OnClock()).events == ()
    stage.now_ms += 1
    events = stage.do(c.OnClock()).events
    assert sum(isinstance(x, e.PendingExpired) for x in events) == expired
    held = stage.account.position(order)
    assert held is not None
    assert held.sl_points == sl


def test_a_command_after_midnight_finds_the_day_dealt_with_even_if_refused() -> None:
    stage = Stage(symbols={"EURUSD": {"swap_enable": 1, "swap_type": 1, "swap_long": -1.5}})
    order = stage.buy().order
    stage.now_ms = START_MS + DAY_MS + 1
    outcome = stage.do(c.CloseTrade(order=77))
    assert outcome.refusal is not None
    assert [type(x).__name__ for x in outcome.events] == ["SwapCharged", "DayRolled"]
    closed = stage.trade(stage.accepted(c.CloseTrade(order=order)))
    assert closed.storage_minor == -1_50


def test_a_swap_that_can_not_be_priced_holds_its_day_until_it_can() -> None:
    terms = {"swap_enable": 1, "swap_type": 3, "swap_long": -2.0, "margin_mode": 4}
    stage = Stage(symbols={"EURUSD": terms}, quoted={"EURUSD": (110_000, 110_010)})
    stage.buy()
    stage.now_ms = START_MS + DAY_MS
    gone = stage.quotes.pop("EURUSD"), stage.model.quotes.pop("EURUSD")
    assert stage.do(c.OnClock()).events == ()
    stage.quotes["EURUSD"], stage.model.quotes["EURUSD"] = gone
    assert [type(x).__name__ for x in stage.do(c.OnClock()).events] == ["SwapCharged", "DayRolled"]
