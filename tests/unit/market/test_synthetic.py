"""The synthetic market: a function of seed and time whose ticks, bars and gaps agree."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.candles import DAY_MS, HOUR_MS, MINUTE_MS, TIMEFRAMES, CandleBuilder, candles_of
from services.market.bars import every_frame
from services.market.history import continued
from services.market.synthetic import SyntheticMarket

START_MS = round(datetime(2026, 3, 2, 12, 0, tzinfo=UTC).timestamp() * 1000)
MARKET = SyntheticMarket(1)
SYMBOLS = [model.symbol for model in MARKET.models]


def bits(market: SyntheticMarket, after_ms: int, until_ms: int) -> str:
    return repr(list(market.ticks(after_ms, until_ms)))


def test_the_same_seed_gives_the_same_bytes_however_one_gets_there() -> None:
    whole = bits(SyntheticMarket(7), START_MS, START_MS + 90_000)
    other = SyntheticMarket(7)
    other.minutes(START_MS - 60 * DAY_MS, START_MS - 59 * DAY_MS)
    parts = [list(other.ticks(START_MS + i * 700, START_MS + min((i + 1) * 700, 90_000))) for i in range(129)]
    assert repr([tick for part in parts for tick in part]) == whole
    assert bits(SyntheticMarket(8), START_MS, START_MS + 90_000) != whole


def test_another_process_gives_the_same_bytes() -> None:
    program = (
        "from services.market.synthetic import SyntheticMarket as M;"
        f"print(repr(list(M(7).ticks({START_MS}, {START_MS} + 5000))))"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert told.strip() == bits(SyntheticMarket(7), START_MS, START_MS + 5000)


def test_two_ticks_a_second_and_symbol_in_order_of_time() -> None:
    ticks = list(MARKET.ticks(START_MS - 1, START_MS + 10_000 - 1))
    assert len(ticks) == 20 * len(SYMBOLS)
    assert [t[0] for t in ticks[: len(SYMBOLS)]] == SYMBOLS
    assert all(earlier[3] <= later[3] for earlier, later in pairwise(ticks))
    assert all(0 < bid < ask for _, bid, ask, _, _ in ticks)
    due = START_MS
    for at in sorted({t[3] for t in ticks})[1:]:
        due = MARKET.next_tick_ms(due)
        assert due == at


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 400 * DAY_MS), st.integers(1, 5 * MINUTE_MS), st.sampled_from([4, 7, 60, 120]))
def test_bars_of_the_ticks_are_the_bars_of_the_history(offset: int, length: int, rate: int) -> None:
    market = MARKET if rate == 120 else SyntheticMarket(1, rate)
    since, until = START_MS - offset, START_MS - offset + length
    ticks = list(market.ticks(since, until))
    for symbol, bars in zip(SYMBOLS, market.path(since, until), strict=True):
        mine = [(at, bid, size) for name, bid, _, at, size in ticks if name == symbol]
        assert bars.candles() == candles_of(mine, TIMEFRAMES[0])


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(1, 3 * HOUR_MS), min_size=1, max_size=4))
def test_a_builder_taken_on_through_gaps_has_the_bars_of_the_whole_path(gaps: list[int]) -> None:
    builder = CandleBuilder()
    closed: dict[int, list[object]] = {frame.id: [] for frame in TIMEFRAMES}
    at = START_MS - 30 * MINUTE_MS - 1
    for gap in gaps:
        made = continued(builder, every_frame(MARKET.path(at, at + gap)[0]))
        for frame_id, bars in made.items():
            closed[frame_id] += bars.candles()
        at += gap
    for row in builder.forming():
        closed[row.timeframe_id].append(row.candle)
    minutes = MARKET.path(START_MS - 30 * MINUTE_MS - 1, at)[0].candles()
    for frame in TIMEFRAMES:
        expected: dict[int, list[float]] = {}
        for _, group in ((c.open_ms, c) for c in minutes):
            bar = expected.setdefault(
                frame.open_ms(group.open_ms), [group.open, group.high, group.low, group.close, 0.0]
            )
            bar[1], bar[2], bar[3] = max(bar[1], group.high), min(bar[2], group.low), group.close
            bar[4] += group.volume
        assert [tuple(c) for c in closed[frame.id]] == [(at_, *bar) for at_, bar in expected.items()]


def test_a_year_is_continuous_correlated_and_has_calm_and_storm() -> None:
    days = 120
    minutes = dict(zip(SYMBOLS, MARKET.minutes(START_MS - days * DAY_MS, START_MS), strict=True))
    for bars in minutes.values():
        assert len(bars) == days * 1440
        assert np.all(bars.open[1:] == bars.close[:-1])
        assert np.all((bars.low <= np.minimum(bars.open, bars.close)) & (bars.low > 0))
        assert np.all(bars.high >= np.maximum(bars.open, bars.close))
        assert np.all(bars.volume >= 1)
    hourly = {s: np.diff(np.log(every_frame(b)[5].close)) for s, b in minutes.items()}

    def together(one: str, other: str) -> float:
        return float(np.corrcoef(hourly[one], hourly[other])[0, 1])

    assert together("BTC/USDT", "ETH/USDT") > 0.6
    assert together("EURUSD", "GBPUSD") > 0.5
    assert together("EURUSD", "USDJPY") < -0.25
    assert abs(together("EURUSD", "SOL/USDT")) < 0.3
    assert together("BTC/USDT", "BTCUSD") > 0.99
    quarter = np.abs(hourly["BTC/USDT"][3:]).reshape(-1, 4).sum(axis=1)
    assert np.quantile(quarter, 0.95) > 3 * np.quantile(quarter, 0.25)


def test_regimes_last_and_all_of_them_come() -> None:
    number = (START_MS - 1_577_836_800_000) // (4 * HOUR_MS)
    regimes = np.array([MARKET.leg(n).regime for n in range(number - 600, number)])
    assert set(np.unique(regimes)) == {0, 1, 2}
    changes = (regimes[1:] != regimes[:-1]).mean()
    assert 0.05 < changes < 0.3


def test_spreads_widen_in_storms_and_at_the_days_end() -> None:
    def spread(at_ms: int) -> float:
        ticks = [t for t in MARKET.ticks(at_ms - 1, at_ms + 59_999) if t[0] == "EURUSD"]
        return float(np.mean([ask - bid for _, bid, ask, _, _ in ticks]))

    day = START_MS - START_MS % DAY_MS
    late = np.mean([spread(day - n * DAY_MS + 22 * HOUR_MS) for n in range(20)])
    noon = np.mean([spread(day - n * DAY_MS + 12 * HOUR_MS) for n in range(20)])
    assert late > 1.7 * noon


@pytest.mark.parametrize("seed", [0, -5, 2**63])
def test_any_seed_makes_a_market(seed: int) -> None:
    assert len(list(SyntheticMarket(seed).ticks(START_MS - 1, START_MS + 499))) == len(SYMBOLS)
