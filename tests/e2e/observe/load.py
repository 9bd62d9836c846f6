"""A minute in the life of a house: people sign up, trade, watch, scan, are refused; sockets listen."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import aiohttp

from tests.client import Client

SYMBOLS = ("EURUSD", "BTCUSD", "ETHUSD")
READS = (
    "/market",
    "/quotes/candles?symbol=BTCUSD&frame=1H",
    "/account/me",
    "/trades?tradeType=0",
    "/price_alert/list",
    "/api/v1/prices",
    "/api/v1/prices/btc",
    "/v1/platforms",
    "/api/v1/patterns",
    "/nowhere",
)


async def keep_busy(url: str, seconds: float, people: int = 3) -> int:
    """Load for so long; how many requests were answered."""
    async with aiohttp.ClientSession() as session:
        clients = [Client(session, url) for _ in range(people)]
        for client in clients:
            await client.sign_up()
        counted = 0
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        listeners = [asyncio.create_task(_listen(client)) for client in clients]
        while loop.time() < end:
            for client in clients:
                counted += await _round(client)
            await asyncio.sleep(0.05)
        for listener in listeners:
            listener.cancel()
        await asyncio.gather(*listeners, return_exceptions=True)
        return counted


async def _round(client: Client) -> int:
    asked = [client.ask("GET", path) for path in READS]
    asked += [client.ask("POST", path, body) for path, body in _writes()]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    return sum(1 for answer in answers if not isinstance(answer, BaseException))


def _writes() -> list[tuple[str, dict[str, Any]]]:
    return [
        ("/trade/open", {"symbol": "BTCUSD", "cmd": 0, "volume": 100, "sl": 0, "tp": 0}),
        ("/trade/open", {"symbol": "EURUSD", "cmd": 1, "volume": 100, "sl": 0, "tp": 0}),
        ("/trade/open", {"symbol": "NOSUCH", "cmd": 0, "volume": 100, "sl": 0, "tp": 0}),
        (
            "/price_alert",
            {"symbol": "BTCUSD", "side": 0, "condition": 2, "repeat_mode": 0, "target_price": 1.0},
        ),
    ]


async def _listen(client: Client) -> None:
    with suppress(aiohttp.ClientError, ConnectionError):
        async with client.stream(*SYMBOLS):
            await asyncio.Event().wait()
