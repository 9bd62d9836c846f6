"""The formulas of broker 9.4 and the rounding of the decisions, by examples computed by hand."""

from __future__ import annotations

import pytest

from services.trading import commands as c
from services.trading import events as e
from services.trading.swap import swap_between
from tests.unit.trading.engine.scenarios import DAY_MS, START_MS
from tests.unit.trading.engine.stage import Stage


def test_a_lot_of_eurusd_ties_up_a_thousand_euros_at_the_mid_rate() -> None:
    stage = Stage()
    trade = stage.buy()  # 100 000 EUR / 100 = 1 000 EUR at 1.10005
    assert (trade.open_points, trade.margin_minor) == (110_010, 1_100_05)
    numbers = stage.numbers
    assert (numbers.profit_minor, numbers.equity_minor) == (-10_00, 9_990_00)
    assert numbers.margin_free_minor == 9_990_00 - 1_100_05
    assert numbers.margin_level == 908.14  # 9 990 / 1 100.05


def test_profit_in_the_accounts_own_currency_is_the_move_times_the_size() -> None:
    stage = Stage()
    order = stage.buy(volume=33).order
    stage.quote("EURUSD", 110_513, 110_523)  # +503 points · 0.33 lot = 165.99
    closed = stage.trade(stage.accepted(c.CloseTrade(order=order)))
    assert (closed.profit_minor, closed.close_points, closed.state) == (165_99, 110_513, 3)
    assert stage.account.balance_minor == 10_165_99


@pytest.mark.parametrize(
    ("bid", "profit_minor"),
    [
        (150_510, 332_18),  # 50 000 JPY / ask 150.520 = 332.1817…: a gain is divided by the ask
        (149_510, -334_43),  # -50 000 JPY / bid 149.510 = -334.4258…: a loss by the bid
    ],
)
def test_profit_through_an_inverse_pair_is_against_the_client(bid: int, profit_minor: int) -> None:
    stage = Stage()
    trade = stage.buy("USDJPY")
    assert trade.margin_minor == 1_000_00  # the base currency is the account's
    stage.quote("USDJPY", bid, bid + 10)
    assert stage.numbers.profit_minor == profit_minor


@pytest.mark.parametrize(("bid", "profit_minor"), [(110_510, 825_000), (109_510, -825_055)])
def test_profit_through_a_direct_pair_is_against_the_client(bid: int, profit_minor: int) -> None:
    # 500 points on 11 lots are 5 500 USD: at 150.000 JPY each for a gain, at 150.010 for a loss
    stage = Stage(currency="JPY", deposit=10_000_000)
    stage.buy(volume=1_100)
    stage.quote("EURUSD", bid, bid + 10)
    assert stage.numbers.profit_minor == profit_minor  # JPY has no smaller unit


def test_without_a_pair_of_both_currencies_the_way_goes_through_the_dollar() -> None:
    stage = Stage(currency="EUR")
    stage.buy("USDJPY")
    stage.quote("USDJPY", 151_010, 151_020)  # +100 000 JPY; / 151.020 USDJPY ask / 1.10010 EURUSD ask
    assert stage.numbers.profit_minor == 601_91  # 601.9105…
    stage.quote("EURJPY", 165_000, 165_020)  # now the direct cross: 100 000 / 165.020
    assert stage.numbers.profit_minor == 605_99  # 605.9871…


def test_tether_counts_as_the_dollar_until_a_pair_of_it_is_quoted() -> None:
    stage = Stage(
        symbols={"BTC/USDT": {"margin_mode": 4, "profit_mode": 1}},
        quoted={"BTC/USDT": (90_000_00, 90_010_00)},
    )
    trade = stage.buy("BTC/USDT", 10)  # 0.1 · 90 010 / 100
    assert trade.margin_minor == 90_01
    assert stage.numbers.profit_minor == -1_00


@pytest.mark.parametrize(
    ("mode", "margin_minor"),
    [
        (0, 2_000_15),  # forex: 1 lot · 100 oz / (100 · 1), ounces at the mid price 2000.15
        (1, 100_015_00),  # CFD: 1 · 100 · 2000.30 / 2
        (2, 250_00),  # futures: 500 XAU... in the margin currency / 2
        (3, 50_007_50),  # CFD index: 100 · 2000.30 · (0.5 / 1.0) / 2, tick of a dollar worth half a dollar
        (4, 1_000_15),  # CFD leverage: 100 · 2000.30 / (100 · 2)
    ],
)
def test_margin_by_mode(mode: int, margin_minor: int) -> None:
    divider = 1.0 if mode == 0 else 2.0
    terms = {
        "margin_mode": mode,
        "margin_divider": divider,
        "margin_initial": 500.0,
        "margin_currency": "USD" if mode == 2 else "XAU",
        "tick_size": 1.0,
        "tick_value": 0.5,
    }
    stage = Stage(deposit=10**9, symbols={"XAUUSD": terms})
    assert stage.buy("XAUUSD").margin_minor == margin_minor


