"""Beyond the contract, by example: trailing stops, linked orders, netting, limits, the kill switch."""

from __future__ import annotations

import pytest

from services.trading import commands as c
from services.trading import events as e
from services.trading.account import Limits
from services.trading.position import Trade
from tests.unit.trading.engine.stage import Stage


def limit_buy(points: int, **over: object) -> c.PlacePending:
    return c.PlacePending(cmd=2, symbol="EURUSD", volume=100, open_points=points, **over)  # type: ignore[arg-type]


def stop_buy(points: int) -> c.PlacePending:
    return c.PlacePending(cmd=4, symbol="EURUSD", volume=100, open_points=points)


def held(stage: Stage, order: int) -> Trade:
    trade = stage.account.position(order)
    assert trade is not None
    return trade


# ── trailing ──────────────────────────────────────────────────────────────────────────────────────


def test_a_trailing_stop_follows_in_steps_and_never_back() -> None:
    stage = Stage()
    buy = stage.buy()
    stage.accepted(c.TrailTrade(order=buy.order, distance_points=50, step_points=10))
    stops = []
    for bid in (110_000, 110_009, 110_010, 110_030, 110_000, 110_031, 110_040):
        stage.quote("EURUSD", bid, bid + 10)
        stops.append(held(stage, buy.order).sl_points)
    assert stops == [109_950, 109_950, 109_960, 109_980, 109_980, 109_980, 109_990]
    closed = stage.trade(stage.quote("EURUSD", 109_985, 109_995))
    assert (closed.comment, closed.activation, closed.close_points) == ("[sl]", 1, 109_985)


def test_a_stop_that_protects_more_stays_where_it_is() -> None:
    stage = Stage()
    sell = stage.sell(sl_points=110_020)
    stage.accepted(c.TrailTrade(order=sell.order, distance_points=500))
    assert held(stage, sell.order).sl_points == 110_020
    assert held(stage, sell.order).trail_step_points == 50


def test_without_its_stop_nothing_trails() -> None:
    stage = Stage()
    buy = stage.buy()
    stage.accepted(c.TrailTrade(order=buy.order, distance_points=50))
    stage.accepted(c.ModifyTrade(order=buy.order, sl_points=0))
    stage.quote("EURUSD", 111_000, 111_010)
    trade = held(stage, buy.order)
    assert (trade.sl_points, trade.trail_points, trade.trail_step_points) == (0, 0, 0)


@pytest.mark.parametrize(
    ("group", "symbol", "distance", "code"),
    [
        ({"rights": 8}, {}, 50, ("RET_NOT_ENOUGH_RIGHTS", 403)),
        ({}, {"stops_level": 30}, 29, ("RET_TRADE_INVALID_SL_TP", 400)),
        ({}, {}, 110_000, ("RET_TRADE_INVALID_SL_TP", 400)),
        ({}, {}, -1, ("INVALID_DATA", 400)),
    ],
)
def test_a_trailing_stop_is_refused_where_a_stop_or_the_right_would_be(
    group: dict[str, int], symbol: dict[str, int], distance: int, code: tuple[str, int]
) -> None:
    stage = Stage(group=group, symbols={"EURUSD": symbol})
    buy = stage.buy()
    asked = c.TrailTrade(order=buy.order, distance_points=distance)
    if distance < 0:  # prices below 0 never reach the oracle
        from services.trading.engine import decide

        refusal = decide(stage.account, asked, stage.market, stage.now_ms, lambda: 0).refusal
        assert refusal is not None
        assert (refusal.code, refusal.http_status) == code
    else:
        assert stage.refused(asked) == code


# ── links ─────────────────────────────────────────────────────────────────────────────────────────


def test_of_two_orders_that_exclude_each_other_a_jump_over_both_fills_the_first() -> None:
    stage = Stage()
    outcome = stage.accepted(
        c.PlaceLinked(first=None, then=(limit_buy(109_000), limit_buy(109_500)), one_cancels_other=True)
    )
    first, second = (event.trade for event in outcome.events if isinstance(event, e.PendingPlaced))
    done = stage.quote("EURUSD", 108_900, 108_910)
    assert [type(event) for event in done.events] == [e.PendingActivated, e.PendingCancelled]
    assert stage.account.position(first.order) is not None
    gone = done.events[1].trade  # type: ignore[union-attr]
    assert (gone.order, gone.state, gone.activation, gone.comment) == (second.order, 6, 0, "[oco]")


