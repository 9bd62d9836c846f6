"""What trading hears: commands, the accounts auth opened, and what changed about them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from libs.common import subjects
from libs.common.bus import Ack, Call, ConsumeHandler, Handler, Inbound
from libs.common.clock import Clock
from libs.common.messages import trading_orders as m
from libs.common.messages.auth import AccountChanged, AccountOpened
from libs.common.messages.house import Done
from libs.common.messages.trading import AccountAsk, AccountOpen, AccountState
from libs.common.streams import TRADING_ACCOUNTS
from libs.common.subjects import Command, untoken
from services.trading import acks
from services.trading.dealing import Dealing
from services.trading.desk import Desk
from services.trading.errors import SyncTimeout
from services.trading.extras import Extras
from services.trading.history import History
from services.trading.position import Trade
from services.trading.service import Claim, TradingService

SYNC_S = 5.0  # a Sync form waits so long for its event
T = TypeVar("T")
Table = list[tuple[Command[Any, Any], Handler]]


def account_handlers(service: TradingService, desk: Desk) -> Table:
    """The commands about accounts."""

    async def open_account(message: AccountOpen, call: Call) -> AccountState:
        return await service.open_account(message)

    async def account(message: AccountAsk, call: Call) -> AccountState:
        return await service.account(message)

    async def me(message: m.AccountMeAsk, call: Call) -> m.AccountMe:
        return await service.me(message)

    async def balances(message: m.BalancesAsk, call: Call) -> m.Balances:
        return await service.balances(message)

    async def follow_account(message: m.AccountSync, call: Call) -> Done:
        await service.follow_account(message.login)
        return Done()

    async def follow_market(message: m.MarketSync, call: Call) -> Done:
        await desk.sync_market()
        return Done()

    return [
        (subjects.ACCOUNT_OPEN, open_account),
        (subjects.ACCOUNT_GET, account),
        (subjects.ACCOUNT_ME, me),
        (subjects.BALANCES, balances),
        (subjects.ACCOUNT_SYNC, follow_account),
        (subjects.MARKET_SYNC, follow_market),
    ]


def order_handlers(dealing: Dealing, history: History) -> Table:
    """The commands of clients about orders."""
    of: list[tuple[Command[Any, Any], Callable[[Any], Awaitable[Any]]]] = [
        (subjects.TRADE_OPEN, dealing.open),
        (subjects.PENDING_OPEN, dealing.open_pending),
        (subjects.TRADE_CLOSE, dealing.close),
        (subjects.TRADE_CLOSE_BY, dealing.close_by),
        (subjects.TRADE_CLOSE_GROUP, dealing.close_group),
        (subjects.PENDING_CANCEL, dealing.cancel),
        (subjects.PENDING_CANCEL_GROUP, dealing.cancel_group),
        (subjects.TRADE_MODIFY, dealing.modify),
        (subjects.PENDING_MODIFY, dealing.modify_pending),
        (subjects.TRADES, history.trades),
        (subjects.TRADE_HISTORY, history.history),
        (subjects.BALANCE_CHANGE, dealing.change_balance),
    ]
    return [(command, _handler(act)) for command, act in of]


def extra_handlers(extras: Extras) -> Table:
    """The commands beyond the contract."""
    of: list[tuple[Command[Any, Any], Callable[[Any], Awaitable[Any]]]] = [
        (subjects.ORDER_CHECK, extras.check),
        (subjects.TRADE_TRAIL, extras.trail),
        (subjects.LINKED_OPEN, extras.open_linked),
        (subjects.LIMITS_GET, extras.limits),
        (subjects.LIMITS_PUT, extras.set_limits),
        (subjects.ACCOUNT_HALT, extras.halt),
        (subjects.HOUSE_HALT_GET, extras.house),
        (subjects.HOUSE_HALT, extras.halt_house),
        (subjects.NOTE_PUT, extras.put_note),
        (subjects.NOTES, extras.notes),
        (subjects.FILLS, extras.fills),
    ]
    return [(command, _handler(act)) for command, act in of]


def staff_handlers(dealing: Dealing, desk: Desk, clock: Clock) -> Table:
    """The commands of staff; the Sync forms answer with the order as its event left it."""

    async def record(trade: Trade) -> m.TradeRecord:
        return acks.record_of(trade, (await desk.account(trade.login)).currency)

    async def opened(message: m.StaffOpenAsk, call: Call) -> m.TradeAck:
        return acks.ack_of(await dealing.staff_open(message), acks.OPEN_REQUEST)

    async def opened_sync(message: m.StaffOpenAsk, call: Call) -> m.TradeRecord:
        return await record(await _in_time(dealing.staff_open(message)))

    async def closed(message: m.StaffCloseAsk, call: Call) -> m.CloseAck:
        return (await dealing.staff_close(message))[0]

    async def closed_sync(message: m.StaffCloseAsk, call: Call) -> m.TradeRecord:
        return await record((await _in_time(dealing.staff_close(message)))[1])

    async def updated(message: m.StaffUpdateAsk, call: Call) -> m.TradeAck:
        return (await dealing.staff_update(message))[0]

    async def updated_sync(message: m.StaffUpdateAsk, call: Call) -> m.TradeRecord:
        return await record((await _in_time(dealing.staff_update(message)))[1])

    async def swap(message: m.SwapAsk, call: Call) -> m.SwapAmount:
        return await dealing.swap(message, clock.now_ms())

    return [
        (subjects.MNG_OPEN, opened),
        (subjects.MNG_OPEN_SYNC, opened_sync),
        (subjects.MNG_CLOSE, closed),
        (subjects.MNG_CLOSE_SYNC, closed_sync),
        (subjects.MNG_UPDATE, updated),
        (subjects.MNG_UPDATE_SYNC, updated_sync),
        (subjects.SWAP_CALCULATE, swap),
    ]


def on_account_told(service: TradingService) -> ConsumeHandler:
    """Make the margin account of every account auth opened, also where the command got lost; and take over
    what auth changed about one."""

    async def handle(inbound: Inbound) -> Ack:
        if inbound.subject == subjects.ACCOUNT_CHANGED.at(login=untoken(inbound.subject.split(".")[-1])):
            await service.follow_account(inbound.decode(AccountChanged).login)
            return Ack.DONE
        opened = inbound.decode(AccountOpened)
        await service.open_account(
            AccountOpen(
                login=opened.login,
                person_id=opened.person_id,
                group=opened.group,
                currency=opened.currency,
                leverage=opened.leverage,
                opened_ms=opened.opened_ms,
            ),
            Claim(TRADING_ACCOUNTS.durable, inbound.event_id),
        )
        return Ack.DONE

    return handle


def _handler(act: Callable[[Any], Awaitable[Any]]) -> Handler:
    async def handle(message: Any, call: Call) -> Any:
        return await act(message)

    return handle


async def _in_time(work: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout(SYNC_S):
            return await work
    except TimeoutError as e:
        raise SyncTimeout from e
