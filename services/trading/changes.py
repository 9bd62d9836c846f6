"""What decisions change in the tables, as parts of one statement. Pure.

An order is written as it stands at the end, however many facts it went through; every fact that moves money
is a ledger entry of its own. No part reads what another writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any, NamedTuple

from libs.common.db import Part
from services.trading.fills import PaperFill
from services.trading.floor import Decision, trades_of
from services.trading.ledger import Entry, LedgerAccount
from services.trading.position import Trade
from services.trading.postings import entry_of
from services.trading.rows import account_row, trade_row
from services.trading.state import Account
from services.trading.store import QUERIES, ClientOrder, Seen


class Booking(NamedTuple):
    """An entry of the ledger, the order it is of, and when."""

    entry: Entry
    order: int
    at_ms: int


def trades(decisions: Iterable[Decision], fresh: Set[int]) -> list[Part]:
    """The orders that came or changed; ``fresh`` are those that are not in the tables yet."""
    last: dict[int, Trade] = {
        trade.order: trade
        for _, outcome in decisions
        for event in outcome.events
        for trade in trades_of(event)
    }
    new = [trade_row(trade) for order, trade in last.items() if order in fresh]
    changed = [trade_row(trade) for order, trade in last.items() if order not in fresh]
    return [*_part("add_trades", new), *_part("change_trades", changed)]


def bookings(decisions: Iterable[Decision]) -> list[Booking]:
    """What decisions book."""
    return [
        Booking(entry, event.trade.order, event.at_ms)  # type: ignore[union-attr]
        for account, outcome in decisions
        for event in outcome.events
        if (entry := entry_of(event, account.currency)) is not None
    ]


def ledger(
    booked: Sequence[Booking], numbers: Sequence[int], accounts: Mapping[LedgerAccount, int]
) -> list[Part]:
    """Entries under their ``numbers``, with their postings to ``accounts``, which knows all of them."""
    heads = [
        (number, one.entry.reason.value, one.order, one.at_ms)
        for number, one in zip(numbers, booked, strict=True)
    ]
    postings = [
        (number, accounts[posting.account], posting.amount_minor)
        for number, one in zip(numbers, booked, strict=True)
        for posting in one.entry.postings
    ]
    return [*_part("add_entries", heads), *_part("add_postings", postings)]


def accounts(decisions: Iterable[Decision], before: Mapping[int, Account]) -> list[Part]:
    """Accounts whose rows are no longer those of ``before``."""
    last = {account.login: account for account, _ in decisions}
    changed = [
        (login, *account_row(account))
        for login, account in last.items()
        if login not in before or account_row(account) != account_row(before[login])
    ]
    return _part("change_accounts", changed)


def fills(decisions: Iterable[Decision]) -> list[Part]:
    """How orders were filled by a simulation profile."""
    filled = [
        _fill_row(event.trade.order, event.login, event.at_ms, fill)  # type: ignore[union-attr]
        for _, outcome in decisions
        for event in outcome.events
        if (fill := getattr(event, "fill", None)) is not None
    ]
    return _part("add_fills", filled)


def seen(places: Sequence[Seen]) -> list[Part]:
    """How far ticks were judged."""
    return _part("put_seen", sorted(places))


def client_orders(accepted: Sequence[ClientOrder], now_ms: int) -> list[Part]:
    """What was accepted under clients' own ids."""
    return [Part(sql, (*columns, now_ms)) for sql, columns in _part("add_client_orders", accepted)]


def _part(query: str, rows: Sequence[tuple[Any, ...]]) -> list[Part]:
    """A query that takes its rows as columns; none where there are no rows."""
    return [Part(QUERIES[query], [list(column) for column in zip(*rows, strict=True)])] if rows else []


def _fill_row(order: int, login: int, at_ms: int, fill: PaperFill) -> tuple[Any, ...]:
    return (
        order,
        login,
        fill.deal,
        at_ms,
        fill.profile,
        fill.latency_ms,
        fill.quoted_points,
        fill.points,
        fill.asked_volume,
        fill.volume,
        fill.rejected,
    )
