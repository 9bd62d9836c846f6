"""Candles: the timeframes of the house, when a bar opens and ends, and how ticks become bars.

Pure. Times are Unix milliseconds in UTC. Weeks open on Monday, months on their first day. A bar
exists when a price was seen in it: none is lost and none is invented.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
WEEK_MS = 7 * DAY_MS
TIME_MAX_MS = 253_370_764_800_000  # 9999-01-01: the last year whose months all have an end

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MONDAY_MS = 4 * DAY_MS  # 1970-01-05, the first Monday of Unix time
_MILLISECOND = timedelta(milliseconds=1)
_VOLUME_DECIMALS = 8  # float sums carry dust; the 8th decimal is a satoshi


@dataclass(frozen=True, slots=True)
class Timeframe:
    """A timeframe. ``id`` is stored and never reused; ``span_ms`` is 0 for the calendar month."""

    id: int
    name: str  # of the house: m is a minute, M a month
    broker: str  # of the broker surface: M is a minute
    broker_old: str
    span_ms: int

    def open_ms(self, at_ms: int) -> int:
        """When the bar that holds ``at_ms`` opens."""
        if self.span_ms == 0:
            return _month_open_ms(at_ms)
        if self.span_ms == WEEK_MS:
            return at_ms - (at_ms - _MONDAY_MS) % WEEK_MS
        return at_ms - at_ms % self.span_ms

    def end_ms(self, open_ms: int) -> int:
        """The first millisecond after the bar that opens at ``open_ms``."""
        return open_ms + self.span_ms if self.span_ms else _month_end_ms(open_ms)


def _month_open_ms(at_ms: int) -> int:
    day = _EPOCH + timedelta(milliseconds=at_ms)
    return (day.replace(day=1, hour=0, minute=0, second=0, microsecond=0) - _EPOCH) // _MILLISECOND


def _month_end_ms(open_ms: int) -> int:
    # A stored month may open on another day than its first; it ends with its calendar month.
    return _month_open_ms(_month_open_ms(open_ms) + 32 * DAY_MS)


TIMEFRAMES = (
    Timeframe(1, "1m", "1M", "M1", MINUTE_MS),
    Timeframe(2, "5m", "5M", "M5", 5 * MINUTE_MS),
    Timeframe(3, "15m", "15M", "M15", 15 * MINUTE_MS),
    Timeframe(4, "30m", "30M", "M30", 30 * MINUTE_MS),
    Timeframe(5, "1h", "1H", "H1", HOUR_MS),
    Timeframe(6, "4h", "4H", "H4", 4 * HOUR_MS),
    Timeframe(7, "1d", "1D", "D1", DAY_MS),
    Timeframe(8, "1w", "1W", "W1", WEEK_MS),
    Timeframe(9, "1M", "MN1", "MN", 0),
)
BY_NAME: Mapping[str, Timeframe] = {t.name: t for t in TIMEFRAMES}
BY_ID: Mapping[int, Timeframe] = {t.id: t for t in TIMEFRAMES}
_BROKER: Mapping[str, Timeframe] = {
    text: t for t in TIMEFRAMES for text in (t.broker, t.broker_old, *(("1MN",) if not t.span_ms else ()))
}


def timeframe(name: str) -> Timeframe | None:
    """A timeframe by its name in the house (``1m`` … ``1M``); the case tells minute from month."""
    return BY_NAME.get(name)


def broker_timeframe(text: str) -> Timeframe | None:
    """A timeframe in either notation of the broker surface, in any case; ``1M`` is a minute."""
    return _BROKER.get(text.upper())


class Candle(NamedTuple):
    """A bar: open time in Unix ms, then open, high, low, close and volume."""

    open_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float


class Row(NamedTuple):
    """A bar of a timeframe, as it is stored."""

    timeframe_id: int
    open_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float

    @property
    def candle(self) -> Candle:
        return Candle(*self[1:])


class _Frame:
    """The forming bar of one timeframe; ``end_ms`` 0 means there is none."""

    __slots__ = ("close", "end_ms", "high", "low", "of", "open", "open_ms", "seed", "volume")

    def __init__(self, of: Timeframe) -> None:
        self.of = of
        self.open_ms = self.end_ms = 0
        self.open = self.high = self.low = self.close = self.volume = 0.0
        self.seed: Candle | None = None  # a stored bar that ticks will find open

    def put(self, candle: Candle) -> None:
        self.open_ms, self.open, self.high, self.low, self.close, self.volume = candle
        self.end_ms = self.of.end_ms(candle.open_ms)

    def row(self) -> Row:
        volume = round(self.volume, _VOLUME_DECIMALS)
        return Row(self.of.id, self.open_ms, self.open, self.high, self.low, self.close, volume)


class CandleBuilder:
    """The forming bars of one symbol in every timeframe, fed by ticks in order of time.

    A tick only touches the minute under way; the minute is folded into all nine forming bars when it
    ends, and before anybody looks. Every bar of every timeframe opens on a minute, so this is exact.
    A tick older than the newest one counts in the newest minute.
    """

    __slots__ = ("_close", "_closed", "_frames", "_from_ms", "_high", "_low", "_open", "_until_ms", "_volume")

    def __init__(self) -> None:
        self._frames = [_Frame(t) for t in TIMEFRAMES]
        self._closed: list[Row] = []
        self._from_ms = self._until_ms = 0  # of the minute under way; until 0 means there is none
        self._open = self._high = self._low = self._close = self._volume = 0.0

    def add(self, price: float, at_ms: int, size: float = 1.0) -> None:
        """Count a tick at ``at_ms`` (> 0)."""
        if at_ms < self._until_ms:
            if price > self._high:
                self._high = price
            elif price < self._low:
                self._low = price
            self._close = price
            self._volume += size
            return
        if self._until_ms:
            self._fold()
        self._from_ms = at_ms - at_ms % MINUTE_MS
        self._until_ms = self._from_ms + MINUTE_MS
        self._open = self._high = self._low = self._close = price
        self._volume = size

    def _fold(self) -> None:
        """Count the minute under way in every forming bar."""
        at_ms, high, low, close = self._from_ms, self._high, self._low, self._close
        self._until_ms = 0
        for frame in self._frames:
            if at_ms >= frame.end_ms:
                self._begin(frame, at_ms)
                continue
            # Not max(): this runs nine times a tick when every tick opens a minute.
            if high > frame.high:  # noqa: PLR1730
                frame.high = high
            if low < frame.low:  # noqa: PLR1730
                frame.low = low
            frame.close = close
            frame.volume += self._volume

    def _begin(self, frame: _Frame, at_ms: int) -> None:
        """Close the forming bar, if there is one, and open the one that holds the minute."""
        if frame.end_ms:
            self._closed.append(frame.row())
        frame.open_ms = open_ms = frame.of.open_ms(at_ms)
        frame.end_ms = frame.of.end_ms(open_ms)
        frame.open, frame.high, frame.low = self._open, self._high, self._low
        frame.close, frame.volume = self._close, self._volume
        seed = frame.seed
        if seed is not None and seed.open_ms <= open_ms:
            frame.seed = None
            if seed.open_ms == open_ms:
                frame.put(joined(seed, frame.row().candle))

    def set(self, timeframe_id: int, candle: Candle) -> None:
        """Put a stored bar in place: the forming one from here on, or the one ticks will find open.

        A bar older than the forming one changes nothing here.
        """
        if self._until_ms:
            self._fold()
        frame = self._frames[timeframe_id - 1]
        if frame.end_ms and candle.open_ms == frame.open_ms:
            frame.put(candle)
        elif candle.open_ms >= frame.end_ms and (frame.seed is None or candle.open_ms >= frame.seed.open_ms):
            frame.seed = candle

    def begin(self, timeframe_id: int, candle: Candle) -> None:
        """Make ``candle`` the forming bar, as after a restart; only before the first tick."""
        self._frames[timeframe_id - 1].put(candle)

    def forming_open_ms(self, timeframe_id: int) -> int:
        """When the forming bar of a timeframe opened, 0 when there is none."""
        if self._until_ms:
            self._fold()
        return self._frames[timeframe_id - 1].open_ms

    def take(self) -> list[Row]:
        """The bars that have closed since the last take; oldest first in each timeframe."""
        if self._until_ms:
            self._fold()
        closed, self._closed = self._closed, []
        return closed

    def closed(self) -> list[Row]:
        """The bars that ``take`` would give."""
        if self._until_ms:
            self._fold()
        return self._closed

    def forming(self) -> list[Row]:
        """The forming bar of every timeframe that has one, with every tick so far."""
        if self._until_ms:
            self._fold()
        return [frame.row() for frame in self._frames if frame.end_ms]


def joined(first: Candle, then: Candle) -> Candle:
    """One bar out of two parts of it, ``first`` being the earlier."""
    return Candle(
        first.open_ms,
        first.open,
        max(first.high, then.high),
        min(first.low, then.low),
        then.close,
        round(first.volume + then.volume, _VOLUME_DECIMALS),
    )


def candles_of(ticks: Iterable[tuple[int, float, float]], of: Timeframe) -> list[Candle]:
    """The bars of ``ticks`` (ms, price, size) in one timeframe: the plain meaning of a candle."""
    bars: dict[int, Candle] = {}
    for at_ms, price, size in ticks:
        open_ms = of.open_ms(at_ms)
        tick = Candle(open_ms, price, price, price, price, size)
        bars[open_ms] = joined(bars[open_ms], tick) if open_ms in bars else tick
    return [bars[open_ms] for open_ms in sorted(bars)]