def test_profit_mode_2_counts_ticks() -> None:
    terms = {
        "profit_mode": 2,
        "tick_size": 0.25,
        "tick_value": 12.5,
        "margin_mode": 2,
        "margin_currency": "USD",
    }
    stage = Stage(symbols={"XAUUSD": terms})
    order = stage.sell("XAUUSD", 300).order
    stage.quote("XAUUSD", 199_000, 199_025)  # 2000.00 - 1990.25 = 39 ticks · 12.50 · 3 lots
    assert stage.trade(stage.accepted(c.CloseTrade(order=order))).profit_minor == 1_462_50


@pytest.mark.parametrize(
    ("terms", "commission_minor"),
    [
        ({"comm_base": 7.0}, -10_50),  # money per lot, 1.5 lots
        ({"comm_base": 7.0, "comm_lots": 1}, -7_00),  # money per deal
        ({"comm_base": 2.5, "comm_type": 1}, -3_75),  # 2.5 points of 1.00 each, 1.5 lots
        ({"comm_base": 2.5, "comm_type": 1, "comm_lots": 1}, -2_50),  # as of one lot
        ({"comm_base": 0.003, "comm_type": 2}, -4_95),  # 0.003 % of 165 015 USD = 4.95045
    ],
)
def test_commission_by_type_is_booked_at_open(terms: dict[str, float], commission_minor: int) -> None:
    stage = Stage(symbols={"EURUSD": terms})
    assert stage.buy(volume=150).commission_minor == commission_minor
    assert stage.numbers.commission_minor == commission_minor
    assert stage.account.balance_minor == 10_000_00  # posted at close


@pytest.mark.parametrize(
    ("swap_type", "rate", "minor"),
    [
        (0, -6.5, -13_00),  # points: 2 lots · 1.00 · 6.5
        (1, -6.5, -13_00),  # money of the account
        (2, 3.6, 22_00),  # interest: 200 000 · 3.6 % / 360 = 20.00 EUR at the bid, a gain
        (3, -5.0, -11_00),  # 10 EUR at the ask 1.10010 = 11.001
        (4, 3.6, 22_00),  # of 200 000 · 1.10010 open price: 22.002
        (5, 7.2, 44_00),  # of the current bid 1.10000
    ],
)
def test_swap_by_type_of_one_day(swap_type: int, rate: float, minor: int) -> None:
    stage = Stage(symbols={"EURUSD": {"swap_enable": 1, "swap_type": swap_type, "swap_long": rate}})
    order = stage.buy(volume=200).order
    stage.now_ms = START_MS + DAY_MS  # Friday ended
    outcome = stage.do(c.OnClock())
    charged, rolled = outcome.events
    assert isinstance(charged, e.SwapCharged)
    assert isinstance(rolled, e.DayRolled)
    assert (charged.amount_minor, charged.trade.storage_minor, charged.trade.order) == (minor, minor, order)
    assert stage.numbers.storage_minor == minor


def test_weekends_cost_nothing_wednesdays_three_days_unless_daily() -> None:
    usual = {"swap_enable": 1, "swap_type": 1, "swap_long": -1.0, "swap_short": -1.0}
    stage = Stage(symbols={"EURUSD": usual, "XAUUSD": {**usual, "swap_daily": 1}})
    stage.buy("EURUSD")
    stage.buy("XAUUSD", 1)
    weekly, daily = [], []
    for day in range(1, 8):  # the midnights after Friday … Thursday
        stage.now_ms = START_MS + day * DAY_MS + 5
        amounts = {
            x.trade.symbol: x.amount_minor
            for x in stage.do(c.OnClock()).events
            if isinstance(x, e.SwapCharged)
        }
        weekly.append(amounts.get("EURUSD", 0))
        daily.append(amounts.get("XAUUSD", 0))
    assert weekly == [-1_00, 0, 0, -1_00, -1_00, -3_00, -1_00]
    assert daily == [-1] * 7
    market, terms = stage.market, stage.market.terms["EURUSD"]
    assert swap_between(market, terms, 0, 100, 110_010, START_MS, START_MS + 7 * DAY_MS, "USD") == -7_00
    assert swap_between(market, terms, 0, 100, 110_010, START_MS, START_MS + DAY_MS - 1, "USD") == 0


