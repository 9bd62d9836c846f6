"""Following market's closed bars into the rings.

Lifecycle: ``start`` hears BARS_CLOSED first and loads every ring then, so nothing falls between. A message
out of order (market started anew, a message was lost) makes every ring stale; a range written from outside
makes its ring stale. Stale rings are loaded again in bulk by ``freshen``; until then what was heard for
them is left out, since the load brings it.

Never: judge bars here (that is the rounds' work); wait inside the callback of the bus.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import structlog

from libs.common.bulk import BARS_MAX, columns
from libs.common.bus import Bus, Subscription, decode
from libs.common.candles import BY_NAME
from libs.common.errors import AppError
from libs.common.messages.market import BarsClosed
from libs.common.subjects import BARS_CLOSED
from services.scanner import metrics
from services.scanner.asking import ALWAYS_MS, Market
from services.scanner.places import Place
from services.scanner.rings import RING_BARS

log = structlog.get_logger()


class Following:
    """Keeps ``places`` in step with market. ``due`` is set when there is something to judge."""

    def __init__(self, bus: Bus, market: Market, timeframes: Sequence[str]) -> None:
        self._bus = bus
        self._market = market
        self._timeframes = frozenset(timeframes)
        self._hearing: Subscription | None = None
        self._stale: set[tuple[str, str]] = set()
        self._loading: set[tuple[str, str]] = set()
        self._all_stale = True
        self._freshening = asyncio.Lock()
        self.places: dict[tuple[str, str], Place] = {}
        self.due = asyncio.Event()
        self.pending: set[tuple[str, str]] = set()  # places with bars that are not judged
        self.run = ""
        self.seq = 0

    async def start(self) -> None:
        """Begin to hear; nothing is loaded yet."""
        self._hearing = await self._bus.subscribe(BARS_CLOSED.at(), self._heard)
        await self._bus.flush()
        self._bus.on_reconnect(self.distrust)

    async def stop(self) -> None:
        """Hear nothing more."""
        if self._hearing is not None:
            await self._hearing.stop()

    def distrust(self) -> None:
        """Every ring may miss bars."""
        self._all_stale = True
        self.due.set()

    def _heard(self, subject: str, payload: bytes) -> None:
        message = decode(payload, BarsClosed)
        if message.run == self.run and message.seq <= self.seq:
            return  # told before the rings were loaded
        if message.run != self.run or message.seq != self.seq + 1:
            if self.run:
                metrics.holes.inc()
            self.distrust()
        self.run, self.seq = message.run, message.seq
        for symbol, timeframe, *bar in message.bars:
            if timeframe in self._timeframes:
                self._take((symbol, timeframe), (float(bar[0]), *bar[1:]))
        for symbol, timeframe, _from_ms, _to_ms in message.loaded:
            if timeframe in self._timeframes:
                self._stale.add((symbol, timeframe))
        if message.bars or message.loaded:
            self.due.set()

    def _take(self, key: tuple[str, str], bar: tuple[float, ...]) -> None:
        place = self.places.get(key)
        if place is None or self._all_stale or key in self._stale or key in self._loading:
            self._stale.add(key)  # its load, or the next one, brings the bar
            return
        if bar[0] > place.ring.last_ms:
            place.ring.append(bar)  # type: ignore[arg-type]  # six numbers, as the message says
            self.pending.add(key)
        else:  # a bar that was told again differently: the stored one holds
            self._stale.add(key)

    @property
    def is_stale(self) -> bool:
        """Whether some ring waits to be loaded."""
        return self._all_stale or bool(self._stale)

    async def freshen(self) -> None:
        """Load every stale ring. Raises the bus's error when market does not answer; all stay stale then."""
        async with self._freshening:
            if self._all_stale:
                await self._learn_where_market_is()
                self._all_stale = False
                self._stale |= {(s, t) for s in self._market.instruments for t in self._timeframes}
                self._stale |= self.places.keys()
            wanted = sorted(self._stale)
            self._stale -= set(wanted)
            self._loading = set(wanted)
            try:
                for start in range(0, len(wanted), BARS_MAX // RING_BARS):
                    part = wanted[start : start + BARS_MAX // RING_BARS]
                    await self._load(part)
                    self._loading -= set(part)
            finally:
                self._stale |= self._loading
                self._loading = set()

    async def _learn_where_market_is(self) -> None:
        """The symbols, and the last change told: the loads that follow hold everything up to it."""
        await self._market.refresh()
        for symbol in self._market.instruments:
            told = await self._market.forming(symbol, "1m")
            if told.run != self.run or told.seq > self.seq:
                self.run, self.seq = told.run, told.seq
            break

    async def _load(self, keys: Sequence[tuple[str, str]]) -> None:
        found = await self._market.bulk([(*key, 0, ALWAYS_MS) for key in keys], RING_BARS)
        for key, bars in zip(keys, found, strict=True):
            place = self.places.get(key)
            if place is None:
                if len(bars.rows) == 0:
                    continue  # a place is made when it has a bar
                place = self.places[key] = Place(key[0], BY_NAME[key[1]])
            place.ring.load(columns(bars.rows))
            place.source = bars.source or place.source
            if len(bars.rows):
                self.pending.add(key)
        metrics.places.set(len(self.places))

    async def caught_up(self, key: tuple[str, str], run: str, seq: int, timeout_s: float) -> bool:
        """Wait until all that was told up to ``seq`` of ``run`` is in a place's ring; False at the deadline,
        and for timeframes nobody follows."""
        if key[1] not in self._timeframes:
            return False
        try:
            async with asyncio.timeout(timeout_s):
                while not self._holds(key, run, seq):
                    if self.run == run and self.seq >= seq:
                        await self.freshen()
                    else:
                        await asyncio.sleep(0.002)
        except (TimeoutError, AppError) as e:
            log.warning("candles not caught up in time", place=key, error=f"{type(e).__name__}: {e}")
            return False
        return True

    def _holds(self, key: tuple[str, str], run: str, seq: int) -> bool:
        waits = self._all_stale or key in self._stale or key in self._loading
        return self.run == run and self.seq >= seq and not waits

    def forget(self, keys: Iterable[tuple[str, str]]) -> None:
        """Nothing waits to be judged in these places any more."""
        self.pending.difference_update(keys)
