"""What trading counts; everything is registered at start."""

from __future__ import annotations

from collections import Counter as Count
from collections.abc import Sequence

from prometheus_client import Counter, Gauge, Histogram

from services.trading.floor import Decision

accounts_opened = Counter("tradewind_trading_accounts_opened", "Margin accounts made")
finance_trades = Counter("tradewind_trading_finance_trades", "Balance and credit operations booked", ["cmd"])
facts = Counter("tradewind_trading_facts", "Facts committed, by kind", ["fact"])
refused = Counter("tradewind_trading_refused_commands", "Commands refused, by code", ["code"])
commit_decisions = Histogram(
    "tradewind_trading_commit_decisions",
    "Decisions written by one commit",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
)
commit_seconds = Histogram(
    "tradewind_trading_commit_seconds",
    "Time of one commit with its statements",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1),
)
turn_seconds = Histogram(
    "tradewind_trading_turn_seconds",
    "Time from taking ticks and commands to their answers",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1),
)
reloads = Counter("tradewind_trading_reloads", "State built again after a failed write")
defects = Counter("tradewind_trading_defects", "Decisions that broke")
holes = Counter("tradewind_trading_recovered_ticks", "Prices taken from candles where ticks were lost")
open_orders = Gauge("tradewind_trading_open_orders", "Open positions and pending orders")
floating = Counter("tradewind_trading_floating_frames", "Frames pushed about floating profit")

for _cmd in ("balance_in", "credit_in", "balance_out", "credit_out"):
    finance_trades.labels(_cmd)


def committed(decisions: Sequence[Decision], seconds: float) -> None:
    """Count what a commit wrote."""
    commit_seconds.observe(seconds)
    if decisions:
        commit_decisions.observe(len(decisions))
    kinds = Count(type(event).__name__ for _, outcome in decisions for event in outcome.events)
    for kind, count in kinds.items():
        facts.labels(kind).inc(count)
