"""What trading hears: commands, and the accounts auth opened."""

from __future__ import annotations

from typing import Any

from libs.common.bus import Ack, Call, ConsumeHandler, Handler, Inbound
from libs.common.messages.auth import AccountOpened
from libs.common.messages.trading import AccountAsk, AccountOpen, AccountState
from libs.common.streams import TRADING_ACCOUNTS
from libs.common.subjects import ACCOUNT_GET, ACCOUNT_OPEN, Command
from services.trading.service import Claim, TradingService


def handlers_of(service: TradingService) -> list[tuple[Command[Any, Any], Handler]]:
    """The commands trading answers."""

    async def open_account(message: AccountOpen, call: Call) -> AccountState:
        return await service.open_account(message)

    async def account(message: AccountAsk, call: Call) -> AccountState:
        return await service.account(message)

    return [(ACCOUNT_OPEN, open_account), (ACCOUNT_GET, account)]


def on_account_opened(service: TradingService) -> ConsumeHandler:
    """Make the margin account of every account auth opened, also where the command got lost."""

    async def handle(inbound: Inbound) -> Ack:
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
