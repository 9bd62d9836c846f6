"""The use cases of orders: what clients and staff ask becomes a command, its outcome an ack.

What the engine refuses is raised as it is. An order that is neither open nor pending here is looked up in
the tables: another account's is 403, one that ended is RET_TRADE_INCORRECT_STATE, none is RET_NOT_FOUND.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TypeVar

from libs.common.bus import encode
from libs.common.db import Database
from libs.common.errors import AppError, InvalidData
from libs.common.messages import trading_orders as m
from libs.common.money import from_minor
from services.trading import acks, asks
from services.trading import commands as c
from services.trading import refusals as no
from services.trading.asks import digits_of_order
from services.trading.desk import Desk, OwnId
from services.trading.draft import Outcome
from services.trading.errors import ForeignModify, ForeignOrder
from services.trading.events import BalanceChanged
from services.trading.position import (
    FINANCE_CMDS,
    MARKET_CMDS,
    OPEN_NORMAL,
    PENDING_CMDS,
    Trade,
)
from services.trading.state import Account
from services.trading.store import Store
from services.trading.swap import swap_between

COMMENT_MAX = 512
OWN_ID_MAX = 255
_MODIFY = (m.TradeModify, m.PendingModify)
_KINDS = {"any": None, "open": MARKET_CMDS, "close": None, "pending": PENDING_CMDS}
A = TypeVar("A", m.TradeOpen, m.PendingOpen)


class Dealing:
    """See the module's text."""

    def __init__(self, *, database: Database, store: Store, desk: Desk) -> None:
        self._database = database
        self._store = store
        self._desk = desk

    # ── clients ───────────────────────────────────────────────────────────────────────────────────

    async def open(self, ask: m.TradeOpen) -> m.TradeAck | bytes:
        """Buy or sell at the market (5.1)."""
        symbol, digits = self.symbol(ask.symbol)
        return await self._open(ask, asks.open_trade(ask, symbol, digits))

    async def open_pending(self, ask: m.PendingOpen) -> m.TradeAck | bytes:
        """Place a pending order (5.2)."""
        symbol, digits = self.symbol(ask.symbol)
        return await self._open(ask, asks.place_pending(ask, symbol, digits))

    async def close(self, ask: m.TradeClose) -> m.CloseAck:
        """Close a position, whole or in part (5.3)."""
        asked = c.CloseTrade(read_only=ask.read_only, order=ask.order, volume=ask.volume, comment=ask.comment)
        return acks.closed(await self.change(ask, asked, ask.order), ask.order)

    async def close_by(self, ask: m.TradeCloseBy) -> m.CloseBatch:
        """Close two positions against each other (5.4)."""
        asked = c.CloseBy(read_only=ask.read_only, order=ask.order, order_by=ask.order_by)
        outcome = await self.change(ask, asked, ask.order, ask.order_by)
        return acks.close_batch(outcome, [acks.closed(outcome, o) for o in (ask.order, ask.order_by)])

    async def close_group(self, ask: m.TradeCloseGroup) -> m.CloseBatch:
        """Close all, what is in profit, or what is in loss (5.5)."""
        symbol = self.symbol(ask.symbol)[0] if ask.symbol else None
        asked = c.CloseGroup(read_only=ask.read_only, type=ask.type, symbol=symbol, comment=ask.comment)
        outcome = _matched(await self.submit(ask.login, asked))
        return acks.close_batch(outcome, map(acks.close_ack, acks.closings(outcome)))

    async def cancel(self, ask: m.PendingCancel) -> m.TradeAck:
        """Cancel a pending order (5.6)."""
        asked = c.CancelPending(read_only=ask.read_only, order=ask.order)
        outcome = await self.change(ask, asked, ask.order)
        return acks.ack_of(acks.trade_in(outcome, ask.order), acks.CANCEL_REQUEST)

    async def cancel_group(self, ask: m.PendingCancelGroup) -> m.CancelBatch:
        """Cancel pending orders (5.7)."""
        symbol = self.symbol(ask.symbol)[0] if ask.symbol else None
        asked = c.CancelGroup(read_only=ask.read_only, symbol=symbol)
        return acks.cancel_batch(_matched(await self.submit(ask.login, asked)))

    async def modify(self, ask: m.TradeModify) -> m.TradeAck:
        """Change a position's levels (5.8)."""
        account = await self._desk.account(ask.login)
        asked = asks.modify_trade(ask, digits_of_order(account, ask.order))
        outcome = await self.change(ask, asked, ask.order)
        return acks.ack_of(acks.trade_in(outcome, ask.order), acks.OPEN_UPDATE_REQUEST)

    async def modify_pending(self, ask: m.PendingModify) -> m.TradeAck:
        """Change a pending order (5.9)."""
        account = await self._desk.account(ask.login)
        asked = asks.modify_pending(ask, digits_of_order(account, ask.order))
        outcome = await self.change(ask, asked, ask.order)
        return acks.ack_of(acks.trade_in(outcome, ask.order), acks.PENDING_UPDATE_REQUEST)

    # ── staff ─────────────────────────────────────────────────────────────────────────────────────

    async def change_balance(self, ask: m.BalanceChange) -> m.BalanceAck:
        """Book money or credit in or out, or correct such an operation."""
        if ask.cmd not in FINANCE_CMDS:
            raise InvalidData(f"cmd was {ask.cmd}")
        _check_comment(ask.comment)
        account = await self._desk.account(ask.login)
        amount = asks.minor(ask.amount, account.currency)
        if ask.order is not None:
            return await self._correct_balance(ask, account, amount)
        asked = c.ChangeBalance(
            cmd=ask.cmd, amount_minor=amount, comment=ask.comment, booked_ms=asks.ms(ask.open_time)
        )
        outcome = await self.submit(ask.login, asked)
        booked = next(event.trade for event in outcome.events if isinstance(event, BalanceChanged))
        return acks.balance_ack(booked, account.currency, acks.FINANCE_REQUEST)

    async def staff_open(self, ask: m.StaffOpenAsk) -> Trade:
        """Open a position or place a pending order for a client."""
        _check_comment(ask.comment)
        account = await self._desk.account(ask.login)
        symbol, digits = self.symbol(ask.symbol)
        asked = asks.staff_open(ask, symbol, digits, account.currency)
        return acks.opened(await self.submit(ask.login, asked))

    async def staff_close(self, ask: m.StaffCloseAsk) -> tuple[m.CloseAck, Trade]:
        """Close a client's position."""
        _check_comment(ask.comment)
        account = await self._desk.account(ask.login)
        asked = asks.staff_close(ask, digits_of_order(account, ask.order), account.currency)
        outcome = await self.change(ask, asked, ask.order)
        return acks.closed(outcome, ask.order), acks.trade_in(outcome, ask.order)

    async def staff_update(self, ask: m.StaffUpdateAsk) -> tuple[m.TradeAck, Trade]:
        """Correct the record of an order."""
        _check_comment(ask.comment or "")
        account = await self._desk.account(ask.login)
        before = await self._record(account, ask.order)
        _check_kind(ask.kind, before)
        asked = asks.staff_update(ask, before.digits, account.currency)
        trade = acks.trade_in(await self.change(ask, asked, ask.order), ask.order)
        return acks.ack_of(trade, _update_state(before)), trade

    async def swap(self, ask: m.SwapAsk, now_ms: int) -> m.SwapAmount:
        """What holding a position would have cost, at today's terms and rates."""
        account = await self._desk.account(ask.login)
        market = self._desk.floor.market_of(account)
        symbol, digits = self.symbol(ask.symbol)
        terms = market.terms.get(symbol)
        if terms is None:
            raise no.SymbolUnknown(f"symbol was {ask.symbol!r}")
        if ask.cmd not in MARKET_CMDS:
            raise no.IncorrectCmd(f"cmd was {ask.cmd}")
        price = asks.points(ask.open_price, digits)
        closed_ms = now_ms if ask.close_time is None else ask.close_time * 1000
        opened_ms = ask.open_time * 1000
        if ask.volume <= 0 or price <= 0 or not 0 <= closed_ms - opened_ms <= _SWAP_MS_MAX:
            raise InvalidData("volume, open_price or the span of time is out of range")
        swap = swap_between(market, terms, ask.cmd, ask.volume, price, opened_ms, closed_ms, account.currency)
        if swap is None:
            raise no.OffQuotes
        return m.SwapAmount(from_minor(swap, account.currency))

    async def account_changed(self, login: int, asked: c.ChangeAccount) -> None:
        """What an account may do is another thing now."""
        await self.submit(login, asked)

    # ── steps ─────────────────────────────────────────────────────────────────────────────────────

    def symbol(self, text: str) -> tuple[str, int]:
        """The canonical symbol and its decimals; what nobody knows stays as it was written."""
        markets = self._desk.floor.markets
        symbol = markets.index.find(text) or text
        return symbol, markets.digits(symbol)

    async def _open(self, ask: A, asked: c.OpenTrade | c.PlacePending) -> m.TradeAck | bytes:
        _check_comment(ask.comment)

        def ack(outcome: Outcome) -> m.TradeAck:
            return acks.ack_of(acks.opened(outcome), acks.OPEN_REQUEST, cmd=ask.cmd, volume=ask.volume)

        if not ask.client_order_id:
            return ack(await self.submit(ask.login, asked))
        if len(ask.client_order_id) > OWN_ID_MAX:
            raise InvalidData(f"client_order_id has at most {OWN_ID_MAX} characters")
        own = OwnId(ask.client_order_id, sha256(encode(ask)).digest(), lambda outcome: encode(ack(outcome)))
        answer = await self._desk.submit(ask.login, asked, own)
        return answer if isinstance(answer, bytes) else ack(answer)

    async def submit(self, login: int, asked: c.Input) -> Outcome:
        """The committed outcome of a command; what refused it is raised."""
        outcome = await self._desk.submit(login, asked)
        if isinstance(outcome, bytes):
            raise TypeError("a command without an own id has no kept answer")
        return outcome

    async def change(
        self,
        ask: m.OrderAsk | m.StaffCloseAsk | m.StaffUpdateAsk,
        asked: c.Input,
        *orders: int,
        modifies: bool = False,
    ) -> Outcome:
        """Submit a command about orders; where one is not found, say what became of it."""
        _check_comment(getattr(ask, "comment", "") or "")
        try:
            return await self.submit(ask.login, asked)
        except no.OrderNotFound as e:
            raise await self._why_not(ask.login, orders, modifies or isinstance(ask, _MODIFY), e) from e

    async def _why_not(
        self, login: int, orders: tuple[int, ...], modifies: bool, missing: no.OrderNotFound
    ) -> AppError:
        async with self._database.connection() as connection:
            known = await self._store.trades_by_order(connection, [o for o in orders if o <= BIGINT_MAX])
        for order in orders:
            trade = known.get(order)
            if trade is None:
                return missing
            if trade.login != login:
                return ForeignModify() if modifies else ForeignOrder()
            if trade.state != OPEN_NORMAL:
                return no.IncorrectState(f"order {order} is closed")
        return missing

    async def _record(self, account: Account, order: int) -> Trade:
        trade = account.position(order) or account.pendings.get(order)
        if trade is None and order <= BIGINT_MAX:
            async with self._database.connection() as connection:
                trade = (await self._store.trades_by_order(connection, [order])).get(order)
        if trade is None:
            raise no.OrderNotFound(f"order was {order}")
        if trade.login != account.login:
            raise ForeignOrder
        return trade

    async def _correct_balance(
        self, ask: m.BalanceChange, account: Account, amount_minor: int
    ) -> m.BalanceAck:
        order = ask.order or 0
        before = await self._record(account, order)
        if before.cmd != ask.cmd:
            raise no.IncorrectCmd(f"order {order} has cmd {before.cmd}")
        asked = c.StaffUpdate(
            order=order,
            profit_minor=amount_minor,
            open_ms=asks.ms(ask.open_time),
            close_ms=asks.ms(ask.close_time),
            comment=ask.comment or None,
        )
        trade = acks.trade_in(await self.submit(ask.login, asked), order)
        return acks.balance_ack(trade, account.currency, acks.FINANCE_UPDATE_REQUEST)


