"""Candles from CSV files as people have them."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.local.candle_file import Candle, RowUnreadable, parse_time_ms, read_candles

NOON_MS = 1_767_268_800_000  # 2026-01-01T12:00:00Z


def candles(text: str) -> list[Candle]:
    return list(read_candles(io.StringIO(text)))


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01T12:00:00Z",
        "2026-01-01 12:00:00",
        "2026-01-01T14:00:00+02:00",
        "2026-01-01 12:00",
        "1767268800",
        "1767268800.0",
        "1767268800000",
        " 1767268800 ",
    ],
)
def test_a_time_may_be_iso_or_unix_seconds_or_milliseconds(text: str) -> None:
    assert parse_time_ms(text) == NOON_MS


@pytest.mark.parametrize("text", ["", "noon", "2026-13-01", "nan", "inf", "-5"])
def test_a_time_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_time_ms(text)


def test_a_file_without_a_header_is_read_by_position() -> None:
    assert candles("1767268800,1.1,1.3,1.0,1.2,55\n") == [(NOON_MS, 1.1, 1.3, 1.0, 1.2, 55.0)]


def test_a_header_names_the_columns_in_any_order_and_case() -> None:
    text = "Volume,Close,Low,High,Open,Note,Date\n55,1.2,1.0,1.3,1.1,x,2026-01-01T12:00:00Z\n"
    assert candles(text) == [(NOON_MS, 1.1, 1.3, 1.0, 1.2, 55.0)]


def test_an_unnamed_first_column_is_the_time_and_volume_may_be_missing() -> None:
    assert candles(",Open,High,Low,Close\n2026-01-01 12:00:00,1.1,1.3,1.0,1.2\n") == [
        (NOON_MS, 1.1, 1.3, 1.0, 1.2, 0.0)
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("time,open,high,low\n", "line 1: the header has no column close"),
        ("1767268800,1,2,1\n", "line 1: 4 columns"),
        ("1767268800,1,2,1,1,0\nx,1,2,1,1,0\n", "line 2: "),
        ("1767268800,one,2,1,1,0\n1767268800,one,2,1,1,0\n", "line 1: the header has no column"),
        ("1767268800,1,2,1,1,0\n1767268801,1,two,1,1,0\n", "line 2: high was 'two', not a number"),
        ("1767268800,1,nan,1,1,0\n", "line 1: high was nan"),
        ("1767268800,1,1.5,1,2,0\n", "line 1: open 1.0 and close 2.0 do not lie between"),
        ("1767268800,1,2,1,1,-3\n", "line 1: volume was -3.0"),
    ],
)
def test_a_bad_line_is_named(text: str, complaint: str) -> None:
    with pytest.raises(RowUnreadable) as refused:
        candles(text)
    assert str(refused.value).startswith(complaint)


def test_empty_lines_are_skipped() -> None:
    assert len(candles("\n1767268800,1,1,1,1,1\n\n ,,,\n1767268860,1,1,1,1,1\n\n")) == 2


PRICES = st.floats(0.00001, 1e7)
TIMES_MS = st.integers(157_766_400_000, 4_102_444_800_000)  # 1975 to 2100
ZONES = st.integers(-12, 14).map(lambda hours: timezone(timedelta(hours=hours)))


@st.composite
def a_candle(draw: st.DrawFn) -> Candle:
    low, o, c, high = (draw(PRICES) for _ in range(4))
    ordered = sorted([low, o, c, high])
    return (draw(TIMES_MS), ordered[1], ordered[3], ordered[0], ordered[2], draw(st.floats(0, 1e9)))


@given(st.lists(a_candle()), ZONES)
def test_what_a_plain_csv_writer_wrote_is_read_back(written: list[Candle], zone: timezone) -> None:
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(["time", "open", "high", "low", "close", "volume"])
    for time_ms, *numbers in written:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=time_ms)
        writer.writerow([moment.astimezone(zone).isoformat(), *map(repr, numbers)])
    assert candles(file.getvalue()) == written


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_by_line(text: str) -> None:
    try:
        candles(text)
    except RowUnreadable as e:
        assert str(e).startswith("line ")