def test_cancelling_one_of_two_leaves_the_other() -> None:
    stage = Stage()
    stage.accepted(
        c.PlaceLinked(first=None, then=(limit_buy(109_000), stop_buy(111_000)), one_cancels_other=True)
    )
    first, second = sorted(trade.order for trade in stage.account.pendings)
    stage.accepted(c.CancelPending(order=first))
    assert [trade.order for trade in stage.account.pendings] == [second]


def test_a_held_order_is_judged_from_the_tick_after_its_first_was_filled() -> None:
    stage = Stage()
    stage.accepted(c.PlaceLinked(first=limit_buy(109_000), then=(stop_buy(108_500),)))
    first, then = sorted(trade.order for trade in stage.account.pendings)
    stage.quote("EURUSD", 110_500, 110_510)
    assert stage.account.pendings.get(then) is not None  # beyond its price, and still held
    stage.quote("EURUSD", 108_990, 109_000)
    assert [trade.order for trade in stage.account.positions()] == [first]
    free = stage.account.pendings.get(then)
    assert free is not None
    assert free.after == 0
    stage.quote("EURUSD", 108_990, 109_000)
    assert sorted(trade.order for trade in stage.account.positions()) == [first, then]


@pytest.mark.parametrize("how", ["cancelled", "expired"])
def test_what_an_order_held_goes_with_it(how: str) -> None:
    stage = Stage()
    expires = stage.now_ms + 1_000 if how == "expired" else 0
    stage.accepted(
        c.PlaceLinked(first=limit_buy(109_000, expiration_ms=expires), then=(stop_buy(111_000),) * 2)
    )
    order = min(trade.order for trade in stage.account.pendings)
    if how == "expired":
        stage.now_ms += 1_000
        done = stage.accepted(c.OnClock())
    else:
        done = stage.accepted(c.CancelPending(order=order))
    assert [event.trade.comment for event in done.events] == ["", "[linked]", "[linked]"]  # type: ignore[union-attr]
    assert not stage.account.pendings


def test_linked_orders_are_taken_together_or_not_at_all() -> None:
    stage = Stage()
    wrong_side = limit_buy(120_000)
    assert stage.refused(c.PlaceLinked(first=wrong_side, then=(stop_buy(111_000),))) == (
        "RET_TRADE_BAD_PRICES",
        400,
    )
    assert stage.refused(c.PlaceLinked(first=None, then=(stop_buy(111_000), stop_buy(112_000)))) == (
        "INVALID_DATA",
        400,
    )
    assert stage.refused(c.PlaceLinked(first=limit_buy(109_000), then=())) == ("INVALID_DATA", 400)
    with_read_only = c.PlaceLinked(first=limit_buy(109_000), then=(stop_buy(111_000),), read_only=True)
    from services.trading.engine import decide

    refusal = decide(stage.account, with_read_only, stage.market, stage.now_ms, lambda: 0).refusal
    assert refusal is not None
    assert refusal.code == "RET_TRADE_READ_ONLY"


# ── netting ───────────────────────────────────────────────────────────────────────────────────────


def test_under_netting_an_opposite_order_closes_the_oldest_first_and_the_rest_stays_open() -> None:
    stage = Stage(group={"netting": 1})
    first, second = stage.buy(volume=100), stage.buy(volume=50)
    stage.quote("EURUSD", 110_100, 110_110)
    done = stage.accepted(c.OpenTrade(cmd=1, symbol="EURUSD", volume=120))
    sell = stage.trade(done)
    assert sell.volume == 120
    closed = [
        (event.trade.order, event.trade.volume, event.trade.state, event.trade.profit_minor)
        for event in done.events
        if isinstance(event, e.TradeClosed | e.TradePartlyClosed)
    ]
    rest = sell.order + 1
    assert closed == [
        (first.order, 100, 5, 90_00),
        (sell.order, 100, 5, 0),
        (second.order, 20, 5, 18_00),
        (rest, 20, 5, 0),
    ]
    left = list(stage.account.positions())
    assert [(trade.cmd, trade.volume, trade.comment) for trade in left] == [(0, 30, f"from #{second.order}")]
    assert stage.account.balance_minor == 10_108_00


def test_under_netting_a_larger_order_turns_the_position_around() -> None:
    stage = Stage(group={"netting": 1})
    stage.buy(volume=100)
    stage.accepted(c.OpenTrade(cmd=1, symbol="EURUSD", volume=250))
    assert [(trade.cmd, trade.volume) for trade in stage.account.positions()] == [(1, 150)]


