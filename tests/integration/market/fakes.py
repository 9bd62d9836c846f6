"""Exchanges on loopback that speak their documented messages, and misbehave when told to."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web

FIXTURES = Path(__file__).parent / "fixtures"


def documented(exchange: str, name: str) -> Any:
    """An exchange's own documented example; the file says where it stands and when it was read."""
    return json.loads((FIXTURES / exchange / f"{name}.json").read_text())["message"]


class FakeExchange:
    """A WebSocket server with the faults of the outside world.

    ``accepting`` False refuses connections; while ``hearing`` is cleared nothing is read or answered.
    """

    def __init__(self) -> None:
        self.sockets: list[web.WebSocketResponse] = []
        self.said: list[Any] = []  # everything a client said, in order, over all connections
        self.connections = 0
        self.pings = 0
        self.accepting = True
        self.hearing = asyncio.Event()
        self.hearing.set()
        self._gone = asyncio.Condition()
        self._runner: web.AppRunner | None = None
        self.port = 0

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/ws", self._serve), web.get("/v2", self._serve)]

    async def start(self) -> None:
        app = web.Application()
        app.add_routes(self.routes())
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        await self.drop()
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    @property
    def rest_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if not self.accepting:
            return web.Response(status=503)
        self.connections += 1
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        self.sockets.append(socket)
        await self.welcome(socket)
        try:
            return await self._hear(socket)
        except ConnectionError:
            return socket  # the client was faster
        finally:
            self.sockets.remove(socket)
            async with self._gone:
                self._gone.notify_all()

    async def _hear(self, socket: web.WebSocketResponse) -> web.WebSocketResponse:
        while True:
            message = await socket.receive()
            await self.hearing.wait()
            if message.type is WSMsgType.TEXT:
                said = json.loads(message.data)
                self.said.append(said)
                await self.answer(socket, said)
            elif message.type is WSMsgType.PING:
                self.pings += 1
                await socket.pong(message.data)
            elif message.type is not WSMsgType.PONG:
                return socket

    async def welcome(self, socket: web.WebSocketResponse) -> None:
        """What the exchange says first."""

    async def answer(self, socket: web.WebSocketResponse, said: Any) -> None:
        """What the exchange answers."""

    async def send(self, *messages: Any) -> None:
        """Say something to everybody; text goes as it is, bytes as a binary frame."""
        for socket in list(self.sockets):
            with suppress(ConnectionError):  # it is just being left
                for message in messages:
                    if isinstance(message, bytes):
                        await socket.send_bytes(message)
                    else:
                        await socket.send_str(message if isinstance(message, str) else json.dumps(message))

    async def drop(self) -> None:
        """Cut every connection as a broken link does."""
        for socket in list(self.sockets):
            if socket._req is not None and socket._req.transport is not None:
                socket._req.transport.abort()
        async with self._gone:
            await self._gone.wait_for(lambda: not self.sockets)

    async def quote(self, name: str, bid: float, ask: float) -> None:
        """A new top of book."""
        raise NotImplementedError

    async def trade(self, name: str, price: float, size: float) -> None:
        """Something was traded."""
        raise NotImplementedError


