"""Who may say and hear what on the bus: NATS allow-lists generated from the map of subjects.

Pull consumers only: a user with CONSUMER.CREATE could aim a push consumer at somebody's command
subject, so the bootstrap user makes all consumers and services bind to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from libs.common.streams import CONSUMERS, DEADLETTER_STREAM, gateway_consumers
from libs.common.subjects import COMMANDS, PUSH_STREAM, SUBJECTS, outbox_due_of

# What a service hears on core NATS besides its own commands.
TICK_READERS = {
    "market": ("gateway", "trading", "alerts", "scanner", "pricing"),
    "pricing": ("gateway", "alerts"),
    "scanner": ("alerts", "gateway"),
    "gateway": ("gateway",),
}


def nats_users(services: Sequence[str], gateway_processes: int = 8) -> dict[str, dict[str, Any]]:
    """User name → NATS ``permissions`` object, for each service, ``bootstrap`` and ``cli``."""
    users = {name: _service(name, gateway_processes) for name in services}
    users["bootstrap"] = {
        "publish": {"allow": ["$JS.API.>"]},
        "subscribe": {"allow": ["_INBOX_bootstrap.>"]},
    }
    users["cli"] = {
        "publish": {
            "allow": [c.name for c in COMMANDS if "cli" in c.callers]
            + [f"{name}.cmd.health.v1" for name in services]
            + ["$JS.API.INFO", "$JS.API.STREAM.INFO.*", "$JS.API.STREAM.NAMES"]
        },
        "subscribe": {"allow": ["_INBOX_cli.>"]},
    }
    return users


def _service(name: str, gateway_processes: int) -> dict[str, Any]:
    calls = [c.name for c in COMMANDS if name in c.callers and c.owner != name]
    calls += [f"{c.name}.*" for c in COMMANDS if c.partitioned and c.owner == name]
    if name == "gateway":
        calls.append("*.cmd.health.v1")
    if name == "notifier":
        calls.append("*.cmd.fact.again.v1")
    says = sorted({f"{name}.{s.kind}.>" for s in SUBJECTS if s.owner == name} | {f"{name}.dead.>"})
    hears = [f"{owner}.tick.>" for owner, readers in TICK_READERS.items() if name in readers]
    due = outbox_due_of(name).pattern  # its processes tell one another what they committed
    publish = [*calls, *says, due, *_stream_rights(name, gateway_processes)]
    return {
        "publish": {"allow": publish},
        "subscribe": {"allow": [f"{name}.cmd.>", f"_INBOX_{name}.>", due, *hears]},
        "allow_responses": {"max": 1, "expires": "60s"},
    }


def _stream_rights(name: str, gateway_processes: int) -> list[str]:
    consumers = [c for c in CONSUMERS if c.service == name]
    rights: list[str] = []
    if name == "gateway":
        consumers += [c for index in range(gateway_processes) for c in gateway_consumers(index)]
        rights += [f"$JS.API.DIRECT.GET.{PUSH_STREAM}", f"$JS.API.STREAM.INFO.{PUSH_STREAM}"]
        rights += [f"$JS.API.DIRECT.GET.{DEADLETTER_STREAM}", f"$JS.API.STREAM.INFO.{DEADLETTER_STREAM}"]
    if name == "notifier":  # it shows staff what was given up, and takes away what was handled again
        rights += [f"$JS.API.DIRECT.GET.{DEADLETTER_STREAM}", f"$JS.API.STREAM.INFO.{DEADLETTER_STREAM}"]
        rights.append(f"$JS.API.STREAM.MSG.DELETE.{DEADLETTER_STREAM}")
    for stream in {s.stream for s in SUBJECTS if s.owner == name and s.stream}:
        # The relay looks whether a stream still holds what it acknowledged.
        rights += [f"$JS.API.DIRECT.GET.{stream}", f"$JS.API.STREAM.INFO.{stream}"]
    for c in consumers:
        rights += [
            f"$JS.API.CONSUMER.MSG.NEXT.{c.stream}.{c.durable}",
            f"$JS.API.CONSUMER.INFO.{c.stream}.{c.durable}",
            f"$JS.API.DIRECT.GET.{c.stream}",
            f"$JS.API.STREAM.INFO.{c.stream}",
        ]
        if c.ack:
            rights.append(f"$JS.ACK.{c.stream}.{c.durable}.>")
    return sorted(set(rights))
