"""The boards people open first: overview, gateway, one service."""

from __future__ import annotations

from deploy.grafana.panels import Board, Query, Row, latency, panel, quantile, rate
from deploy.prometheus.rules import recorded
from deploy.prometheus.slos import SLOS


def _levels() -> Row:
    return Row(
        "Service levels: share of good events over the last hour",
        tuple(
            panel(
                slo.name,
                Query(f"1 - {recorded(slo, 3600)}", "1 h"),
                unit="percentunit",
                stat=True,
                still=True,
                text=f"{slo.title}; promised {100 * slo.objective:g} %",
            )
            for slo in SLOS
        ),
    )


OVERVIEW = Board(
    "tradewind-overview",
    "Tradewind: overview",
    (
        _levels(),
        Row(
            "What goes on",
            (
                panel("Quotes", Query(rate("tradewind_market_ticks_total"), "per second")),
                panel("Requests", Query(rate("tradewind_gateway_requests_total"), "per second")),
                panel(
                    "Frames to sockets",
                    Query(rate("tradewind_gateway_stream_deliveries_total"), "per second"),
                ),
                panel(
                    "Facts published",
                    Query(rate("tradewind_outbox_published_rows_total", "service"), "{{service}}"),
                ),
            ),
        ),
        Row(
            "What it costs",
            (
                panel(
                    "CPU",
                    Query(rate("tradewind_process_cpu_seconds_total", "process"), "{{process}}"),
                    unit="percentunit",
                ),
                panel("Memory", Query("tradewind_process_memory_bytes", "{{process}}"), unit="bytes"),
                panel(
                    "Loop lag",
                    Query("max by (process) (tradewind_loop_lag_seconds)", "{{process}}"),
                    unit="s",
                ),
            ),
        ),
        Row(
            "What is wrong",
            (
                panel("Processes that run", Query("sum(tradewind_process_up)", "up"), stat=True),
                panel(
                    "Restarts",
                    Query("sum(increase(tradewind_process_restarts_total[1h]))", "last hour"),
                    stat=True,
                    still=True,
                ),
                panel(
                    "Alarms",
                    Query('sum(ALERTS{alertstate="firing"}) or vector(0)', "firing"),
                    stat=True,
                    still=True,
                ),
                panel(
                    "Oldest fact unpublished",
                    Query("max(tradewind_outbox_age_seconds)", "s"),
                    unit="s",
                    stat=True,
                    still=True,
                ),
                panel(
                    "Room on the disk", Query("tradewind_disk_free_bytes", "free"), unit="bytes", stat=True
                ),
            ),
        ),
    ),
)

