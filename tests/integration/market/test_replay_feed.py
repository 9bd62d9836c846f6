"""Replays on real servers: bar for bar what the file says, resumed after a crash, CSV and Parquet."""

from __future__ import annotations

import csv
import importlib.util
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from libs.common import subjects
from libs.common.bus_nats import NatsBus
from libs.common.candles import TIMEFRAMES, candles_of
from libs.common.db import Database
from libs.common.errors import ConfigInvalid
from libs.common.messages import market as m
from tests.house import House
from tests.integration.market.rig import Rig, open_rig

HOUR_MS = 3_600_000
T0 = 1_767_225_600_000


def hourly_file() -> Path:
    """The hourly EURUSD series the package ``backtesting`` ships."""
    found = importlib.util.find_spec("backtesting")
    assert found is not None and found.origin is not None, "run `make test`: it installs the data"
    return Path(found.origin).parent / "test/EURUSD.csv"


async def ended(rig: Rig, ticks: int, eventually: Any) -> None:
    """Let time pass until all ticks have come."""

    def complete() -> bool:
        rig.clock.advance(0.1)
        return len(rig.frames) == ticks

    await eventually(complete)


async def test_an_hourly_file_comes_back_bar_by_bar(
    market_database: Database, bus: NatsBus, eventually: Any
) -> None:
    path = hourly_file()
    with path.open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    async with open_rig(market_database, bus, feed=f"replay:{path}?speed=max&rate=100000") as rig:
        await ended(rig, 4 * len(rows), eventually)
        built = await rig.candles("EURUSD", "1H")
        assert [frame[6] for _, frame in rig.frames] == list(range(1, 4 * len(rows) + 1))
        minutes = await rig.candles("EURUSD", "1M")
        assert len(minutes) == 10_000
    assert built == [
        [
            *(float(value) for value in row[1:5]),
            float(row[5]),
            round(datetime.fromisoformat(row[0]).replace(tzinfo=UTC).timestamp()),
        ]
        for row in rows
    ]


