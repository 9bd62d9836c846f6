"""Reading orders: the list of what is open and what ended, and the history of an account."""

from __future__ import annotations

from libs.common.bus import encode
from libs.common.db import Database
from libs.common.errors import InvalidData
from libs.common.messages import trading_orders as m
from libs.common.money import minor_digits
from services.trading.desk import Desk
from services.trading.listing import (
    ALL,
    FINISHED_CMDS,
    HISTORY,
    Condition,
    Totals,
    conditions_of,
    history_row,
    merged,
    open_matches,
    page_of,
    row_of,
    table,
)
from services.trading.position import Trade
from services.trading.state import Account
from services.trading.store import Filters, Store

HISTORY_ROWS_MAX = 20_000
OFFSET_MAX = 2**31 - 1


class History:
    """See the module's text."""

    def __init__(self, *, database: Database, store: Store, desk: Desk) -> None:
        self._database = database
        self._store = store
        self._desk = desk

    async def trades(self, ask: m.TradesAsk) -> m.TradeTable:
        """A page of an account's orders with count and totals of all matches (5.10)."""
        conditions = conditions_of(ask)
        if ask.offset > OFFSET_MAX:
            raise InvalidData(f"offset is at most {OFFSET_MAX}")
        account = await self._desk.account(ask.login)
        market = self._desk.floor.market_of(account)
        by = _filters(ask.trade_type, account.currency, conditions)
        if by is None:
            rows, totals = open_matches(_opened(account), account, market, ask.trade_type, conditions)
            page = rows[ask.offset : ask.offset + ask.limit]
            return table(page, totals, account.currency)
        # What is open and what ended come from one snapshot: an order that closes meanwhile would else
        # stand in neither or in both.
        async with (
            self._database.connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            known = await self._store.open_trades(connection, ask.login) if ask.trade_type == ALL else []
            opened, totals = open_matches(known, account, market, ask.trade_type, conditions)
            at = page_of(len(opened), ask.limit, ask.offset)
            sums = await self._store.finished_totals(connection, ask.login, by)
            trades = await self._store.finished(connection, ask.login, by, at.limit, at.offset)
        finished = [row_of(trade, account, market) for trade in trades]
        page = merged(opened, finished, at, ask.limit, ask.offset)
        return table(page, totals.plus(Totals(*sums)), account.currency)

    async def history(self, ask: m.HistoryAsk) -> m.HistoryTable:
        """What ended between two times, newest first (5.11)."""
        if ask.from_s > ask.to_s:
            raise InvalidData("from is after to")
        account = await self._desk.account(ask.login)
        market = self._desk.floor.market_of(account)
        async with self._database.connection() as connection:
            trades = await self._store.history(
                connection, ask.login, ask.from_s * 1000, (ask.to_s + 1) * 1000, HISTORY_ROWS_MAX
            )
        return m.HistoryTable(HISTORY, [history_row(row_of(trade, account, market)) for trade in trades])


def _opened(account: Account) -> list[Trade]:
    """Open positions and pending orders."""
    return [*account.positions(), *account.pendings]


def _filters(trade_type: int, currency: str, conditions: list[Condition]) -> Filters | None:
    cmds = FINISHED_CMDS[trade_type]
    if cmds is None:
        return None
    return Filters(
        first_cmd=cmds[0],
        last_cmd=cmds[1],
        minor_digits=minor_digits(currency),
        fields=[condition.field for condition in conditions],
        operations=[condition.operation for condition in conditions],
        values=[encode(condition.given).decode() for condition in conditions],
    )