GATEWAY = Board(
    "tradewind-gateway",
    "Tradewind: gateway and stream",
    (
        Row(
            "REST",
            (
                panel(
                    "Answers by status",
                    Query(rate("tradewind_gateway_requests_total", "status"), "{{status}}"),
                ),
                panel(
                    "Failures by surface",
                    Query(rate('tradewind_gateway_answers_total{kind="5xx"}', "surface"), "{{surface}}"),
                    still=True,
                ),
                panel(
                    "99th percentile by surface",
                    Query(quantile(0.99, "tradewind_gateway_request_seconds", "surface"), "{{surface}}"),
                    unit="s",
                ),
                panel(
                    "Where time goes",
                    Query(
                        f"topk(8, {rate('tradewind_gateway_route_seconds_total', 'route')})",
                        "{{route}}",
                    ),
                    unit="percentunit",
                ),
            ),
        ),
        Row(
            "What is refused",
            (
                panel(
                    "Refused before their service",
                    Query(rate("tradewind_gateway_refused_total", "reason"), "{{reason}}"),
                    still=True,
                ),
                panel(
                    "Idempotency keys",
                    Query(rate("tradewind_gateway_keyed_total", "outcome"), "{{outcome}}"),
                    still=True,
                ),
                panel(
                    "Charges",
                    Query(rate("tradewind_gateway_charges_total", "outcome"), "{{outcome}}"),
                    still=True,
                ),
                panel(
                    "Tokens looked at", Query(rate("tradewind_gateway_tokens_total", "source"), "{{source}}")
                ),
            ),
        ),
        Row(
            "People and agents",
            (
                panel(
                    "Sign-ins",
                    Query(rate("tradewind_auth_sign_ins_total", "door, outcome"), "{{door}} {{outcome}}"),
                ),
                latency("Time to check a password", "tradewind_auth_hashing_seconds"),
                panel(
                    "Tools called (MCP)",
                    Query(
                        f"topk(8, {rate('tradewind_gateway_tool_calls_total', 'tool, outcome')})",
                        "{{tool}} {{outcome}}",
                    ),
                    still=True,
                ),
                panel(
                    "OAuth",
                    Query(
                        rate('tradewind_gateway_answers_total{surface="oauth"}', "kind"),
                        "{{kind}}",
                    ),
                    still=True,
                ),
            ),
        ),
        Row(
            "Stream",
            (
                panel(
                    "Sockets",
                    Query("sum(tradewind_gateway_stream_sockets)", "open"),
                    Query("sum(tradewind_gateway_stream_stalled_sockets)", "stalled"),
                ),
                panel("Subscriptions", Query("sum(tradewind_gateway_stream_subscriptions)", "channels")),
                panel(
                    "Frames",
                    Query(rate("tradewind_gateway_stream_quotes_total"), "heard"),
                    Query(rate("tradewind_gateway_stream_deliveries_total"), "handed out"),
                    Query(rate("tradewind_gateway_stream_conflated_total"), "conflated"),
                ),
                panel(
                    "Account events",
                    Query(rate("tradewind_gateway_stream_pushes_total"), "heard"),
                    Query(rate("tradewind_gateway_stream_events_total"), "handed out"),
                    still=True,
                ),
            ),
        ),
        Row(
            "How the hub works",
            (
                panel(
                    "Share of a core in flushes",
                    Query("max(tradewind_gateway_stream_flush_busy_ratio)", "busy"),
                    unit="percentunit",
                ),
                panel(
                    "Time between flushes",
                    Query("max(tradewind_gateway_stream_flush_interval_seconds)", "interval"),
                    unit="s",
                ),
                panel(
                    "Closed by us",
                    Query(rate("tradewind_gateway_stream_closed_total", "code"), "{{code}}"),
                    still=True,
                ),
                panel(
                    "From clients",
                    Query(rate("tradewind_gateway_stream_received_total", "kind"), "{{kind}}"),
                    still=True,
                ),
            ),
        ),
    ),
)

SERVICE = Board(
    "tradewind-service",
    "Tradewind: one service",
    (
        Row(
            "Commands",
            (
                panel(
                    "Answered",
                    Query(rate('tradewind_commands_total{service="$service"}', "command"), "{{command}}"),
                ),
                panel(
                    "Not well",
                    Query(
                        rate(
                            'tradewind_commands_total{service="$service",outcome!="ok"}', "command, outcome"
                        ),
                        "{{command}} {{outcome}}",
                    ),
                    still=True,
                ),
                panel(
                    "99th percentile",
                    Query(
                        quantile(0.99, "tradewind_command_seconds", "command", 'service="$service"'),
                        "{{command}}",
                    ),
                    unit="s",
                ),
            ),
        ),
        Row(
            "Process",
            (
                panel(
                    "CPU",
                    Query(
                        'rate(process_cpu_seconds_total{service="$service"}[$__rate_interval])', "{{process}}"
                    ),
                    unit="percentunit",
                ),
                panel(
                    "Memory",
                    Query('process_resident_memory_bytes{service="$service"}', "{{process}}"),
                    unit="bytes",
                ),
                panel(
                    "Loop lag",
                    Query('tradewind_loop_lag_seconds{service="$service"}', "{{process}}"),
                    unit="s",
                ),
                panel("Open files", Query('process_open_fds{service="$service"}', "{{process}}")),
            ),
        ),
        Row(
            "Outbox",
            (
                panel(
                    "Published",
                    Query(rate('tradewind_outbox_published_rows_total{service="$service"}'), "per second"),
                    still=True,
                ),
                panel(
                    "Waiting",
                    Query('tradewind_outbox_waiting_rows{service="$service"}', "{{service}}"),
                    still=True,
                ),
                panel(
                    "Oldest",
                    Query('tradewind_outbox_age_seconds{service="$service"}', "{{service}}"),
                    unit="s",
                    still=True,
                ),
            ),
        ),
    ),
    variables=(("service", "label_values(tradewind_build_info, service)"),),
)
