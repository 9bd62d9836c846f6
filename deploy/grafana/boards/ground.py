"""The boards of what the house stands on: NATS, PostgreSQL."""

from __future__ import annotations

from deploy.grafana.panels import Board, Query, Row, panel, rate

NATS = Board(
    "tradewind-nats",
    "Tradewind: NATS",
    (
        Row(
            "Server",
            (
                panel(
                    "Messages",
                    Query(rate("tradewind_nats_received_messages_total"), "in"),
                    Query(rate("tradewind_nats_sent_messages_total"), "out"),
                ),
                panel(
                    "Bytes",
                    Query(rate("tradewind_nats_received_bytes_total"), "in"),
                    Query(rate("tradewind_nats_sent_bytes_total"), "out"),
                    unit="Bps",
                ),
                panel(
                    "Connections",
                    Query("tradewind_nats_connections", "connections"),
                    Query("tradewind_nats_subscriptions", "subscriptions"),
                ),
                panel("Memory", Query("tradewind_nats_memory_bytes", "memory"), unit="bytes"),
                panel("Slow consumers", Query("tradewind_nats_slow_consumers", "cut off so far"), still=True),
            ),
        ),
        Row(
            "Streams and consumers",
            (
                panel("Stored", Query(rate("tradewind_nats_stream_messages_total", "stream"), "{{stream}}")),
                panel("Size", Query("tradewind_nats_stream_bytes", "{{stream}}"), unit="bytes"),
                panel(
                    "Behind", Query("tradewind_nats_consumer_pending_messages", "{{consumer}}"), still=True
                ),
                panel(
                    "Given, not answered",
                    Query("tradewind_nats_consumer_unacked_messages", "{{consumer}}"),
                    still=True,
                ),
            ),
        ),
    ),
)

POSTGRES = Board(
    "tradewind-postgres",
    "Tradewind: PostgreSQL",
    (
        Row(
            "Work",
            (
                panel(
                    "Transactions",
                    Query(rate("tradewind_postgres_commits_total"), "committed"),
                    Query(rate("tradewind_postgres_rollbacks_total"), "rolled back"),
                ),
                panel(
                    "Rows",
                    Query(rate("tradewind_postgres_inserted_rows_total"), "inserted"),
                    Query(rate("tradewind_postgres_updated_rows_total"), "updated"),
                    Query(rate("tradewind_postgres_deleted_rows_total"), "deleted"),
                ),
                panel(
                    "Found in the buffers",
                    Query(
                        "rate(tradewind_postgres_hit_blocks_total[$__rate_interval]) / "
                        "(rate(tradewind_postgres_hit_blocks_total[$__rate_interval]) + "
                        "rate(tradewind_postgres_read_blocks_total[$__rate_interval]))",
                        "share",
                    ),
                    unit="percentunit",
                ),
                panel(
                    "Write-ahead log", Query(rate("tradewind_postgres_wal_bytes_total"), "bytes"), unit="Bps"
                ),
            ),
        ),
        Row(
            "Sessions and size",
            (
                panel(
                    "Sessions", Query("sum by (application) (tradewind_postgres_sessions)", "{{application}}")
                ),
                panel(
                    "Oldest transaction",
                    Query("tradewind_postgres_transaction_age_seconds", "{{application}}"),
                    unit="s",
                    still=True,
                ),
                panel(
                    "Waiting and deadlocked",
                    Query("tradewind_postgres_waiting_locks", "locks waited for"),
                    Query("increase(tradewind_postgres_deadlocks_total[$__rate_interval])", "deadlocks"),
                    still=True,
                ),
                panel(
                    "Size by service", Query("tradewind_postgres_schema_bytes", "{{schema}}"), unit="bytes"
                ),
            ),
        ),
    ),
)
