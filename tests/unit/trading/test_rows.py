"""An order and an account go through their rows and come back as they were, also with rare fields."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import ValidationError
from msgspec.structs import asdict, fields

from services.trading.account import Limits
from services.trading.position import Trade
from services.trading.rows import TRADE_COLUMNS, account_of, account_row, trade_of, trade_row
from services.trading.state import Account

_RATIOS = ("margin_num", "margin_den", "rate_num", "rate_den")
Whole = st.integers(0, 2**62)


def any_trade() -> st.SearchStrategy[Trade]:
    """Any order: texts for texts, numbers for numbers."""
    of = {str: st.text(max_size=5), float: st.floats(0, 1e12)}
    return st.builds(Trade, **{field.name: of.get(field.type, Whole) for field in fields(Trade)})


@given(trade=any_trade())
def test_an_order_comes_back_from_its_row(trade: Trade) -> None:
    row = dict(zip((*TRADE_COLUMNS, "extra"), trade_row(trade), strict=True))
    for name in _RATIOS:
        row[name] = Decimal(row[name])
    assert trade_of(row) == trade
    assert {field.name for field in fields(Trade)} == set(TRADE_COLUMNS) | {
        name for name in asdict(trade) if name not in TRADE_COLUMNS
    }


def test_a_plain_order_has_nothing_extra_and_unknown_extras_are_left_out() -> None:
    plain = Trade(order=1, login=2, symbol="EURUSD", digits=5, cmd=0, volume=1, open_ms=1, open_points=1)
    row = dict(zip((*TRADE_COLUMNS, "extra"), trade_row(plain), strict=True))
    assert row["extra"] == {}
    assert trade_of({**row, "extra": {"field_of_another_version": 3}}) == plain


@given(
    loss=Whole, volume=Whole, rate=Whole, profile=st.sampled_from(["", "direct"]), halted=st.integers(0, 2)
)
def test_an_account_comes_back_from_its_row(
    loss: int, volume: int, rate: int, profile: str, halted: int
) -> None:
    limits = Limits(daily_loss_minor=loss, open_volume=volume, orders_per_minute=rate)
    account = Account(
        login=1,
        group="g",
        currency="USD",
        leverage=7,
        enabled=False,
        level_type=1,
        rolled_day=9,
        limits=limits,
        fill_profile=profile,
        halted=halted,
    )
    names = ("group_name", "leverage", "enabled", "read_only", "level_type", "rolled_day", "extra")
    row = dict(zip(names, account_row(account), strict=True))
    stored = {**row, "login": 1, "currency": "USD", "balance_minor": 0, "credit_minor": 0}
    assert account_of(stored) == account
    assert account.venue == "paper"
    with pytest.raises(ValidationError):  # money that is not paper is not of this type
        account_of({**stored, "extra": {**row["extra"], "venue": "live"}})
