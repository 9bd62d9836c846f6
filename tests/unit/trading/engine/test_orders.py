"""What orders must pass: the contract's checks in the contract's order, with its codes and statuses."""

from __future__ import annotations

from typing import Any

import pytest

from libs.common.messages.market import SecGroup, SessionDay
from services.trading import commands as c
from services.trading import events as e
from services.trading.engine import decide
from tests.unit.trading.engine.scenarios import START_MS
from tests.unit.trading.engine.stage import Stage

NEVER = (SessionDay(),) * 7

# Every fault of one order, in the order of broker 5. The first that is left answers.
FAULTS: tuple[tuple[str, int], ...] = (
    ("RET_ACCOUNT_DISABLED", 403),
    ("RET_TRADE_READ_ONLY", 403),
    ("RET_SYMBOL_NOT_FOUND", 404),
    ("RET_TRADE_SEC_NOT_FOUND", 404),
    ("RET_TRADE_DISABLE", 403),
    ("RET_TRADE_MARKET_CLOSED", 423),
    ("RET_TRADE_OFFQUOTES", 500),
    ("RET_TRADE_BAD_VOLUME", 400),
    ("RET_TRADE_LONG_ONLY", 500),
    ("RET_TRADE_INVALID_SL_TP", 400),
    ("RET_TRADE_LIMIT_REACHED", 409),
    ("RET_TRADE_HEDGE_PROHIBITED", 409),
    ("RET_TRADE_NO_MONEY", 409),
)


def faulty(faults: set[str]) -> tuple[Stage, c.OpenTrade]:
    """An account, a market and an order with these faults."""
    stage = Stage()
    stage.buy(volume=100)

    def has(code: str) -> bool:
        return f"RET_{code}" in faults

    symbol: dict[str, Any] = {
        "trade": 1 if has("TRADE_DISABLE") else 2,
        "sessions": NEVER if has("TRADE_MARKET_CLOSED") else None,
        "lot_step": 10 if has("TRADE_BAD_VOLUME") else 1,
        "long_only": int(has("TRADE_LONG_ONLY")),
    }
    group: dict[str, Any] = {
        "maxpositions": int(has("TRADE_LIMIT_REACHED")),
        "hedge_prohibited": int(has("TRADE_HEDGE_PROHIBITED")),
        "secgroups": (SecGroup(sec_index=0, trade=int(not has("TRADE_SEC_NOT_FOUND"))),),
    }
    after = Stage(symbols={"EURUSD": symbol}, group=group, deposit=0, quoted={}).scenario
    stage.change(after)
    if has("TRADE_OFFQUOTES"):
        del stage.quotes["EURUSD"], stage.model.quotes["EURUSD"]
    if not has("TRADE_OFFQUOTES") and has("TRADE_NO_MONEY"):
        stage.do(c.ChangeBalance(cmd=8, amount_minor=-8_800_00))
    stage.do(c.ChangeAccount(enabled=not has("ACCOUNT_DISABLED"), read_only=has("TRADE_READ_ONLY")))
    asked = c.OpenTrade(
        cmd=1,
        symbol="NOSUCH" if has("SYMBOL_NOT_FOUND") else "EURUSD",
        volume=325,
        sl_points=109_000 if has("TRADE_INVALID_SL_TP") else 111_000,
    )
    return stage, asked


@pytest.mark.parametrize("first", range(len(FAULTS)))
def test_of_several_faults_the_first_in_the_contracts_order_answers(first: int) -> None:
    stage, asked = faulty({code for code, _ in FAULTS[first:]})
    assert stage.refused(asked) == FAULTS[first]


def test_an_order_without_a_fault_is_filled() -> None:
    stage, asked = faulty(set())
    assert stage.filled(asked).open_points == 110_000


