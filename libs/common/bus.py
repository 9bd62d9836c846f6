"""The Bus: what services say to each other with, and the rules every implementation keeps.

Two implementations: ``bus_nats.NatsBus`` in production and ``bus_memory.MemoryBus`` for simulation
and unit tests; ``libs.common.testing.bus_contract`` runs the same suite against both.

- ``publish`` is core NATS: buffered, at most once, for ticks only.
- ``request``/``serve`` is a command: at most once, with a deadline. A refusal arrives as the owner's
  error (``RemoteError``); nobody there is ``ServiceUnavailable``; a lost answer to a command with an
  effect is ``OutcomeUnknown``.
- ``append`` writes facts durably; an entry whose id the stream has seen is dropped.
- ``consume`` delivers at least once, in order; the handler answers done, retry or terminate.
- ``follow`` delivers a stream's new messages in order without a gap, to one reader, no effects.
- Callbacks of ``subscribe`` and ``follow`` are synchronous and only put into a buffer: on overflow
  nats-py keeps the oldest messages and drops the newest, so nothing may wait there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Protocol, TypeVar

import msgspec

from libs.common.errors import AppError, ErrorBody, InternalError, MessageUnreadable, RemoteError
from libs.common.subjects import Command

Q = TypeVar("Q")
R = TypeVar("R")
M = TypeVar("M")

HEADER_ID = "Nats-Msg-Id"
HEADER_ERROR = "Tradewind-Error"
HEADER_TRACE = "traceparent"
HEADER_CORRELATION = "Correlation-Id"
HEADER_IDEMPOTENCY = "Idempotency-Key"
HEADER_SCHEMA = "Schema"

NO_HEADERS: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Call:
    """What a command handler may know about the call besides its message."""

    subject: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Entry:
    """A fact to append: its subject, body, id and further headers.

    Of what has an id a stream keeps one; what has none ("") is no fact, and kept as often as it is sent.
    """

    subject: str
    payload: bytes
    event_id: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def all_headers(self) -> dict[str, str]:
        """Its own headers, and its id if it has one."""
        return {**self.headers, HEADER_ID: self.event_id} if self.event_id else {**self.headers}


@dataclass(frozen=True, slots=True)
class Stored:
    """A message as a stream holds it."""

    seq: int
    subject: str
    payload: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    at: str = ""  # when the stream took it, RFC 3339; empty where that was not asked

    @property
    def at_ms(self) -> int:
        """When the stream took it, Unix ms; 0 where that is not known."""
        return int(datetime.fromisoformat(self.at).timestamp() * 1000) if self.at else 0


@dataclass(frozen=True, slots=True)
class Inbound:
    """A fact delivered to a consumer; ``attempt`` starts at 1, ``at_ms`` is when the stream took it."""

    seq: int
    subject: str
    payload: bytes
    headers: Mapping[str, str]
    attempt: int
    at_ms: int = 0

    @property
    def event_id(self) -> str:
        return self.headers.get(HEADER_ID, "")

    def decode(self, message: type[M]) -> M:
        """The typed body; raises MessageUnreadable, which terminates the message."""
        return decode(self.payload, message)


@dataclass(frozen=True, slots=True)
class Window:
    """What a stream still holds of what was asked: entries in order, and the stream's own bounds."""

    entries: Sequence[Stored]
    first_seq: int
    last_seq: int


class Ack(Enum):
    """A handler's answer to an inbound fact."""

    DONE = "done"
    RETRY = "retry"  # again later, with growing delay
    TERMINATE = "terminate"  # to the dead letters, with the reason


class Terminate(Exception):
    """Raised by a consumer's handler: this message can never be handled; the text says why."""


@dataclass(frozen=True, slots=True)
class Consumer:
    """A durable reader of a stream, made by the bootstrap user and bound by its service."""

    durable: str
    stream: str
    service: str
    filters: tuple[str, ...]
    ack: bool = True  # False: a follower that keeps no acknowledgement state
    ack_wait_s: float = 30.0
    attempts_max: int = 12
    retry_delay_s: float = 0.5
    retry_delay_s_max: float = 60.0

    def delay_s(self, attempt: int) -> float:
        """Growing delay before attempt ``attempt + 1``."""
        return float(min(self.retry_delay_s * 2 ** (attempt - 1), self.retry_delay_s_max))


