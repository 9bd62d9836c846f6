"""The list of trades in the database filters as the plain rules do, over orders of every kind."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.common.messages import trading_orders as m
from services.trading.listing import STRUCTURE, Condition
from tests.integration.trading.stage import LOGIN, Stage

NUMBERS = [name for name in STRUCTURE if name not in ("symbol", "comment")]


async def fill(stage: Stage) -> None:
    """Orders of every kind."""
    await stage.account()
    await stage.quote("USDJPY", 150.0, 150.01)
    for volume, bid in ((10, 1.101), (20, 1.0995), (30, 1.1)):
        order = await stage.buy(volume=volume, sl=1.0, comment=f"n{volume % 20}")
        await stage.quote("EURUSD", bid, bid + 0.0001)
        await stage.dealing.close(m.TradeClose(login=LOGIN, order=order, volume=volume - 5))
    jpy = await stage.sell(volume=7, symbol="USDJPY")
    await stage.dealing.close(m.TradeClose(login=LOGIN, order=jpy))
    gone = await stage.pending(2, 1.05)
    await stage.dealing.cancel(m.PendingCancel(login=LOGIN, order=gone))
    await stage.pending(4, 1.2, tp=1.3)
    await stage.dealing.change_balance(m.BalanceChange(login=LOGIN, cmd=7, amount=12.34, comment="n10"))


@st.composite
def conditions(draw: st.DrawFn, rows: list[tuple[Any, ...]]) -> list[Condition]:
    """Conditions on values that are there, and some that are not."""
    found = []
    for _ in range(draw(st.integers(1, 3))):
        text = draw(st.integers(0, 3)) == 0
        field = draw(st.sampled_from(["symbol", "comment"] if text else NUMBERS))
        values = sorted({row[STRUCTURE.index(field)] for row in rows})
        value = st.sampled_from([*values, "nope" if text else 12.5])
        operation = draw(st.sampled_from(["where", "where_not", "where_in", "where_not_in", "between"]))
        if operation in ("where", "where_not"):
            found.append(Condition(field, operation, draw(value)))
        elif operation == "between" and not text:
            operation = draw(st.sampled_from(["where_between", "where_not_between"]))
            found.append(Condition(field, operation, [draw(value), draw(value)]))
        else:
            operation = "where_in" if operation == "between" else operation
            found.append(Condition(field, operation, draw(st.lists(value, max_size=3))))
    return found


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data(), limit=st.integers(1, 9), offset=st.integers(0, 6))
async def test_the_database_filters_as_the_plain_rules_do(
    stage: Stage, data: st.DataObject, limit: int, offset: int
) -> None:
    if not await stage.rows("SELECT FROM trading.margin_account"):
        await fill(stage)
    rows = [tuple(r) for r in (await stage.history.trades(m.TradesAsk(login=LOGIN, limit=1000))).rows]
    assert {row[STRUCTURE.index("state")] for row in rows} == {0, 3, 4, 6}
    wanted = data.draw(conditions(rows))
    expected = [row for row in rows if all(condition.holds(row) for condition in wanted)]
    ask: dict[str, Any] = {}
    for field, operation, value in wanted:
        ask.setdefault(operation, []).append((field, value))
    table = await stage.history.trades(m.TradesAsk(login=LOGIN, limit=limit, offset=offset, **ask))
    assert [tuple(row) for row in table.rows] == expected[offset : offset + limit]
    assert table.count == len(expected)
    net = STRUCTURE.index("net_profit")
    assert round(table.total_net_profit - sum(row[net] for row in expected), 2) == 0
    assert table.total_volume == sum(row[STRUCTURE.index("volume")] for row in expected)