@pytest.mark.parametrize(
    "asked",
    [
        c.OpenTrade(cmd=0, symbol="EURUSD", volume=0),
        c.OpenTrade(cmd=0, symbol="EURUSD", volume=-100),
        c.OpenTrade(cmd=0, symbol="EURUSD", volume=100, sl_points=-1),
        c.OpenTrade(cmd=0, symbol="EURUSD", volume=100, tp_points=10**16),
        c.PlacePending(cmd=2, symbol="EURUSD", volume=100, open_points=-5),
        c.PlacePending(cmd=2, symbol="EURUSD", volume=0, open_points=109_000),
        c.PlacePending(cmd=2, symbol="EURUSD", volume=1, open_points=109_000, expiration_ms=START_MS),
        c.CloseTrade(order=1, volume=0),
        c.CloseGroup(type=2),
        c.ModifyTrade(order=1),
        c.ModifyPending(order=1),
        c.ModifyPending(order=1, sl_points=-3),
        c.ChangeBalance(cmd=6, amount_minor=0),
        c.ChangeBalance(cmd=6, amount_minor=-1),
        c.ChangeBalance(cmd=8, amount_minor=1),
        c.ChangeBalance(cmd=7, amount_minor=10**16),
    ],
)
def test_numbers_out_of_range_are_invalid_data_and_change_nothing(asked: c.Input) -> None:
    stage = Stage()
    outcome = decide(stage.account, asked, stage.market, stage.now_ms, lambda: 99)
    assert outcome.refusal is not None
    assert (outcome.refusal.code, outcome.refusal.http_status) == ("INVALID_DATA", 400)
    assert outcome.events == ()


@pytest.mark.parametrize(
    "asked",
    [
        c.OpenTrade(cmd=2, symbol="EURUSD", volume=100),
        c.OpenTrade(cmd=-1, symbol="EURUSD", volume=100),
        c.PlacePending(cmd=0, symbol="EURUSD", volume=100, open_points=109_000),
        c.PlacePending(cmd=10, symbol="EURUSD", volume=100, open_points=109_000),
        c.ChangeBalance(cmd=12, amount_minor=100),
        c.StaffOpen(cmd=6, symbol="EURUSD", volume=100),
    ],
)
def test_a_command_of_another_kind_is_an_incorrect_cmd(asked: c.Input) -> None:
    stage = Stage()
    outcome = decide(stage.account, asked, stage.market, stage.now_ms, lambda: 99)
    assert outcome.refusal is not None
    assert (outcome.refusal.code, outcome.refusal.http_status) == ("RET_TRADE_INCORRECT_CMD", 400)


@pytest.mark.parametrize(
    "asked",
    [
        c.OpenTrade(cmd=0, symbol="EURUSD", volume=100, read_only=True),
        c.PlacePending(cmd=2, symbol="EURUSD", volume=100, open_points=109_000, read_only=True),
        c.CloseTrade(order=1, read_only=True),
        c.CloseBy(order=1, order_by=2, read_only=True),
        c.CloseGroup(type=0, read_only=True),
        c.CancelPending(order=1, read_only=True),
        c.CancelGroup(read_only=True),
        c.ModifyTrade(order=1, sl_points=0, read_only=True),
        c.ModifyPending(order=1, sl_points=0, read_only=True),
    ],
)
def test_a_session_that_may_only_look_changes_nothing(asked: c.Input) -> None:
    stage = Stage()
    outcome = decide(stage.account, asked, stage.market, stage.now_ms, lambda: 99)
    assert outcome.refusal is not None
    assert outcome.refusal.code == "RET_TRADE_READ_ONLY"


def test_instant_execution_requotes_beyond_the_deviation() -> None:
    group = {"secgroups": (SecGroup(sec_index=0, ie_deviation=3),)}
    stage = Stage(group=group, symbols={"EURUSD": {"exemode": 1, "instant_max_volume": 500}})
    for requested, volume, code in (
        (110_006, 100, "RET_TRADE_REQUOTE"),
        (110_007, 100, "OK"),
        (0, 100, "OK"),
        (110_000, 501, "OK"),
    ):
        asked = c.OpenTrade(cmd=0, symbol="EURUSD", volume=volume, requested_points=requested)
        outcome = decide(stage.account, asked, stage.market, stage.now_ms, lambda: 99)
        assert (outcome.refusal.code if outcome.refusal else "OK") == code


