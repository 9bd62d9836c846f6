"""What nats-server's monitoring endpoint says, as metrics ``tradewind_nats_*``."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import aiohttp
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

_TIMEOUT = aiohttp.ClientTimeout(total=5.0)
_COUNTERS = {
    "in_msgs": ("tradewind_nats_received_messages", "Messages nats-server received"),
    "out_msgs": ("tradewind_nats_sent_messages", "Messages nats-server sent"),
    "in_bytes": ("tradewind_nats_received_bytes", "Bytes nats-server received"),
    "out_bytes": ("tradewind_nats_sent_bytes", "Bytes nats-server sent"),
    "slow_consumers": ("tradewind_nats_slow_consumers", "Connections cut because they read too slowly"),
}
_GAUGES = {
    "connections": ("tradewind_nats_connections", "Connections"),
    "subscriptions": ("tradewind_nats_subscriptions", "Subscriptions"),
    "mem": ("tradewind_nats_memory_bytes", "Memory of nats-server"),
    "cpu": ("tradewind_nats_cpu_percent", "CPU of nats-server, 100 is a core"),
}


async def nats_metrics(url: str) -> list[Metric]:
    """What the monitor at ``url`` says now; ``tradewind_nats_up`` alone, 0, when it does not answer."""
    up = GaugeMetricFamily("tradewind_nats_up", "Whether nats-server answered")
    try:
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
            server, streams = await asyncio.gather(
                _get(session, f"{url}/varz"),
                _get(session, f"{url}/jsz?accounts=true&streams=true&consumers=true&config=true"),
            )
    except (OSError, TimeoutError, aiohttp.ClientError, ValueError):
        up.add_metric([], 0)
        return [up]
    up.add_metric([], 1)
    return [up, *_of_server(server), *_of_streams(streams)]


async def _get(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    async with session.get(url) as response:
        response.raise_for_status()
        found: dict[str, Any] = await response.json()
        return found


def _of_server(server: Mapping[str, Any]) -> Iterable[Metric]:
    for key, (name, text) in _COUNTERS.items():
        yield CounterMetricFamily(name, text, value=float(server.get(key, 0)))
    for key, (name, text) in _GAUGES.items():
        yield GaugeMetricFamily(name, text, value=float(server.get(key, 0)))


def _of_streams(answer: Mapping[str, Any]) -> Iterable[Metric]:
    stored = CounterMetricFamily(
        "tradewind_nats_stream_messages", "Messages ever stored in a stream", labels=["stream"]
    )
    kept = GaugeMetricFamily("tradewind_nats_stream_kept_messages", "Messages in a stream", labels=["stream"])
    size = GaugeMetricFamily("tradewind_nats_stream_bytes", "Bytes of a stream", labels=["stream"])
    most = GaugeMetricFamily(
        "tradewind_nats_stream_max_bytes",
        "The most bytes a stream may have; 0 is no limit",
        labels=["stream"],
    )
    names = ["stream", "consumer"]
    behind = GaugeMetricFamily(
        "tradewind_nats_consumer_pending_messages", "Messages a consumer has not been given yet", labels=names
    )
    unacked = GaugeMetricFamily(
        "tradewind_nats_consumer_unacked_messages", "Messages given and not answered yet", labels=names
    )
    again = GaugeMetricFamily(
        "tradewind_nats_consumer_redelivered_messages", "Messages given more than once", labels=names
    )
    for account in answer.get("account_details", ()):
        for stream in account.get("stream_detail", ()):
            name, state = stream["name"], stream.get("state", {})
            stored.add_metric([name], state.get("last_seq", 0))
            kept.add_metric([name], state.get("messages", 0))
            size.add_metric([name], state.get("bytes", 0))
            most.add_metric([name], max(0, stream.get("config", {}).get("max_bytes", 0)))
            for consumer in stream.get("consumer_detail") or ():
                labels = [name, consumer["name"]]
                behind.add_metric(labels, consumer.get("num_pending", 0))
                unacked.add_metric(labels, consumer.get("num_ack_pending", 0))
                again.add_metric(labels, consumer.get("num_redelivered", 0))
    return (stored, kept, size, most, behind, unacked, again)
