"""What clients of an account receive: balance and trade frames, and the account's state. Pure."""

from __future__ import annotations

from libs.common.messages.trading import AccountState, BalanceFrame, TradeFrame
from libs.common.money import from_minor, from_points
from services.trading import orders
from services.trading.account import MarginAccount, Numbers
from services.trading.equity import worth_of
from services.trading.instrument import Market
from services.trading.position import MARKET_CMDS, OPEN_NORMAL, Trade
from services.trading.profit import profit_of
from services.trading.state import Account
from services.trading.trades import Change, FinanceTrade, State


def live(trade: Trade, account: Account, market: Market) -> tuple[int, int]:
    """Profit in minor units and closing price in points of an order as it is shown now.

    An open position shows what it would bring and where it would close (0 without a price), a pending
    order nothing, a closed one what it closed with.
    """
    if trade.state != OPEN_NORMAL:
        return trade.profit_minor, trade.close_points
    tick = market.quotes.get(trade.symbol)
    if trade.cmd not in MARKET_CMDS or tick is None or tick.bid <= 0:
        return 0, 0
    worth = worth_of(account, market, trade.symbol)
    return (profit_of(trade, worth) if worth is not None else 0), orders.closing_price(trade.cmd, tick)


def trade_frame(trade: Trade, account: Account, market: Market, code: int) -> TradeFrame:
    """The ``o`` frame of an order: tp before sl, times in seconds."""
    currency, digits = account.currency, trade.digits
    profit, close_points = live(trade, account, market)
    return TradeFrame(
        "o",
        trade.order,
        trade.login,
        trade.symbol,
        trade.cmd,
        trade.volume,
        from_points(trade.open_points, digits),
        from_points(close_points, digits),
        trade.open_ms // 1000,
        trade.close_ms // 1000,
        from_points(trade.tp_points, digits),
        from_points(trade.sl_points, digits),
        trade.state,
        from_minor(trade.storage_minor, currency),
        from_minor(trade.commission_minor, currency),
        from_minor(profit, currency),
        trade.comment,
        code,
    )


def balance_frame(account: MarginAccount | Account, of: Numbers) -> BalanceFrame:
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


def account_state(account: MarginAccount | Account, of: Numbers) -> AccountState:
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