class Subscription(Protocol):
    """Something that listens until stopped."""

    async def stop(self) -> None:
        """Take nothing more; return when the callbacks under way have finished."""
        ...


Handler = Callable[[Any, Call], Awaitable[Any]]
TickCallback = Callable[[str, bytes], None]
ConsumeHandler = Callable[[Inbound], Awaitable[Ack]]


class Bus(Protocol):
    """Requests, serving, publishing and consuming; see the module's text for the promises."""

    async def publish(self, subject: str, payload: bytes, headers: Mapping[str, str] = ...) -> None:
        """Send a tick. Buffered; returns before it is on the wire."""
        ...

    async def flush(self) -> None:
        """Return when the server has everything published before."""
        ...

    async def subscribe(self, pattern: str, callback: TickCallback) -> Subscription:
        """Hear core messages; ``callback(subject, payload)`` must not block."""
        ...

    async def request(self, command: Command[Q, R], message: Q, *, headers: Mapping[str, str] = ...) -> R:
        """Ask the owner and decode the reply."""
        ...

    async def request_bytes(
        self, command: Command[Any, Any], payload: bytes, *, headers: Mapping[str, str] = ...
    ) -> bytes:
        """Ask the owner and hand on the reply's bytes as they came."""
        ...

    async def serve(self, command: Command[Q, R], handler: Handler) -> Subscription:
        """Answer a command as one of the owner's queue group."""
        ...

    async def append(self, stream: str, entries: Sequence[Entry]) -> list[int]:
        """Write durably and in order, many at once; the seq of each. A known id keeps its first seq."""
        ...

    async def consume(self, consumer: Consumer, handler: ConsumeHandler) -> Subscription:
        """Deliver facts in order, one at a time, until each is done or terminated."""
        ...

    async def again(self, durable: str, inbound: Inbound) -> str | None:
        """Let a consumer of this connection handle a fact it gave up; None when done, else why not."""
        ...

    async def forget(self, stream: str, seq: int) -> None:
        """Take one message out of a stream; it may be gone already."""
        ...

    async def follow(self, consumer: Consumer, callback: Callable[[Stored], None]) -> Subscription:
        """Deliver what the stream takes from now on, in order and without a gap."""
        ...

    async def history(self, stream: str, pattern: str, after: int, limit: int) -> Window:
        """Up to ``limit`` stored messages of ``pattern`` whose seq is above ``after``, oldest first."""
        ...

    def problems(self) -> tuple[str, ...]:
        """Why the bus is not healthy; empty when it is."""
        ...

    def on_reconnect(self, callback: Callable[[], None]) -> None:
        """Call back after every reconnect: core messages may have been missed."""
        ...

    async def close(self) -> None:
        """Stop taking, drain, close."""
        ...


# ── codec ─────────────────────────────────────────────────────────────────────────────────────────

_encoder = msgspec.json.Encoder()
_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


def encode(message: Any) -> bytes:
    """The JSON of a message; bytes and ``msgspec.Raw`` pass as they are."""
    if isinstance(message, bytes):
        return message
    return _encoder.encode(message)


def decode(payload: bytes, message: type[M]) -> M:
    """Ignore fields we do not know; refuse values we cannot read."""
    decoder = _decoders.get(message)
    if decoder is None:
        decoder = _decoders[message] = msgspec.json.Decoder(message)
    try:
        return decoder.decode(payload)  # type: ignore[no-any-return]
    except (msgspec.ValidationError, msgspec.DecodeError) as e:
        raise MessageUnreadable(f"{getattr(message, '__name__', message)}: {e}") from e


def encode_error(error: AppError) -> bytes:
    """An error as it travels over the bus."""
    return _encoder.encode(error.body())


def raise_remote(payload: bytes) -> None:
    """Raise the owner's error from its bus form."""
    raise RemoteError(decode(payload, ErrorBody))


async def answer(
    command: Command[Any, Any],
    handler: Handler,
    payload: bytes,
    call: Call,
    on_defect: Callable[[Exception], None],
) -> tuple[bytes, bool]:
    """Run a command handler: the reply's bytes and whether they are an error.

    Every implementation of the bus answers through this, so a handler meets the same rules
    everywhere: expected errors are answers, anything else is logged and answered as a defect.
    """
    try:
        reply = await handler(decode(payload, command.request), call)
        return encode(reply), False
    except AppError as e:
        return encode_error(e), True
    except Exception as e:
        on_defect(e)
        return encode_error(InternalError()), True
