"""Alarms that are no service level: something is wrong now, and somebody can do something about it.

Each has a runbook of its name in ``docs/runbooks``.
"""

from __future__ import annotations

from typing import NamedTuple


class Alarm(NamedTuple):
    """Fires when ``expr`` held for ``for_s`` seconds; ``{w}`` in it is a window of ``window_s`` seconds."""

    name: str
    summary: str
    expr: str
    for_s: int
    severity: str = "page"
    window_s: int = 300


ALARMS = (
    Alarm("ProcessDown", "{{ $labels.process }} does not run", "tradewind_process_up == 0", 60),
    Alarm(
        "ProcessRestarting",
        "{{ $labels.process }} was started again {{ $value }} times",
        "increase(tradewind_process_restarts_total[{w}]) >= 3",
        0,
        window_s=900,
    ),
    Alarm("MetricsMissing", "{{ $labels.process }} answers no scrape", 'up{job="tradewind"} == 0', 120),
    Alarm("PostgresDown", "PostgreSQL does not answer", "tradewind_postgres_up == 0", 30),
    Alarm("NatsDown", "nats-server does not answer", "tradewind_nats_up == 0", 30),
    Alarm(
        "DiskLow",
        "{{ $value | humanize1024 }}B are left for the data",
        "tradewind_disk_free_bytes < 2147483648",
        60,
    ),
    Alarm(
        "EventLoopLate",
        "the event loop of {{ $labels.process }} runs {{ $value | humanizeDuration }} late",
        "max_over_time(tradewind_loop_lag_seconds[{w}]) > 1",
        120,
        "ticket",
        60,
    ),
    Alarm(
        "OutboxStuck",
        "the oldest fact of {{ $labels.service }} waits for {{ $value | humanizeDuration }}",
        "tradewind_outbox_age_seconds > 30",
        60,
    ),
    Alarm(
        "ConsumerBehind",
        "{{ $labels.consumer }} is {{ $value }} messages behind",
        'tradewind_nats_consumer_pending_messages{consumer!~"gateway-.*"} > 1000',
        300,
    ),
    Alarm(
        "FeedSilent",
        "{{ $labels.feed }} gives no quotes since {{ $value | humanizeDuration }}",
        "tradewind_market_feed_staleness_seconds > 30",
        30,
    ),
    Alarm(
        "CandlesBehind",
        "{{ $value }} closed candles wait to be stored",
        "tradewind_market_candle_backlog_rows > 5000",
        300,
        "ticket",
    ),
    Alarm(
        "TicksLost",
        "{{ $labels.service }} met holes that market could not fill",
        "increase(tradewind_tick_reader_holes_total[{w}]) > 0",
        0,
        "ticket",
    ),
    Alarm(
        "TickReaderBehind",
        "{{ $value }} ticks wait for {{ $labels.service }}",
        "tradewind_tick_reader_backlog_ticks > 10000",
        60,
    ),
    Alarm(
        "AlertsReloading",
        "alerts built its book again {{ $value }} times after failed writes",
        "increase(tradewind_alerts_reloads_total[{w}]) >= 3",
        0,
        window_s=900,
    ),
    Alarm(
        "TradingReloading",
        "trading built its state again {{ $value }} times after failed writes",
        "increase(tradewind_trading_reloads_total[{w}]) >= 3",
        0,
        window_s=900,
    ),
    Alarm(
        "TradingDefect",
        "a decision of the trading engine broke",
        "increase(tradewind_trading_defects_total[{w}]) > 0",
        0,
        window_s=900,
    ),
    Alarm(
        "DeliveriesOverdue",
        "the first delivery is due since {{ $value | humanizeDuration }}",
        "tradewind_notifier_overdue_seconds > 120",
        60,
    ),
    Alarm(
        "DeliveriesDying",
        "{{ $value }} deliveries ended as dead letters",
        'increase(tradewind_notifier_deliveries_total{state="dead"}[{w}]) >= 5',
        0,
        "ticket",
        3600,
    ),
    Alarm(
        "ScannerBehind",
        "{{ $value }} closed bars are not judged yet",
        "tradewind_scanner_pending_places > 100",
        300,
        "ticket",
    ),
    Alarm(
        "AnchorAgeing",
        "the anchor's price is {{ $value | humanizeDuration }} old",
        "tradewind_pricing_anchor_age_seconds > 900",
        60,
    ),
    Alarm(
        "LedgerUnsound",
        "{{ $value }} rows of billing's ledger do not add up",
        "tradewind_billing_unsound_rows > 0",
        0,
    ),
    Alarm(
        "PaymentsUnknown",
        "{{ $value }} payments have no known outcome",
        "tradewind_billing_pending_payments > 0",
        3600,
        "ticket",
    ),
    Alarm(
        "SocketsStalled",
        "{{ $value }} sockets read too slowly",
        "tradewind_gateway_stream_stalled_sockets > 50",
        60,
        "ticket",
    ),
    Alarm(
        "DatabaseCrowded",
        "{{ $value | humanizePercentage }} of PostgreSQL's sessions are taken",
        "sum(tradewind_postgres_sessions) / max(tradewind_postgres_sessions_max) > 0.8",
        60,
    ),
    Alarm(
        "TransactionOld",
        "a transaction of {{ $labels.application }} is {{ $value | humanizeDuration }} old",
        "tradewind_postgres_transaction_age_seconds > 300",
        60,
        "ticket",
    ),
)
