"""What waits at which price: the book names exactly the orders whose level a quote meets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.trading.activation import level_met
from services.trading.armed import Armed
from services.trading.conversion import Tick
from services.trading.orders import is_met
from services.trading.position import Trade

PLACE = ("raw", "EURUSD")
Price = st.integers(1, 12)


@st.composite
def orders(draw: st.DrawFn) -> list[Trade]:
    """Positions and pending orders around a few prices, so that many levels are equal."""
    return [
        Trade(
            order=number,
            login=1,
            symbol="EURUSD",
            digits=5,
            cmd=draw(st.integers(0, 5)),
            volume=1,
            open_ms=1,
            open_points=draw(Price),
            sl_points=draw(st.integers(0, 12)),
            tp_points=draw(st.integers(0, 12)),
        )
        for number in range(1, draw(st.integers(1, 6)) + 1)
    ]


def met(trade: Trade, tick: Tick) -> bool:
    """Asked of the order itself."""
    return is_met(trade, tick) if trade.is_pending else bool(level_met(trade, tick))


@given(
    trades=orders(),
    ticks=st.lists(st.tuples(Price, st.integers(0, 2)), max_size=12),
    changes=st.lists(st.tuples(st.integers(0, 11), st.integers(1, 6)), max_size=4),
)
def test_an_order_is_named_on_every_quote_that_meets_it_while_it_is_renewed(
    trades: list[Trade], ticks: list[tuple[int, int]], changes: list[tuple[int, int]]
) -> None:
    armed, alive = Armed(), {trade.order: trade for trade in trades}
    for trade in trades:
        armed.put(trade, "raw")
    dropped = dict(changes)
    for at, (bid, spread) in enumerate(ticks):
        if dropped.get(at) in alive:
            armed.drop(dropped[at])
            del alive[dropped[at]]
        tick = Tick(bid, bid + spread)
        named = armed.move(PLACE, tick)
        assert {order for order, trade in alive.items() if met(trade, tick)} <= named
        assert named <= set(alive)
        assert all(met(alive[order], tick) for order in named)
        for order in named:
            armed.renew(order)
    for order in alive:
        armed.drop(order)
    assert len(armed) == 0
