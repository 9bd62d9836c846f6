"""The map of the bus: every subject, its message, its owner and its stream.

Only this package may hold a dotted subject name, each with its owner. Grammar:
``<owner>.<kind>.<noun>[.<past-verb>].v<major>.<key>…``; keys are made safe as tokens.

| kind | means | carried by |
|---|---|---|
| tick | the latest value wins; a gap-free ``seq`` per symbol shows a hole | core NATS |
| cmd | a request to the owner, may be refused | core NATS request/reply, queue group = owner |
| evt | a fact, in the past tense | JetStream, at least once |
| push | an event for the sockets of one account | JetStream, short history |
"""

from __future__ import annotations

from typing import Any

from libs.common.messages import house
from libs.common.subjects.kinds import PUSH_STREAM as PUSH_STREAM
from libs.common.subjects.kinds import Command as Command
from libs.common.subjects.kinds import PartitionCommand as PartitionCommand
from libs.common.subjects.kinds import Subject as Subject
from libs.common.subjects.kinds import token as token
from libs.common.subjects.kinds import untoken as untoken
from libs.common.subjects.of_alerts import *  # noqa: F403
from libs.common.subjects.of_auth import *  # noqa: F403
from libs.common.subjects.of_billing import *  # noqa: F403
from libs.common.subjects.of_gateway import *  # noqa: F403
from libs.common.subjects.of_market import *  # noqa: F403
from libs.common.subjects.of_notifier import *  # noqa: F403
from libs.common.subjects.of_pricing import *  # noqa: F403
from libs.common.subjects.of_scanner import *  # noqa: F403
from libs.common.subjects.of_trading import *  # noqa: F403

# ── every service ─────────────────────────────────────────────────────────────────────────────────


def health_of(service: str) -> Command[house.HealthAsk, house.Health]:
    """The health query every service serves under its own name."""
    return Command(f"{service}.cmd.health.v1", house.HealthAsk, house.Health, timeout_s=1.0)


def again_of(service: str) -> Command[house.FactAgain, house.Done]:
    """The command by which every service handles a fact once more that it gave up."""
    return Command(
        f"{service}.cmd.fact.again.v1", house.FactAgain, house.Done, effect=True, callers=("notifier",)
    )


def outbox_due_of(service: str) -> Subject[house.Done]:
    """Said by a service's processes to the one that relays their outbox: something was committed."""
    return Subject(f"{service}.tick.outbox.v1", house.Done)


# ── the registry, read by permissions, docs and tests ─────────────────────────────────────────────

SUBJECTS: tuple[Subject[Any], ...] = tuple(v for v in globals().values() if isinstance(v, Subject))
COMMANDS: tuple[Command[Any, Any], ...] = tuple(v for v in globals().values() if isinstance(v, Command))


def account_pushes(login: int) -> str:
    """The subscription that hears every push for one account, whoever sends it."""
    return f"*.push.*.v1.{token(login)}"
