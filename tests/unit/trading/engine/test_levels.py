"""The levels a trigger book is armed with say of every quote what the engine would do with it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.trading.activation import level_met
from services.trading.conversion import Tick
from services.trading.levels import ASK, BID, Level, levels_of
from services.trading.orders import is_met
from services.trading.position import Trade
from tests.unit.trading.engine.scenarios import START_MS

POINTS = st.integers(0, 12)


def trade(cmd: int, **over: int) -> Trade:
    fixed = {"order": 1, "login": 7, "digits": 5, "volume": 100, "open_ms": START_MS, "open_points": 6}
    return Trade(symbol="EURUSD", cmd=cmd, **{**fixed, **over})  # type: ignore[arg-type]


def met(level: Level, tick: Tick) -> bool:
    price = tick.ask if level.side == ASK else tick.bid
    return price >= level.points if level.up else price <= level.points


@given(st.integers(0, 5), POINTS, POINTS, st.integers(1, 12), POINTS, POINTS)
def test_a_quote_meets_a_level_exactly_when_the_engine_acts_on_the_order(
    cmd: int, sl: int, tp: int, price: int, bid: int, spread: int
) -> None:
    tick = Tick(bid + 1, bid + 1 + spread)
    waits = trade(cmd, sl_points=sl, tp_points=tp, open_points=price)
    acts = is_met(waits, tick) if waits.is_pending else bool(level_met(waits, tick))
    assert any(met(level, tick) for level in levels_of(waits)) == acts


def test_a_held_order_waits_for_another_and_for_no_price() -> None:
    assert levels_of(trade(2, after=9)) == ()


def test_a_trailing_stop_is_asked_at_its_next_step() -> None:
    buy = trade(0, sl_points=100, trail_points=30, trail_step_points=5)
    assert levels_of(buy) == (Level(BID, False, 100), Level(BID, True, 135))
    sell = trade(1, sl_points=100, trail_points=30, trail_step_points=5)
    assert levels_of(sell) == (Level(ASK, True, 100), Level(ASK, False, 65))