async def test_ticks_of_several_symbols_keep_their_order_and_sizes(
    market_database: Database, bus: NatsBus, tmp_path: Path, eventually: Any
) -> None:
    path = tmp_path / "ticks.csv"
    lines = ["time,symbol,bid,ask,size"]
    lines += [
        f"{T0 + i * 400},{'EURUSD' if i % 3 else 'AUDNZD'},{1.1 + i / 1e5:.5f},1.2,{i}" for i in range(300)
    ]
    path.write_text("\n".join(lines))
    async with open_rig(market_database, bus, feed=f"replay:{path}?speed=max") as rig:
        await ended(rig, 300, eventually)
        prices = [(f[1], f[2]) for _, f in rig.frames]
        assert prices == [("EURUSD" if i % 3 else "AUDNZD", round(1.1 + i / 1e5, 5)) for i in range(300)]
        for symbol in ("EURUSD", "AUDNZD"):  # AUDNZD is made known by the replay
            ticks = [
                (T0 + i * 400, round(1.1 + i / 1e5, 5), float(i))
                for i in range(300)
                if (i % 3 > 0) == (symbol == "EURUSD")
            ]
            for frame in TIMEFRAMES:
                built = await rig.candles(symbol, frame.broker)
                assert built == [[*c[1:6], c.open_ms // 1000] for c in candles_of(ticks, frame)]


async def test_a_parquet_file_is_read_like_its_csv(
    market_database: Database, bus: NatsBus, tmp_path: Path, eventually: Any
) -> None:
    import polars

    path = tmp_path / "GBPUSD_1h.parquet"
    times = [datetime.fromtimestamp((T0 + i * HOUR_MS) / 1000, UTC) for i in range(5)]
    columns = {
        "time": times,
        **{name: [1.3] * 5 for name in ("open", "high", "low", "close")},
        "volume": [8] * 5,
    }
    polars.DataFrame(columns).write_parquet(path)
    async with open_rig(market_database, bus, feed=f"replay:{path}?speed=max") as rig:
        await ended(rig, 20, eventually)
        rows = await rig.candles("GBPUSD", "1H")
        assert rows == [[1.3, 1.3, 1.3, 1.3, 8.0, T0 // 1000 + i * 3600] for i in range(5)]


async def test_the_ask_is_the_bid_and_the_spread(
    market_database: Database, bus: NatsBus, tmp_path: Path, eventually: Any
) -> None:
    path = tmp_path / "EURUSD_1h.csv"
    path.write_text(f"time,open,high,low,close\n{T0},1.1,1.1,1.1,1.1\n")
    async with open_rig(market_database, bus, feed=f"replay:{path}?speed=max&spread=15") as rig:
        await ended(rig, 4, eventually)
        assert {tuple(f[2:4]) for _, f in rig.frames} == {(1.1, 1.10015)}


async def test_the_times_of_the_file_set_the_pace(
    market_database: Database, bus: NatsBus, tmp_path: Path, eventually: Any
) -> None:
    path = tmp_path / "EURUSD.csv"
    path.write_text("time,bid,ask\n" + "".join(f"{T0 + i * 1000},1.{i},2\n" for i in range(1, 5)))
    async with open_rig(market_database, bus, feed=f"replay:{path}?speed=10") as rig:
        await eventually(lambda: rig.frames)
        assert len(rig.frames) == 1  # the clock stands still
        rig.clock.advance(0.1)
        await eventually(lambda: len(rig.frames) == 2)
        rig.clock.advance(0.2)
        await eventually(lambda: len(rig.frames) == 4)


async def test_a_replay_goes_on_after_a_crash_and_ends_only_once(
    house: House, bus: NatsBus, tmp_path: Path, eventually: Any
) -> None:
    path = tmp_path / "EURUSD_1h.csv"
    bars = [
        (T0 + i * HOUR_MS, 1.1 + i / 1e4, 1.2 + i / 1e4, 1.0 + i / 1e4, 1.15 + i / 1e4) for i in range(2000)
    ]
    path.write_text(
        "time,open,high,low,close,volume\n" + "".join(f"{','.join(map(str, b))},9\n" for b in bars)
    )
    frames: list[bytes] = []
    await bus.subscribe(subjects.QUOTE.pattern, lambda subject, payload: frames.append(payload))
    feed = f"replay:{path}?speed=max&rate=2000"
    await house.start("market", FEED=feed)
    await eventually(lambda: len(frames) > 3000)
    await house.end("market-0", signal.SIGKILL)
    await house.start("market", FEED=feed)

    async def complete() -> bool:
        return "replay complete" in house.running["market-0"].log.read_text()

    await eventually(complete)
    ask = m.CandlesAsk(symbol="EURUSD", frame="1H", from_s=0, to_s=2**33)
    rows = (await bus.request(subjects.CANDLES, ask)).data
    assert rows == [[*(round(p, 5) for p in b[1:]), 9.0, b[0] // 1000] for b in bars]
    seqs = [int(frame.rsplit(b",", 1)[1].rstrip(b"]")) for frame in frames]
    assert len(set(seqs)) == len(seqs)
    await house.end("market-0")
    count = len(frames)
    await house.start("market", FEED=feed)  # the same file once more: it has been replayed
    await eventually(complete)
    assert len(frames) == count
    await house.end("market-0")
    await house.start("market", FEED=f"{feed}&again=1")
    await eventually(lambda: len(frames) == count + 8000)
    assert (await bus.request(subjects.CANDLES, ask)).data == rows


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "time,open,high,low,close\n", "\x00\x01\x02"])
async def test_a_file_that_can_not_be_replayed_stops_the_start(
    market_database: Database, bus: NatsBus, tmp_path: Path, content: str
) -> None:
    path = tmp_path / "EURUSD_1h.csv"
    path.write_text(content)
    with pytest.raises(ConfigInvalid):
        async with open_rig(market_database, bus, feed=f"replay:{path}"):
            pass