def test_under_netting_what_only_reduces_needs_no_free_margin_and_no_room() -> None:
    stage = Stage(deposit=1_200_00, group={"netting": 1, "maxpositions": 1, "hedge_prohibited": 1})
    stage.buy(volume=100)
    stage.quote("EURUSD", 109_500, 109_510)
    assert stage.numbers.margin_free_minor < 0
    assert stage.refused(c.OpenTrade(cmd=0, symbol="EURUSD", volume=10)) == ("RET_TRADE_LIMIT_REACHED", 409)
    stage.accepted(c.OpenTrade(cmd=1, symbol="EURUSD", volume=40))
    assert [(trade.cmd, trade.volume) for trade in stage.account.positions()] == [(0, 60)]


# ── limits and the kill switch ────────────────────────────────────────────────────────────────────


def test_limits_of_an_account_bound_volume_orders_and_the_loss_of_a_day() -> None:
    stage = Stage()
    stage.accepted(c.LimitAccount(limits=Limits(open_volume=150)))
    stage.buy(volume=100)
    assert stage.refused(c.OpenTrade(cmd=0, symbol="XAUUSD", volume=51)) == ("RET_TRADE_LIMIT_REACHED", 409)
    stage.accepted(c.LimitAccount(limits=Limits(orders_per_minute=2)))
    stage.pending(2, 109_000)
    stage.buy(volume=1)
    assert stage.refused(c.OpenTrade(cmd=0, symbol="EURUSD", volume=1)) == ("RET_TRADE_TOO_MANY_REQ", 429)
    stage.now_ms += 60_000
    stage.buy(volume=1)
    stage.accepted(c.LimitAccount(limits=Limits(daily_loss_minor=300_00)))
    stage.quote("EURUSD", 109_710, 109_720)
    stage.accepted(c.CloseGroup(type=0))
    assert stage.refused(c.OpenTrade(cmd=0, symbol="EURUSD", volume=1)) == ("RET_TRADE_LIMIT_REACHED", 409)
    stage.now_ms += 86_400_000
    stage.accepted(c.OpenTrade(cmd=0, symbol="EURUSD", volume=1))


def test_while_the_kill_switch_is_pulled_nothing_opens_and_everything_closes() -> None:
    stage = Stage()
    buy = stage.buy()
    waiting = stage.pending(2, 109_500)
    stage.accepted(c.Halt(on=True))
    assert stage.refused(c.OpenTrade(cmd=0, symbol="EURUSD", volume=1)) == ("RET_TRADE_DISABLE", 403)
    stage.quote("EURUSD", 109_400, 109_410)
    still = stage.account.pendings.get(waiting.order)
    assert still is not None
    assert still.deferred == "RET_TRADE_DISABLE"
    stage.accepted(c.CloseTrade(order=buy.order))
    stage.accepted(c.Halt(on=False))
    stage.quote("EURUSD", 109_400, 109_410)
    assert stage.account.position(waiting.order) is not None


def test_what_the_house_halted_its_owner_can_not_let_go_of() -> None:
    stage = Stage()
    stage.accepted(c.Halt(on=True, by=2))
    assert stage.refused(c.Halt(on=False, by=1)) == ("RET_NOT_ENOUGH_RIGHTS", 403)
    stage.accepted(c.Halt(on=True, by=1))
    assert stage.account.halted == 2
    stage.accepted(c.Halt(on=False, by=2))
    assert stage.account.halted == 0


def test_the_house_halts_every_account_at_once() -> None:
    stage = Stage()
    stage.market.halted = stage.model.house_halted = True
    assert stage.refused(c.OpenTrade(cmd=0, symbol="EURUSD", volume=1)) == ("RET_TRADE_DISABLE", 403)
    assert stage.refused(limit_buy(109_000)) == ("RET_TRADE_DISABLE", 403)


def test_flattening_closes_and_cancels_what_it_can() -> None:
    stage = Stage(symbols={"EURUSD": {"freeze_level": 30}})
    buy = stage.buy()
    frozen = stage.buy(sl_points=109_980)
    stage.pending(2, 109_000)
    done = stage.accepted(c.Halt(on=True, flatten=True))
    assert done.matched == 3
    assert [(f.order, f.error.code) for f in done.failures] == [(frozen.order, "RET_TRADE_MODIFY_DENIED")]
    closed = [event.trade for event in done.events if isinstance(event, e.TradeClosed)]
    assert [(trade.order, trade.comment) for trade in closed] == [(buy.order, "HALT")]
    assert not stage.account.pendings