def test_a_live_quote_goes_stale_and_others_do_not() -> None:
    live, still = Stage(live=True), Stage()
    for stage in (live, still):
        stage.now_ms += 60_000
        stage.buy(volume=1)
        stage.now_ms += 1
    assert live.refused(c.OpenTrade(cmd=0, symbol="EURUSD", volume=1)) == ("RET_TRADE_OFFQUOTES", 500)
    still.buy(volume=1)


@pytest.mark.parametrize(
    ("cmd", "good", "bad"),
    [
        (2, 109_995, 109_996),  # buy limit 15 points below the ask 1.10010
        (4, 110_025, 110_024),  # buy stop above it
        (3, 110_015, 110_014),  # sell limit 15 points above the bid 1.10000
        (5, 109_985, 109_986),  # sell stop below it
    ],
)
def test_a_pending_price_stands_on_its_side_and_away(cmd: int, good: int, bad: int) -> None:
    stage = Stage(symbols={"EURUSD": {"stops_level": 15}})
    wrong = c.PlacePending(cmd=cmd, symbol="EURUSD", volume=100, open_points=bad)
    assert stage.refused(wrong) == ("RET_TRADE_BAD_PRICES", 400)
    stage.pending(cmd, good)


@pytest.mark.parametrize(("sl", "tp"), [(110_000, 0), (0, 110_000), (110_500, 0), (0, 109_000), (109_990, 0)])
def test_stops_of_a_buy_stand_on_their_side_of_the_bid(sl: int, tp: int) -> None:
    stage = Stage(symbols={"EURUSD": {"stops_level": 11}})
    asked = c.OpenTrade(cmd=0, symbol="EURUSD", volume=100, sl_points=sl, tp_points=tp)
    assert stage.refused(asked) == ("RET_TRADE_INVALID_SL_TP", 400)
    stage.buy(sl_points=109_989, tp_points=110_011)


def test_a_pending_order_is_taken_without_money_for_it() -> None:
    stage = Stage(deposit=1_00)
    stage.pending(2, 109_000, volume=10_000)


def test_rights_may_deny_an_expiration() -> None:
    expiring: dict[str, Any] = {"cmd": 2, "symbol": "EURUSD", "volume": 1, "open_points": 109_000}
    asked = c.PlacePending(**expiring, expiration_ms=START_MS + 1)
    assert Stage(group={"rights": 2}).refused(asked) == ("RET_TRADE_EXPIRATION_DENIED", 500)
    for rights in (0, 8, 10):
        Stage(group={"rights": rights}).accepted(asked)


def test_frozen_orders_stay_as_they_are() -> None:
    stage = Stage(symbols={"EURUSD": {"freeze_level": 20}})
    order = stage.buy(sl_points=109_900).order
    waiting = stage.pending(5, 109_900).order
    stage.quote("EURUSD", 109_920, 109_930)
    denied = ("RET_TRADE_MODIFY_DENIED", 500)
    assert stage.refused(c.CloseTrade(order=order)) == denied
    assert stage.refused(c.ModifyTrade(order=order, sl_points=0)) == denied
    assert stage.refused(c.ModifyPending(order=waiting, open_points=109_000)) == denied
    assert stage.refused(c.CancelPending(order=waiting)) == denied
    stage.quote("EURUSD", 109_921, 109_931)
    stage.accepted(c.CancelPending(order=waiting))
    stage.accepted(c.CloseTrade(order=order))


