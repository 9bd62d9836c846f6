"""The main job on real input: a year of hourly EURUSD is replayed at full speed through the whole house.

A client signs up, subscribes and arms alerts; it must hear the quotes in order, read back candles
equal to the file bar by bar, and get exactly the alerts a brute-force pass over the file predicts.
"""

from __future__ import annotations

import csv
import random
import signal
from collections import Counter
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.client import Client, Stream, open_client
from tests.conftest import wait_until
from tests.house import House
from tests.oracles.price_alerts import Alert, fired

SEED = 20261120
SYMBOL = "EURUSD"
Bar = tuple[int, float, float, float, float, float]


def file_of_hours() -> Path:
    """EURUSD.csv as the package ``backtesting`` carries it; the package itself is never imported."""
    spec = find_spec("backtesting")
    assert spec is not None and spec.submodule_search_locations, "run `make test`: it installs the data"
    return Path(spec.submodule_search_locations[0]) / "test/EURUSD.csv"


def bars_of(path: Path) -> list[Bar]:
    bars = []
    with path.open(newline="") as lines:
        for row in list(csv.reader(lines))[1:]:
            opened = datetime.fromisoformat(row[0]).replace(tzinfo=UTC)
            o, h, low, c, v = map(float, row[1:6])
            bars.append((int(opened.timestamp()), o, h, low, c, v))
    return bars


def path_of(bar: Bar) -> tuple[float, float, float, float]:
    """The four ticks a bar is replayed as."""
    _, o, h, low, c, _ = bar
    return (o, low, h, c) if c >= o else (o, h, low, c)


def armed(bars: list[Bar], dice: random.Random) -> list[dict[str, Any]]:
    """Alerts on levels the price visits, some exactly on a bar's edge, some never reached."""
    low, high = min(b[3] for b in bars), max(b[2] for b in bars)
    wanted = []
    for index in range(60):
        edge = dice.choice(dice.choice(bars)[1:5])
        level = dice.choice([edge, round(dice.uniform(low, high), 5), round(high + 0.01, 5)])
        wanted.append(
            {
                "symbol": SYMBOL,
                "side": dice.randrange(2),
                "condition": dice.choice([0, 1, 2, 3, 12]),
                # a repeating alert near the middle would fire thousands of times: keep some
                "repeat_mode": int(index % 10 == 0),
                "target_price": level,
                "message": f"alert {index}",
            }
        )
    return wanted


@pytest.mark.timeout(180)
async def test_a_replayed_year_reaches_quotes_candles_and_alerts_exactly(house: House) -> None:
    print(f"seed {SEED}")
    path = file_of_hours()
    bars = bars_of(path)
    await house.start("market", FEED="manual")
    await house.start("auth", "trading", "alerts", "gateway")
    async with open_client(house.url) as client:
        await client.sign_up()
        wanted = armed(bars, random.Random(SEED))
        ids = [(await client.call("POST", "/price_alert", body))["rows"][0][0] for body in wanted]
        async with client.stream(SYMBOL) as stream:
            await house.end("market-0", signal.SIGTERM)
            feed = f"replay:{path}?symbol={SYMBOL}&timeframe=1h&speed=max"
            await house.start("market", FEED=feed)
            await wait_until(lambda: last_bar_is(client, bars), timeout_s=90)
            spread = await check_quotes(stream, bars)
            await check_candles(client, bars)
            await check_alerts(client, stream, bars, dict(zip(ids, wanted, strict=True)), spread)


async def last_bar_is(client: Client, bars: list[Bar]) -> bool:
    last = bars[-1][0]
    answer = await client.call("GET", f"/quotes/candles?symbol={SYMBOL}&from={last}&to={last}&frame=1H")
    return bool(answer["data"]) and answer["data"][0][3] == bars[-1][4]


async def check_quotes(stream: Stream, bars: list[Bar]) -> float:
    await wait_until(lambda: stream.quotes and stream.quotes[-1][2] == bars[-1][4])
    seqs = [frame[6] for frame in stream.quotes]
    assert seqs == sorted(set(seqs)), "quotes came out of order or twice"
    by_seq = dict(enumerate((t for bar in bars for t in path_of(bar)), start=1))
    assert {frame[6]: frame[2] for frame in stream.quotes}.items() <= by_seq.items()
    assert seqs[-1] == len(by_seq)
    spreads = {round(frame[3] - frame[2], 5) for frame in stream.quotes}
    assert len(spreads) == 1
    return spreads.pop()


async def check_candles(client: Client, bars: list[Bar]) -> None:
    read: list[list[float]] = []
    for start in range(0, len(bars), 1000):
        part = bars[start : start + 1000]
        query = f"symbol={SYMBOL}&from={part[0][0]}&to={part[-1][0]}&frame=1H"
        answer = await client.call("GET", f"/quotes/candles?{query}")
        assert answer["structure"] == ["open", "high", "low", "close", "volume", "time"]
        read += answer["data"]
    assert read == [[o, h, low, c, v, t] for t, o, h, low, c, v in bars]


async def check_alerts(
    client: Client, stream: Stream, bars: list[Bar], wanted: dict[int, dict[str, Any]], spread: float
) -> None:
    alerts = [
        Alert(id, body["side"], body["condition"], body["target_price"], bool(body["repeat_mode"]))
        for id, body in wanted.items()
    ]
    ticks = [(bid, round(bid + spread, 5)) for bar in bars for bid in path_of(bar)]
    expected = Counter(fired(alerts, ticks))
    assert len(expected) > 20, "the test would prove little"
    total = sum(expected.values())
    await wait_until(lambda: heard(stream).total() >= total)
    assert heard(stream) == expected
    log = await client.call("GET", "/price_alert/logs")
    column = log["structure"].index
    logged = Counter((row[column("alert_id")], row[column("triggered_price")]) for row in log["rows"])
    assert logged == expected
    listed = await client.call("GET", "/price_alert/list")
    column = listed["structure"].index
    once = {id for id, body in wanted.items() if not body["repeat_mode"]}
    fired_once = {id for id, _ in expected if id in once}
    assert {r[column("id")] for r in listed["rows"] if r[column("status")] == 1} == fired_once


def heard(stream: Stream) -> Counter[tuple[int, float]]:
    """(alert id, price) of every trigger the socket was told."""
    return Counter((frame[1], frame[15]) for frame in stream.alerts)
