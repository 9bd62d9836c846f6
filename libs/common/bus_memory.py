"""The Bus in one process: for simulation and unit tests, never a stand-in for the real one.

Deterministic: everything runs on the caller's loop in the order it was sent. ``Faults`` lets a
simulation lose, repeat or delay facts by a seed. The same contract suite runs against this and NATS.
"""

from __future__ import annotations

import asyncio
import collections
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from libs.common.bus import (
    NO_HEADERS,
    Ack,
    Call,
    ConsumeHandler,
    Consumer,
    Entry,
    Handler,
    Inbound,
    Stored,
    Subscription,
    TickCallback,
    Window,
    answer,
    decode,
    encode,
    raise_remote,
)
from libs.common.bus_pull import dead_letter, judge
from libs.common.errors import OutcomeUnknown, ServiceUnavailable
from libs.common.subjects import Command

Q = TypeVar("Q")
R = TypeVar("R")


def matches(pattern: str, subject: str) -> bool:
    """NATS subject matching: ``*`` is one token, a final ``>`` one or more."""
    wanted, given = pattern.split("."), subject.split(".")
    for index, part in enumerate(wanted):
        if part == ">":
            return len(given) > index
        if index >= len(given) or part not in ("*", given[index]):
            return False
    return len(wanted) == len(given)


@dataclass
class Faults:
    """What a simulation may do to deliveries: each is asked with the fact's seq and attempt."""

    lose: Callable[[int, int], bool] = lambda seq, attempt: False
    repeat: Callable[[int, int], bool] = lambda seq, attempt: False
    lose_reply: Callable[[str], bool] = lambda subject: False


@dataclass
class _Stream:
    messages: list[Stored] = field(default_factory=list)
    ids: dict[str, int] = field(default_factory=dict)
    arrived: list[asyncio.Event] = field(default_factory=list)
    forgotten: set[int] = field(default_factory=set)


class MemoryServer:
    """What the buses of one simulated house share: the place of nats-server."""

    def __init__(self, faults: Faults | None = None) -> None:
        self.faults = faults or Faults()
        self.listeners: list[tuple[str, TickCallback]] = []
        self.handlers: dict[str, tuple[Command[Any, Any], Handler]] = {}
        self.streams: dict[str, _Stream] = collections.defaultdict(_Stream)
        self.positions: dict[str, int] = {}
        self.defects: list[Exception] = []


