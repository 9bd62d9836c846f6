"""Candles: open-time arithmetic and the builder, against a slow oracle that knows only the calendar."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.candles import (
    MINUTE_MS,
    TIMEFRAMES,
    Candle,
    CandleBuilder,
    Row,
    broker_timeframe,
    candles_of,
    timeframe,
)

Tick = tuple[int, float, float]

MINUTES = {"1m": 1, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "4h": 240, "1d": 1440}


def opens_at(name: str, at_ms: int) -> int:
    """The oracle: calendar arithmetic on datetimes, no modulo of Unix time."""
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)
    day = datetime(at.year, at.month, at.day, tzinfo=UTC)
    if name == "1M":
        opened = day.replace(day=1)
    elif name == "1w":
        opened = day - timedelta(days=day.weekday())
    else:
        span = timedelta(minutes=MINUTES[name])
        opened = day
        while opened + span <= at:
            opened += span
    return round(opened.timestamp() * 1000)


def bars_of(ticks: Sequence[Tick], name: str) -> list[tuple[int, float, float, float, float, float]]:
    """The oracle: look through all ticks for every bar."""
    opens = sorted({opens_at(name, at) for at, _, _ in ticks})
    bars = []
    for opened in opens:
        inside = [(p, s) for at, p, s in ticks if opens_at(name, at) == opened]
        prices = [p for p, _ in inside]
        bars.append(
            (opened, prices[0], max(prices), min(prices), prices[-1], math.fsum(s for _, s in inside))
        )
    return bars


START_MS = 1_767_225_600_000  # 2026-01-01
GAPS_MS = st.one_of(
    st.integers(0, 2_000),
    st.integers(0, 10 * MINUTE_MS),
    st.sampled_from([MINUTE_MS - 1, MINUTE_MS, 3_600_000, 86_400_000, 7 * 86_400_000, 40 * 86_400_000]),
)


@st.composite
def tick_series(draw: st.DrawFn) -> list[Tick]:
    at = START_MS + draw(st.integers(0, 60 * 86_400_000))
    series: list[Tick] = []
    for gap, points, size in draw(
        st.lists(
            st.tuples(GAPS_MS, st.integers(90_000, 110_000), st.integers(1, 50)), min_size=1, max_size=60
        )
    ):
        at += gap
        series.append((at, points / 100_000, float(size)))
    return series


@given(st.integers(0, 4_102_444_800_000), st.sampled_from(TIMEFRAMES))
def test_a_bar_opens_where_the_calendar_says_and_ends_where_the_next_one_opens(at_ms: int, frame) -> None:
    opened = frame.open_ms(at_ms)
    assert opened == opens_at(frame.name, at_ms)
    end = frame.end_ms(opened)
    assert opened <= at_ms < end
    assert frame.open_ms(end) == end
    assert frame.open_ms(end - 1) == opened


@given(tick_series(), st.sets(st.integers(0, 60)))
def test_the_builder_makes_exactly_the_bars_of_the_ticks_whenever_somebody_looks(
    ticks: list[Tick], looks: set[int]
) -> None:
    builder = CandleBuilder()
    for number, (at, price, size) in enumerate(ticks):
        builder.add(price, at, size)
        if number in looks:
            builder.forming()
    rows = builder.take() + builder.forming()
    for frame in TIMEFRAMES:
        built = [tuple(row.candle) for row in rows if row.timeframe_id == frame.id]
        assert built == bars_of(ticks, frame.name)
        assert built == [tuple(c) for c in candles_of(ticks, frame)]


@given(tick_series(), st.integers(0, 60))
def test_a_builder_begun_from_the_stored_bars_goes_on_as_if_nothing_had_happened(
    ticks: list[Tick], cut: int
) -> None:
    before, after = ticks[:cut], ticks[cut:]
    first = CandleBuilder()
    for at, price, size in before:
        first.add(price, at, size)
    stored = {(r.timeframe_id, r.open_ms): r for r in first.take()}
    second = CandleBuilder()
    for row in first.forming():
        stored[row.timeframe_id, row.open_ms] = row
        second.begin(row.timeframe_id, row.candle)
    for at, price, size in after:
        second.add(price, at, size)
    for row in second.take() + second.forming():
        stored[row.timeframe_id, row.open_ms] = row
    for frame in TIMEFRAMES:
        kept = sorted(tuple(r.candle) for r in stored.values() if r.timeframe_id == frame.id)
        assert kept == bars_of(ticks, frame.name)


def test_a_tick_older_than_the_newest_counts_in_the_newest_minute() -> None:
    builder = CandleBuilder()
    builder.add(1.5, START_MS + MINUTE_MS)
    builder.add(1.2, START_MS)
    assert builder.take() == []
    assert builder.forming()[0] == Row(1, START_MS + MINUTE_MS, 1.5, 1.5, 1.2, 1.2, 2.0)


def test_a_stored_bar_that_is_still_open_is_continued_by_the_next_tick() -> None:
    builder = CandleBuilder()
    builder.add(1.0, START_MS - 1)
    builder.set(5, Candle(START_MS, 2.0, 3.0, 1.5, 2.5, 7.0))
    builder.add(4.0, START_MS + 5 * MINUTE_MS)
    hour = next(row for row in builder.forming() if row.timeframe_id == 5)
    assert hour == Row(5, START_MS, 2.0, 4.0, 1.5, 4.0, 8.0)


def test_a_stored_bar_put_over_the_forming_one_replaces_what_was_seen_so_far() -> None:
    builder = CandleBuilder()
    builder.add(9.0, START_MS)
    builder.set(5, Candle(START_MS, 2.0, 3.0, 1.5, 2.5, 7.0))
    builder.add(2.75, START_MS + 1)
    by_frame = {row.timeframe_id: row for row in builder.forming()}
    assert by_frame[5] == Row(5, START_MS, 2.0, 3.0, 1.5, 2.75, 8.0)
    assert by_frame[6] == Row(6, START_MS, 9.0, 9.0, 2.75, 2.75, 2.0)


def test_a_stored_bar_of_the_past_does_not_touch_the_forming_one() -> None:
    builder = CandleBuilder()
    builder.add(9.0, START_MS)
    before = builder.forming()
    builder.set(5, Candle(START_MS - 3_600_000, 1.0, 1.0, 1.0, 1.0, 1.0))
    builder.add(9.0, START_MS + 3_600_000)
    assert [r for r in builder.take() if r.timeframe_id == 5] == [before[4]]
    assert builder.forming()[4] == Row(5, START_MS + 3_600_000, 9.0, 9.0, 9.0, 9.0, 1.0)


def test_fractions_of_volume_add_up_without_dust() -> None:
    builder = CandleBuilder()
    for _ in range(3):
        builder.add(1.0, START_MS, 0.1)
    assert builder.forming()[0].volume == 0.3


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("1M", "1m"),
        ("1m", "1m"),
        ("M1", "1m"),
        ("m15", "15m"),
        ("30M", "30m"),
        ("1H", "1h"),
        ("H4", "4h"),
        ("1D", "1d"),
        ("D1", "1d"),
        ("1W", "1w"),
        ("w1", "1w"),
        ("MN1", "1M"),
    ],
)
def test_both_notations_of_the_broker_surface_are_read_and_m_is_a_minute(text: str, name: str) -> None:
    frame = broker_timeframe(text)
    assert frame is not None
    assert frame.name == name


@pytest.mark.parametrize("text", ["", "2M", "H2", "1Y", "month", "1 M"])
def test_an_unknown_frame_is_none(text: str) -> None:
    assert broker_timeframe(text) is None
    assert timeframe(text) is None


def test_in_the_house_the_case_tells_minute_from_month() -> None:
    assert [t.name for t in TIMEFRAMES] == ["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w", "1M"]
    minute, month = timeframe("1m"), timeframe("1M")
    assert minute is not None
    assert month is not None
    assert (minute.span_ms, month.span_ms) == (MINUTE_MS, 0)
    assert timeframe("1D") is None
