"""A dry run says what the order then comes to, and changes nothing."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.trading import commands as c
from services.trading.account import LEVEL_STOP_OUT
from services.trading.equity import numbers_of
from services.trading.preview import preview, stop_out_points
from tests.unit.trading.engine.stage import Stage
from tests.unit.trading.engine.walk import Walk


@given(st.integers(0, 10_000), st.integers(0, 1), st.integers(1, 800))
@example(493, 0, 1)  # under netting, with what is left of the position it was closed against
@settings(max_examples=40, deadline=None)
def test_a_preview_is_what_happens_then(seed: int, cmd: int, volume: int) -> None:
    walk = Walk(seed)
    for _ in range(40):
        walk.step()
    twin, symbol = walk.twin, walk.symbols[seed % len(walk.symbols)]
    twin.do(c.OnClock())  # days that ended are no part of the question
    asked = c.OpenTrade(cmd=cmd, symbol=symbol, volume=volume)
    before = twin.account
    told = preview(before, asked, twin.market, twin.now_ms)
    assert twin.account is before
    outcome = twin.do(asked)
    if outcome.refusal is not None:
        assert told.refusal is not None
        assert told.refusal.code == outcome.refusal.code
        return
    opened = outcome.events[0].trade  # type: ignore[union-attr]
    assert told.refusal is None
    assert (told.margin_minor, told.commission_minor, told.price_points) == (
        opened.margin_minor,
        opened.commission_minor,
        opened.open_points,
    )
    assert told.after == outcome.numbers


@pytest.mark.parametrize(("cmd", "currency"), [(0, "USD"), (1, "USD"), (0, "JPY"), (1, "EUR")])
def test_at_the_stop_price_the_account_is_stopped_out_and_a_point_before_it_is_not(
    cmd: int, currency: str
) -> None:
    deposit = 2_000_00 if currency != "JPY" else 300_000
    stage = Stage(currency=currency, deposit=deposit)
    symbol = "USDJPY" if currency == "JPY" else "EURUSD"
    told = preview(stage.account, c.OpenTrade(cmd=cmd, symbol=symbol, volume=100), stage.market, stage.now_ms)
    assert told.stop_points > 0
    stage.filled(c.OpenTrade(cmd=cmd, symbol=symbol, volume=100))
    assert stop_out_points(stage.account, stage.market, symbol) == told.stop_points
    towards = 1 if cmd == 0 else -1
    tick = stage.quotes[symbol]
    spread = tick.ask - tick.bid
    last = told.stop_points if cmd == 0 else told.stop_points - spread
    stage.quote(symbol, last + towards, last + towards + spread)
    assert stage.account.level_type < LEVEL_STOP_OUT
    assert stage.account.position_count == 1
    stage.quote(symbol, last, last + spread)
    assert stage.account.position_count == 0


def test_a_pending_order_is_weighed_at_its_price() -> None:
    stage = Stage(symbols={"EURUSD": {"comm_base": 7.0}})
    asked = c.PlacePending(cmd=2, symbol="EURUSD", volume=100, open_points=109_000)
    told = preview(stage.account, asked, stage.market, stage.now_ms)
    assert (told.refusal, told.price_points, told.commission_minor) == (None, 109_000, -700)
    assert told.margin_minor == 1_100_05  # forex margin is in euros at the mid rate of now
    assert told.after is not None
    assert told.after.margin_minor == told.margin_minor


def test_a_symbol_that_is_fully_hedged_has_no_stop_price() -> None:
    stage = Stage()
    stage.buy()
    stage.sell()
    assert stop_out_points(stage.account, stage.market, "EURUSD") == 0
    assert numbers_of(stage.account, stage.market) is not None