class FakeBinance(FakeExchange):
    """Binance: raw streams, klines and book tickers."""

    def __init__(self) -> None:
        super().__init__()
        self.klines: dict[tuple[str, str], list[list[Any]]] = {}
        self.tickers: dict[str, tuple[str, str]] = {}
        self.questions: list[tuple[str, dict[str, str]]] = []
        self.failing = 0  # the next REST answers are 500

    def routes(self) -> list[web.RouteDef]:
        return [
            *super().routes(),
            web.get("/api/v3/klines", self._klines),
            web.get("/api/v3/ticker/bookTicker", self._tickers),
        ]

    async def answer(self, socket: web.WebSocketResponse, said: Any) -> None:
        await socket.send_str(json.dumps({**documented("binance", "subscribed"), "id": said["id"]}))

    async def quote(self, name: str, bid: float, ask: float) -> None:
        message = documented("binance", "book_ticker")
        await self.send({**message, "s": name, "b": f"{bid:.8f}", "a": f"{ask:.8f}"})

    async def trade(self, name: str, price: float, size: float) -> None:
        message = documented("binance", "agg_trade")
        await self.send({**message, "s": name, "p": f"{price:.8f}", "q": f"{size:.8f}"})

    def _heard(self, request: web.Request) -> None:
        self.questions.append((request.path, dict(request.query)))
        if self.failing:
            self.failing -= 1
            raise web.HTTPInternalServerError

    async def _klines(self, request: web.Request) -> web.Response:
        self._heard(request)
        rows = self.klines.get((request.query["symbol"], request.query["interval"]))
        if rows is None:
            return web.json_response({"code": -1121, "msg": "Invalid symbol."}, status=400)
        since, limit = int(request.query.get("startTime", 0)), int(request.query["limit"])
        wanted = [row for row in rows if row[0] >= since]
        return web.json_response(wanted[:limit] if since else wanted[-limit:])

    async def _tickers(self, request: web.Request) -> web.Response:
        self._heard(request)
        names = json.loads(request.query["symbols"])
        if not all(name in self.tickers for name in names):
            return web.json_response({"code": -1121, "msg": "Invalid symbol."}, status=400)
        shape = documented("binance", "rest_book_ticker")[0]
        return web.json_response(
            [
                {**shape, "symbol": n, "bidPrice": self.tickers[n][0], "askPrice": self.tickers[n][1]}
                for n in names
            ]
        )


class FakeKraken(FakeExchange):
    """Kraken: channels of the WebSocket API v2."""

    def __init__(self) -> None:
        super().__init__()
        self.ohlc: dict[tuple[str, int], list[dict[str, Any]]] = {}
        self.unknown: set[str] = set()

    @property
    def ws_url(self) -> str:
        return f"{super().ws_url}/v2"

    async def welcome(self, socket: web.WebSocketResponse) -> None:
        await socket.send_str(json.dumps(documented("kraken", "status")))

    async def answer(self, socket: web.WebSocketResponse, said: Any) -> None:
        if said["method"] == "ping":
            await socket.send_str(json.dumps({**documented("kraken", "pong"), "req_id": said["req_id"]}))
            return
        params = said["params"]
        for name in params["symbol"]:
            shape = documented("kraken", "subscribed")
            if name in self.unknown:
                refusal = {"error": f"Currency pair not supported {name}", "success": False, "symbol": name}
                await socket.send_str(json.dumps({"method": said["method"], **refusal}))
                continue
            result = {"channel": params["channel"], "symbol": name}
            await socket.send_str(json.dumps({**shape, "method": said["method"], "result": result}))
            rows = self.ohlc.get((name, params.get("interval", 0)))
            if said["method"] == "subscribe" and params["channel"] == "ohlc" and rows:
                await socket.send_str(json.dumps({"channel": "ohlc", "type": "snapshot", "data": rows}))

    async def quote(self, name: str, bid: float, ask: float) -> None:
        message = documented("kraken", "ticker_snapshot")
        await self.send(
            {
                **message,
                "type": "update",
                "data": [{**message["data"][0], "symbol": name, "bid": bid, "ask": ask}],
            }
        )

    async def trade(self, name: str, price: float, size: float) -> None:
        message = documented("kraken", "trade_snapshot")
        row = {**message["data"][0], "symbol": name, "price": price, "qty": size}
        await self.send({**message, "type": "update", "data": [row]})

    def candle(self, name: str, minutes: int, begin: str, price: float, volume: float) -> None:
        """A bar the next snapshot shows."""
        shape = documented("kraken", "ohlc_snapshot")["data"][0]
        row = {
            **shape,
            **dict.fromkeys(("open", "high", "low", "close"), price),
            "symbol": name,
            "interval": minutes,
            "interval_begin": begin,
            "volume": volume,
        }
        self.ohlc.setdefault((name, minutes), []).append(row)
