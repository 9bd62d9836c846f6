"""The list of trades: its columns, its conditions, its totals (broker 5.10, 5.11). Pure.

Conditions hold all at once. A field's value is compared as it is shown: prices and amounts as numbers,
times in seconds. ``between`` includes both ends and is for numbers. What is open is judged here, what ended
in the database by the same rules.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from libs.common.errors import InvalidData
from libs.common.messages.trading_orders import TradesAsk, TradeTable
from libs.common.money import from_minor, from_points
from services.trading.frames import live
from services.trading.instrument import Market
from services.trading.position import Trade
from services.trading.state import Account

STRUCTURE = (
    "order",
    "login",
    "cmd",
    "state",
    "symbol",
    "reason",
    "volume",
    "open_time",
    "close_time",
    "open_price",
    "close_price",
    "sl",
    "tp",
    "profit",
    "net_profit",
    "commission",
    "storage",
    "comment",
    "digits",
    "expiration",
)
HISTORY = tuple(name for name in STRUCTURE if name != "net_profit")
_TEXTS = frozenset({"symbol", "comment"})

LIMIT_MAX = 1_000
CONDITIONS_MAX = 50
VALUES_MAX = 1_000
ALL, OPEN, CLOSED, PENDING, FINANCE = range(5)
# tradeType → the commands of what ended that it means; None: nothing that ended
FINISHED_CMDS: Mapping[int, tuple[int, int] | None] = {
    ALL: (0, 99),
    OPEN: None,
    CLOSED: (0, 5),
    PENDING: None,
    FINANCE: (6, 99),
}
_OPERATIONS = ("where", "where_not", "where_in", "where_not_in", "where_between", "where_not_between")
_HOLDS: Mapping[str, Callable[[Any, Any], bool]] = {
    "where": lambda value, given: bool(value == given),
    "where_not": lambda value, given: bool(value != given),
    "where_in": lambda value, given: value in given,
    "where_not_in": lambda value, given: value not in given,
    "where_between": lambda value, given: bool(given[0] <= value <= given[1]),
    "where_not_between": lambda value, given: not given[0] <= value <= given[1],
}


class Condition(NamedTuple):
    """One condition: a column, an operation, and what it is compared with."""

    field: str
    operation: str
    given: Any

    def holds(self, row: Sequence[Any]) -> bool:
        """Whether it holds for a row of the list."""
        return _HOLDS[self.operation](row[STRUCTURE.index(self.field)], self.given)


class Totals(NamedTuple):
    """Count and sums over every match; money in minor units."""

    matches: int = 0
    profit_minor: int = 0
    storage_minor: int = 0
    commission_minor: int = 0
    volume: int = 0

    def plus(self, other: Totals) -> Totals:
        """Both together."""
        return Totals(*(a + b for a, b in zip(self, other, strict=True)))


def conditions_of(ask: TradesAsk) -> list[Condition]:
    """The conditions of a request; refused where a field is unknown or a value is not one of the field."""
    if not 0 <= ask.limit <= LIMIT_MAX:
        raise InvalidData(f"limit is at most {LIMIT_MAX}")
    if ask.offset < 0:
        raise InvalidData("offset was below 0")
    if ask.trade_type not in FINISHED_CMDS:
        raise InvalidData(f"tradeType was {ask.trade_type}")
    found = [
        Condition(field, operation, given)
        for operation in _OPERATIONS
        for field, given in getattr(ask, operation)
    ]
    if len(found) > CONDITIONS_MAX:
        raise InvalidData(f"at most {CONDITIONS_MAX} conditions")
    for condition in found:
        _check(condition)
    return found


def row_of(trade: Trade, account: Account, market: Market) -> tuple[Any, ...]:
    """An order as a row of the list."""
    currency, digits = account.currency, trade.digits
    profit, close_points = live(trade, account, market)
    net = profit + trade.commission_minor + trade.storage_minor
    return (
        trade.order,
        trade.login,
        trade.cmd,
        trade.state,
        trade.symbol,
        trade.reason,
        trade.volume,
        trade.open_ms // 1000,
        trade.close_ms // 1000,
        from_points(trade.open_points, digits),
        from_points(close_points, digits),
        from_points(trade.sl_points, digits),
        from_points(trade.tp_points, digits),
        from_minor(profit, currency),
        from_minor(net, currency),
        from_minor(trade.commission_minor, currency),
        from_minor(trade.storage_minor, currency),
        trade.comment,
        digits,
        trade.expiration_ms // 1000,
    )


def history_row(row: Sequence[Any]) -> tuple[Any, ...]:
    """A row without ``net_profit``."""
    at = STRUCTURE.index("net_profit")
    return (*row[:at], *row[at + 1 :])


def open_matches(
    trades: Iterable[Trade],
    account: Account,
    market: Market,
    trade_type: int,
    conditions: Sequence[Condition],
) -> tuple[list[tuple[Any, ...]], Totals]:
    """Those of an account's open ``trades`` that match, newest first, and their totals."""
    kinds = {ALL: (True, False), OPEN: (False,), PENDING: (True,)}.get(trade_type, ())
    chosen = [trade for trade in trades if trade.is_pending in kinds]
    rows, totals = [], Totals()
    for trade in sorted(chosen, key=lambda trade: trade.order, reverse=True):
        row = row_of(trade, account, market)
        if all(condition.holds(row) for condition in conditions):
            rows.append(row)
            profit, _ = live(trade, account, market)
            totals = totals.plus(Totals(1, profit, trade.storage_minor, trade.commission_minor, trade.volume))
    return rows, totals


