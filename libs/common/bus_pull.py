"""Pull consumers that survive a restart of the server.

``PullLoop`` delivers facts to a handler one at a time and acknowledges after it; ``Follower``
delivers a stream's new messages in order to one reader and fills a hole by direct get. Both keep
one pull request open with an idle heartbeat; a missed heartbeat, a refusal or a reconnect makes a
new one.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from libs.common.bus import (
    HEADER_ID,
    Ack,
    ConsumeHandler,
    Consumer,
    Entry,
    Inbound,
    Stored,
    Terminate,
    Window,
)
from libs.common.bus_requests import pull_request
from libs.common.errors import AppError, MessageUnreadable, Retry

log = structlog.get_logger()

BATCH = 256
EXPIRES_S = 30.0
HEARTBEAT_S = 2.0
SILENCE_S_MAX = 5.0
RETRY_S = 0.5
FILL = 1000  # messages of one look for what is missing
REMEMBERED_MAX = 4096  # messages by which a follower tells a repeat, and whether a stream lost its tail

Append = Callable[[str, Sequence[Entry]], Awaitable[list[int]]]
History = Callable[[str, str, int, int], Awaitable[Window]]


class Delivery:
    """A message a consumer delivered, with what its reply subject says of it."""

    __slots__ = ("at_ms", "attempt", "delivered", "message", "seq")

    def __init__(self, message: Msg) -> None:
        # $JS.ACK.<stream>.<consumer>.<attempt>.<stream seq>.<consumer seq>.<time>.<pending>, or the
        # longer form with domain and account in front of the stream.
        parts = message.reply.split(".")
        shift = 2 if len(parts) >= 11 else 0
        self.message = message
        self.attempt = int(parts[4 + shift])
        self.seq = int(parts[5 + shift])
        self.delivered = int(parts[6 + shift])
        self.at_ms = int(parts[7 + shift]) // 1_000_000


class Puller:
    """One open pull request after another; hands deliveries to ``take``."""

    def __init__(
        self, connection: Client, name: str, consumer: Consumer, take: Callable[[Delivery], None]
    ) -> None:
        self._connection = connection
        self._consumer = consumer
        self._take = take
        prefix = connection._inbox_prefix.decode()
        self._inbox = f"{prefix}.{name}-{secrets.token_hex(6)}"
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{consumer.stream}.{consumer.durable}"
        self._subscription: Any = None
        self._task: asyncio.Task[None] | None = None
        self._generation = 0
        self._outstanding = 0
        self._heard_s = 0.0
        self._wanted = asyncio.Event()

    async def start(self) -> None:
        """Begin pulling."""
        self._subscription = await self._connection.subscribe(f"{self._inbox}.*", cb=self._arrived)
        self._wanted.set()
        self._task = asyncio.create_task(self._run(), name=f"pull {self._consumer.durable}")

    def wake(self) -> None:
        """Forget the open request and make a new one: after a reconnect, or when room came back."""
        self._outstanding = 0
        self._wanted.set()

    async def stop(self) -> None:
        """Pull no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        subscription, self._subscription = self._subscription, None
        if subscription is not None and self._connection.is_connected:
            await subscription.unsubscribe()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                async with asyncio.timeout(HEARTBEAT_S):
                    await self._wanted.wait()
            except TimeoutError:
                if loop.time() - self._heard_s > SILENCE_S_MAX:
                    self._outstanding = 0
            self._wanted.clear()
            if self._outstanding > BATCH // 2 or not self._connection.is_connected:
                continue
            self._generation += 1
            self._outstanding = BATCH
            self._heard_s = loop.time()
            try:
                await self._connection.publish(
                    self._subject,
                    pull_request(BATCH, EXPIRES_S, HEARTBEAT_S),
                    reply=f"{self._inbox}.{self._generation}",
                )
            except Exception as e:
                log.warning("pull not sent", consumer=self._consumer.durable, error=str(e))
                self._outstanding = 0
                await asyncio.sleep(RETRY_S)
                self._wanted.set()

    async def _arrived(self, message: Msg) -> None:
        self._heard_s = asyncio.get_running_loop().time()
        status = (message.headers or {}).get("Status")
        if status is None:
            self._outstanding -= 1
            if self._outstanding <= BATCH // 2:
                self._wanted.set()
            self._take(Delivery(message))
            return
        current = message.subject.endswith(f".{self._generation}")
        if status != "100" and current:
            # 404 none, 408 expired, 409 consumer gone or server shutting down: ask again, but a
            # refusal that comes back at once must not spin.
            self._outstanding = 0
            if status == "408":
                self._wanted.set()
            else:
                asyncio.get_running_loop().call_later(RETRY_S, self._wanted.set)


