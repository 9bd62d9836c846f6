"""Signals as they are recorded, as server-sent events (WHATWG HTML 9.2).

An event's id is the signal's: who comes back with ``Last-Event-ID`` gets what was recorded meanwhile, in the
order of the record, without a hole. Every stream reads the record for itself, so nothing is kept for a slow
one; who takes nothing for ten seconds is cut. The scanner's word that there is more only wakes: streams also
ask by themselves. The first of every ten signals of a connection costs a credit; a stream that can't pay
tells so and ends. A stream ends after an hour, and when its key is revoked: the client comes back by itself.
What ends streams ends those that only begin, too: they are known from their first moment.

Never: more than ``STREAMS_MAX`` streams a process or ``PER_CALLER`` a caller; a signal that was not paid for.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec
import structlog
from aiohttp import web

from libs.common.bus import Bus
from libs.common.clock import Clock
from libs.common.errors import AppError, NotAuthenticated, OutcomeUnknown, ServiceUnavailable
from libs.common.ids import Ids
from libs.common.messages.billing import Charge
from libs.common.messages.signals import FollowAsk, Followed, SignalsAsk
from libs.common.principal import Principal
from libs.common.subjects import CHARGE, SIGNAL_FOLLOW, SIGNALS_GREW
from services.gateway import metrics
from services.gateway.endpoints.row import Caller
from services.gateway.endpoints.signals import OPERATION, PAGE, PRICE, SignalFeedRequest, feed_filters
from services.gateway.errors import TooFrequent
from services.gateway.server import Connection
from services.gateway.surfaces.signals import SignalsSurface
from services.gateway.wallets import wallet_of

log = structlog.get_logger()

STREAMS_MAX = 500
PER_CALLER = 5
HEARTBEAT_S = 15.0
ASK_S = 60.0  # so long a lost word may go unnoticed
LIFETIME_S = 3600.0
WRITE_S = 10.0
RETRY_MS = 3000
_HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_SURFACE = SignalsSurface()


def _no_more() -> ServiceUnavailable:
    return ServiceUnavailable("no more streams of signals are begun now", retry_after_s=5)


@dataclass(eq=False)
class _Stream:
    """One client. ``position`` is up to where it was told the record; ``refusal`` says why it is over."""

    caller: Caller
    filters: SignalsAsk
    response: web.StreamResponse
    until_s: float
    position: int = 0
    given: int = 0
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    refusal: AppError | None = None

    def end(self, refusal: AppError) -> None:
        """Nothing more is given."""
        self.refusal = refusal
        self.woken.set()


class SignalStreams:
    """Every stream of signals of one gateway process."""

    def __init__(self, bus: Bus, clock: Clock, ids: Ids, *, metered: bool) -> None:
        self._bus = bus
        self._clock = clock
        self._ids = ids
        self._metered = metered
        self._streams: set[_Stream] = set()
        self._held: Counter[str] = Counter()  # by whose key or person, those that only begin included
        self._closed = False

    async def start(self) -> None:
        """Begin to hear."""
        await self._bus.subscribe(SIGNALS_GREW.pattern, lambda subject, payload: self._wake())

    async def close(self) -> None:
        """End every stream."""
        self._closed = True
        for stream in self._streams:
            stream.end(_no_more())

    def revoke(self, matches: Callable[[Principal], bool]) -> None:
        """End the streams whose owner matches: their key or session is over."""
        for stream in self._streams:
            if matches(stream.caller.principal):
                stream.end(NotAuthenticated("the key or session is over"))

    def _wake(self) -> None:
        for stream in self._streams:
            stream.woken.set()

    async def handle(
        self, request: web.BaseRequest, asked: SignalFeedRequest, caller: Caller, headers: Mapping[str, str]
    ) -> web.StreamResponse:
        """One stream, from its request to its end. Raises what is wrong before it begins."""
        who = wallet_of(caller.principal) or caller.principal.subject
        if self._closed or self._held.total() >= STREAMS_MAX:
            raise _no_more()
        if self._held[who] >= PER_CALLER:
            raise TooFrequent("there are too many streams of signals", retry_after_s=30, limit=PER_CALLER)
        response = web.StreamResponse(headers={**headers, **_HEADERS})
        until_s = self._clock.monotonic_s() + LIFETIME_S
        stream = _Stream(caller, feed_filters(asked, caller), response, until_s)
        with self._known(stream, who, request):
            first = await self._bus.request(SIGNAL_FOLLOW, FollowAsk(filters=stream.filters))
            if stream.refusal is not None:
                raise stream.refusal
            await response.prepare(request)
            metrics.SIGNAL_STREAMS.inc()
            try:
                await self._follow(stream, first)
            except (ConnectionError, TimeoutError):
                if request.transport is not None:
                    request.transport.abort()  # a peer that does not read would keep it for ever
            finally:
                metrics.SIGNAL_STREAMS.dec()
            return response

    @contextlib.contextmanager
    def _known(self, stream: _Stream, who: str, request: web.BaseRequest) -> Iterator[None]:
        """While this lasts, the stream counts, and whatever ends streams ends it."""
        connection = request.protocol if isinstance(request.protocol, Connection) else None
        self._held[who] += 1
        self._streams.add(stream)
        if connection is not None:
            connection.on_lost(lambda: stream.end(_no_more()))
        try:
            yield
        finally:
            if connection is not None:
                connection.on_lost(None)
            self._streams.discard(stream)
            self._held[who] -= 1
            if not self._held[who]:
                del self._held[who]

    def _over(self, stream: _Stream) -> bool:
        return stream.refusal is not None or self._clock.monotonic_s() >= stream.until_s

    async def _follow(self, stream: _Stream, page: Followed) -> None:
        await self._write(stream, f"retry: {RETRY_MS}\n\n".encode())
        try:
            while not self._over(stream):
                for id_, signal in zip(page.ids, page.signals, strict=True):
                    if stream.refusal is not None:
                        break
                    await self._give(stream, id_, bytes(signal))
                stream.position = page.position
                if not page.more:
                    await self._wait(stream)
                if self._over(stream):
                    break
                ask = FollowAsk(filters=stream.filters, position=stream.position)
                page = await self._bus.request(SIGNAL_FOLLOW, ask)
        except AppError as e:
            _, body = _SURFACE.render(e)
            await self._write(stream, b"event: error\ndata: " + msgspec.json.encode(body) + b"\n\n")
        with contextlib.suppress(ConnectionError):
            await stream.response.write_eof()

    async def _give(self, stream: _Stream, id_: str, signal: bytes) -> None:
        """One signal; the first of every ten is paid for before it goes out."""
        if self._metered and stream.given % PAGE == 0:
            await self._charge(stream)
        stream.given += 1
        await self._write(stream, f"id: {id_}\nevent: signal\ndata: ".encode() + signal + b"\n\n")

    async def _charge(self, stream: _Stream) -> None:
        charge = Charge(
            request_id=self._ids.event_id(),
            operation=OPERATION,
            wallet=wallet_of(stream.caller.principal),
            price=PRICE,
            units=1,
        )
        try:
            await self._bus.request(CHARGE, charge)
        except OutcomeUnknown:
            await self._bus.request(CHARGE, charge)  # the same charge: it counts once

    async def _wait(self, stream: _Stream) -> None:
        """Until there may be more, with signs of life meanwhile."""
        asks_s = self._clock.monotonic_s() + ASK_S
        while not self._over(stream) and self._clock.monotonic_s() < asks_s:
            try:
                async with asyncio.timeout(HEARTBEAT_S):
                    await stream.woken.wait()
                stream.woken.clear()
                return
            except TimeoutError:
                await self._write(stream, b": \n\n")

    async def _write(self, stream: _Stream, data: bytes) -> None:
        async with asyncio.timeout(WRITE_S):
            await stream.response.write(data)
