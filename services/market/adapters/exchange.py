"""What all exchange feeds share: one WebSocket, kept for ever.

Lifecycle of a connection: connect, subscribe, take a snapshot of quotes and the candles missed, then
read; beside it a watchdog pings, subscribes instruments that are new, and ends the connection when
either clock says so. Whatever ends it, the cause is logged and counted, and after a capped, growing,
jittered delay the next connection begins.

Never: let a message of the other side end anything but its own reading; keep more than a bounded
number of ticks (the reader waits, and with it the socket).
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, TypeVar

import aiohttp
import structlog

from libs.common.candles import TIMEFRAMES, Candle, Timeframe
from libs.common.clock import Clock
from services.market import metrics
from services.market.adapters.dialect import (
    UNREADABLE,
    Dialect,
    HeardCandles,
    HeardLeave,
    HeardQuote,
    HeardRefusal,
    HeardTrade,
    RestRefused,
)
from services.market.feed import Sink, Tick
from services.market.sessions import is_open
from services.market.silence import Backoff, FeedAction, FeedLimits, FeedSilence, diagnose
from services.market.soundness import fault_of

log = structlog.get_logger()
T = TypeVar("T")

MESSAGE_BYTES_MAX = 4 * 1024 * 1024
WAITING_MAX = 10_000  # ticks read and not published; the reader waits above it
BURST = 10  # a batch of more ticks than this is followed by a short pause
BURST_PAUSE_S = 0.002
LOOK_EVERY_S = 0.25
SETTLED_S = 30.0  # a connection this long makes the next delay short again
REST_AT_ONCE = 4
REST_TIMEOUT_S = 10.0


class ExchangeFeed:
    """A live feed in one exchange's dialect."""

    live = True

    def __init__(
        self,
        dialect: Dialect,
        clock: Clock,
        *,
        limits: FeedLimits | None = None,
        backoff: Backoff | None = None,
        chance: random.Random | None = None,
        cursor: Mapping[str, Any] | None = None,
    ) -> None:
        self._dialect = dialect
        self._clock = clock
        self._limits = limits or FeedLimits()
        self._backoff = backoff or Backoff()
        self._chance = chance or random.Random()
        self._names: dict[str, list[str]] = {}
        self._sizes: dict[str, float] = {}
        self._owed: dict[str, dict[int, int]] = {}  # symbol → timeframe id → since when
        self._complete = set((cursor or {}).get("caught_up", ()))
        self._catching: set[asyncio.Task[None]] = set()
        self._waiting: list[Tick] = []
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._connected = False
        self._cause = "not connected yet"
        self._open = True  # some session is
        self._frame_s = self._quote_s = clock.monotonic_s()
        for cause in ("dead", "mute", "closed", "refused", "asked"):
            metrics.FEED_RECONNECTS.labels(dialect.source, cause)
        metrics.FEED_GARBAGE.labels(dialect.source)

    @property
    def source(self) -> str:
        return self._dialect.source

    def problem(self) -> str | None:
        """Dead means: no quote for longer than is borne while some market is open."""
        silence_s = self._clock.monotonic_s() - self._quote_s
        if not self._open or silence_s <= self._limits.data_s_max:
            return None
        state = "connected but mute" if self._connected else f"not connected: {self._cause}"
        return f"feed {self.source}: no quote for {silence_s:.0f} s, {state}"

    async def run(self, sink: Sink) -> None:
        attempt = 0
        timeout = aiohttp.ClientTimeout(total=REST_TIMEOUT_S, connect=REST_TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout) as http, asyncio.TaskGroup() as tasks:
            tasks.create_task(self._publish(sink))
            while True:
                begun_s = self._clock.monotonic_s()
                cause, reason = await self._connection(http, sink)
                if self._clock.monotonic_s() - begun_s > SETTLED_S:
                    attempt = 0
                delay_s = self._backoff.delay_s(attempt, self._chance.random())
                attempt += 1
                self._connected, self._cause = False, reason
                metrics.FEED_RECONNECTS.labels(self.source, cause).inc()
                log.warning("feed reconnects", feed=self.source, cause=cause, reason=reason, delay_s=delay_s)
                await asyncio.sleep(delay_s)

    # ── one connection ────────────────────────────────────────────────────────────────────────────

    async def _connection(self, http: aiohttp.ClientSession, sink: Sink) -> tuple[str, str]:
        """Read one connection to its end: the cause's kind, and what exactly it was."""
        try:
            async with asyncio.timeout(REST_TIMEOUT_S):
                socket = await http.ws_connect(
                    self._dialect.url,
                    autoping=False,  # pings are frames too: the transport's clock must see them
                    autoclose=True,
                    max_msg_size=MESSAGE_BYTES_MAX,
                    timeout=aiohttp.ClientWSTimeout(ws_close=1.0),  # default 10 s, on a dead peer
                )
        except (aiohttp.ClientError, OSError, TimeoutError) as e:
            return "refused", f"{type(e).__name__}: {e}"[:200]
        self._connected = True
        self._frame_s = self._clock.monotonic_s()
        self._names = {}
        work = {
            asyncio.create_task(self._read(socket, sink), name=f"{self.source} reader"),
            asyncio.create_task(self._watch(socket, http, sink), name=f"{self.source} watch"),
        }
        try:
            done, _ = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
        except (aiohttp.ClientError, OSError) as e:
            return "closed", f"{type(e).__name__}: {e}"[:200]
        finally:
            for task in (*work, *self._catching):
                task.cancel()
            await asyncio.gather(*work, *self._catching, return_exceptions=True)
            await socket.close()

    async def _read(self, socket: aiohttp.ClientWebSocketResponse, sink: Sink) -> tuple[str, str]:
        while True:
            message = await socket.receive()
            self._frame_s = self._clock.monotonic_s()
            match message.type:
                case aiohttp.WSMsgType.TEXT:
                    leave = await self._hear(socket, sink, message.data)
                    if leave is not None:
                        return "asked", leave
                case aiohttp.WSMsgType.PING:
                    await socket.pong(message.data)
                case aiohttp.WSMsgType.PONG:
                    pass
                case aiohttp.WSMsgType.BINARY:
                    metrics.FEED_GARBAGE.labels(self.source).inc()
                case aiohttp.WSMsgType.ERROR:
                    return "closed", f"broken frame: {message.data}"[:200]
                case _:
                    return "closed", f"closed with {socket.close_code}"

    async def _hear(self, socket: aiohttp.ClientWebSocketResponse, sink: Sink, text: str) -> str | None:
        """Take in a message; the reason when the exchange asks us to leave."""
        try:
            heard = self._dialect.read(text)
        except UNREADABLE as e:
            metrics.FEED_GARBAGE.labels(self.source).inc()
            log.debug("feed message unreadable", feed=self.source, error=str(e), text=text[:200])
            return None
        for item in heard:
            match item:
                case HeardQuote():
                    self._take(item)
                case HeardTrade(name=name, size=size):
                    self._sizes[name] = self._sizes.get(name, 0.0) + size
                case HeardCandles():
                    await self._take_candles(sink, item.name, item.frame, item.candles)
                    for reply in item.reply:
                        await socket.send_str(reply)
                case HeardRefusal(reason=reason):
                    log.warning("feed refused", feed=self.source, reason=reason)
                case HeardLeave(reason=reason):
                    return reason
        while len(self._waiting) > WAITING_MAX:
            self._room.clear()
            await self._room.wait()
        return None

    def _take(self, quote: HeardQuote) -> None:
        at_ms = quote.at_ms if quote.at_ms is not None else self._clock.now_ms()
        size = self._sizes.pop(quote.name, 0.0)
        for symbol in self._names.get(quote.name, ()):
            self._waiting.append((symbol, quote.bid, quote.ask, at_ms, size))
            self._quote_s = self._frame_s
        self._wake.set()

    async def _take_candles(self, sink: Sink, name: str, frame: Timeframe, candles: Sequence[Candle]) -> None:
        """Store what is owed of these bars; with the last timeframe a symbol has caught up."""
        for symbol in self._names.get(name, ()):
            since_ms = self._owed.get(symbol, {}).pop(frame.id, None)
            if since_ms is None:
                continue
            sound = [candle for candle in candles if fault_of(candle) is None]
            metrics.FEED_GARBAGE.labels(self.source).inc(len(candles) - len(sound))
            wanted = [candle for candle in sound if candle.open_ms >= since_ms]
            if wanted:
                await sink.candles(symbol, frame, wanted)
            if not self._owed[symbol] and symbol not in self._complete:
                self._complete.add(symbol)
                await sink.mark({"caught_up": sorted(self._complete)})

    def _owe(self, sink: Sink, symbol: str) -> None:
        """From which bar on the exchange's word counts: the one our last quote fell into.

        What an earlier connection did not get done stays owed from where it was, and a symbol that never
        caught up, even before a restart, is owed everything.
        """
        last_ms = sink.last_ms(symbol) if symbol in self._complete else 0
        owed = self._owed.setdefault(symbol, {})
        for frame in TIMEFRAMES:
            owed.setdefault(frame.id, frame.open_ms(last_ms) if last_ms else 0)

    async def _publish(self, sink: Sink) -> None:
        """Give what was read, at once when it is quiet, in bursts when it is not."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            ticks, self._waiting = self._waiting, []
            self._room.set()
            await sink.quotes(ticks)
            if len(ticks) > BURST:
                await asyncio.sleep(BURST_PAUSE_S)

    # ── beside the reader ─────────────────────────────────────────────────────────────────────────

    async def _watch(
        self, socket: aiohttp.ClientWebSocketResponse, http: aiohttp.ClientSession, sink: Sink
    ) -> tuple[str, str]:
        subscribed_s = pinged_s = self._clock.monotonic_s()
        while True:
            now_s = self._clock.monotonic_s()
            new = await self._subscribe_new(socket, sink)
            if new:
                subscribed_s = now_s
                task = asyncio.create_task(self._catch_up(http, sink, new), name=f"{self.source} catch-up")
                self._catching.add(task)
                task.add_done_callback(self._caught_up)
            if now_s - pinged_s >= self._limits.ping_every_s:
                pinged_s = now_s
                await self._ping(socket)
            # A new subscription gets its whole time to say something.
            data_s = now_s - max(self._quote_s, subscribed_s)
            silence = FeedSilence(transport_s=now_s - self._frame_s, data_s=data_s)
            action = diagnose(silence, self._limits, session_open=self._open)
            if action is not FeedAction.NONE:
                return action.value, f"{silence.transport_s:.1f} s no frame, {data_s:.1f} s no quote"
            await asyncio.sleep(LOOK_EVERY_S)

    async def _ping(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        await socket.ping()
        own = self._dialect.ping()
        if own is not None:
            await socket.send_str(own)

    async def _subscribe_new(
        self, socket: aiohttp.ClientWebSocketResponse, sink: Sink
    ) -> Mapping[str, list[str]]:
        """Subscribe what is wanted and not subscribed yet."""
        instruments = sink.instruments()
        now = self._clock.now()
        self._open = any(is_open(instrument.sessions, now) for instrument in instruments)
        wanted = self._dialect.names(instruments)
        new = {name: symbols for name, symbols in wanted.items() if name not in self._names}
        self._names = wanted
        for symbol in (symbol for symbols in new.values() for symbol in symbols):
            self._owe(sink, symbol)
        if new:
            for text in self._dialect.subscribe(list(new)):
                await socket.send_str(text)
        return new

    async def _catch_up(
        self, http: aiohttp.ClientSession, sink: Sink, names: Mapping[str, list[str]]
    ) -> None:
        """Quotes as they are now, then the candles that were missed."""
        for quote in await self._asked("snapshot", self._dialect.snapshot(http, list(names))) or ():
            self._take(quote)
        if self._dialect.history_by_stream:
            return
        limit = asyncio.Semaphore(REST_AT_ONCE)

        async def one(name: str, frame: Timeframe) -> None:
            async with limit:
                owed = [self._owed[s][frame.id] for s in names[name] if frame.id in self._owed[s]]
                if owed:
                    candles = await self._retried(http, name, frame, min(owed))
                    await self._take_candles(sink, name, frame, candles)

        await asyncio.gather(*(one(name, frame) for frame in TIMEFRAMES for name in names))
        log.info("feed caught up", feed=self.source, symbols=len(names))

    def _caught_up(self, task: asyncio.Task[None]) -> None:
        self._catching.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("feed could not catch up", feed=self.source, exc_info=task.exception())

    async def _retried(
        self, http: aiohttp.ClientSession, name: str, frame: Timeframe, since_ms: int
    ) -> Sequence[Candle]:
        for attempt in itertools.count():
            question = self._dialect.history(http, name, frame, since_ms)
            found = await self._asked(f"candles {name} {frame.name}", question)
            if found is not None:
                return found
            await asyncio.sleep(self._backoff.delay_s(attempt, self._chance.random()))
        raise AssertionError("it is asked until it answers")

    async def _asked(self, what: str, question: Awaitable[Sequence[T]]) -> Sequence[T] | None:
        """The answer over HTTP; nothing when it is refused, None when it may be asked again."""
        try:
            return await question
        except RestRefused as e:
            log.info("feed has none", feed=self.source, what=what, reason=str(e))
            return ()
        except (aiohttp.ClientError, OSError, TimeoutError, *UNREADABLE) as e:
            log.warning(
                "feed not answered", feed=self.source, what=what, error=f"{type(e).__name__}: {e}"[:200]
            )
            return None
