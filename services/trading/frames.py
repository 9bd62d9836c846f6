"""What clients of an account receive: balance and trade frames, and the account's state. Pure."""

from __future__ import annotations

from libs.common.messages.trading import AccountState, BalanceFrame, TradeFrame
from libs.common.money import from_minor
from services.trading.account import MarginAccount, Numbers
from services.trading.trades import Change, FinanceTrade, State


def balance_frame(account: MarginAccount, of: Numbers) -> BalanceFrame:
    """The ``b`` frame of an account's numbers."""
    currency = account.currency
    return BalanceFrame(
        "b",
        account.login,
        from_minor(of.balance_minor, currency),
        from_minor(of.margin_minor, currency),
        from_minor(of.margin_free_minor, currency),
        of.margin_level,
        from_minor(of.equity_minor, currency),
        from_minor(of.credit_minor, currency),
        of.level_type,
        from_minor(of.profit_minor, currency),
    )


def finance_frame(trade: FinanceTrade, currency: str) -> TradeFrame:
    """The ``o`` frame of a balance or credit operation that was booked."""
    booked_s = trade.booked_ms // 1000
    return TradeFrame(
        tag="o",
        order=trade.order,
        login=trade.login,
        symbol="",
        cmd=trade.cmd.value,
        volume=0,
        open_price=0.0,
        close_price=0.0,
        open_time=booked_s,
        close_time=booked_s,
        tp=0.0,
        sl=0.0,
        state=State.CLOSED_NORMAL.value,
        storage=0.0,
        commission=0.0,
        profit=from_minor(trade.amount_minor, currency),
        comment=trade.comment,
        code=Change.ADD.value,
    )


def account_state(account: MarginAccount, of: Numbers) -> AccountState:
    """The numbers of an account as a reply."""
    currency = account.currency
    return AccountState(
        login=account.login,
        balance=from_minor(of.balance_minor, currency),
        credit=from_minor(of.credit_minor, currency),
        profit=from_minor(of.profit_minor, currency),
        commission=from_minor(of.commission_minor, currency),
        storage=from_minor(of.storage_minor, currency),
        margin=from_minor(of.margin_minor, currency),
        margin_free=from_minor(of.margin_free_minor, currency),
        margin_level=of.margin_level,
        equity=from_minor(of.equity_minor, currency),
        level_type=of.level_type,
        currency=currency,
    )
