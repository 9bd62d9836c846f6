"""The replay feed: the ticks or candles of a file, at the pace of its times or as fast as the house goes.

``replay:FILE[?speed=X|max][&symbol=…][&timeframe=…][&spread=POINTS][&rate=N][&again=1]``. ``speed`` is a
factor on time (default 1); ``max`` gives ``rate`` ticks a second (default 20,000). Ask is bid and the
spread: of the file, of the setting, else of the symbol.

The place in the file is stored together with the candles: a restart goes on where it was, and a file
that was replayed to its end stays so until ``again=1``, or another file, begins anew.
"""

from __future__ import annotations

import asyncio
import csv
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import structlog

from libs.common.candles import Timeframe, broker_timeframe, timeframe
from libs.common.clock import Clock
from libs.common.errors import ConfigInvalid
from libs.common.messages.market import Instrument
from services.market.feed import Sink, Tick
from services.market.replay import (
    FileCandle,
    FileTick,
    candle_ticks,
    decimals_of,
    named_frame,
    read_candles,
    read_layout,
    read_ticks,
)

log = structlog.get_logger()

RATE = 20_000
BATCH_MS = 5  # the shortest time between two batches
BATCH_MAX = 500
_SETTINGS = {"speed", "symbol", "timeframe", "spread", "rate", "again"}


@dataclass(frozen=True, slots=True)
class ReplaySpec:
    """What the setting says. ``speed`` None is as fast as ``rate`` allows."""

    path: Path
    speed: float | None = 1.0
    symbol: str | None = None
    frame: Timeframe | None = None
    spread: int | None = None
    rate: int = RATE
    again: bool = False


def replay_spec(argument: str) -> ReplaySpec:
    """Read ``FILE?…``; ConfigInvalid says what is wrong."""
    name, _, query = argument.partition("?")
    given = dict(parse_qsl(query, keep_blank_values=True))
    unknown = given.keys() - _SETTINGS
    if unknown:
        raise ConfigInvalid(f"TRADEWIND_FEED: replay knows no {min(unknown)!r}; it knows {sorted(_SETTINGS)}")
    path = Path(name).expanduser()
    if not path.is_file():
        raise ConfigInvalid(f"TRADEWIND_FEED: there is no file {name}")
    frame = None
    if "timeframe" in given:
        frame = timeframe(given["timeframe"]) or broker_timeframe(given["timeframe"])
        if frame is None:
            raise ConfigInvalid(f"TRADEWIND_FEED: timeframe {given['timeframe']!r} is unknown")
    speed_text = given.get("speed", "1")
    try:
        speed = None if speed_text == "max" else float(speed_text)
        spread = int(given["spread"]) if "spread" in given else None
        rate = int(given.get("rate", RATE))
    except ValueError as e:
        raise ConfigInvalid(f"TRADEWIND_FEED: {e}") from e
    if (speed is not None and not 0 < speed < 1e9) or rate < 1 or (spread is not None and spread < 0):
        raise ConfigInvalid("TRADEWIND_FEED: speed and rate must be above 0, spread not below 0")
    return ReplaySpec(path, speed, given.get("symbol"), frame, spread, rate, given.get("again") == "1")