class MemoryBus:
    """See ``libs.common.bus.Bus``."""

    def __init__(self, server: MemoryServer | None = None) -> None:
        self.server = server or MemoryServer()
        self.consumers: dict[str, tuple[Consumer, ConsumeHandler]] = {}
        self._subscriptions: list[_Stoppable] = []
        self._reconnected: list[Callable[[], None]] = []

    async def publish(self, subject: str, payload: bytes, headers: Mapping[str, str] = NO_HEADERS) -> None:
        for pattern, callback in list(self.server.listeners):
            if matches(pattern, subject):
                callback(subject, payload)

    async def flush(self) -> None:
        await asyncio.sleep(0)

    async def subscribe(self, pattern: str, callback: TickCallback) -> Subscription:
        entry = (pattern, callback)
        self.server.listeners.append(entry)
        return self._keep(_Stoppable(lambda: self.server.listeners.remove(entry)))

    async def request(
        self, command: Command[Q, R], message: Q, *, headers: Mapping[str, str] = NO_HEADERS
    ) -> R:
        return decode(await self.request_bytes(command, encode(message), headers=headers), command.reply)

    async def request_bytes(
        self, command: Command[Any, Any], payload: bytes, *, headers: Mapping[str, str] = NO_HEADERS
    ) -> bytes:
        served = self.server.handlers.get(command.name)
        if served is None:
            raise ServiceUnavailable(f"{command.owner} does not answer")
        work = answer(served[0], served[1], payload, Call(command.name, headers), self.server.defects.append)
        try:
            async with asyncio.timeout(command.timeout_s):
                reply, failed = await work
            if self.server.faults.lose_reply(command.name):
                raise TimeoutError
        except TimeoutError as e:
            kind = OutcomeUnknown if command.effect else ServiceUnavailable
            raise kind(f"{command.owner} did not answer in {command.timeout_s:g} s") from e
        if failed:
            raise_remote(reply)
        return reply

    async def serve(self, command: Command[Q, R], handler: Handler) -> Subscription:
        self.server.handlers[command.name] = (command, handler)
        return self._keep(_Stoppable(lambda: self.server.handlers.pop(command.name, None)))

    async def append(self, stream: str, entries: Sequence[Entry]) -> list[int]:
        held = self.server.streams[stream]
        seqs: list[int] = []
        for entry in entries:
            if entry.event_id in held.ids:
                seqs.append(held.ids[entry.event_id])
                continue
            seqs.append(len(held.messages) + 1)
            if entry.event_id:
                held.ids[entry.event_id] = seqs[-1]
            headers = entry.all_headers()
            held.messages.append(Stored(seqs[-1], entry.subject, entry.payload, headers))
            await self.publish(entry.subject, entry.payload, headers)
        for event in held.arrived:
            event.set()
        return seqs

    async def again(self, durable: str, inbound: Inbound) -> str | None:
        found = self.consumers.get(durable)
        if found is None:
            return f"there is no consumer {durable}"
        verdict, reason = await judge(found[1], inbound, found[0])
        return None if verdict is Ack.DONE else reason

    async def forget(self, stream: str, seq: int) -> None:
        self.server.streams[stream].forgotten.add(seq)

    async def consume(self, consumer: Consumer, handler: ConsumeHandler) -> Subscription:
        self.consumers[consumer.durable] = (consumer, handler)

        async def deliver(stored: Stored, attempt: int) -> Ack:
            if self.server.faults.lose(stored.seq, attempt):
                return Ack.RETRY
            inbound = Inbound(stored.seq, stored.subject, stored.payload, stored.headers, attempt)
            verdict, reason = await judge(handler, inbound, consumer)
            if verdict is Ack.TERMINATE:
                await self.append("DEADLETTER", [dead_letter(consumer, inbound, reason)])
            elif verdict is Ack.DONE and self.server.faults.repeat(stored.seq, attempt):
                await judge(handler, inbound, consumer)
            return verdict

        return self._read(consumer, deliver, self.server.positions.get(consumer.durable, 0))

    async def follow(self, consumer: Consumer, callback: Callable[[Stored], None]) -> Subscription:
        async def deliver(stored: Stored, attempt: int) -> Ack:
            callback(stored)
            return Ack.DONE

        return self._read(consumer, deliver, len(self.server.streams[consumer.stream].messages))

    def _read(self, consumer: Consumer, deliver: Any, position: int) -> Subscription:
        held = self.server.streams[consumer.stream]
        arrived = asyncio.Event()
        held.arrived.append(arrived)
        arrived.set()

        async def run() -> None:
            at = position
            attempts: dict[int, int] = collections.Counter()
            while True:
                await arrived.wait()
                arrived.clear()
                while at < len(held.messages):
                    stored = held.messages[at]
                    if any(matches(pattern, stored.subject) for pattern in consumer.filters):
                        attempts[stored.seq] += 1
                        if await deliver(stored, attempts[stored.seq]) is Ack.RETRY:
                            await asyncio.sleep(0)
                            continue
                    at += 1
                    self.server.positions[consumer.durable] = at

        task = asyncio.create_task(run(), name=f"consume {consumer.durable}")

        def stop() -> None:
            held.arrived.remove(arrived)
            task.cancel()

        return self._keep(_Stoppable(stop, task))

    async def history(self, stream: str, pattern: str, after: int, limit: int) -> Window:
        held = self.server.streams[stream]
        messages = held.messages
        found = [
            m
            for m in messages
            if m.seq > after and m.seq not in held.forgotten and matches(pattern, m.subject)
        ]
        return Window(tuple(found[:limit]), 1 if messages else 0, len(messages))

    def problems(self) -> tuple[str, ...]:
        return ()

    def on_reconnect(self, callback: Callable[[], None]) -> None:
        self._reconnected.append(callback)

    async def close(self) -> None:
        for subscription in reversed(self._subscriptions):
            await subscription.stop()

    def _keep(self, subscription: _Stoppable) -> Subscription:
        self._subscriptions.append(subscription)
        return subscription


class _Stoppable:
    def __init__(self, stop: Callable[[], Any], task: asyncio.Task[None] | None = None) -> None:
        self._stop: Callable[[], Any] | None = stop
        self._task = task

    async def stop(self) -> None:
        if self._stop is not None:
            self._stop()
            self._stop = None
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
