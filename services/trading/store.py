"""Trading's tables: one method per named query. Methods take the caller's connection."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from libs.common.db import Connection, load_queries
from libs.common.errors import invariant
from services.trading.account import MarginAccount
from services.trading.ledger import Entry
from services.trading.trades import Cmd, FinanceTrade, State

QUERIES = load_queries(Path(__file__).parent / "sql/queries.sql")


@dataclass(frozen=True, slots=True)
class Funded:
    """A margin account with the sums of its postings."""

    account: MarginAccount
    balance_minor: int
    credit_minor: int


class Store:
    """See the module's text."""

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
        row = await connection.fetchrow(QUERIES["account"], login)
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

    async def add_finance_trade(
        self, tx: Connection, *, login: int, cmd: Cmd, amount_minor: int, comment: str, booked_ms: int
    ) -> FinanceTrade:
        """A finance row in the list of trades, with the order number it got."""
        order: int = await tx.fetchval(
            QUERIES["add_finance_trade"],
            login,
            cmd.value,
            State.CLOSED_NORMAL.value,
            amount_minor,
            comment,
            booked_ms,
        )
        return FinanceTrade(order, login, cmd, amount_minor, comment, booked_ms)

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

    async def ledger_sums(self, connection: Connection) -> dict[str, int]:
        """Currency → the sum of all postings where it is not zero: proof of a defect."""
        return dict(await connection.fetch(QUERIES["ledger_sums"]))