class PullLoop:
    """Delivers facts to a handler: at least once, one at a time, in order but for retries."""

    def __init__(
        self, connection: Client, name: str, consumer: Consumer, handler: ConsumeHandler, append: Append
    ) -> None:
        self._connection = connection
        self._consumer = consumer
        self._handler = handler
        self._append = append
        self._queue: asyncio.Queue[Delivery] = asyncio.Queue()  # bounded by max_ack_pending
        self._puller = Puller(connection, name, consumer, self._queue.put_nowait)
        self._task: asyncio.Task[None] | None = None
        self._busy = asyncio.Lock()

    async def start(self) -> None:
        """Begin delivering."""
        await self._puller.start()
        self._task = asyncio.create_task(self._run(), name=f"consume {self._consumer.durable}")

    def wake(self) -> None:
        self._puller.wake()

    async def stop(self) -> None:
        """Finish the message under way; what was fetched beyond it comes again later."""
        await self._puller.stop()
        async with self._busy:
            if self._task is not None:
                self._task.cancel()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def again(self, inbound: Inbound) -> str | None:
        """Handle a fact that was given up, in turn with the others; None when done, else why not."""
        async with self._busy:
            verdict, reason = await judge(self._handler, inbound, self._consumer)
        return None if verdict is Ack.DONE else reason

    async def _run(self) -> None:
        while True:
            delivery = await self._queue.get()
            async with self._busy:
                try:
                    await self._deliver(delivery)
                except Exception as e:
                    # The broker redelivers after ack_wait; wait so that a broken link cannot spin.
                    log.error("delivery failed", consumer=self._consumer.durable, exc_info=e)
                    await asyncio.sleep(RETRY_S)

    async def _deliver(self, delivery: Delivery) -> None:
        headers = delivery.message.headers or {}
        inbound = Inbound(
            delivery.seq,
            delivery.message.subject,
            bytes(delivery.message.data),
            headers,
            delivery.attempt,
            delivery.at_ms,
        )
        verdict, reason = await judge(self._handler, inbound, self._consumer)
        reply = delivery.message.reply
        match verdict:
            case Ack.DONE:
                await self._connection.publish(reply, b"+ACK")
            case Ack.RETRY:
                delay_ns = int(self._consumer.delay_s(delivery.attempt) * 1e9)
                log.warning(
                    "will retry", consumer=self._consumer.durable, attempt=delivery.attempt, reason=reason
                )
                await self._connection.publish(reply, b"-NAK " + json.dumps({"delay": delay_ns}).encode())
            case Ack.TERMINATE:
                log.error(
                    "dead letter", consumer=self._consumer.durable, subject=inbound.subject, reason=reason
                )
                await self._append("DEADLETTER", [dead_letter(self._consumer, inbound, reason)])
                await self._connection.publish(reply, b"+TERM")


async def judge(handler: ConsumeHandler, inbound: Inbound, consumer: Consumer) -> tuple[Ack, str]:
    """Run a handler and turn what came of it into one of the three answers, with the reason."""
    try:
        verdict, reason = await handler(inbound), "asked for"
    except (MessageUnreadable, Terminate) as e:
        return Ack.TERMINATE, str(e)
    except AppError as e:
        verdict = Ack.TERMINATE if e.retry is Retry.NO and e.http_status < 500 else Ack.RETRY
        reason = f"{e.code}: {e}"
    except Exception as e:
        log.error("consumer failed", consumer=consumer.durable, subject=inbound.subject, exc_info=e)
        verdict, reason = Ack.RETRY, f"{type(e).__name__}: {e}"
    if verdict is Ack.RETRY and inbound.attempt >= consumer.attempts_max:
        return Ack.TERMINATE, f"after {inbound.attempt} attempts: {reason}"
    return verdict, reason


def dead_letter(consumer: Consumer, inbound: Inbound, reason: str) -> Entry:
    """A fact that could not be handled, with why, where it came from and how often it was tried."""
    return Entry(
        subject=f"{consumer.service}.dead.{consumer.durable}.v1",
        payload=inbound.payload,
        event_id=f"dead:{consumer.durable}:{consumer.stream}:{inbound.seq}",
        headers={
            "Dead-Subject": inbound.subject,
            "Dead-Consumer": consumer.durable,
            "Dead-Reason": " ".join(reason.split())[:500],
            "Dead-Attempts": str(inbound.attempt),
            "Dead-Created-Ms": str(inbound.at_ms),
            "Dead-Event-Id": inbound.event_id,
        },
    )


