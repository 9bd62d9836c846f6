"""A minute in the life of a house: people sign up, trade, watch, are refused; sockets and hooks listen."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from libs.common import bus_nats
from libs.common.messages.notifier import ChannelBind
from libs.common.subjects import CHANNEL_BIND
from tests.client import Client
from tests.integration.notifier.receivers import Receiver, open_receiver, status

SYMBOLS = ("EURUSD", "BTCUSD", "ETHUSD")
ORDER_EVERY = 5  # rounds: floating profit is told a second after an account's last order
MISTAKE_EVERY = 20  # rounds between two wrong passwords of one person
PERIOD_S = 0.5  # between two rounds of one person: a tenth of what the limits let through
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
_ALERT = {"symbol": "BTCUSD", "side": 0, "condition": 2, "repeat_mode": 0}
ALERTS = (("/price_alert", {**_ALERT, "target_price": 1.0}),)  # the next tick fires it
ORDERS = (
    ("/trade/open", {"symbol": "BTCUSD", "cmd": 0, "volume": 1, "sl": 0, "tp": 0}),
    ("/trade/open", {"symbol": "EURUSD", "cmd": 1, "volume": 1, "sl": 0, "tp": 0}),
    ("/trade/open", {"symbol": "NOSUCH", "cmd": 0, "volume": 1, "sl": 0, "tp": 0}),
)
TOOL = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/call",
    "params": {"name": "tradewind_capabilities", "arguments": {}},
}


async def keep_busy(url: str, seconds: float, people: int = 3, data: Path | None = None) -> int:
    """Load for so long; how many requests were answered. With ``data`` each person has a webhook, too."""
    async with aiohttp.ClientSession() as session, open_receiver() as receiver:
        clients = [Client(session, url) for _ in range(people)]
        for client in clients:
            await client.sign_up()
        if data is not None:
            await bind_webhooks(data, receiver, clients)
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        listeners = [asyncio.create_task(_listen(client)) for client in clients]
        busy = [*(_busy(client, end) for client in clients), _agent(session, url, end)]
        counted = sum(await asyncio.gather(*busy))
        for listener in listeners:
            listener.cancel()
        await asyncio.gather(*listeners, return_exceptions=True)
        return counted


async def bind_webhooks(data: Path, receiver: Receiver, clients: list[Client]) -> None:
    """A webhook of ``receiver`` for each client's person, proved by its echo."""

    async def echo(request: aiohttp.web.Request) -> aiohttp.web.StreamResponse:
        return await status(200, {"code": receiver.calls[-1].json["data"]["code"]})(request)

    connection = await asyncpg.connect(admin_dsn(data))
    bus = await bus_nats.connect(nats_url(data, "gateway"), "gateway")
    for number, client in enumerate(clients):
        person = await connection.fetchval(
            "SELECT person_id FROM auth.account WHERE login = $1", client.login
        )
        receiver.script.append(echo)
        ask = ChannelBind(person_id=person, channel="webhook", target=f"{receiver.url}/hook/{number}")
        assert (await bus.request(CHANNEL_BIND, ask)).status == "verified"
    await bus.close()
    await connection.close()


def admin_dsn(data: Path) -> str:
    """The database of the stack on ``data``, as its administrator."""
    password, port = _read(data, "secrets")["postgres"], _read(data, "ports")["postgres"]
    return f"postgresql://tradewind:{password}@127.0.0.1:{port}/tradewind"


def nats_url(data: Path, user: str) -> str:
    """The bus of the stack on ``data``, as one of its users."""
    return f"nats://{user}:{_read(data, 'secrets')['nats'][user]}@127.0.0.1:{_read(data, 'ports')['nats']}"


def _read(data: Path, name: str) -> Any:
    return json.loads((data / f"{name}.json").read_text())


async def _busy(client: Client, end: float) -> int:
    loop = asyncio.get_running_loop()
    counted = 0
    await client.ask("POST", "/price_alert", {**_ALERT, "target_price": 1e9})  # stays armed
    rounds = 0
    while loop.time() < end:
        if rounds % MISTAKE_EVERY == 0:
            await client.ask("POST", "/sign/in", {"login": client.login, "password": "not hers"})
        counted += await _round(client, ORDERS if rounds % ORDER_EVERY == 0 else ALERTS)
        rounds += 1
        await asyncio.sleep(PERIOD_S)
    return counted


async def _agent(session: aiohttp.ClientSession, url: str, end: float) -> int:
    """An agent that has no key calls a tool."""
    headers = {"Accept": "application/json, text/event-stream"}
    counted = 0
    while asyncio.get_running_loop().time() < end:
        async with session.post(f"{url}/mcp", json=TOOL, headers=headers) as answer:
            counted += answer.status == 401
        await asyncio.sleep(PERIOD_S)
    return counted


async def _round(client: Client, writes: Sequence[tuple[str, dict[str, Any]]]) -> int:
    asked = [client.ask("GET", path) for path in READS]
    asked += [client.ask("POST", path, body) for path, body in writes]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    return sum(1 for answer in answers if not isinstance(answer, BaseException))


async def _listen(client: Client) -> None:
    with suppress(aiohttp.ClientError, ConnectionError):
        async with client.stream(*SYMBOLS):
            await asyncio.Event().wait()
