"""The Bus on NATS and JetStream.

One connection per process, owned by this object. Replies arrive on one shared inbox and are matched
by token; deadlines are swept by one timer. Pull consumers are driven here rather than by nats-py's
own ``fetch``, which goes deaf when the server restarts: a pull request carries an idle heartbeat,
and a missed heartbeat or a reconnect makes a new one.

Never: a callback that waits inside nats-py's delivery (it would make the client drop the newest), a
bare nak, a suppressed error in a loop that does not wait.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

import nats
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from libs.common import bus_requests
from libs.common.bus import (
    HEADER_ERROR,
    NO_HEADERS,
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
from libs.common.bus_batch import batch_bytes
from libs.common.bus_parse import TickParser
from libs.common.bus_pull import Follower, PullLoop
from libs.common.errors import AppError, OutcomeUnknown, ServiceUnavailable, invariant
from libs.common.nats_url import server_and_tls
from libs.common.subjects import Command

Q = TypeVar("Q")
R = TypeVar("R")

log = structlog.get_logger()

BATCH_MAX = 1_000  # what JetStream takes in an atomic batch
DUPLICATE_IN_BATCH = 10201  # one known id rejects the whole batch
CALLS_AT_ONCE_MAX = 512  # per process and command; further calls wait in nats-py's bounded queue
CONNECT_S = 5.0
TICK_PENDING_BYTES = 64 * 1024 * 1024
_DENIED_REPLY = 'for publish to "_inbox_'  # how the server speaks of a refused reply


class TooBusy(AppError):
    """The service has too many calls under way; nothing was done."""

    code = "RET_TOO_FREQUENT"
    http_status = 429


class PayloadTooLarge(AppError):
    """The call or its answer is larger than the bus carries; ask for less at once."""

    code = "INVALID_DATA"
    http_status = 413


class NatsBus:
    """See ``libs.common.bus.Bus``."""

    def __init__(self, connection: Client, name: str, parser: TickParser) -> None:
        self._connection = connection
        self._parser = parser
        self._name = name
        self._replies = bus_requests.Replies(connection, name)
        self._reconnected: list[Callable[[], None]] = []
        self._violations: dict[str, None] = {}
        self._subscriptions: list[Subscription] = []
        self._loops: dict[str, PullLoop] = {}  # by the durable name of their consumer
        self._tasks: set[asyncio.Task[None]] = set()
        self._defects = 0

    async def publish(self, subject: str, payload: bytes, headers: Mapping[str, str] = NO_HEADERS) -> None:
        await self._connection.publish(subject, payload, headers=dict(headers) if headers else None)

    async def flush(self) -> None:
        # nats-py writes its PING past what is still pending, so the PONG alone would prove nothing:
        # what was published or subscribed before must be on the wire first.
        await self._connection._flush_pending(force_flush=True)
        await self._connection.flush(timeout=10)

    async def subscribe(self, pattern: str, callback: TickCallback) -> Subscription:
        async def deliver(message: Msg) -> None:
            callback(message.subject, message.data)

        # nats-py numbers a subscription before it first waits, so ours is the next one; the parser must
        # know it before a message can come.
        number = b"%d" % (self._connection._sid + 1)
        self._parser.direct[number] = callback
        try:
            subscription = await self._connection.subscribe(
                pattern, cb=deliver, pending_msgs_limit=1_000_000, pending_bytes_limit=TICK_PENDING_BYTES
            )
        except BaseException:
            del self._parser.direct[number]
            raise
        invariant(b"%d" % subscription._id == number, "a subscription has the number it was expected to have")
        return self._keep(_Listening(subscription, end=lambda: self._parser.direct.pop(number, None)))

    async def request(
        self, command: Command[Q, R], message: Q, *, headers: Mapping[str, str] = NO_HEADERS
    ) -> R:
        return decode(await self.request_bytes(command, encode(message), headers=headers), command.reply)

    async def request_bytes(
        self, command: Command[Any, Any], payload: bytes, *, headers: Mapping[str, str] = NO_HEADERS
    ) -> bytes:
        try:
            reply = await self._replies.ask(command.name, payload, headers, command.timeout_s)
        except nats.errors.MaxPayloadError as e:
            raise PayloadTooLarge from e
        except bus_requests.NobodyThere as e:
            raise ServiceUnavailable(f"{command.owner} does not answer") from e
        except TimeoutError as e:
            if command.effect:
                raise OutcomeUnknown(f"{command.owner} did not answer in {command.timeout_s:g} s") from e
            raise ServiceUnavailable(f"{command.owner} did not answer in {command.timeout_s:g} s") from e
        if reply.headers and HEADER_ERROR in reply.headers:
            raise_remote(reply.data)
        return bytes(reply.data)

    async def serve(self, command: Command[Q, R], handler: Handler) -> Subscription:
        return await self.serve_name(command, command.name, handler)

    async def serve_name(self, command: Command[Any, Any], subject: str, handler: Handler) -> Subscription:
        """Serve ``command`` under ``subject``, which may be another name than its own."""
        serving = _Serving(self, command, handler)
        subscription = await self._connection.subscribe(subject, queue=command.owner, cb=serving.take)
        return self._keep(_Listening(subscription, serving))

    async def append(self, stream: str, entries: Sequence[Entry]) -> list[int]:
        seqs: list[int] = []
        for start in range(0, len(entries), BATCH_MAX):
            part = entries[start : start + BATCH_MAX]
            taken = await self._append_batch(part) if len(part) > 1 else None
            seqs += await self._append_singly(part) if taken is None else taken
        return seqs

    async def _append_batch(self, entries: Sequence[Entry]) -> list[int] | None:
        """Publish as one atomic batch; None when a known id made the server refuse all of it."""
        batch = self._replies.unique()
        largest = max(len(entry.payload) for entry in entries)
        if largest > self._connection.max_payload:
            raise PayloadTooLarge
        if not self._connection.is_connected:
            raise ServiceUnavailable("nats: not connected")
        await self._connection._send_command(batch_bytes(entries[:-1], batch))
        last = entries[-1]
        marks = {
            "Nats-Batch-Id": batch,
            "Nats-Batch-Sequence": str(len(entries)),
            "Nats-Batch-Commit": "1",
        }
        reply = await self._jetstream(last.subject, last.payload, {**last.all_headers(), **marks})
        if "error" not in reply:
            return list(range(reply["seq"] - len(entries) + 1, reply["seq"] + 1))
        if reply["error"].get("err_code") == DUPLICATE_IN_BATCH:
            return None
        raise ServiceUnavailable(f"JetStream refused a batch: {reply['error'].get('description')}")

    async def _append_singly(self, entries: Sequence[Entry]) -> list[int]:
        """Publish one by one without waiting in between: a stream takes them in the order sent."""
        replies = await asyncio.gather(
            *(self._jetstream(e.subject, e.payload, e.all_headers()) for e in entries)
        )
        for reply in replies:
            if "error" in reply:
                raise ServiceUnavailable(f"JetStream refused a fact: {reply['error'].get('description')}")
        return [reply["seq"] for reply in replies]

    async def _jetstream(self, subject: str, payload: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
        try:
            reply = await self._replies.ask(subject, payload, headers, 10.0)
        except (bus_requests.NobodyThere, TimeoutError) as e:
            raise OutcomeUnknown(f"JetStream did not acknowledge {subject}") from e
        body: dict[str, Any] = json.loads(reply.data)
        return body

    async def consume(self, consumer: Consumer, handler: ConsumeHandler) -> Subscription:
        loop = PullLoop(self._connection, self._name, consumer, handler, self.append)
        self.on_reconnect(loop.wake)
        await loop.start()
        self._loops[consumer.durable] = loop
        return self._keep(loop)

    async def again(self, durable: str, inbound: Inbound) -> str | None:
        loop = self._loops.get(durable)
        return f"there is no consumer {durable}" if loop is None else await loop.again(inbound)

    async def forget(self, stream: str, seq: int) -> None:
        body = json.dumps({"seq": seq, "no_erase": True}).encode()
        reply = await self._jetstream(f"$JS.API.STREAM.MSG.DELETE.{stream}", body, {})
        if "error" in reply and reply["error"].get("code") not in (400, 404):
            raise ServiceUnavailable(f"JetStream kept a message: {reply['error'].get('description')}")

    async def follow(self, consumer: Consumer, callback: Callable[[Stored], None]) -> Subscription:
        window = await self.history(consumer.stream, ">", 2**62, 1)
        follower = Follower(self._connection, self._name, consumer, callback, self.history, window.last_seq)
        self.on_reconnect(follower.wake)
        await follower.start()
        return self._keep(follower)

    async def history(self, stream: str, pattern: str, after: int, limit: int) -> Window:
        state = await self._stream_state(stream)
        if after >= state["last_seq"]:
            return Window((), state["first_seq"], state["last_seq"])
        entries = await self._replies.collect(
            f"$JS.API.DIRECT.GET.{stream}",
            json.dumps({"seq": after + 1, "next_by_subj": pattern, "batch": limit}).encode(),
            10.0,
        )
        return Window(tuple(entries), state["first_seq"], state["last_seq"])

    async def _stream_state(self, stream: str) -> dict[str, int]:
        try:
            reply = await self._replies.ask(f"$JS.API.STREAM.INFO.{stream}", b"", NO_HEADERS, 5.0)
        except (bus_requests.NobodyThere, TimeoutError) as e:
            raise ServiceUnavailable("JetStream does not answer") from e
        body = json.loads(reply.data)
        if "error" in body:
            raise ServiceUnavailable(f"stream {stream}: {body['error'].get('description')}")
        state: dict[str, int] = body["state"]
        return state

    def problems(self) -> tuple[str, ...]:
        if not self._connection.is_connected:
            return ("nats: not connected",)
        return tuple(f"nats: {text}" for text in self._violations)

    def on_reconnect(self, callback: Callable[[], None]) -> None:
        self._reconnected.append(callback)

    async def close(self) -> None:
        for subscription in reversed(self._subscriptions):
            await subscription.stop()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)
        self._replies.close()
        if self._connection.is_connected:
            await self.flush()
        try:
            await self._connection.close()
        except (OSError, RuntimeError) as e:  # it writes what is pending, also where nobody is left to read
            log.info("bus closed without its server", error=str(e))

    def spawn(self, work: Any) -> None:
        """Run a coroutine in the background, kept until it ends."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _keep(self, subscription: Any) -> Subscription:
        self._subscriptions.append(subscription)
        return subscription  # type: ignore[no-any-return]

    # ── callbacks of the connection ───────────────────────────────────────────────────────────────

    async def heard_error(self, error: Exception) -> None:
        """A denied publish is heard only here: fail the call that waits for it, and say so."""
        text = str(error)
        log.warning("bus error", error=text, kind=type(error).__name__)
        if "permissions violation" in text.lower():
            # A reply may only follow a question the server remembers: after a restart it does not, and
            # that is no lack of rights.
            if _DENIED_REPLY not in text.lower():
                self._violations[text] = None
            self._replies.fail_denied(text)

    async def heard_reconnect(self) -> None:
        log.info("bus reconnected")
        for callback in self._reconnected:
            callback()


