"""What a channel is: it reads the address a person gives, and sends one message to one address.

A channel never retries, never logs an address or a secret, and answers within ``SEND_S_MAX``. What it raises
beyond ``Outcome`` is a defect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal, Protocol

from services.notifier.rates import Rate

SEND_S_MAX = 10.0


class Result(Enum):
    """What came of an attempt."""

    SENT = "sent"
    LATER = "later"  # it did not get through, or was told to come again
    UNKNOWN = "unknown"  # no answer: it may have got through; the same id goes out again
    REFUSED = "refused"  # this message, or this address, for good


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result with its reason (never a secret); ``gone`` says that the address itself is dead."""

    result: Result
    reason: str = ""
    retry_after_s: float | None = None
    gone: bool = False
    answer: bytes = b""


SENT = Outcome(Result.SENT)


class TargetInvalid(Exception):
    """An address is none of this channel; the text says what one looks like."""

    def __init__(self, reason: str, allowed: object = None) -> None:
        super().__init__(reason)
        self.allowed = allowed


@dataclass(frozen=True, slots=True)
class Target:
    """An address as it is kept, and as it may be shown."""

    value: str
    masked: str


@dataclass(frozen=True, slots=True)
class Address:
    """Where a message goes: the recipient's id, the address, and the generations of its signing secret."""

    recipient_id: int
    value: str
    generations: tuple[int, ...] = (1,)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message. ``id`` is the same on every attempt; ``data`` is for programs, the texts for people."""

    id: str
    type: str
    title: str
    text: str
    created_ms: int
    level: int = 10
    login: int = 0
    data: Mapping[str, Any] = field(default_factory=dict)
    traceparent: str = ""


# How an address is proved: a test message must be taken; a code comes back from the other side; the code is
# in what we send and is echoed or given by the owner; the account's own address; not at all.
Proof = Literal["post", "reply", "echo", "account", "none"]


class Channel(Protocol):
    """One outsider."""

    name: str
    for_people: bool  # quiet hours, digests and summaries apply
    proof: Proof
    recipient_rate: Rate
    channel_rate: Rate | None

    @property
    def hint(self) -> str:
        """What the owner is told at binding; ``{code}`` stands for the code."""
        ...

    @property
    def is_on(self) -> bool:
        """Whether the operator has set up what it needs."""
        ...

    def read_target(self, text: str) -> Target:
        """The address in what a person gave; TargetInvalid when it is none."""
        ...

    async def send(self, message: Outgoing, to: Address) -> Outcome:
        """One attempt."""
        ...

    async def close(self) -> None:
        """Give up connections."""
        ...