class Passed:
    """What a follower passed on last: the seq of each message id, to tell a repeat and a changed stream."""

    def __init__(self) -> None:
        self._seqs: dict[str, int] = {}

    def add(self, stored: Stored) -> bool:
        """Take note of a message; False when its id was there before."""
        event_id = stored.headers.get(HEADER_ID)
        if not event_id:
            return True
        known = self._seqs.pop(event_id, None) is not None
        self._seqs[event_id] = stored.seq
        if len(self._seqs) > REMEMBERED_MAX:
            del self._seqs[next(iter(self._seqs))]
        return not known

    def holds(self, stored: Stored) -> bool:
        """Whether this message was met at this very place; one without an id can't be told apart."""
        event_id = stored.headers.get(HEADER_ID)
        return not event_id or self._seqs.get(event_id) == stored.seq

    def pieces(self) -> Iterator[int]:
        """Where to begin reading, so that pieces of ``BATCH`` notes are met from the newest back."""
        seqs = sorted(self._seqs.values(), reverse=True)
        yield from (min(seqs[start : start + BATCH]) for start in range(0, len(seqs), BATCH))


class Follower:
    """A stream's new messages, in order and without a gap, to one reader; no acknowledgements.

    A server that was killed may come back without a stream's tail, and a stream may have been made
    anew: what follows the last message that still stands in its place is passed on, but for what was
    passed on before and sent again by its owner.
    """

    def __init__(
        self,
        connection: Client,
        name: str,
        consumer: Consumer,
        callback: Callable[[Stored], None],
        history: History,
        last_seq: int,
    ) -> None:
        self._consumer = consumer
        self._callback = callback
        self._history = history
        self._last_seq = last_seq
        self._passed = Passed()
        self._delivered = 0
        self._check = asyncio.Event()
        self._puller = Puller(connection, name, consumer, self._take)
        self._held: list[Stored] | None = None  # what arrives while a hole is being filled
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin following."""
        window = await self._read(self._last_seq - BATCH, BATCH)
        for stored in window.entries:
            if stored.seq <= self._last_seq:
                self._passed.add(stored)
        await self._puller.start()
        self._task = asyncio.create_task(self._fill_holes(), name=f"follow {self._consumer.durable}")

    def wake(self) -> None:
        """After a reconnect what was in flight is lost: look for it, then go on."""
        self._hold()
        self._puller.wake()

    async def stop(self) -> None:
        """Follow no more."""
        await self._puller.stop()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _take(self, delivery: Delivery) -> None:
        headers = delivery.message.headers or {}
        stored = Stored(delivery.seq, delivery.message.subject, bytes(delivery.message.data), headers)
        # The consumer counts its deliveries: a jump means that some were lost on the way.
        jumped = self._delivered not in (0, delivery.delivered - 1)
        self._delivered = delivery.delivered
        if jumped:
            self._hold()
        if self._held is not None:
            self._held.append(stored)
        else:
            self._pass(stored)

    def _hold(self) -> None:
        if self._held is None:
            self._held = []
        self._check.set()

    def _pass(self, stored: Stored) -> None:
        if stored.seq > self._last_seq:
            self._last_seq = stored.seq
            if self._passed.add(stored):
                self._callback(stored)

    async def _fill_holes(self) -> None:
        while True:
            await self._check.wait()
            self._check.clear()
            try:
                await self._fill()
            except Exception as e:
                log.warning("hole not filled yet", consumer=self._consumer.durable, error=str(e))
                self._check.set()
                await asyncio.sleep(RETRY_S)

    async def _fill(self) -> None:
        window = await self._read(self._last_seq - 1, FILL)
        if self._changed(window):
            self._last_seq = await self._last_kept()
            log.warning("stream lost its tail", stream=self._consumer.stream, kept_seq=self._last_seq)
            self._check.set()
            return
        for stored in window.entries:
            self._pass(stored)
        if len(window.entries) == FILL:
            self._check.set()
            return
        held, self._held = self._held or [], None
        for stored in held:
            self._pass(stored)

    def _changed(self, window: Window) -> bool:
        """Whether another message, or none yet, stands where the last one stood."""
        if window.last_seq < self._last_seq:
            return True
        first = window.entries[0] if window.entries else None
        return first is not None and first.seq == self._last_seq and not self._passed.holds(first)

    async def _last_kept(self) -> int:
        """The last place that still has the message passed on from there; 0 in a stream made anew."""
        for first_seq in self._passed.pieces():
            window = await self._read(first_seq - 1, FILL)
            kept = [stored.seq for stored in window.entries if self._passed.holds(stored)]
            if kept:
                return max(kept)
        return 0

    async def _read(self, after: int, limit: int) -> Window:
        return await self._history(self._consumer.stream, self._consumer.filters[0], max(after, 0), limit)