class ReplayFeed:
    """Gives the ticks of one file, then ends."""

    source = "replay"
    live = False

    def __init__(self, spec: ReplaySpec, clock: Clock, cursor: Any = None) -> None:
        self._spec = spec
        self._clock = clock
        self._cursor: Mapping[str, Any] = cursor or {}
        self._content: Sequence[FileCandle] | Sequence[FileTick] = ()
        self._identity = ""
        self._again = spec.again

    async def open(self) -> None:
        """Read the file; ConfigInvalid when it is none of ours."""
        self._content, bad, self._identity = await asyncio.to_thread(_read_file, self._spec)
        if bad:
            log.warning("replay rows left out", rows=len(bad), first_row=bad[0], file=self._spec.path.name)
        if not self._content:
            raise ConfigInvalid(f"TRADEWIND_FEED: {self._spec.path.name} has no row that can be replayed")

    async def run(self, sink: Sink) -> None:
        same = self._cursor.get("file") == self._identity and not self._again
        self._again = False
        given = int(self._cursor.get("ticks", 0)) if same else 0
        known = await self._symbols(sink)
        if not same:
            await sink.restart([instrument.symbol for instrument in known.values()])
        ticks = await asyncio.to_thread(self._ticks, known)
        log.info("replay begun", file=self._spec.path.name, ticks=len(ticks), after=given)
        begun_s = self._clock.monotonic_s()
        if self._spec.speed is None:
            await self._at_full_speed(sink, ticks, given)
        else:
            await self._in_time(sink, ticks, given, self._spec.speed)
        took_s = self._clock.monotonic_s() - begun_s
        log.info("replay complete", ticks=len(ticks) - given, took_s=round(took_s, 2))

    def problem(self) -> str | None:
        return None

    async def _at_full_speed(self, sink: Sink, ticks: list[Tick], given: int) -> None:
        """``rate`` ticks a second, in batches; slower when the candles can't be stored as fast."""
        last_s, credit = self._clock.monotonic_s(), 0.0
        while given < len(ticks):
            now_s = self._clock.monotonic_s()
            # What was lost in waiting is not caught up: readers get no burst for it.
            credit = min(credit + (now_s - last_s) * self._spec.rate, BATCH_MAX)
            last_s = now_s
            end = min(given + int(credit), len(ticks))
            if end > given:
                credit -= end - given
                await self._give(sink, ticks[given:end], end)
                given = end
            await asyncio.sleep(BATCH_MS / 1000)

    async def _in_time(self, sink: Sink, ticks: list[Tick], given: int, speed: float) -> None:
        """Each tick when its time has come, ``speed`` times as fast as it was."""
        if given >= len(ticks):
            return
        begun_s, start_ms = self._clock.monotonic_s(), ticks[given][3]
        while given < len(ticks):
            now_ms = start_ms + (self._clock.monotonic_s() - begun_s) * 1000 * speed
            end = given
            while end < len(ticks) and end - given < BATCH_MAX and ticks[end][3] <= now_ms:
                end += 1
            if end > given:
                await self._give(sink, ticks[given:end], end)
                given = end
            wait_ms = (ticks[given][3] - now_ms) / speed if given < len(ticks) else 0
            await asyncio.sleep(max(wait_ms, BATCH_MS if end - given < BATCH_MAX else 0) / 1000)

    async def _give(self, sink: Sink, ticks: list[Tick], end: int) -> None:
        cursor = {"file": self._identity, "ticks": end}
        await sink.quotes(ticks, cursor)
        self._cursor = cursor  # a feed that broke goes on from here
        await sink.room()

    async def _symbols(self, sink: Sink) -> dict[str | None, Instrument]:
        """What the file calls a symbol → the instrument."""
        prices: dict[str | None, list[float]] = {}
        for item in self._content:
            seen = prices.setdefault(item.symbol, [])
            if len(seen) < 1000:
                seen += item.candle[1:5] if isinstance(item, FileCandle) else [item.bid]
        known: dict[str | None, Instrument] = {}
        for name, seen in prices.items():
            wanted = [name] if name else [self._spec.symbol] if self._spec.symbol else self._names()
            known[name] = await sink.instrument([text for text in wanted if text], decimals_of(seen))
        return known

    def _names(self) -> list[str]:
        """What the file's name may call its symbol, the likeliest first."""
        stem = self._spec.path.stem
        parts = stem.replace("_", "-").split("-")
        return [stem, f"{parts[0]}/{parts[1]}" if len(parts) > 1 else stem, parts[0]]

    def _ticks(self, known: Mapping[str | None, Instrument]) -> list[Tick]:
        """All ticks of the file, in order of time."""
        made: list[Tick] = []
        for item in self._content:
            instrument = known[item.symbol]
            if isinstance(item, FileCandle):
                spread = self._spread(instrument, item.spread)
                for at_ms, bid, size in candle_ticks(item.candle, item.frame):
                    made.append((instrument.symbol, bid, bid + spread, at_ms, size))
            else:
                ask = item.ask if item.ask is not None else item.bid + self._spread(instrument, None)
                made.append((instrument.symbol, item.bid, ask, item.at_ms, item.size))
        return sorted(made, key=lambda tick: tick[3])

    def _spread(self, instrument: Instrument, of_row: int | None) -> float:
        points = instrument.spread if of_row is None else of_row
        return (points if self._spec.spread is None else self._spec.spread) * instrument.point


def _read_file(spec: ReplaySpec) -> tuple[Sequence[FileCandle] | Sequence[FileTick], list[int], str]:
    rows = (
        _parquet_rows(spec.path) if spec.path.suffix.lower() in (".parquet", ".pq") else _csv_rows(spec.path)
    )
    if not rows:
        raise ConfigInvalid(f"TRADEWIND_FEED: {spec.path.name} is empty")
    layout = read_layout(rows[0])
    numbered = [
        (number, row) for number, row in enumerate(rows, 1) if row and (number > 1 or not layout.header)
    ]
    identity = hashlib.sha256(f"{spec.symbol} {spec.frame} {spec.spread} ".encode())
    with spec.path.open("rb") as file:
        hashlib_file = hashlib.file_digest(file, "sha256").hexdigest()
    identity.update(hashlib_file.encode())
    content: Sequence[FileCandle] | Sequence[FileTick]
    if layout.candles:
        content, bad = read_candles(numbered, layout, spec.frame or named_frame(spec.path.stem))
    else:
        content, bad = read_ticks(numbered, layout)
    return content, bad, identity.hexdigest()


def _csv_rows(path: Path) -> list[Sequence[str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            first = file.readline()
            file.seek(0)
            delimiter = max(",;\t|", key=first.count)
            return list(csv.reader(file, delimiter=delimiter))
    except (UnicodeDecodeError, csv.Error) as e:
        raise ConfigInvalid(f"TRADEWIND_FEED: {path.name} can't be read as CSV: {e}") from e


def _parquet_rows(path: Path) -> list[Sequence[str]]:
    """A Parquet file as the rows of text a CSV of it would have."""
    import polars  # heavy, and only for this

    try:
        frame = polars.read_parquet(path)
    except Exception as e:
        raise ConfigInvalid(f"TRADEWIND_FEED: {path.name} can't be read as Parquet: {e}") from e
    return [frame.columns, *(["" if v is None else str(v) for v in row] for row in frame.iter_rows())]
