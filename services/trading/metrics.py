"""What trading counts; everything is registered at start."""

from __future__ import annotations

from prometheus_client import Counter

accounts_opened = Counter("tradewind_trading_accounts_opened", "Margin accounts made")
finance_trades = Counter("tradewind_trading_finance_trades", "Balance and credit operations booked", ["cmd"])

for _cmd in ("balance_in", "credit_in", "balance_out", "credit_out"):
    finance_trades.labels(_cmd)
