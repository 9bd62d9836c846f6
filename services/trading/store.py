"""Trading's tables: one method per named query. Methods take the caller's connection."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from libs.common.db import Connection, Record, load_queries
from libs.common.errors import invariant
from services.trading.account import MarginAccount
from services.trading.ledger import Entry, LedgerAccount
from services.trading.position import Trade
from services.trading.rows import account_of, trade_of
from services.trading.state import Account, restored
from services.trading.trades import FinanceTrade, State

QUERIES = load_queries(Path(__file__).parent / "sql/queries.sql")
_SCHEMA = "trading"


@dataclass(frozen=True, slots=True)
class Funded:
    """A margin account with the sums of its postings."""

    account: MarginAccount
    balance_minor: int
    credit_minor: int


class Seen(NamedTuple):
    """The last tick of a symbol and profile that was judged; the extremes of the bids judged in its minute,
    infinite the other way round where they are not known."""

    profile: str
    symbol: str
    seq: int
    bid: float
    ask: float
    tick_ms: int
    high: float
    low: float


class ClientOrder(NamedTuple):
    """What was accepted under a client's own order id."""

    login: int
    client_order_id: str
    fingerprint: bytes
    answer: bytes


class Filters(NamedTuple):
    """Conditions on what ended: columns of fields, operations and values (JSON), and the commands meant."""

    first_cmd: int
    last_cmd: int
    minor_digits: int
    fields: Sequence[str]
    operations: Sequence[str]
    values: Sequence[str]


