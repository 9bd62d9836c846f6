"""Simulated fills: one fate for an order, within its profile's odds, and what the engine makes of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.trading import commands as c
from services.trading import events as e
from services.trading.draft import Outcome
from services.trading.engine import decide
from services.trading.fills import CLOSES, OPENS, PROFILES, PaperFill, at_limit, simulate
from services.trading.state import Account, apply
from tests.unit.trading.engine.stage import Stage

NAMES = st.sampled_from(sorted(PROFILES))
ORDERS = st.integers(1, 10**9)


def made(name: str, order: int, *, deal: str = OPENS, buys: bool = True, volume: int = 1_000) -> PaperFill:
    fill = simulate(
        name,
        order=order,
        deal=deal,
        buys=buys,
        points=110_000,
        volume=volume,
        lot_min=10,
        lot_step=5,
    )
    assert fill is not None
    return fill


@given(
    NAMES, ORDERS, st.sampled_from([OPENS, CLOSES]), st.booleans(), st.integers(1, 5_000).map(lambda n: n * 5)
)
def test_a_fill_stays_within_its_profile_and_repeats_itself(
    name: str, order: int, deal: str, buys: bool, volume: int
) -> None:
    profile = PROFILES[name]
    fill = made(name, order, deal=deal, buys=buys, volume=volume)
    assert fill == made(name, order, deal=deal, buys=buys, volume=volume)
    assert profile.latency_ms_min <= fill.latency_ms <= profile.latency_ms_max
    assert abs(fill.slippage_points) * 1_000 <= fill.latency_ms * profile.points_per_s
    assert fill.volume == volume or (10 <= fill.volume < volume and fill.volume % 5 == 0 and deal == OPENS)
    assert not (fill.rejected and deal == CLOSES)


@given(NAMES, ORDERS, st.booleans(), st.integers(109_000, 111_000))
def test_a_limit_is_never_filled_beyond_itself(name: str, order: int, buys: bool, limit: int) -> None:
    fill = at_limit(made(name, order, buys=buys), limit, buys=buys)
    assert fill.points <= limit if buys else fill.points >= limit


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_the_odds_of_a_profile_are_met_over_many_orders(name: str) -> None:
    profile = PROFILES[name]
    fills = [made(name, order) for order in range(1, 20_001)]
    taken = [fill for fill in fills if not fill.rejected]
    rejected = (len(fills) - len(taken)) * 10_000 / len(fills)
    partial = sum(fill.volume < 1_000 for fill in taken) * 10_000 / len(taken)
    favourable = sum(fill.slippage_points < 0 for fill in taken) * 100 / len(taken)
    assert abs(rejected - profile.reject_chance) < 100
    assert abs(partial - profile.partial_chance) < 120
    assert favourable <= profile.favourable_percent + 2
    assert sum(fill.slippage_points for fill in fills) > 0  # against the client on the whole


def test_no_profile_is_an_exact_fill() -> None:
    nothing = simulate("", order=1, deal=OPENS, buys=True, points=5, volume=1, lot_min=1, lot_step=1)
    assert nothing is None


class Venue:
    """An account whose fills are simulated; the oracle stays out of it."""

    def __init__(self, profile: str, **group: int) -> None:
        self.stage = Stage(deposit=100_000_00, group=group)
        self.account: Account = self.stage.account
        self.orders = iter(range(1_000, 100_000))
        self.do(c.LimitAccount(fill_profile=profile))

    def do(self, asked: c.Input) -> Outcome:
        stage = self.stage
        outcome = decide(self.account, asked, stage.market, stage.now_ms, lambda: next(self.orders))
        folded = self.account
        for event in outcome.events:
            folded = apply(folded, event)
        assert folded == outcome.account
        self.account = outcome.account
        return outcome


def test_what_was_drawn_stays_with_the_fill() -> None:
    venue = Venue("storm")
    rejected = partial = 0
    for _ in range(150):
        outcome = venue.do(c.OpenTrade(cmd=0, symbol="EURUSD", volume=10))
        assert outcome.refusal is None
        event = outcome.events[0]
        if isinstance(event, e.OrderRejected):
            rejected += 1
            code = "[ACTIVATION_CANCEL: RET_TRADE_BROKER_BUSY]"
            assert (event.trade.state, event.trade.activation, event.trade.comment) == (6, 5, code)
            assert event.trade.margin_minor == 0
            told = outcome.events[1]
            assert isinstance(told, e.TradeRejected)
            assert (told.order, told.error) == (event.trade.order, "RET_TRADE_BROKER_BUSY")
            continue
        assert isinstance(event, e.TradeOpened)
        assert event.fill is not None
        fill = event.fill
        assert (event.trade.open_points, event.trade.volume) == (fill.points, fill.volume)
        assert fill.quoted_points == 110_010
        if fill.volume < 10:
            partial += 1
            assert event.trade.comment == f"[partial: {fill.volume} of 10]"
        closed = venue.do(c.CloseTrade(order=event.trade.order)).events[0]
        assert isinstance(closed, e.TradeClosed)
        assert closed.fill is not None
        assert closed.trade.close_points == closed.fill.points
    assert rejected
    assert partial


def test_levels_that_are_limits_hold_and_exact_levels_stay_exact() -> None:
    for slippage in (1, 0):
        venue = Venue("storm", allow_sl_tp_slippage=slippage)
        for _ in range(40):
            asked = c.PlacePending(cmd=2, symbol="EURUSD", volume=10, open_points=109_900, tp_points=110_500)
            assert venue.do(asked).refusal is None
        stage = venue.stage
        stage.quote("EURUSD", 109_890, 109_900)
        filled = venue.do(c.OnQuote(symbol="EURUSD"))
        opened = [event for event in filled.events if isinstance(event, e.PendingActivated)]
        assert any(isinstance(event, e.TradeRejected) for event in filled.events)
        assert all(event.trade.open_points <= 109_900 for event in opened)
        stage.quote("EURUSD", 110_510, 110_520)
        done = venue.do(c.OnQuote(symbol="EURUSD"))
        prices = {event.trade.close_points for event in done.events if isinstance(event, e.TradeClosed)}
        assert len(prices) > 1 if slippage else prices == {110_500}
        assert min(prices) >= 110_500


def test_an_unknown_profile_is_refused() -> None:
    venue = Venue("")
    refusal = venue.do(c.LimitAccount(fill_profile="none such")).refusal
    assert refusal is not None
    assert refusal.code == "INVALID_DATA"
