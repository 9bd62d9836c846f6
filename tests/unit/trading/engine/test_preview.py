"""A dry run says what the order then comes to, and changes nothing."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from services.trading import commands as c
from services.trading.account import LEVEL_STOP_OUT
from services.trading.equity import numbers_of
from services.trading.fills import PROFILES, bounds, simulate
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


@given(st.sampled_from(sorted(PROFILES)), st.integers(0, 1), st.integers(1, 10**9), st.integers(1, 10**6))
@settings(max_examples=100, deadline=None)
def test_no_fill_of_a_profile_is_beyond_the_bounds_told(
    profile: str, cmd: int, order: int, points: int
) -> None:
    told = bounds(profile, buys=cmd == 0, points=points)
    fill = simulate(
        profile, order=order, deal="open", buys=cmd == 0, points=points, volume=100, lot_min=1, lot_step=1
    )
    assert fill is not None
    assert fill.points <= told.points if cmd == 0 else fill.points >= told.points
    assert told.may_be_partial or fill.volume == 100
    assert told.may_be_rejected or not fill.rejected


def test_a_dry_run_says_the_worst_an_account_s_profile_may_make_of_each_kind_of_order() -> None:
    stage = Stage()
    stage.account = replace(stage.account, fill_profile="storm")
    slip = 4_000 * 400 // 1_000
    for cmd, at, worst in (
        (0, 0, slip),
        (1, 0, -slip),
        (2, 109_000, 0),
        (4, 112_000, slip),
        (5, 109_000, -slip),
    ):
        asked = (
            c.OpenTrade(cmd=cmd, symbol="EURUSD", volume=10)
            if cmd < 2
            else c.PlacePending(cmd=cmd, symbol="EURUSD", volume=10, open_points=at)
        )
        told = preview(stage.account, asked, stage.market, stage.now_ms)
        assert told.refusal is None
        promised = cmd > 1 and not stage.market.rules.slippage
        assert told.worst.points == told.price_points + (0 if promised else worst)
        assert told.worst.may_be_rejected
    stage.account = replace(stage.account, fill_profile="")
    told = preview(stage.account, c.OpenTrade(cmd=0, symbol="EURUSD", volume=10), stage.market, stage.now_ms)
    assert (told.worst.points, told.worst.may_be_partial) == (told.price_points, False)
