"""The list of trades: its pages merge what is open and what ended, whatever lies where."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.errors import InvalidData
from libs.common.messages.trading_orders import TradesAsk
from services.trading.listing import STRUCTURE, Condition, conditions_of, history_row, merged, page_of


@given(
    orders=st.lists(
        st.tuples(st.integers(1, 60), st.booleans()), max_size=40, unique_by=lambda pair: pair[0]
    ),
    limit=st.integers(0, 12),
    offset=st.integers(0, 50),
)
def test_a_page_is_that_part_of_the_whole_list(
    orders: list[tuple[int, bool]], limit: int, offset: int
) -> None:
    opened = sorted(((order,) for order, is_open in orders if is_open), reverse=True)
    finished = sorted(((order,) for order, is_open in orders if not is_open), reverse=True)
    page = page_of(len(opened), limit, offset)
    read = finished[page.offset : page.offset + page.limit]
    whole = sorted([*opened, *finished], reverse=True)
    assert merged(opened, read, page, limit, offset) == whole[offset : offset + limit]


def row(**fields: Any) -> tuple[Any, ...]:
    return tuple(fields.get(name, 0) for name in STRUCTURE)


@given(
    value=st.integers(-5, 5),
    given_=st.integers(-5, 5),
    many=st.lists(st.integers(-5, 5), max_size=4),
    low=st.integers(-5, 5),
    high=st.integers(-5, 5),
)
def test_conditions_hold_as_they_read(value: int, given_: int, many: list[int], low: int, high: int) -> None:
    shown = row(profit=value / 2)
    half = [one / 2 for one in many]
    for operation, compared, expected in (
        ("where", given_ / 2, value == given_),
        ("where_not", given_ / 2, value != given_),
        ("where_in", half, value in many),
        ("where_not_in", half, value not in many),
        ("where_between", [low / 2, high / 2], low <= value <= high),
        ("where_not_between", [low / 2, high / 2], not low <= value <= high),
    ):
        assert Condition("profit", operation, compared).holds(shown) is expected


@pytest.mark.parametrize(
    "wrong",
    [
        {"limit": 1001},
        {"limit": -1},
        {"offset": -1},
        {"trade_type": 5},
        {"where": [("password", 1)]},
        {"where": [("volume", "1")]},
        {"where": [("volume", True)]},
        {"where": [("volume", None)]},
        {"where": [("comment", 1)]},
        {"where_in": [("volume", 1)]},
        {"where_in": [("volume", [1] * 1001)]},
        {"where_between": [("volume", [1])]},
        {"where_between": [("comment", ["a", "b"])]},
        {"where": [("volume", 1)] * 51},
    ],
)
def test_conditions_that_say_nothing_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidData):
        conditions_of(TradesAsk(login=1, **wrong))


def test_a_history_row_lacks_net_profit_only() -> None:
    shown = row(net_profit=7, profit=5)
    assert len(history_row(shown)) == len(STRUCTURE) - 1
    assert 7 not in history_row(shown)
