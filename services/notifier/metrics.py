"""What the notifier counts. Everything is registered, and zeroed, when this is imported."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from libs.common.messages.notifier import CHANNELS

notices = Counter("tradewind_notifier_notices", "Facts that became a notification", ["token"])
deliveries = Counter("tradewind_notifier_deliveries", "Deliveries that are over", ["channel", "state"])
attempts = Counter(
    "tradewind_notifier_attempts", "Attempts to send by what came of them", ["channel", "result"]
)
summaries = Counter("tradewind_notifier_summaries", "Messages that stood for several deliveries", ["channel"])
attempt_seconds = Histogram(
    "tradewind_notifier_attempt_seconds",
    "Time of one attempt",
    ["channel"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
delivery_seconds = Histogram(
    "tradewind_notifier_delivery_seconds",
    "From the event to the receiver's yes",
    ["channel"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 3600, 86_400),
)
waiting = Gauge("tradewind_notifier_waiting_deliveries", "Deliveries that wait, for whatever reason")
overdue = Gauge("tradewind_notifier_overdue_seconds", "How long the first delivery has been due")
leases_lost = Counter(
    "tradewind_notifier_leases_lost", "Recipients another process took over in mid-delivery"
)

for _channel in CHANNELS:
    for _state in ("sent", "failed", "dead"):
        deliveries.labels(_channel, _state)
    for _result in ("sent", "later", "unknown", "refused"):
        attempts.labels(_channel, _result)
    summaries.labels(_channel)
    attempt_seconds.labels(_channel)
    delivery_seconds.labels(_channel)
for _token in ("PRICE_ALERT", "MARGIN_CALL", "STOP_OUT", "TRADE_REJECTED", "OPEN_ORDER", "MONITOR", "other"):
    notices.labels(_token)


def token_label(token: str) -> str:
    """A token as a label: those we know, so that nobody can make labels without end."""
    known = ("PRICE_ALERT", "MARGIN_CALL", "STOP_OUT", "TRADE_REJECTED", "OPEN_ORDER")
    return token if token in known else "other"
