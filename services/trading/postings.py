"""Facts as ledger entries: what moves a client's money, and on whose other side it stands. Pure.

A close posts profit against dealing, commission against commission, swap against swap, in one entry.
What is still on an open position (commission, swap, floating profit) is part of equity and in no
ledger account yet. A correction of a closed record posts the difference.
"""

from __future__ import annotations

from services.trading.events import (
    AccountEvent,
    BalanceChanged,
    TradeClosed,
    TradeCorrected,
    TradePartlyClosed,
)
from services.trading.ledger import HOUSE, Entry, Kind, LedgerAccount, Posting, Reason, finance
from services.trading.position import (
    BALANCE_IN,
    BALANCE_OUT,
    CREDIT_IN,
    CREDIT_OUT,
    FINANCE_CMDS,
    OPEN_NORMAL,
    Trade,
)

_REASONS = {
    BALANCE_IN: Reason.BALANCE_IN,
    CREDIT_IN: Reason.CREDIT_IN,
    BALANCE_OUT: Reason.BALANCE_OUT,
    CREDIT_OUT: Reason.CREDIT_OUT,
}


def entry_of(event: AccountEvent, currency: str) -> Entry | None:
    """The ledger entry of a fact; None when it moves no money."""
    match event:
        case TradeClosed(trade=trade) | TradePartlyClosed(trade=trade):
            return _settlement(
                Reason.TRADE_CLOSED,
                trade,
                currency,
                (trade.profit_minor, trade.commission_minor, trade.storage_minor),
            )
        case BalanceChanged(trade=trade):
            return finance(_REASONS[trade.cmd], trade.login, currency, trade.profit_minor)
        case TradeCorrected(before=before, trade=trade) if before.state != OPEN_NORMAL:
            return _correction(before, trade, currency)
    return None


def _correction(before: Trade, after: Trade, currency: str) -> Entry | None:
    if before.cmd not in FINANCE_CMDS:
        return _settlement(
            Reason.CORRECTION,
            after,
            currency,
            (
                after.profit_minor - before.profit_minor,
                after.commission_minor - before.commission_minor,
                after.storage_minor - before.storage_minor,
            ),
        )
    difference = after.net_minor - before.net_minor
    credit = before.cmd in (CREDIT_IN, CREDIT_OUT)
    own, other = (Kind.CREDIT, Kind.CREDITS) if credit else (Kind.BALANCE, Kind.DEPOSITS)
    return _entry(Reason.CORRECTION, own, after.login, currency, ((other, difference),))


def _settlement(reason: Reason, trade: Trade, currency: str, amounts: tuple[int, int, int]) -> Entry | None:
    profit, commission, swap = amounts
    others = ((Kind.DEALING, profit), (Kind.COMMISSION, commission), (Kind.SWAP, swap))
    return _entry(reason, Kind.BALANCE, trade.login, currency, others)


def _entry(
    reason: Reason, own: Kind, login: int, currency: str, others: tuple[tuple[Kind, int], ...]
) -> Entry | None:
    """The client's side as one posting, the house's by kind; None when nothing moves."""
    moved = [(kind, amount) for kind, amount in others if amount]
    if not moved:
        return None
    total = sum(amount for _, amount in moved)
    client = [Posting(LedgerAccount(own, login, currency), total)] if total else []
    house = [Posting(LedgerAccount(kind, HOUSE, currency), -amount) for kind, amount in moved]
    return Entry(reason, (*client, *house))
