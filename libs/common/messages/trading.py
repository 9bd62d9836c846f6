"""Messages owned by trading. Major 1 of each."""

from __future__ import annotations

from typing import Literal

import msgspec


class BalanceFrame(msgspec.Struct, array_like=True, frozen=True):
    """Account numbers changed. The JSON is the client's ``b`` frame (broker 11.2)."""

    tag: Literal["b"]
    login: int
    balance: float
    margin: float
    margin_free: float
    margin_level: float
    equity: float
    credit: float
    level_type: int
    profit: float
    code: int = 1


class TradeFrame(msgspec.Struct, array_like=True, frozen=True):
    """A trade was made or changed. The JSON is the client's ``o`` frame (broker 11.2): tp before sl.

    ``code``: 0 add, 1 update, 2 delete, 5 pending activated, 6 trade closed.
    """

    tag: Literal["o"]
    order: int
    login: int
    symbol: str
    cmd: int
    volume: int
    open_price: float
    close_price: float
    open_time: int
    close_time: int
    tp: float
    sl: float
    state: int
    storage: float
    commission: float
    profit: float
    comment: str
    code: int


class AccountOpen(msgspec.Struct, frozen=True, kw_only=True):
    """Make the margin account of a login, once; asking again gives the same account."""

    login: int
    person_id: int
    group: str
    currency: str
    leverage: int
    opened_ms: int


class AccountAsk(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for the numbers of one account."""

    login: int


class AccountState(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers of one account in its currency (broker 4.2, in its order)."""

    login: int
    balance: float
    credit: float
    profit: float
    commission: float
    storage: float
    margin: float
    margin_free: float
    margin_level: float
    equity: float
    level_type: int
    currency: str
