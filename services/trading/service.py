"""The use cases of trading: open an account once, with its default deposit; tell its numbers."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from libs.common.bus import Bus
from libs.common.clock import Clock
from libs.common.db import Connection, Database
from libs.common.errors import InvalidData
from libs.common.ids import Ids
from libs.common.messages.market import Group, GroupGet
from libs.common.messages.trading import AccountAsk, AccountOpen, AccountState
from libs.common.money import to_minor
from libs.common.outbox import Outbox, Relay, fact
from libs.common.subjects import BALANCE_PUSH, GROUP_GET, TRADE_PUSH
from services.trading import metrics
from services.trading.account import MarginAccount, numbers
from services.trading.errors import AccountDiffers, UserUnknown
from services.trading.frames import account_state, balance_frame, finance_frame
from services.trading.ledger import Reason, finance
from services.trading.store import Funded, Store
from services.trading.trades import Cmd

log = structlog.get_logger()

DEPOSIT_COMMENT = "Default deposit"


@dataclass(frozen=True, slots=True)
class Claim:
    """The fact a use case was told by: its effect happens once, however often it is delivered."""

    consumer: str
    event_id: str


class TradingService:
    """See the module's text."""

    def __init__(
        self,
        *,
        bus: Bus,
        database: Database,
        store: Store,
        outbox: Outbox,
        relay: Relay,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._bus = bus
        self._database = database
        self._store = store
        self._outbox = outbox
        self._relay = relay
        self._clock = clock
        self._ids = ids

    async def open_account(self, wanted: AccountOpen, claim: Claim | None = None) -> AccountState:
        """Make the margin account of a login and book its default deposit; once, whoever asks how often."""
        if wanted.login <= 0 or wanted.leverage <= 0 or not wanted.currency:
            raise InvalidData(
                f"login {wanted.login}, leverage {wanted.leverage}, currency {wanted.currency!r}"
            )
        async with self._database.connection() as connection:
            known = await self._store.account(connection, wanted.login)
        if known is None:
            group = await self._bus.request(GROUP_GET, GroupGet(group=wanted.group))
            known = await self._open(wanted, group, claim)
        if known.account.currency != wanted.currency:
            raise AccountDiffers(f"login {wanted.login} has an account in {known.account.currency}")
        return _state(known)

    async def account(self, ask: AccountAsk) -> AccountState:
        """The numbers of an account."""
        async with self._database.connection() as connection:
            known = await self._store.account(connection, ask.login)
        if known is None:
            raise UserUnknown(f"login {ask.login} has no margin account")
        return _state(known)

    async def _open(self, wanted: AccountOpen, group: Group, claim: Claim | None) -> Funded:
        account = MarginAccount(
            wanted.login,
            wanted.person_id,
            wanted.group,
            wanted.currency,
            wanted.leverage,
            wanted.opened_ms,
        )
        async with self._database.transaction() as tx:
            fresh = claim is None or await self._outbox.claim(tx, claim.consumer, claim.event_id)
            # Who comes second waits here for the first one's commit and then finds its account.
            if fresh and await self._store.open_account(tx, account):
                await self._book_deposit(tx, account, to_minor(group.default_deposit, account.currency))
                metrics.accounts_opened.inc()
                log.info("account opened", login=account.login, group=account.group)
            known = await self._store.account(tx, wanted.login)
        self._relay.wake()
        if known is None:
            raise UserUnknown(f"login {wanted.login} has no margin account")
        return known

    async def _book_deposit(self, tx: Connection, account: MarginAccount, amount_minor: int) -> None:
        """Book a default deposit and tell the account's sockets, in the caller's transaction."""
        facts = []
        if amount_minor > 0:
            now_ms = self._clock.now_ms()
            trade = await self._store.add_finance_trade(
                tx,
                login=account.login,
                cmd=Cmd.BALANCE_IN,
                amount_minor=amount_minor,
                comment=DEPOSIT_COMMENT,
                booked_ms=now_ms,
            )
            entry = finance(Reason.BALANCE_IN, account.login, account.currency, amount_minor)
            await self._store.post(tx, entry, trade=trade.order, posted_ms=now_ms)
            frame = finance_frame(trade, account.currency)
            facts.append(fact(TRADE_PUSH, frame, self._ids.event_id(), login=account.login))
            metrics.finance_trades.labels("balance_in").inc()
        frame_b = balance_frame(account, numbers(amount_minor, 0))
        facts.append(fact(BALANCE_PUSH, frame_b, self._ids.event_id(), login=account.login))
        await self._outbox.append(tx, facts)


def _state(known: Funded) -> AccountState:
    return account_state(known.account, numbers(known.balance_minor, known.credit_minor))