class _Listening:
    """A nats-py subscription as ours."""

    def __init__(
        self, subscription: Any, serving: _Serving | None = None, end: Callable[[], object] = lambda: None
    ) -> None:
        self._subscription = subscription
        self._serving = serving
        self._end = end
        self._stopped = False

    async def stop(self) -> None:
        if self._stopped:
            return
        self._stopped = True
        try:
            await self._subscription.drain()
        except nats.errors.Error as e:  # a closed connection has nothing left to drain
            log.debug("drain ended early", error=str(e))
        self._end()
        if self._serving is not None:
            await self._serving.idle()


class _Serving:
    """Answers one command; calls run side by side up to a bound, then are refused."""

    def __init__(self, bus: NatsBus, command: Command[Any, Any], handler: Handler) -> None:
        self._bus = bus
        self._command = command
        self._handler = handler
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def take(self, message: Msg) -> None:
        if self._under_way >= CALLS_AT_ONCE_MAX:
            await self._reply(message, encode(TooBusy().body()), failed=True)
            return
        self._under_way += 1
        self._idle.clear()
        self._bus.spawn(self._run(message))

    async def _run(self, message: Msg) -> None:
        try:
            call = Call(message.subject, message.headers or {})
            payload, failed = await answer(self._command, self._handler, message.data, call, self._defect)
            await self._reply(message, payload, failed)
        finally:
            self._under_way -= 1
            if self._under_way == 0:
                self._idle.set()

    async def _reply(self, message: Msg, payload: bytes, failed: bool) -> None:
        if not message.reply:
            return
        try:
            await self._bus.publish(message.reply, payload, {HEADER_ERROR: "1"} if failed else NO_HEADERS)
        except nats.errors.MaxPayloadError:
            await self._reply(message, encode(PayloadTooLarge().body()), failed=True)
        except nats.errors.Error as e:
            log.warning("reply not sent", command=self._command.name, error=str(e))

    def _defect(self, error: Exception) -> None:
        log.error("command failed", command=self._command.name, exc_info=error)

    async def idle(self) -> None:
        await self._idle.wait()


