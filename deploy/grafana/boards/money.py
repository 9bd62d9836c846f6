"""The boards of what moves money: trading, billing, pricing."""

from __future__ import annotations

from deploy.grafana.panels import Board, Query, Row, latency, panel, quantile, rate
from deploy.prometheus.slos import ORDERS

TRADING = Board(
    "tradewind-trading",
    "Tradewind: trading and ledger",
    (
        Row(
            "Orders",
            (
                latency("Time to answer an order", "tradewind_command_seconds", ORDERS),
                panel("Facts", Query(rate("tradewind_trading_facts_total", "fact"), "{{fact}}")),
                panel(
                    "Refused",
                    Query(rate("tradewind_trading_refused_commands_total", "code"), "{{code}}"),
                    still=True,
                ),
                panel("Open", Query("tradewind_trading_open_orders", "orders")),
            ),
        ),
        Row(
            "Writing",
            (
                latency("Time of a commit", "tradewind_trading_commit_seconds"),
                panel(
                    "Decisions per commit", Query(quantile(0.99, "tradewind_trading_commit_decisions"), "p99")
                ),
                latency("Time of a turn", "tradewind_trading_turn_seconds"),
            ),
        ),
        Row(
            "Ledger and trouble",
            (
                panel(
                    "Balance operations",
                    Query(rate("tradewind_trading_finance_trades_total", "cmd"), "{{cmd}}"),
                    still=True,
                ),
                panel("Accounts opened", Query("tradewind_trading_accounts_opened_total", "accounts")),
                panel(
                    "Floating frames", Query(rate("tradewind_trading_floating_frames_total"), "per second")
                ),
                panel(
                    "Trouble",
                    Query(rate("tradewind_trading_reloads_total"), "reloads"),
                    Query(rate("tradewind_trading_defects_total"), "defects"),
                    still=True,
                ),
            ),
        ),
    ),
)

BILLING = Board(
    "tradewind-billing",
    "Tradewind: billing",
    (
        Row(
            "Calls",
            (
                panel(
                    "Charged",
                    Query(rate("tradewind_billing_charged_micros_total"), "micros per second"),
                    still=True,
                ),
                panel(
                    "Not admitted",
                    Query(rate("tradewind_billing_refused_calls_total", "reason"), "{{reason}}"),
                    still=True,
                ),
                panel(
                    "Calls per commit",
                    Query(quantile(0.99, "tradewind_billing_batch_calls"), "p99"),
                    still=True,
                ),
                panel(
                    "Holds nobody came back for",
                    Query(rate("tradewind_billing_expired_holds_total"), "per second"),
                    still=True,
                ),
            ),
        ),
        Row(
            "Money",
            (
                panel(
                    "Payments",
                    Query(
                        rate("tradewind_billing_payments_total", "provider, outcome"),
                        "{{provider}} {{outcome}}",
                    ),
                    still=True,
                ),
                panel(
                    "Callbacks of providers",
                    Query(
                        rate("tradewind_billing_callbacks_total", "provider, outcome"),
                        "{{provider}} {{outcome}}",
                    ),
                    still=True,
                ),
                panel("Outcome unknown", Query("tradewind_billing_pending_payments", "payments"), still=True),
                panel(
                    "Starter credits",
                    Query(rate("tradewind_billing_starter_grants_total"), "per second"),
                    still=True,
                ),
                panel("Rows that do not add up", Query("tradewind_billing_unsound_rows", "rows"), still=True),
            ),
        ),
    ),
)

PRICING = Board(
    "tradewind-pricing",
    "Tradewind: pricing",
    (
        Row(
            "Prices",
            (
                panel(
                    "Tokens",
                    Query("tradewind_pricing_tokens", "in the graph"),
                    Query("tradewind_pricing_priced_tokens", "priced"),
                ),
                panel(
                    "Mean confidence",
                    Query("tradewind_pricing_confidence_mean_ratio", "mean"),
                    unit="percentunit",
                ),
                panel("Frames sent", Query(rate("tradewind_pricing_frames_total"), "per second")),
                panel("Bars stored", Query(rate("tradewind_pricing_bars_total"), "per second"), still=True),
                panel("Depegs", Query(rate("tradewind_pricing_depeg_facts_total"), "per second"), still=True),
            ),
        ),
        Row(
            "Work and anchor",
            (
                latency("Time to price all", "tradewind_pricing_whole_seconds", still=True),
                latency("Time to follow a change", "tradewind_pricing_update_seconds"),
                panel(
                    "Age of the anchor",
                    Query("tradewind_pricing_anchor_age_seconds", "age"),
                    unit="s",
                    still=True,
                ),
                panel(
                    "Trouble",
                    Query(rate("tradewind_pricing_source_failures_total"), "sources"),
                    Query("tradewind_pricing_anchor_failures_rounds", "anchor rounds"),
                    still=True,
                ),
            ),
        ),
    ),
)