class Store:
    """See the module's text."""

    # ── accounts ──────────────────────────────────────────────────────────────────────────────────

    async def open_account(self, tx: Connection, account: MarginAccount) -> bool:
        """Make the account; False when the login has one (also when another transaction just made it)."""
        made = await tx.fetchval(
            QUERIES["open_account"],
            account.login,
            account.person_id,
            account.group,
            account.currency,
            account.leverage,
            account.opened_ms,
        )
        return made is not None

    async def account(self, connection: Connection, login: int) -> Funded | None:
        """An account by its login."""
        row = await connection.fetchrow(QUERIES["accounts"], [login])
        if row is None:
            return None
        account = MarginAccount(
            row["login"],
            row["person_id"],
            row["group_name"],
            row["currency"],
            row["leverage"],
            row["opened_ms"],
        )
        return Funded(account, row["balance_minor"], row["credit_minor"])

    async def load(self, connection: Connection, login: int) -> Account | None:
        """An account with its open positions and pending orders."""
        found = await self.load_many(connection, [login])
        return found[0] if found else None

    async def load_many(self, connection: Connection, logins: Sequence[int]) -> list[Account]:
        """Those of the accounts that exist, with their open positions and pending orders."""
        trades = _by_login(await connection.fetch(QUERIES["open_trades"], logins))
        rows = await connection.fetch(QUERIES["accounts"], logins)
        return [restored(account_of(row), trades.get(row["login"], ())) for row in rows]

    async def open_trades(self, connection: Connection, login: int) -> list[Trade]:
        """The open positions and pending orders of an account."""
        return [trade_of(row) for row in await connection.fetch(QUERIES["open_trades"], [login])]

    async def load_busy(self, connection: Connection) -> list[Account]:
        """Every account that has an open position or a pending order."""
        trades = _by_login(await connection.fetch(QUERIES["all_open_trades"]))
        rows = await connection.fetch(QUERIES["busy_accounts"])
        return [restored(account_of(row), trades.get(row["login"], ())) for row in rows]

    async def balances_before(
        self, connection: Connection, login: int, day_ms: int, month_ms: int
    ) -> tuple[int, int]:
        """The balance before a day and before a month began."""
        row = await connection.fetchrow(QUERIES["balances_before"], login, day_ms, month_ms)
        return row["day_minor"], row["month_minor"]

    # ── orders ────────────────────────────────────────────────────────────────────────────────────

    async def add_finance_trade(self, tx: Connection, trade: FinanceTrade) -> None:
        """A finance row in the list of trades."""
        await tx.execute(
            QUERIES["add_finance_trade"],
            trade.order,
            trade.login,
            trade.cmd.value,
            State.CLOSED_NORMAL.value,
            trade.amount_minor,
            trade.comment,
            trade.booked_ms,
        )

    async def trades_by_order(self, connection: Connection, orders: Iterable[int]) -> dict[int, Trade]:
        """Orders by number, whatever became of them."""
        rows = await connection.fetch(QUERIES["trades_by_order"], list(orders))
        return {row["order"]: trade_of(row) for row in rows}

    async def take_orders(self, connection: Connection, count: int) -> list[int]:
        """The next order numbers of the house."""
        return [row["number"] for row in await connection.fetch(QUERIES["take_orders"], count)]

    async def finished(
        self, connection: Connection, login: int, by: Filters, limit: int, offset: int
    ) -> list[Trade]:
        """A page of what ended, newest first."""
        rows = await connection.fetch(QUERIES["finished"], login, *by, limit, offset)
        return [trade_of(row) for row in rows]

    async def finished_totals(self, connection: Connection, login: int, by: Filters) -> Record:
        """Count and sums of what ended."""
        return await connection.fetchrow(QUERIES["finished_totals"], login, *by)

    async def history(
        self, connection: Connection, login: int, from_ms: int, before_ms: int, limit: int
    ) -> list[Trade]:
        """What ended in a span of time, newest first."""
        rows = await connection.fetch(QUERIES["history"], login, from_ms, before_ms, limit)
        return [trade_of(row) for row in rows]

    async def client_orders(
        self, connection: Connection, asked: Sequence[tuple[int, str]]
    ) -> dict[tuple[int, str], ClientOrder]:
        """What was accepted under these (login, client order id)."""
        logins, ids = [login for login, _ in asked], [id for _, id in asked]
        rows = await connection.fetch(QUERIES["client_orders"], logins, ids)
        return {(row["login"], row["client_order_id"]): ClientOrder(*row) for row in rows}

    async def forget_client_orders(self, connection: Connection, before_ms: int) -> None:
        """Forget what was accepted before a time."""
        await connection.execute(QUERIES["forget_client_orders"], before_ms)

    # ── the ledger ────────────────────────────────────────────────────────────────────────────────

    async def post(self, tx: Connection, entry: Entry, *, trade: int | None, posted_ms: int) -> int:
        """Write an entry; its id."""
        accounts = [posting.account for posting in entry.postings]
        columns = (
            [a.kind.value for a in accounts],
            [a.login for a in accounts],
            [a.currency for a in accounts],
        )
        await tx.execute(QUERIES["make_ledger_accounts"], *columns)
        row = await tx.fetchrow(
            QUERIES["post"],
            entry.reason.value,
            trade,
            posted_ms,
            *columns,
            [posting.amount_minor for posting in entry.postings],
        )
        invariant(row["postings"] == len(entry.postings), "every posting of an entry is written")
        entry_id: int = row["id"]
        return entry_id

    async def ledger_accounts(
        self, tx: Connection, wanted: Sequence[LedgerAccount]
    ) -> dict[LedgerAccount, int]:
        """The ids of ledger accounts; those that are not there yet are made."""
        columns = (
            [a.kind.value for a in wanted],
            [a.login for a in wanted],
            [a.currency for a in wanted],
        )
        await tx.execute(QUERIES["make_ledger_accounts"], *columns)
        rows = await tx.fetch(QUERIES["ledger_accounts"], *columns)
        ids = {(row["kind"], row["login"], row["currency"]): row["id"] for row in rows}
        return {a: ids[a.kind.value, a.login, a.currency] for a in wanted}

    async def take_entries(self, connection: Connection, count: int) -> list[int]:
        """The next numbers of ledger entries."""
        return [row["number"] for row in await connection.fetch(QUERIES["take_entries"], count)]

    async def ledger_sums(self, connection: Connection) -> dict[str, int]:
        """Currency → the sum of all postings where it is not zero: proof of a defect."""
        return dict(await connection.fetch(QUERIES["ledger_sums"]))

    # ── the writer's place ────────────────────────────────────────────────────────────────────────

    async def seen(self, connection: Connection) -> list[Seen]:
        """How far ticks were judged."""
        return [Seen(*row) for row in await connection.fetch(QUERIES["seen"])]


def _by_login(rows: Iterable[Record]) -> dict[int, list[Trade]]:
    found: dict[int, list[Trade]] = {}
    for row in rows:
        found.setdefault(row["login"], []).append(trade_of(row))
    return found
