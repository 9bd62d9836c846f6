"""JetStream streams and consumers, with their limits; made by the bootstrap user, bound by services.

PostgreSQL is the truth: every stream here can be rebuilt from the outboxes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from libs.common.bus import Consumer
from libs.common.nats_url import server_and_tls
from libs.common.subjects import (
    ACCOUNT_CHANGED,
    ACCOUNT_OPENED,
    ALERT_TRIGGERED,
    ALERTS_NOTICE,
    AUTH_NOTICE,
    DEPEGGED,
    INSTRUMENT_CHANGED,
    KEY_ISSUED,
    LEVEL_BROKEN,
    MONITOR_HEARD,
    PATTERN_DETECTED,
    PERSON_JOINED,
    PUSH_STREAM,
    REGIME_FLIPPED,
    SCANNER_NOTICE,
    SIGNAL_RECORDED,
    TRADING_NOTICE,
)

DEADLETTER_STREAM = "DEADLETTER"
NANOSECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream and what it does at its limits (the oldest messages go)."""

    name: str
    subjects: tuple[str, ...]
    max_age_s: int
    max_bytes: int
    max_msgs_per_subject: int = -1

    def config(self) -> dict[str, Any]:
        """The JetStream API form."""
        return {
            "name": self.name,
            "subjects": list(self.subjects),
            "retention": "limits",
            "storage": "file",
            "discard": "old",
            "max_age": self.max_age_s * NANOSECOND,
            "max_bytes": self.max_bytes,
            "max_msgs": -1,
            "max_msgs_per_subject": self.max_msgs_per_subject,
            "max_msg_size": 1024 * 1024,
            "max_consumers": -1,
            "num_replicas": 1,
            "duplicate_window": 120 * NANOSECOND,
            "allow_direct": True,
            "allow_atomic": True,
        }


DAY_S = 86_400
MIB = 1024 * 1024


def _facts(service: str) -> Stream:
    return Stream(service.upper(), (f"{service}.evt.>",), max_age_s=7 * DAY_S, max_bytes=512 * MIB)


OWNERS = ("auth", "market", "trading", "alerts", "scanner", "pricing", "billing", "notifier")

# Subjects are listed by owner: "*.push.>" would overlap the server's own "$JS.>".
STREAMS: tuple[Stream, ...] = (
    *(_facts(name) for name in OWNERS),
    Stream(
        PUSH_STREAM,
        tuple(f"{name}.push.>" for name in OWNERS),
        max_age_s=DAY_S,
        max_bytes=512 * MIB,
        max_msgs_per_subject=10_000,
    ),
    Stream(
        DEADLETTER_STREAM,
        tuple(f"{name}.dead.>" for name in (*OWNERS, "gateway")),
        max_age_s=30 * DAY_S,
        max_bytes=128 * MIB,
    ),
)

TRADING_ACCOUNTS = Consumer(
    durable="trading-accounts",
    stream="AUTH",
    service="trading",
    filters=(ACCOUNT_OPENED.pattern, ACCOUNT_CHANGED.pattern),
)
TRADING_MARKET = Consumer(
    durable="trading-market", stream="MARKET", service="trading", filters=("market.evt.>",), ack=False
)

NOTIFIER_AUTH = Consumer(
    durable="notifier-auth",
    stream="AUTH",
    service="notifier",
    filters=(ACCOUNT_OPENED.pattern, AUTH_NOTICE.pattern),
    ack_wait_s=15.0,
)
NOTIFIER_ALERTS = Consumer(
    durable="notifier-alerts",
    stream="ALERTS",
    service="notifier",
    filters=(ALERT_TRIGGERED.pattern, ALERTS_NOTICE.pattern),
    ack_wait_s=15.0,
)
NOTIFIER_TRADING = Consumer(
    durable="notifier-trading",
    stream="TRADING",
    service="notifier",
    filters=(TRADING_NOTICE.pattern,),
    ack_wait_s=15.0,
)
NOTIFIER_SCANNER = Consumer(
    durable="notifier-scanner",
    stream="SCANNER",
    service="notifier",
    filters=(SCANNER_NOTICE.pattern, MONITOR_HEARD.pattern),
    ack_wait_s=15.0,
)

ALERTS_MARKET = Consumer(
    durable="alerts-market", stream="MARKET", service="alerts", filters=("market.evt.>",), ack=False
)

SCANNER_MARKET = Consumer(
    durable="scanner-market",
    stream="MARKET",
    service="scanner",
    filters=(INSTRUMENT_CHANGED.pattern,),
    ack=False,
)

BILLING_AUTH = Consumer(
    durable="billing-auth",
    stream="AUTH",
    service="billing",
    filters=(KEY_ISSUED.pattern, PERSON_JOINED.pattern),
)