def test_unknown_orders_and_orders_of_the_other_kind() -> None:
    stage = Stage()
    position, waiting = stage.buy().order, stage.pending(2, 109_000).order
    unknown: tuple[c.Input, ...] = (
        c.CloseTrade(order=77),
        c.ModifyTrade(order=77, sl_points=1),
        c.CancelPending(order=77),
    )
    for asked in unknown:
        assert stage.refused(asked) == ("RET_NOT_FOUND", 404)
    misplaced: tuple[c.Input, ...] = (
        c.CloseTrade(order=waiting),
        c.ModifyTrade(order=waiting, sl_points=1),
        c.CancelPending(order=position),
        c.ModifyPending(order=position, sl_points=1),
    )
    for asked in misplaced:
        assert stage.refused(asked) == ("RET_TRADE_INCORRECT_CMD", 400)


def test_fifo_closes_the_oldest_of_a_side_first() -> None:
    stage = Stage(group={"close_fifo": 1})
    first, second, other = stage.buy(volume=10), stage.buy(volume=10), stage.sell(volume=10)
    assert stage.refused(c.CloseTrade(order=second.order)) == ("RET_TRADE_PROHIBITED_BY_FIFO", 500)
    by = c.CloseBy(order=second.order, order_by=other.order)
    assert stage.refused(by) == ("RET_TRADE_PROHIBITED_BY_FIFO", 500)
    stage.accepted(c.CloseTrade(order=first.order))
    stage.accepted(by)


def test_a_group_without_partial_close_closes_positions_as_a_whole() -> None:
    stage = Stage(group={"partial_close": 0})
    one, other = stage.buy(volume=20), stage.sell(volume=10)
    for asked in (c.CloseTrade(order=one.order, volume=5), c.CloseBy(order=one.order, order_by=other.order)):
        assert stage.refused(asked) == ("RET_TRADE_PROHIBITED_BY_FIFO", 500)
    stage.accepted(c.CloseTrade(order=one.order, volume=20))


@pytest.mark.parametrize("volume", [21, 3, 7])
def test_a_part_of_a_position_is_a_fitting_volume(volume: int) -> None:
    stage = Stage(symbols={"EURUSD": {"lot_step": 5, "lot_min": 5}})
    order = stage.buy(volume=20).order
    refused = stage.refused(c.CloseTrade(order=order, volume=volume))
    assert refused == ("RET_TRADE_BAD_VOLUME", 400)


def test_close_by_needs_two_opposite_positions_and_the_right() -> None:
    denied = {"secgroups": (SecGroup(sec_index=0, trade_rights=1),)}
    for group, code in ((denied, "RET_TRADE_DISABLE"), ({}, "RET_TRADE_INCORRECT_ORDER")):
        stage = Stage(group=group, deposit=10**8)
        one, same, other = stage.buy(), stage.buy(), stage.sell()
        gold = stage.sell("XAUUSD")
        for left, right in ((one, same), (one, one), (one, gold)):
            asked = c.CloseBy(order=left.order, order_by=right.order)
            assert stage.refused(asked) == ("RET_TRADE_INCORRECT_ORDER", 400)
        outcome = stage.do(c.CloseBy(order=one.order, order_by=other.order))
        assert (outcome.refusal.code if outcome.refusal else "RET_TRADE_INCORRECT_ORDER") == code


def test_closing_a_group_looks_at_profit_and_tags_what_it_closes() -> None:
    stage = Stage(deposit=10**8, symbols={"XAUUSD": {"freeze_level": 50}})
    up, down = stage.buy(), stage.sell()
    frozen = stage.buy("XAUUSD", volume=1, sl_points=199_980)
    stage.quote("EURUSD", 110_200, 110_210)
    outcome = stage.accepted(c.CloseGroup(type=1, comment=""))
    assert [x.trade.order for x in outcome.events if isinstance(x, e.TradeClosed)] == [up.order]
    assert outcome.events[0].trade.comment == "GROUP_CLOSE"  # type: ignore[union-attr]
    outcome = stage.accepted(c.CloseGroup(type=-1))
    assert (outcome.matched, [x.order for x in outcome.failures]) == (2, [frozen.order])
    assert outcome.failures[0].error.code == "RET_TRADE_MODIFY_DENIED"
    assert [x.trade.order for x in outcome.events if isinstance(x, e.TradeClosed)] == [down.order]
    assert stage.accepted(c.CloseGroup(type=0, symbol="EURUSD")).matched == 0