def test_hedged_lots_carry_margin_hedged_and_the_rest_its_own() -> None:
    stage = Stage()
    assert stage.buy(volume=100).margin_minor == 1_100_05
    assert stage.sell(volume=40).margin_minor == 440_02
    # 0.6 lot unhedged at 1 100.05 a lot = 660.03; 0.4 pair at half of 1 100.05 a lot = 220.01
    assert stage.numbers.margin_minor == 880_04


def test_with_the_larger_leg_a_hedge_costs_no_more_than_its_larger_side() -> None:
    stage = Stage(group={"hedge_largeleg": 1})
    stage.buy(volume=100)
    stage.sell(volume=40)
    assert stage.numbers.margin_minor == 1_100_05


@pytest.mark.parametrize(("mode", "free_minor"), [(0, 8_899_95), (1, 9_399_95), (2, 9_399_95), (3, 8_899_95)])
def test_free_margin_by_group_mode_with_a_floating_profit(mode: int, free_minor: int) -> None:
    stage = Stage(group={"margin_mode": mode})
    stage.buy()
    stage.quote("EURUSD", 110_510, 110_520)
    assert stage.numbers.margin_free_minor == free_minor


@pytest.mark.parametrize(("mode", "free_minor"), [(0, 8_899_95), (1, 8_399_95), (2, 8_899_95), (3, 8_399_95)])
def test_free_margin_by_group_mode_with_a_floating_loss(mode: int, free_minor: int) -> None:
    stage = Stage(group={"margin_mode": mode})
    stage.buy()
    stage.quote("EURUSD", 109_510, 109_520)
    assert stage.numbers.margin_free_minor == free_minor


def test_a_partial_close_shares_commission_and_swap_by_volume_rounded() -> None:
    stage = Stage(
        symbols={"EURUSD": {"comm_base": 7.01, "swap_enable": 1, "swap_type": 1, "swap_long": -0.1}}
    )
    order = stage.buy(volume=30, comment="mine").order  # commission 2.103 → -2.10
    stage.now_ms += DAY_MS
    stage.do(c.OnClock())  # swap -0.03
    outcome = stage.accepted(c.CloseTrade(order=order, volume=11, comment="some"))
    (event,) = outcome.events
    assert isinstance(event, e.TradePartlyClosed)
    part, rest = event.trade, event.remainder
    assert (part.order, part.volume, part.state, part.comment) == (order, 11, 4, "mine some")
    assert (part.commission_minor, part.storage_minor) == (
        -77,
        -1,
    )  # 2.10 · 11/30 = 0.77, 0.03 · 11/30 = 0.011
    assert (rest.volume, rest.commission_minor, rest.storage_minor) == (19, -1_33, -2)
    assert (rest.order, rest.parent, rest.comment) == (order + 1, order, f"from #{order}")
    assert (rest.open_ms, rest.open_points) == (START_MS, 110_010)
    assert part.profit_minor == -1_10
    assert rest.margin_minor == 209_01  # 0.19 · 1 100.05 = 209.0095, not a share of the rounded whole
    assert stage.account.balance_minor == 10_000_00 - 1_10 - 77 - 1


def test_close_by_settles_at_the_open_price_of_the_other() -> None:
    stage = Stage(symbols={"EURUSD": {"comm_base": 2.0}})
    first = stage.buy(volume=100)
    stage.quote("EURUSD", 110_300, 110_310)
    second = stage.sell(volume=40)
    outcome = stage.accepted(c.CloseBy(order=first.order, order_by=second.order))
    part, whole = outcome.events
    assert isinstance(part, e.TradePartlyClosed)
    assert isinstance(whole, e.TradeClosed)
    assert (part.trade.close_points, part.trade.profit_minor, part.trade.state) == (110_300, 116_00, 5)
    assert (whole.trade.close_points, whole.trade.profit_minor, whole.trade.state) == (110_300, 0, 5)
    assert (part.trade.commission_minor, whole.trade.commission_minor) == (-80, -80)
    assert (part.remainder.volume, part.remainder.commission_minor) == (60, -1_20)
    assert stage.account.balance_minor == 10_000_00 + 116_00 - 1_60
