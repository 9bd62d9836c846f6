"""Replay files: every header we know, and candles that become themselves again."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.candles import BY_NAME, TIMEFRAMES, Candle, CandleBuilder, candles_of
from libs.common.errors import ConfigInvalid
from services.market.adapters.replay import replay_spec
from services.market.replay import (
    candle_ticks,
    decimals_of,
    named_frame,
    read_candles,
    read_layout,
    read_ticks,
    read_time,
)

AT_MS = round(datetime(2026, 1, 31, 12, 30, tzinfo=UTC).timestamp() * 1000)
HOUR = BY_NAME["1h"]


@pytest.mark.parametrize(
    "text",
    [
        str(AT_MS // 1000),
        str(AT_MS),
        str(AT_MS * 1000),
        str(AT_MS * 1_000_000),
        f"{AT_MS // 1000}.0",
        "2026-01-31T12:30:00Z",
        "2026-01-31 12:30:00",
        "2026-01-31 12:30",
        "2026-01-31T13:30:00+01:00",
        "2026.01.31 12:30",
        "2026.01.31 12:30:00",
        "31.01.2026 12:30:00.000",
        "20260131 123000",
        "01/31/2026 12:30",
    ],
)
def test_a_time_is_read_in_every_usual_form(text: str) -> None:
    assert read_time(text) == AT_MS


def test_a_date_of_eight_digits_is_a_date() -> None:
    assert read_time("20260131") == read_time("2026-01-31") == AT_MS - AT_MS % 86_400_000


@pytest.mark.parametrize("text", ["", "noon", "2026-13-01", "nan", "inf", "-inf", "1e30", "9999-12-31"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        read_time(text)


@pytest.mark.parametrize(
    ("header", "row"),
    [
        (",Open,High,Low,Close,Volume", "2026-01-31 12:00:00,1.1,1.4,1.0,1.2,8"),
        ("time,open,high,low,close,volume", "1769860800,1.1,1.4,1.0,1.2,8"),
        ("\ufeffDate,Open,High,Low,Close,Adj Close,Volume", "2026-01-31 12:00,1.1,1.4,1.0,1.2,1.2,8"),
        ("Volume,Close,Low,High,Open,Timestamp", "8,1.2,1.0,1.4,1.1,1769860800000"),
        ("<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<TICKVOL>", "2026.01.31,12:00:00,1.1,1.4,1.0,1.2,8"),
        ("Gmt time,Open,High,Low,Close,Volume", "31.01.2026 12:00:00.000,1.1,1.4,1.0,1.2,8"),
        ("open_time,open,high,low,close,volume,close_time", "1769860800000,1.1,1.4,1.0,1.2,8,1769864399999"),
    ],
)
def test_candles_are_read_under_every_usual_header(header: str, row: str) -> None:
    layout = read_layout(header.split(","))
    assert layout.candles
    candles, bad = read_candles([(2, row.split(","))], layout, HOUR)
    assert bad == []
    assert candles[0].candle == Candle(1_769_860_800_000, 1.1, 1.4, 1.0, 1.2, 8.0)


def test_without_a_header_five_columns_are_candles_and_three_are_ticks() -> None:
    assert read_layout(["1769860800000", "1.1", "1.4", "1.0", "1.2", "8", "17"]).candles
    ticks = read_layout(["1769860800000", "1.1", "1.2"])
    assert not ticks.candles
    assert not ticks.header


def test_ticks_have_bid_and_ask_or_a_single_price() -> None:
    layout = read_layout(["timestamp", "symbol", "bid", "ask", "size"])
    ticks, bad = read_ticks([(2, ["1769860800", "EURUSD", "1.1", "1.2", "3"])], layout)
    assert (ticks[0].symbol, ticks[0].bid, ticks[0].ask, ticks[0].size) == ("EURUSD", 1.1, 1.2, 3.0)
    layout = read_layout(["time", "price", "qty"])
    ticks, bad = read_ticks([(2, ["1769860800", "1.1", ""])], layout)
    assert (ticks[0].bid, ticks[0].ask, ticks[0].size, bad) == (1.1, None, 1.0, [])


@pytest.mark.parametrize("header", ["", "a,b,c", "time,open,high", "open,high,low,close", "bid,ask"])
def test_a_file_without_the_columns_is_refused(header: str) -> None:
    with pytest.raises(ConfigInvalid):
        read_layout(header.split(","))


def test_rows_that_are_no_candle_are_named_and_left_out() -> None:
    layout = read_layout(["time", "open", "high", "low", "close", "volume"])
    rows = ["0,1,1,1,1,1", "60,1,x,1,1,1", "120,1,2,3,1,1", "180,1,1,1,1,-1", "240,1,1", "300,2,2,2,2,2"]
    numbered = [(number, row.split(",")) for number, row in enumerate(rows, 2)]
    candles, bad = read_candles(numbered, layout, BY_NAME["1m"])
    assert bad == [2, 3, 4, 5, 6]
    assert [c.candle.open_ms for c in candles] == [300_000]


def test_a_bar_that_stands_twice_counts_as_it_stands_last_and_rows_are_sorted() -> None:
    layout = read_layout(["time", "open", "high", "low", "close"])
    rows = ["7200,3,3,3,3", "3600,1,1,1,1", "3600,2,2,2,2", "10800,4,4,4,4"]
    candles, _ = read_candles([(i, r.split(",")) for i, r in enumerate(rows)], layout, None)
    assert [(c.candle.open_ms, c.candle.open, c.frame.name) for c in candles] == [
        (3_600_000, 2.0, "1h"),
        (7_200_000, 3.0, "1h"),
        (10_800_000, 4.0, "1h"),
    ]


def test_an_unclear_timeframe_asks_for_one() -> None:
    layout = read_layout(["time", "open", "high", "low", "close"])
    with pytest.raises(ConfigInvalid, match="timeframe"):
        read_candles([(2, ["3600", "1", "1", "1", "1"])], layout, None)


@pytest.mark.parametrize(
    ("name", "frame"),
    [
        ("EURUSD_H1", "1h"),
        ("BTCUSDT-1h-2026-01", "1h"),
        ("EURUSD.M15", "15m"),
        ("x_1d", "1d"),
        ("EURUSD", None),
    ],
)
def test_a_file_name_may_say_the_timeframe(name: str, frame: str | None) -> None:
    found = named_frame(name)
    assert (found.name if found else None) == frame


POINTS = st.integers(1, 200_000)
VOLUMES = st.integers(0, 10**9).map(float) | st.floats(0, 1e6, allow_subnormal=False)


@given(
    st.sampled_from(TIMEFRAMES),
    st.lists(st.tuples(POINTS, POINTS, POINTS, POINTS, VOLUMES, st.integers(0, 3)), min_size=1, max_size=12),
)
def test_candles_become_themselves_again(frame, shapes) -> None:
    candles, at = [], frame.open_ms(AT_MS)
    for a, b, c, d, volume, skip in shapes:
        low, *middle, high = sorted(p / 1e5 for p in (a, b, c, d))
        for _ in range(skip):
            at = frame.end_ms(at)
        opens, closes = (middle[0], middle[1]) if volume % 2 < 1 else (middle[1], middle[0])
        candles.append(Candle(at, opens, high, low, closes, volume))
        at = frame.end_ms(at)
    builder = CandleBuilder()
    ticks = [tick for candle in candles for tick in candle_ticks(candle, frame)]
    assert [t[0] for t in ticks] == sorted(t[0] for t in ticks)
    for at_ms, price, size in ticks:
        builder.add(price, at_ms, size)
    rows = [r for r in (*builder.take(), *builder.forming()) if r.timeframe_id == frame.id]
    expected = [c._replace(volume=round(c.volume, 8)) for c in candles]
    assert [r.candle for r in rows] == expected
    assert [c[:5] for c in candles_of(ticks, frame)] == [c[:5] for c in candles]


@pytest.mark.parametrize(
    ("candle", "prices"),
    [
        (Candle(0, 1.0, 4.0, 0.5, 2.0, 8), [1.0, 0.5, 4.0, 2.0]),
        (Candle(0, 2.0, 4.0, 0.5, 1.0, 8), [2.0, 4.0, 0.5, 1.0]),
        (Candle(0, 2.0, 4.0, 0.5, 2.0, 8), [2.0, 0.5, 4.0, 2.0]),
    ],
)
def test_a_candle_that_rose_goes_to_its_low_first(candle: Candle, prices: list[float]) -> None:
    ticks = candle_ticks(candle, HOUR)
    assert [t[1] for t in ticks] == prices
    assert [t[0] for t in ticks] == [0, 900_000, 1_800_000, 3_599_999]
    assert [t[2] for t in ticks] == [2, 2, 2, 2]


def test_the_remainder_of_the_volume_is_on_the_last_tick() -> None:
    assert [t[2] for t in candle_ticks(Candle(0, 1, 1, 1, 1, 11.0), HOUR)] == [2, 2, 2, 5]


def test_digits_are_the_most_decimals_seen() -> None:
    assert decimals_of([1.1, 1.12345, 2.0]) == 5
    assert decimals_of([100.0]) == 0
    assert decimals_of([]) == 0


def test_a_setting_is_read_whole(tmp_path) -> None:
    file = tmp_path / "x.csv"
    file.write_text("")
    spec = replay_spec(f"{file}?speed=max&symbol=EURUSD&timeframe=H1&spread=12&rate=500&again=1")
    assert (spec.speed, spec.symbol, spec.frame, spec.spread, spec.rate, spec.again) == (
        None,
        "EURUSD",
        HOUR,
        12,
        500,
        True,
    )
    assert replay_spec(str(file)).speed == 1.0


@pytest.mark.parametrize(
    "query", ["?sped=1", "?speed=fast", "?speed=0", "?speed=-1", "?timeframe=2h", "?rate=0", "?spread=-1"]
)
def test_a_broken_setting_is_one_line(tmp_path, query: str) -> None:
    file = tmp_path / "x.csv"
    file.write_text("")
    with pytest.raises(ConfigInvalid) as refused:
        replay_spec(f"{file}{query}")
    assert "\n" not in str(refused.value)
    with pytest.raises(ConfigInvalid, match="no file"):
        replay_spec(str(tmp_path / "missing.csv"))
