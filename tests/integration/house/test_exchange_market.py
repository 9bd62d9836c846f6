"""The main job on an exchange's messages: the Binance feed against a server that speaks as documented.

Between two halves the link breaks and the exchange says nonsense. What the client hears, reads back
and is alerted of must be what the exchange said, exactly.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from typing import Any

import pytest

from tests.client import Client, Stream, open_client
from tests.conftest import wait_until
from tests.house import House
from tests.integration.house.test_replayed_market import heard
from tests.integration.market.fakes import FakeBinance
from tests.oracles.price_alerts import Alert, fired

SEED = 20261120
SYMBOL, NAME = "BTC/USDT", "BTCUSDT"
HALF = 400
Tick = tuple[float, float]


def walk(dice: random.Random) -> list[Tick]:
    """Bid and ask on a grid of cents, with jumps."""
    ticks, cents = [], 7_000_000
    for _ in range(2 * HALF):
        cents += dice.choice([-1, 1]) * dice.choice([1, 3, 50, 400, 3000])
        ticks.append((cents / 100, (cents + dice.choice([1, 5, 20])) / 100))
    return ticks


def armed(ticks: list[Tick], dice: random.Random) -> list[dict[str, Any]]:
    """Alerts exactly on prices that will be said, and between them."""
    wanted = []
    for index in range(40):
        side = dice.randrange(2)
        target = round(dice.choice(ticks)[side] + dice.choice([0.0, 0.0, 0.01, -7.77]), 2)
        condition = dice.choice([0, 1, 2, 3, 12])
        body = {"symbol": SYMBOL, "side": side, "condition": condition, "target_price": target}
        wanted.append({**body, "repeat_mode": int(index % 4 == 0)})
    return wanted


@pytest.mark.timeout(120)
async def test_what_binance_says_reaches_quotes_candles_and_alerts_exactly(house: House) -> None:
    print(f"seed {SEED}")
    dice = random.Random(SEED)
    ticks = walk(dice)
    exchange = FakeBinance()
    await exchange.start()
    try:
        urls = {"BINANCE_WS_URL": exchange.ws_url, "BINANCE_REST_URL": exchange.rest_url}
        await house.start("market", FEED="binance", **urls)
        await house.start("auth", "trading", "alerts", "gateway")
        await wait_until(lambda: exchange.sockets and exchange.said)
        begun_s = int(time.time())
        async with open_client(house.url) as client:
            await client.sign_up()
            wanted = armed(ticks, dice)
            ids = [(await client.call("POST", "/price_alert", body))["rows"][0][0] for body in wanted]
            async with client.stream(SYMBOL) as stream:
                await say(exchange, ticks[:HALF], stream)
                subscriptions = len(exchange.said)
                await exchange.drop()
                await wait_until(lambda: len(exchange.said) > subscriptions)  # before it, it is told nothing
                await exchange.send(
                    "not json", b"\x00\xff", {"e": "unheardOf"}, {"s": NAME, "b": "x", "a": "1"}
                )
                await say(exchange, ticks[HALF:], stream)
                assert [(q[2], q[3]) for q in stream.quotes] == ticks
                assert [q[6] for q in stream.quotes] == list(range(1, len(ticks) + 1))
                await check_candles(client, ticks, begun_s)
                await check_alerts(stream, ticks, dict(zip(ids, wanted, strict=True)))
    finally:
        await exchange.stop()


async def say(exchange: FakeBinance, ticks: list[Tick], stream: Stream) -> None:
    """The exchange says every tick; wait until the client has heard the last one."""
    before = len(stream.quotes)
    for bid, ask in ticks:
        await exchange.quote(NAME, bid, ask)
    await wait_until(lambda: len(stream.quotes) >= before + len(ticks))


async def check_candles(client: Client, ticks: list[Tick], begun_s: int) -> None:
    query = f"symbol=BTC%2FUSDT&from={begun_s - 60}&to={begun_s + 3600}&frame=1M"
    rows = (await client.call("GET", f"/quotes/candles?{query}"))["data"]
    bids = [bid for bid, _ in ticks]
    assert (rows[0][0], rows[-1][3]) == (bids[0], bids[-1])
    assert (max(row[1] for row in rows), min(row[2] for row in rows)) == (max(bids), min(bids))


async def check_alerts(stream: Stream, ticks: list[Tick], wanted: dict[int, dict[str, Any]]) -> None:
    alerts = [
        Alert(id, body["side"], body["condition"], body["target_price"], bool(body["repeat_mode"]))
        for id, body in wanted.items()
    ]
    expected = Counter(fired(alerts, ticks))
    assert len(expected) > 20, "the test would prove little"
    await wait_until(lambda: heard(stream).total() >= expected.total())
    assert heard(stream) == expected