def test_more_out_than_free_margin_or_than_credit_is_no_money() -> None:
    stage = Stage()
    stage.buy()  # 10 000 - 10 floating - 1 100.05 margin = 8 889.95 free
    assert stage.refused(c.ChangeBalance(cmd=8, amount_minor=-8_889_96)) == ("RET_TRADE_NO_MONEY", 409)
    stage.accepted(c.ChangeBalance(cmd=8, amount_minor=-8_889_95))
    stage.accepted(c.ChangeBalance(cmd=7, amount_minor=50_00))
    assert stage.refused(c.ChangeBalance(cmd=9, amount_minor=-50_01)) == ("RET_TRADE_NO_MONEY", 409)
    stage.accepted(c.ChangeBalance(cmd=9, amount_minor=-50_00))
    assert stage.account.credit_minor == 0


def test_max_volume_bounds_one_side_of_a_symbol() -> None:
    stage = Stage(symbols={"EURUSD": {"max_volume": 150}})
    stage.buy(volume=100)
    full = c.OpenTrade(cmd=0, symbol="EURUSD", volume=51)
    assert stage.refused(full) == ("RET_TRADE_LIMIT_REACHED", 409)
    stage.sell(volume=150)


def test_only_levels_that_change_are_judged() -> None:
    stage = Stage(symbols={"EURUSD": {"stops_level": 50}})
    order = stage.buy(sl_points=109_900, tp_points=110_300).order
    waiting = stage.pending(2, 109_800, sl_points=109_700, tp_points=109_900).order
    stage.quote("EURUSD", 109_920, 109_930)  # 20 points from the SL
    stage.accepted(c.ModifyTrade(order=order, sl_points=109_900, tp_points=110_200))
    assert stage.refused(c.ModifyTrade(order=order, sl_points=109_901)) == ("RET_TRADE_INVALID_SL_TP", 400)
    stage.change(Stage(symbols={"EURUSD": {"stops_level": 120}}, deposit=0, quoted={}).scenario)
    stage.accepted(c.ModifyPending(order=waiting, expiration_ms=START_MS + 5, tp_points=109_900))
    moved = c.ModifyPending(order=waiting, open_points=109_790)  # its levels are now too close to it
    assert stage.refused(moved) == ("RET_TRADE_INVALID_SL_TP", 400)
    assert stage.refused(c.ModifyPending(order=waiting, open_points=109_811)) == ("RET_TRADE_BAD_PRICES", 400)


def test_a_hedge_that_keeps_the_margin_counts_as_one_that_does_not_raise_it() -> None:
    group = {"allow_negative_margin_hedge": 1, "hedge_largeleg": 1}
    stage = Stage(deposit=2_000_00, group=group)
    stage.buy()
    stage.quote("EURUSD", 109_000, 109_010)
    stage.sell(volume=100)


def test_a_hedge_that_lowers_the_margin_may_be_let_through_without_free_margin() -> None:
    for strong, negative, code in ((0, 0, 409), (0, 1, 200), (1, 1, 409)):
        stage = Stage(
            deposit=2_000_00,
            group={"allow_negative_margin_hedge": negative},
            symbols={"EURUSD": {"margin_hedged_strong": strong}},
        )
        stage.buy()
        stage.quote("EURUSD", 109_000, 109_010)  # equity 990, margin 1 100.05
        outcome = stage.do(c.OpenTrade(cmd=1, symbol="EURUSD", volume=20))
        assert (outcome.refusal.http_status if outcome.refusal else 200) == code
