"""Replay files: what their rows mean, and how candles become ticks again. Pure.

A candle is replayed as open, low, high, close when it rose, else open, high, low, close, at 0, a
quarter and a half of its timeframe and at its last millisecond, on bid. Its volume is spread over the
four with the remainder on the last, so that the bar built of them equals the one in the file.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from libs.common.candles import TIME_MAX_MS, TIMEFRAMES, Candle, Timeframe, broker_timeframe, timeframe
from libs.common.errors import ConfigInvalid
from services.market.soundness import fault_of

_NAMES: Mapping[str, str] = {
    "time": "|time|timestamp|date|datetime|open_time|opentime|gmt time|local time|utc|unix|unnamed: 0|index"
    "|ctm|ctm_ms|time_ms|ts|t",
    "clock": "<time>",
    "open": "open|o",
    "high": "high|h",
    "low": "low|l",
    "close": "close|c",
    "bid": "bid|b",
    "ask": "ask|a",
    "volume": "volume|vol|v|tickvol|tick_volume|size|qty|quantity|amount",
    "symbol": "symbol|ticker|instrument|pair",
    "timeframe": "timeframe|frame|tf|interval|period",
    "spread": "spread",
}
_MEANING = {name: meaning for meaning, names in _NAMES.items() for name in names.split("|")}
_FORMATS = ("%Y.%m.%d %H:%M:%S", "%Y.%m.%d %H:%M", "%d.%m.%Y %H:%M:%S.%f", "%d.%m.%Y %H:%M:%S")
_FORMATS_MORE = ("%Y%m%d %H%M%S", "%Y%m%d %H:%M:%S", "%Y%m%d", "%Y.%m.%d", "%m/%d/%Y %H:%M", "%m/%d/%Y")
_SECONDS_BELOW, _MS_BELOW, _US_BELOW = 10**11, 10**14, 10**17


@dataclass(frozen=True, slots=True)
class Layout:
    """Which column means what; ``header`` says whether the first row is one."""

    columns: Mapping[str, int]
    header: bool

    @property
    def candles(self) -> bool:
        """Whether the rows are candles rather than ticks."""
        return "open" in self.columns


@dataclass(frozen=True, slots=True)
class FileCandle:
    """A candle of a file; ``symbol`` and ``spread`` (points) None when no column says it."""

    symbol: str | None
    frame: Timeframe
    candle: Candle
    spread: int | None = None


@dataclass(frozen=True, slots=True)
class FileTick:
    """A tick of a file; ``ask`` None when it has a single price."""

    symbol: str | None
    at_ms: int
    bid: float
    ask: float | None
    size: float


def read_layout(first: Sequence[str]) -> Layout:
    """What the columns mean, from the header or, where there is none, from their count."""
    if _is_data(first):
        of_candles = ["time", "open", "high", "low", "close", "volume"]
        names = of_candles if len(first) >= 5 else ["time", "bid", "ask", "volume"]
        return Layout({name: i for i, name in enumerate(names) if i < len(first)}, header=False)
    columns: dict[str, int] = {}
    for place, text in enumerate(first):
        folded = text.strip().strip("\ufeff").lower()
        meaning = _MEANING.get(folded) or _MEANING.get(folded.strip("<>").replace(" ", "_"))
        if meaning == "time" and "time" in columns and folded in ("<time>", "time"):
            meaning = "clock"  # a date column and a time column
        if meaning is not None and meaning not in columns:
            columns[meaning] = place
    if "bid" not in columns and "open" not in columns:
        for name in ("price", "last", "close"):
            place = next((i for i, text in enumerate(first) if text.strip().lower() == name), -1)
            if place >= 0:
                columns["bid"] = place
                break
    if "time" not in columns or not ({"open", "high", "low", "close"} <= columns.keys() or "bid" in columns):
        raise ConfigInvalid(
            "the replay file has no header with time and open, high, low, close (or bid and ask)"
        )
    return Layout(columns, header=True)


def _is_data(row: Sequence[str]) -> bool:
    try:
        read_time(row[0])
        return len(row) >= 2 and math.isfinite(float(row[1]))
    except (ValueError, IndexError):
        return False


def read_time(text: str) -> int:
    """Unix ms of a time: Unix s, ms, µs or ns by size, ISO 8601, or a form of MetaTrader and others; UTC."""
    text = text.strip()
    try:
        number = float(text)
    except ValueError:
        return _within(_read_date(text), text)
    if re.fullmatch(r"[12]\d{7}", text):  # 20260131 is a date, not a moment in 1970
        return _read_date(text)
    if not math.isfinite(number):
        raise ValueError(f"{text!r} was not a time")
    return _within(_read_number(text, number), text)


def _within(at_ms: int, text: str) -> int:
    if at_ms > TIME_MAX_MS:
        raise ValueError(f"{text!r} was after the year 9998")
    return at_ms


def _read_number(text: str, number: float) -> int:
    size = abs(number)
    if size < _SECONDS_BELOW:
        return round(number * 1000)
    if size < _MS_BELOW:
        return round(number)
    whole = int(text) if text.isdigit() else round(number)
    return whole // 1000 if size < _US_BELOW else whole // 1_000_000


def _read_date(text: str) -> int:
    moment: datetime | None = None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        for form in (*_FORMATS, *_FORMATS_MORE):
            try:
                moment = datetime.strptime(text, form).replace(tzinfo=UTC)
                break
            except ValueError:
                continue
    if moment is None:
        raise ValueError(f"{text!r} was not a time")
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def read_candles(
    rows: Iterable[tuple[int, Sequence[str]]], layout: Layout, frame: Timeframe | None
) -> tuple[list[FileCandle], list[int]]:
    """The candles of numbered rows, by time, and the numbers of the rows that are none.

    A bar that stands twice counts once, as it stands last. Without ``frame`` and a column for it, the
    timeframe is the most frequent distance of two rows.
    """
    found: list[tuple[str | None, Timeframe | None, Candle, int | None]] = []
    bad: list[int] = []
    at = layout.columns
    for number, row in rows:
        try:
            o, h, low, c = (float(row[at[name]]) for name in ("open", "high", "low", "close"))
            candle = Candle(_moment(row, at), o, h, low, c, _number(row, at, "volume", 0.0))
            if fault_of(candle) is not None:
                raise ValueError("not a candle")
            spread = at.get("spread")
            found.append(
                (
                    row[at["symbol"]].strip() if "symbol" in at else None,
                    _frame(row[at["timeframe"]]) if "timeframe" in at else frame,
                    candle,
                    round(float(row[spread])) if spread is not None and row[spread].strip() else None,
                )
            )
        except (ValueError, IndexError):
            bad.append(number)
    inferred = frame or _usual_frame([candle.open_ms for _, _, candle, _ in found])
    whole = {(symbol, candle.open_ms): (symbol, of or inferred, candle, s) for symbol, of, candle, s in found}
    candles = [FileCandle(symbol, of, candle, s) for symbol, of, candle, s in whole.values()]
    return sorted(candles, key=lambda c: c.candle.open_ms), bad


def read_ticks(rows: Iterable[tuple[int, Sequence[str]]], layout: Layout) -> tuple[list[FileTick], list[int]]:
    """The ticks of numbered rows, by time, and the numbers of the rows that are none."""
    found: list[FileTick] = []
    bad: list[int] = []
    at = layout.columns
    for number, row in rows:
        try:
            bid = float(row[at["bid"]])
            ask = float(row[at["ask"]]) if "ask" in at else None
            size = _number(row, at, "volume", 1.0)
            prices = (bid, bid if ask is None else ask)
            if not all(math.isfinite(p) and p > 0 for p in prices) or prices[1] < bid or not size >= 0:
                raise ValueError("not a quote")
            symbol = row[at["symbol"]].strip() if "symbol" in at else None
            found.append(FileTick(symbol, _moment(row, at), bid, ask, size))
        except (ValueError, IndexError):
            bad.append(number)
    return sorted(found, key=lambda tick: tick.at_ms), bad


def _moment(row: Sequence[str], at: Mapping[str, int]) -> int:
    text = row[at["time"]]
    moment = read_time(f"{text} {row[at['clock']]}" if "clock" in at else text)
    if moment <= 0:
        raise ValueError("time was not above 0")
    return moment


def _number(row: Sequence[str], at: Mapping[str, int], name: str, default: float) -> float:
    text = row[at[name]].strip() if name in at and at[name] < len(row) else ""
    return float(text) if text else default


def _frame(text: str) -> Timeframe:
    found = timeframe(text.strip()) or broker_timeframe(text.strip())
    if found is None:
        raise ValueError(f"{text!r} was not a timeframe")
    return found


def _usual_frame(opens_ms: Sequence[int]) -> Timeframe:
    distances = Counter(later - earlier for earlier, later in pairwise(sorted(set(opens_ms))))
    if distances:
        usual = distances.most_common(1)[0][0]
        for frame in TIMEFRAMES:
            if frame.span_ms == usual or (not frame.span_ms and 28 <= usual / 86_400_000 <= 31):
                return frame
    raise ConfigInvalid("the timeframe of the replay file is not clear; say ?timeframe=1h")


def named_frame(file_name: str) -> Timeframe | None:
    """A timeframe in a file's name, as in ``EURUSD_H1.csv`` or ``BTCUSDT-1h-2026-01.csv``."""
    for part in re.split(r"[^A-Za-z0-9]+", file_name)[1:]:
        found = timeframe(part) or broker_timeframe(part)
        if found is not None:
            return found
    return None


def candle_ticks(candle: Candle, frame: Timeframe) -> tuple[tuple[int, float, float], ...]:
    """(ms, bid, size) of the four ticks a candle is replayed as."""
    open_ms, open_, high, low, close, volume = candle
    span_ms = frame.end_ms(open_ms) - open_ms
    turn = (low, high) if close >= open_ else (high, low)
    part = float(volume // 4) if volume == int(volume) else volume / 4
    times = (open_ms, open_ms + span_ms // 4, open_ms + span_ms // 2, open_ms + span_ms - 1)
    sizes = (part, part, part, volume - (part + part + part))
    return tuple(zip(times, (open_, *turn, close), sizes, strict=True))


def decimals_of(prices: Iterable[float]) -> int:
    """The most decimals a price is written with, at most 8."""
    most = 0
    for price in prices:
        text = f"{price:.8f}".rstrip("0")
        most = max(most, len(text.partition(".")[2]))
    return most
