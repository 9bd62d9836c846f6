"""The use cases of accounts: open one once, with its default deposit; tell its numbers; follow what auth and
market say of it."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from libs.common.bus import Bus
from libs.common.clock import Clock, unix_ms
from libs.common.db import Connection, Database
from libs.common.errors import InvalidData
from libs.common.ids import Ids
from libs.common.messages import auth
from libs.common.messages import trading_orders as m
from libs.common.messages.market import Group, GroupGet
from libs.common.messages.trading import AccountAsk, AccountOpen, AccountState
from libs.common.money import from_minor, to_minor
from libs.common.outbox import Outbox, Relay, fact
from libs.common.subjects import ACCOUNT_OF, BALANCE_PUSH, GROUP_GET, TRADE_PUSH
from services.trading import commands as c
from services.trading import metrics
from services.trading.account import MarginAccount, Numbers, numbers
from services.trading.desk import Desk
from services.trading.errors import AccountDiffers, UserUnknown
from services.trading.frames import account_state, balance_frame, finance_frame
from services.trading.ledger import Reason, finance
from services.trading.state import Account
from services.trading.store import Funded, Store
from services.trading.trades import Cmd, FinanceTrade
from services.trading.writer import Writer

log = structlog.get_logger()

DEPOSIT_COMMENT = "Default deposit"
NUMBERS_AT_HAND = 8_192  # order numbers that stay for the desk when accounts take theirs
LOGINS_MAX = 1_000


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
        writer: Writer,
        desk: Desk,
    ) -> None:
        self._bus = bus
        self._database = database
        self._store = store
        self._outbox = outbox
        self._relay = relay
        self._clock = clock
        self._ids = ids
        self._writer = writer
        self._desk = desk

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
        account = await self._desk.account(ask.login)
        return account_state(account, self._numbers(account))

    async def me(self, ask: m.AccountMeAsk) -> m.AccountMe:
        """An account with its profile and numbers (4.1)."""
        account = await self._desk.account(ask.login)
        profile = await self._bus.request(ACCOUNT_OF, auth.AccountAsk(login=ask.login))
        now = self._clock.now()
        today = now.replace(hour=0, minute=0, second=0, microsecond=0)
        async with self._database.connection() as connection:
            day, month = await self._store.balances_before(
                connection, ask.login, unix_ms(today), unix_ms(today.replace(day=1))
            )
        account = await self._desk.account(ask.login)
        return _me(account, self._numbers(account), profile, day, month)

    async def balances(self, ask: m.BalancesAsk) -> m.Balances:
        """The numbers of many accounts, in the order asked for (4.3)."""
        if len(ask.logins) > LOGINS_MAX:
            raise InvalidData(f"at most {LOGINS_MAX} logins")
        accounts = [await self._desk.account(login) for login in ask.logins]
        return m.Balances([_balance_row(account, self._numbers(account)) for account in accounts])

    async def follow_account(self, login: int) -> None:
        """Take over what auth says of an account now: group, leverage and flags."""
        try:
            account = await self._desk.account(login)
        except UserUnknown:
            return  # it has no margin account, or not yet: opening it asks for the same
        said = await self._bus.request(ACCOUNT_OF, auth.AccountAsk(login=login))
        wanted = (said.group, said.leverage, bool(said.enable), bool(said.enable_read_only))
        if wanted == (account.group, account.leverage, account.enabled, account.read_only):
            return
        if self._desk.floor.markets.of(said.group) is None:
            await self._desk.sync_market()
        group, leverage, enabled, read_only = wanted
        await self._desk.submit(
            login,
            c.ChangeAccount(group=group, leverage=leverage, enabled=enabled, read_only=read_only),
        )
        log.info("account changed", login=login, group=group, enabled=enabled, read_only=read_only)

    def _numbers(self, account: Account) -> Numbers:
        if not account.books:
            return numbers(account.balance_minor, account.credit_minor, level_type=account.level_type)
        return self._desk.floor.numbers(account)

    async def _open(self, wanted: AccountOpen, group: Group, claim: Claim | None) -> Funded:
        account = MarginAccount(
            wanted.login,
            wanted.person_id,
            wanted.group,
            wanted.currency,
            wanted.leverage,
            wanted.opened_ms,
        )
        await self._writer.prepare(NUMBERS_AT_HAND)
        order = self._writer.orders.take()
        async with self._writer.transaction() as tx:
            fresh = claim is None or await self._outbox.claim(tx, claim.consumer, claim.event_id)
            # Who comes second waits here for the first one's commit and then finds its account.
            if fresh and await self._store.open_account(tx, account):
                deposit = to_minor(group.default_deposit, account.currency)
                await self._book_deposit(tx, account, order, deposit)
                metrics.accounts_opened.inc()
                log.info("account opened", login=account.login, group=account.group)
            known = await self._store.account(tx, wanted.login)
        self._relay.wake()
        self._writer.orders.out.discard(order)
        if known is None:
            raise UserUnknown(f"login {wanted.login} has no margin account")
        if self._desk.floor.markets.of(known.account.group) is None:
            self._desk.market_changed()
        return known

    async def _book_deposit(
        self, tx: Connection, account: MarginAccount, order: int, amount_minor: int
    ) -> None:
        """Book a default deposit and tell the account's sockets, in the caller's transaction."""
        facts = []
        if amount_minor > 0:
            now_ms = self._clock.now_ms()
            trade = FinanceTrade(order, account.login, Cmd.BALANCE_IN, amount_minor, DEPOSIT_COMMENT, now_ms)
            await self._store.add_finance_trade(tx, trade)
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


def _me(
    account: Account, of: Numbers, profile: auth.Account, day_minor: int, month_minor: int
) -> m.AccountMe:
    currency = account.currency
    return m.AccountMe(
        id=account.login,
        login=account.login,
        currency=currency,
        group=account.group,
        comment=profile.comment,
        enable=profile.enable,
        enable_read_only=profile.enable_read_only,
        enable_change_password=profile.enable_change_password,
        leverage=account.leverage,
        avatar=profile.avatar,
        email=profile.email,
        name=profile.name,
        phone=profile.phone,
        address=profile.address,
        city=profile.city,
        country=profile.country,
        zipcode=profile.zipcode,
        regdate=profile.regdate,
        prevbalance=from_minor(day_minor, currency),
        prevmonthbalance=from_minor(month_minor, currency),
        balance=from_minor(of.balance_minor, currency),
        storage=from_minor(of.storage_minor, currency),
        commission=from_minor(of.commission_minor, currency),
        credit=from_minor(of.credit_minor, currency),
        margin=from_minor(of.margin_minor, currency),
        margin_free=from_minor(of.margin_free_minor, currency),
        margin_level=of.margin_level,
        equity=from_minor(of.equity_minor, currency),
        profit=from_minor(of.profit_minor, currency),
        level_type=of.level_type,
    )


def _balance_row(account: Account, of: Numbers) -> m.BalanceRow:
    state = account_state(account, of)
    return m.BalanceRow(
        balance=state.balance,
        credit=state.credit,
        profit=state.profit,
        commission=state.commission,
        storage=state.storage,
        margin=state.margin,
        margin_free=state.margin_free,
        margin_level=state.margin_level,
        equity=state.equity,
        level_type=state.level_type,
        login=account.login,
    )