ALERTS_SCANNER = Consumer(
    durable="alerts-scanner",
    stream="SCANNER",
    service="alerts",
    filters=(
        PATTERN_DETECTED.pattern,
        REGIME_FLIPPED.pattern,
        LEVEL_BROKEN.pattern,
        SIGNAL_RECORDED.pattern,
    ),
)

ALERTS_PRICING = Consumer(
    durable="alerts-pricing", stream="PRICING", service="alerts", filters=(DEPEGGED.pattern,)
)

CONSUMERS: tuple[Consumer, ...] = (
    ALERTS_SCANNER,
    ALERTS_PRICING,
    BILLING_AUTH,
    SCANNER_MARKET,
    TRADING_ACCOUNTS,
    TRADING_MARKET,
    ALERTS_MARKET,
    NOTIFIER_AUTH,
    NOTIFIER_ALERTS,
    NOTIFIER_TRADING,
    NOTIFIER_SCANNER,
)


def follower(stream: str, service: str, name: str, filters: tuple[str, ...]) -> Consumer:
    """A consumer without acknowledgements for one reading process."""
    return Consumer(durable=name, stream=stream, service=service, filters=filters, ack=False)


def gateway_consumers(process_index: int) -> tuple[Consumer, ...]:
    """What one gateway process follows: every push, and the facts that change what it may show."""
    return (
        follower(PUSH_STREAM, "gateway", f"gateway-push-{process_index}", (">",)),
        follower("MARKET", "gateway", f"gateway-market-{process_index}", ("market.evt.>",)),
        follower("AUTH", "gateway", f"gateway-auth-{process_index}", ("auth.evt.>",)),
    )


def all_consumers(gateway_processes: int) -> tuple[Consumer, ...]:
    """Every consumer of a stack with ``gateway_processes`` gateway processes."""
    gateways = (c for index in range(gateway_processes) for c in gateway_consumers(index))
    return (*CONSUMERS, *gateways)


def consumer_config(consumer: Consumer) -> dict[str, Any]:
    """The JetStream API form: pull, file-backed, from the first message a service has not seen."""
    config: dict[str, Any] = {
        "durable_name": consumer.durable,
        "name": consumer.durable,
        "deliver_policy": "all" if consumer.ack else "new",
        "ack_policy": "explicit" if consumer.ack else "none",
        "replay_policy": "instant",
        "max_deliver": -1,
        "max_waiting": 16,
    }
    if consumer.ack:
        config["ack_wait"] = int(consumer.ack_wait_s * NANOSECOND)
        config["max_ack_pending"] = 1024
    if len(consumer.filters) == 1:
        if consumer.filters[0] != ">":  # everything is said by saying nothing
            config["filter_subject"] = consumer.filters[0]
    else:
        config["filter_subjects"] = list(consumer.filters)
    return config


async def ensure_streams(nats_url: str, services: Sequence[str], gateway_processes: int) -> None:
    """Make or update every stream and consumer; safe to run at each start, several at once."""
    import nats  # the driver is loaded only where a connection is made

    server, tls = server_and_tls(nats_url)
    connection = await nats.connect(
        server,
        name="bootstrap",
        inbox_prefix=b"_INBOX_bootstrap",
        allow_reconnect=False,
        connect_timeout=5,
        **({"tls": tls} if tls else {}),
    )
    try:
        for stream in STREAMS:
            body = stream.config()
            answer = await _api(connection, f"STREAM.CREATE.{stream.name}", body)
            if answer.get("error", {}).get("err_code") == 10058:  # name in use with another configuration
                answer = await _api(connection, f"STREAM.UPDATE.{stream.name}", body)
            _refuse(answer, stream.name)
        for consumer in all_consumers(gateway_processes):
            if consumer.service not in services:
                continue
            request = {"stream_name": consumer.stream, "config": consumer_config(consumer)}
            name = f"CONSUMER.CREATE.{consumer.stream}.{consumer.durable}"
            if "filter_subject" in consumer_config(consumer):
                name = f"{name}.{consumer.filters[0]}"
            _refuse(await _api(connection, name, request), consumer.durable)
    finally:
        await connection.close()


async def _api(connection: Any, name: str, body: dict[str, Any]) -> dict[str, Any]:
    reply = await connection.request(f"$JS.API.{name}", json.dumps(body).encode(), timeout=10)
    answer: dict[str, Any] = json.loads(reply.data)
    return answer


def _refuse(answer: dict[str, Any], name: str) -> None:
    if "error" in answer:
        raise RuntimeError(f"JetStream refused {name}: {answer['error'].get('description')}")