class Page(NamedTuple):
    """Which of the finished ones to read so that a page can be merged with the open ones."""

    limit: int
    offset: int


def page_of(open_count: int, limit: int, offset: int) -> Page:
    """At most all open ones stand before the page or in it, so it begins that much earlier at most."""
    start = max(0, offset - open_count)
    return Page(offset + limit - start, start)


def merged(
    opened: Sequence[tuple[Any, ...]],
    finished: Sequence[tuple[Any, ...]],
    page: Page,
    limit: int,
    offset: int,
) -> list[tuple[Any, ...]]:
    """The rows of the page, newest first; ``finished`` are those of ``page``."""
    ranked: list[tuple[int, tuple[Any, ...]]] = []
    for at, row in enumerate(finished):
        newer = sum(1 for other in opened if other[0] > row[0])
        ranked.append((page.offset + at + newer, row))
    for at, row in enumerate(opened):
        newer = sum(1 for other in finished if other[0] > row[0])
        ranked.append((page.offset + at + newer, row))
    return [row for rank, row in sorted(ranked) if offset <= rank < offset + limit]


def table(rows: Sequence[Sequence[Any]], totals: Totals, currency: str) -> TradeTable:
    """The answer."""
    net = totals.profit_minor + totals.commission_minor + totals.storage_minor
    return TradeTable(
        structure=STRUCTURE,
        rows=rows,
        count=totals.matches,
        total_profit=from_minor(totals.profit_minor, currency),
        total_net_profit=from_minor(net, currency),
        total_storage=from_minor(totals.storage_minor, currency),
        total_commission=from_minor(totals.commission_minor, currency),
        total_volume=totals.volume,
    )


def _check(condition: Condition) -> None:
    field, operation, given = condition
    if field not in STRUCTURE:
        raise InvalidData(f"{field!r} is no field of a trade")
    if operation in ("where", "where_not"):
        values: Any = [given]
    elif not isinstance(given, list | tuple):
        raise InvalidData(f"{field}: a list is needed")
    else:
        values = given
    if operation.endswith("between") and (field in _TEXTS or len(values) != 2):
        raise InvalidData(f"{field}: two numbers are needed")
    if len(values) > VALUES_MAX:
        raise InvalidData(f"{field}: at most {VALUES_MAX} values")
    if not all(_is_text(value) if field in _TEXTS else _is_number(value) for value in values):
        raise InvalidData(f"{field}: the value is not of the field's type")


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
