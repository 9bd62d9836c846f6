"""What alerts counts; everything is registered at start."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

armed = Gauge("tradewind_alerts_armed_alerts", "Alerts that wait for a price")
fired = Counter("tradewind_alerts_fired_alerts", "Hits written")
expired = Counter("tradewind_alerts_expired_alerts", "Alerts that ended without a hit")
reloads = Counter("tradewind_alerts_reloads", "Times the book was built again after a failed write")
astray = Counter("tradewind_alerts_astray_hits", "Hits of alerts the database did not hold as active")
write_seconds = Histogram(
    "tradewind_alerts_write_seconds",
    "Time of one transaction of hits and commands",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
rules = Gauge("tradewind_alerts_rules", "Rules that are judged")
rule_hits = Counter("tradewind_alerts_rule_hits", "Hits of rules, told or held back")
latency_seconds = Histogram(
    "tradewind_alerts_latency_seconds",
    "From a live tick's exchange time to its hits and their messages in the database, once a tick",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60),
)