BIGINT_MAX = 2**63 - 1
_SWAP_MS_MAX = 20 * 366 * 86_400_000


def _matched(outcome: Outcome) -> Outcome:
    if not outcome.matched:
        raise no.OrderNotFound("no order matched")
    return outcome


def _check_comment(comment: str) -> None:
    if len(comment) > COMMENT_MAX:
        raise InvalidData(f"a comment has at most {COMMENT_MAX} characters")


def _check_kind(kind: str, before: Trade) -> None:
    """The operation names what it corrects: an open position, a closed order, a pending one."""
    if kind not in _KINDS:
        raise InvalidData(f"kind was {kind!r}")
    cmds = _KINDS[kind]
    if before.cmd in FINANCE_CMDS and kind != "any":
        raise no.IncorrectCmd(f"order {before.order} is a finance operation")
    if cmds is not None and before.cmd not in cmds:
        raise no.IncorrectCmd(f"order {before.order} has cmd {before.cmd}")
    if kind != "any" and (before.state == OPEN_NORMAL) == (kind == "close"):
        raise no.IncorrectState(f"order {before.order} has state {before.state}")


def _update_state(before: Trade) -> int:
    if before.state != OPEN_NORMAL:
        return acks.CLOSED_UPDATE_REQUEST
    return acks.PENDING_UPDATE_REQUEST if before.is_pending else acks.OPEN_UPDATE_REQUEST
