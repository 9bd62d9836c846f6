"""The stream's Prometheus metrics, read from the hub when somebody asks.

A counter object per delivery would cost more than the delivery, so the hub counts in plain numbers
and this collector turns them into families at each scrape. No label names a user.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.gateway.hub import Hub

_COUNTERS = (
    ("frames_in", "quotes_total", "Channel frames heard from the bus."),
    ("pushes_in", "pushes_total", "Account events heard from the bus."),
    ("deliveries", "deliveries_total", "Channel frames handed to sockets."),
    ("events", "events_total", "Account events handed to sockets."),
    ("conflated", "conflated_total", "Channel frames replaced by a newer one before they were sent."),
    ("repeated", "repeated_total", "Account events a socket already had."),
    ("writes", "writes_total", "Writes to transports."),
    ("stalls", "stalls_total", "Times a socket's write buffer reached the high-water mark."),
)


class StreamGauges(Collector):
    """The state of one hub and of the sockets that use it."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self.closed: Tally[int] = Tally(dict.fromkeys((1009, 1011, 1012, 4401, 4408, 4413), 0))
        self.received: Tally[str] = Tally(
            dict.fromkeys(("authorization", "switch", "subscribe", "unsubscribe", "ping", "invalid"), 0)
        )

    def collect(self) -> Iterable[Metric]:
        """The families of one scrape."""
        hub = self._hub
        for name, metric, text in _COUNTERS:
            value = float(getattr(hub.counters, name))
            yield CounterMetricFamily(f"tradewind_gateway_stream_{metric}", text, value=value)
        for metric, text, value in (
            ("flushes_total", "Flushes of joined frames.", hub.rounds.flushes),
            ("flush_cpu_seconds_total", "CPU time spent in flushes.", hub.rounds.cpu_total_s),
        ):
            yield CounterMetricFamily(f"tradewind_gateway_stream_{metric}", text, value=value)
        subscriptions = sum(len(connection.channels) for connection in hub.connections)
        for metric, text, value in (
            ("sockets", "Sockets attached.", len(hub.connections)),
            ("subscriptions", "Channel subscriptions of all sockets.", subscriptions),
            ("stalled_sockets", "Sockets above the high-water mark now.", len(hub.stalled)),
            ("flush_interval_seconds", "Time between two flushes now.", hub.rounds.pace.interval_s),
            ("demand_per_second", "Channel frames to deliver per second, smoothed.", hub.rounds.pace.rate),
            ("flush_busy_ratio", "Share of a core that flushes take, smoothed.", hub.rounds.pace.busy_share),
        ):
            yield GaugeMetricFamily(f"tradewind_gateway_stream_{metric}", text, value=value)
        closed = CounterMetricFamily(
            "tradewind_gateway_stream_closed_total", "Sockets closed by the server, by code.", labels=["code"]
        )
        for code, count in self.closed.items():
            closed.add_metric([str(code)], count)
        yield closed
        received = CounterMetricFamily(
            "tradewind_gateway_stream_received_total", "Frames from clients, by kind.", labels=["kind"]
        )
        for kind, count in self.received.items():
            received.add_metric([kind], count)
        yield received
