"""An order and an account as rows of their tables, and back. Pure.

Fields that every order has are columns; those that few have stand in ``extra`` by their names, only where
they are not the default. So a new field of ``Trade`` or ``Account`` needs nothing here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from services.trading.position import Trade
from services.trading.state import Account

# The columns of trading.trade, in the order the queries give and take them.
TRADE_COLUMNS = (
    "order",
    "login",
    "symbol",
    "digits",
    "cmd",
    "state",
    "reason",
    "activation",
    "volume",
    "open_ms",
    "close_ms",
    "expiration_ms",
    "open_points",
    "close_points",
    "sl_points",
    "tp_points",
    "margin_minor",
    "margin_num",
    "margin_den",
    "profit_minor",
    "commission_minor",
    "storage_minor",
    "rate_num",
    "rate_den",
    "comment",
    "parent",
    "deferred",
)
_RATIOS = ("margin_num", "margin_den", "rate_num", "rate_den")  # numeric: they come back as decimals
_ACCOUNT_COLUMNS = ("group", "leverage", "enabled", "read_only", "level_type", "rolled_day")
# What an account has beside its row: sums of the ledger, and what its orders say.
_NOT_KEPT = frozenset(
    {"login", "currency", "balance_minor", "credit_minor", "books", "pendings", *_ACCOUNT_COLUMNS}
)


def _rare(kind: type[msgspec.Struct], common: frozenset[str]) -> tuple[tuple[str, Any], ...]:
    """The fields that stand in ``extra``, with their defaults."""
    return tuple(
        (field.name, field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory())
        for field in msgspec.structs.fields(kind)
        if field.name not in common
    )


_RARE_OF_TRADE = _rare(Trade, frozenset(TRADE_COLUMNS))
_RARE_OF_ACCOUNT = _rare(Account, _NOT_KEPT)
_TRADE_TYPES = {field.name: field.type for field in msgspec.structs.fields(Trade)}
_ACCOUNT_TYPES = {field.name: field.type for field in msgspec.structs.fields(Account)}


def trade_row(trade: Trade) -> tuple[Any, ...]:
    """The columns of an order, ``extra`` last."""
    return (
        trade.order,
        trade.login,
        trade.symbol,
        trade.digits,
        trade.cmd,
        trade.state,
        trade.reason,
        trade.activation,
        trade.volume,
        trade.open_ms,
        trade.close_ms,
        trade.expiration_ms,
        trade.open_points,
        trade.close_points,
        trade.sl_points,
        trade.tp_points,
        trade.margin_minor,
        trade.margin_num,
        trade.margin_den,
        trade.profit_minor,
        trade.commission_minor,
        trade.storage_minor,
        trade.rate_num,
        trade.rate_den,
        trade.comment,
        trade.parent,
        trade.deferred,
        _extra(trade, _RARE_OF_TRADE),
    )


def trade_of(row: Mapping[str, Any]) -> Trade:
    """The order of a row that has the columns by name."""
    fields = {name: row[name] for name in TRADE_COLUMNS}
    for name in _RATIOS:
        fields[name] = int(fields[name])
    return Trade(**fields, **_read(row["extra"], _TRADE_TYPES))


def account_row(account: Account) -> tuple[Any, ...]:
    """What is kept of an account and changes: group, leverage, flags, level, day, and ``extra``."""
    return (*(getattr(account, name) for name in _ACCOUNT_COLUMNS), _extra(account, _RARE_OF_ACCOUNT))


def account_of(row: Mapping[str, Any]) -> Account:
    """The account of a row with its sums; without its orders."""
    return Account(
        login=row["login"],
        group=row["group_name"],
        currency=row["currency"],
        leverage=row["leverage"],
        enabled=row["enabled"],
        read_only=row["read_only"],
        level_type=row["level_type"],
        rolled_day=row["rolled_day"],
        balance_minor=row["balance_minor"],
        credit_minor=row["credit_minor"],
        **_read(row["extra"], _ACCOUNT_TYPES),
    )


def _extra(of: msgspec.Struct, rare: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    found = {}
    for name, default in rare:
        value = getattr(of, name)
        if value != default:
            found[name] = msgspec.to_builtins(value)
    return found


def _read(extra: Mapping[str, Any], types: Mapping[str, Any]) -> dict[str, Any]:
    """Unknown names are left out: a version before this one may have written them."""
    return {name: msgspec.convert(value, types[name]) for name, value in extra.items() if name in types}