_names = itertools.count()


async def connect(url: str, name: str, *, on_closed: Callable[[], None] | None = None) -> NatsBus:
    """Connect as ``name``; retries for ever after the first success, ServiceUnavailable before it."""
    holder: list[NatsBus] = []
    failures: list[Exception] = []

    async def on_error(error: Exception) -> None:
        if holder:
            await holder[0].heard_error(error)
        else:
            failures.append(error)

    async def on_reconnected() -> None:
        await holder[0].heard_reconnect()

    async def on_disconnected() -> None:
        if not connection.is_closed and not connection.is_draining:
            log.warning("bus disconnected")

    async def closed() -> None:
        if holder and on_closed is not None:
            on_closed()

    server, tls = server_and_tls(url)
    connection = Client()
    parser = connection._ps = TickParser(connection, on_error)
    connecting = connection.connect(
        servers=[server],
        **({"tls": tls} if tls else {}),
        name=name,
        inbox_prefix=f"_INBOX_{urlsplit(url).username or name}".encode(),
        allow_reconnect=True,
        max_reconnect_attempts=-1,  # default 60 tries, then closed for good
        reconnect_time_wait=0.25,  # default 2 s; a local server is back sooner
        connect_timeout=5,
        ping_interval=10,  # default 120 s, so a dead link hides for minutes
        max_outstanding_pings=2,
        pending_size=8 * 1024 * 1024,  # what may be published while disconnected
        flusher_queue_size=1024,
        drain_timeout=10,
        error_cb=on_error,
        disconnected_cb=on_disconnected,
        reconnected_cb=on_reconnected,
        closed_cb=closed,
    )
    try:
        # With endless reconnects nats-py also tries for ever to connect the first time, and says nothing.
        await asyncio.wait_for(connecting, CONNECT_S)
    except TimeoutError as e:
        await connection.close()
        raise ServiceUnavailable(f"NATS does not answer: {failures[-1] if failures else 'no route'}") from e
    bus = NatsBus(connection, name, parser)
    holder.append(bus)
    await bus._replies.start()
    return bus
