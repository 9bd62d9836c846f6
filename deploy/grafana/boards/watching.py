"""The boards of what watches the market: feeds, alerts and notifier, scanner."""

from __future__ import annotations

from deploy.grafana.panels import Board, Query, Row, latency, panel, quantile, rate

MARKET = Board(
    "tradewind-market",
    "Tradewind: market feeds",
    (
        Row(
            "Feeds",
            (
                panel("Quotes", Query(rate("tradewind_market_ticks_total"), "per second")),
                panel("Staleness", Query("tradewind_market_feed_staleness_seconds", "{{feed}}"), unit="s"),
                panel(
                    "Reconnects",
                    Query(
                        rate("tradewind_market_feed_reconnects_total", "feed, cause"), "{{feed}} {{cause}}"
                    ),
                    still=True,
                ),
                panel(
                    "Not used",
                    Query(rate("tradewind_market_feed_garbage_messages_total"), "unreadable"),
                    Query(rate("tradewind_market_ticks_unknown_total"), "unknown symbol"),
                    Query(rate("tradewind_market_frames_unsent_total"), "not sent"),
                    still=True,
                ),
            ),
        ),
        Row(
            "Candles",
            (
                panel(
                    "Rows written",
                    Query(rate("tradewind_market_candle_rows_total"), "live"),
                    Query(rate("tradewind_market_backfill_rows_total"), "back-fill"),
                ),
                latency("Time to write", "tradewind_market_candle_write_seconds"),
                panel("Waiting", Query("tradewind_market_candle_backlog_rows", "rows"), still=True),
                # Scrapes and flushes keep step with each other: what waits at a scrape may be nothing every
                # time. How long it waited is told by what was stored.
                latency("Waited until stored", "tradewind_market_candle_wait_seconds"),
                panel(
                    "Not stored now",
                    Query("tradewind_market_candle_write_lag_seconds", "oldest change"),
                    unit="s",
                    still=True,
                ),
            ),
        ),
        Row(
            "Readers of ticks",
            (
                panel(
                    "Passed on",
                    Query(rate("tradewind_tick_reader_passed_ticks_total", "service"), "{{service}}"),
                ),
                panel("Waiting", Query("tradewind_tick_reader_backlog_ticks", "{{service}}"), still=True),
                panel(
                    "Merged, fetched, lost",
                    Query(rate("tradewind_tick_reader_merged_ticks_total", "service"), "{{service}} merged"),
                    Query(
                        rate("tradewind_tick_reader_fetched_ticks_total", "service"), "{{service}} fetched"
                    ),
                    Query(rate("tradewind_tick_reader_holes_total", "service"), "{{service}} holes"),
                    still=True,
                ),
                panel(
                    "Instruments",
                    Query("tradewind_market_symbols", "symbols"),
                    Query("tradewind_market_groups", "groups"),
                ),
            ),
        ),
    ),
)

ALERTS = Board(
    "tradewind-alerts",
    "Tradewind: alerts and notifier",
    (
        Row(
            "Alerts",
            (
                panel(
                    "Armed",
                    Query("tradewind_alerts_armed_alerts", "alerts"),
                    Query("tradewind_alerts_rules", "rules"),
                ),
                panel(
                    "Fired",
                    Query(rate("tradewind_alerts_fired_alerts_total"), "alerts"),
                    Query(rate("tradewind_alerts_rule_hits_total"), "rules"),
                    Query(rate("tradewind_alerts_expired_alerts_total"), "expired"),
                ),
                latency("From the tick to the database", "tradewind_alerts_latency_seconds"),
                latency("Time of a write", "tradewind_alerts_write_seconds"),
                panel(
                    "Trouble",
                    Query(rate("tradewind_alerts_reloads_total"), "reloads"),
                    Query(rate("tradewind_alerts_astray_hits_total"), "astray"),
                    still=True,
                ),
            ),
        ),
        Row(
            "Notifier",
            (
                panel("Notifications", Query(rate("tradewind_notifier_notices_total", "token"), "{{token}}")),
                panel(
                    "Deliveries over",
                    Query(
                        f"topk(8, {rate('tradewind_notifier_deliveries_total', 'channel, state')} > 0)",
                        "{{channel}} {{state}}",
                    ),
                ),
                panel(
                    "From event to receiver",
                    Query(quantile(0.99, "tradewind_notifier_delivery_seconds", "channel"), "{{channel}}"),
                    unit="s",
                ),
                panel(
                    "Attempts that failed",
                    Query(
                        rate(
                            'tradewind_notifier_attempts_total{result!="sent"}',
                            "result",
                        ),
                        "{{result}}",
                    ),
                    still=True,
                ),
                panel(
                    "Waiting",
                    Query("tradewind_notifier_waiting_deliveries", "deliveries"),
                    Query("tradewind_notifier_overdue_seconds", "overdue, s"),
                    still=True,
                ),
            ),
        ),
    ),
)

SCANNER = Board(
    "tradewind-scanner",
    "Tradewind: scanner",
    (
        Row(
            "Closed bars",
            (
                panel("Judged", Query(rate("tradewind_scanner_judged_bars_total"), "bars per second")),
                latency("Time of a round", "tradewind_scanner_round_seconds"),
                panel(
                    "Held and waiting",
                    Query("tradewind_scanner_places", "held"),
                    Query("tradewind_scanner_pending_places", "waiting"),
                ),
            ),
        ),
        Row(
            "What was found",
            (
                panel(
                    "Patterns",
                    Query(rate("tradewind_scanner_detected_patterns_total"), "per second"),
                    still=True,
                ),
                panel("Records open", Query("tradewind_scanner_open_records", "records")),
                panel(
                    "Records closed",
                    Query(rate("tradewind_scanner_closed_records_total"), "per second"),
                    still=True,
                ),
            ),
        ),
        Row(
            "Signals",
            (
                panel(
                    "Recorded",
                    Query(rate("tradewind_scanner_recorded_signals_total"), "per second"),
                    still=True,
                ),
                panel("Held", Query("tradewind_scanner_held_signals", "signals"), still=True),
                panel(
                    "Rounds that failed",
                    Query(rate("tradewind_scanner_signal_failures_total"), "per second"),
                    still=True,
                ),
            ),
        ),
        Row(
            "Charts and trouble",
            (
                latency("Time of a chart", "tradewind_scanner_chart_seconds", still=True),
                panel(
                    "Charts refused",
                    Query(rate("tradewind_scanner_refused_charts_total"), "per second"),
                    still=True,
                ),
                panel(
                    "Trouble",
                    Query(rate("tradewind_scanner_holes_total"), "holes"),
                    Query(rate("tradewind_scanner_reloads_total"), "reloads"),
                    still=True,
                ),
            ),
        ),
    ),
)
