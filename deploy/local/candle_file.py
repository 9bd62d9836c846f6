"""Candles from a CSV file: ``time,open,high,low,close,volume``, with or without a header line. Pure."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

Candle = tuple[int, float, float, float, float, float]
COLUMNS = ("time", "open", "high", "low", "close", "volume")
_TIME_NAMES = ("time", "date", "datetime", "timestamp", "")
_SECONDS_BELOW = 100_000_000_000  # 10^11: Unix seconds below, milliseconds from there on


class RowUnreadable(Exception):
    """A line of the file is no candle; the text names the line."""


def read_candles(lines: Iterable[str]) -> Iterator[Candle]:
    """Every candle as ``(time_ms, open, high, low, close, volume)``; times without a zone are UTC.

    A header may name the columns in any order and case, with others between; an unnamed first column is
    the time, a missing volume is 0. Raises RowUnreadable.
    """
    rows = csv.reader(lines)
    places: list[int | None] = list(range(len(COLUMNS)))
    for number, row in enumerate(_rows(rows), start=1):
        if not any(cell.strip() for cell in row):
            continue
        if number == 1 and _is_header(row):
            places = _places(row)
            continue
        try:
            yield _candle(row, places)
        except ValueError as e:
            raise RowUnreadable(f"line {rows.line_num}: {e}") from e


def parse_time_ms(text: str) -> int:
    """Unix milliseconds of ISO 8601 text or a Unix time in seconds or milliseconds. Raises ValueError."""
    text = text.strip()
    try:
        number = float(text)
    except ValueError:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return round(moment.timestamp() * 1000)
    if not math.isfinite(number) or number < 0:
        raise ValueError(f"{text} is not a time")
    return round(number * 1000) if number < _SECONDS_BELOW else round(number)


def _rows(reader: Iterator[list[str]]) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error as e:
        raise RowUnreadable(f"line {getattr(reader, 'line_num', 1)}: {e}") from e


def _is_header(row: list[str]) -> bool:
    try:
        float(row[1])
    except (ValueError, IndexError):
        return True
    return False


def _places(header: list[str]) -> list[int | None]:
    names = [cell.strip().lower() for cell in header]
    time = next((place for place, name in enumerate(names) if name in _TIME_NAMES), None)
    places = [time, *(names.index(name) if name in names else None for name in COLUMNS[1:])]
    missing = [name for name, place in zip(COLUMNS[:-1], places, strict=False) if place is None]
    if missing:
        raise RowUnreadable(f"line 1: the header has no column {missing[0]}, it needs {','.join(COLUMNS)}")
    return places


def _candle(row: list[str], places: list[int | None]) -> Candle:
    cells = [row[place] if place is not None and place < len(row) else None for place in places]
    if any(cell is None for cell in cells[:-1]):
        raise ValueError(f"{len(row)} columns, it needs {','.join(COLUMNS)}")
    time_ms = parse_time_ms(cells[0] or "")
    o, h, low, c = (_number(cell or "", name) for cell, name in zip(cells[1:5], COLUMNS[1:5], strict=True))
    volume = _number(cells[5], "volume") if cells[5] and cells[5].strip() else 0.0
    if volume < 0:
        raise ValueError(f"volume was {volume}")
    if not low <= min(o, c) <= max(o, c) <= h:
        raise ValueError(f"open {o} and close {c} do not lie between low {low} and high {h}")
    return time_ms, o, h, low, c, volume


def _number(text: str, name: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"{name} was {text!r}, not a number") from None
    if not math.isfinite(number):
        raise ValueError(f"{name} was {text.strip()}")
    return number
