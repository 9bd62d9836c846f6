"""A trading client as a stranger would write it: REST with a token, and the stream."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp


class Client:
    """One signed-up person with a demo account."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url
        self.login = 0
        self.token = ""

    async def sign_up(self) -> dict[str, Any]:
        """Open a person and an account; keeps the token."""
        body = {
            "name": "Ada Stranger",
            "email": f"{secrets.token_hex(6)}@example.com",
            "password": "correct horse",
        }
        answer: dict[str, Any] = await self.call("POST", "/sign/up", body)
        self.login, self.token = answer["login"], answer["__token"]
        return answer

    async def sign_in(self, login: int, password: str) -> dict[str, Any]:
        """Sign in with a login; keeps the token."""
        answer: dict[str, Any] = await self.call("POST", "/sign/in", {"login": login, "password": password})
        self.login, self.token = login, answer["__token"]
        return answer

    async def call(self, method: str, path: str, body: Any = None, *, status: int = 200) -> Any:
        """A call that must answer with ``status``; the decoded body."""
        got, answer = await self.ask(method, path, body)
        assert got == status, f"{method} {path}: {got} {answer}"
        return answer

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """A call: status and decoded body."""
        headers = {"Authorization": self.token} if self.token else {}
        async with self._session.request(method, self._url + path, json=body, headers=headers) as response:
            text = await response.text()
            return response.status, json.loads(text) if text else None

    @asynccontextmanager
    async def stream(self, *symbols: str) -> AsyncIterator[Stream]:
        """An authorized socket on the own account, subscribed to ``symbols``."""
        async with self._session.ws_connect(self._url + "/ws", max_msg_size=0) as ws:
            await ws.send_json({"authorization": self.token})
            assert await ws.receive_json() == {"event": "authorization", "success": True}
            await ws.send_json({"event": "account.switch", "active_login": self.login})
            stream = Stream(ws)
            while isinstance(switched := await ws.receive_json(), list):
                stream.take(switched)
            assert switched["success"] is True, switched
            if symbols:
                await ws.send_json({"event": "subscribe", "data": list(symbols)})
            reading = asyncio.create_task(stream.read())
            try:
                yield stream
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)


class Stream:
    """What a socket has heard, by kind."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws
        self.quotes: list[list[Any]] = []
        self.alerts: list[list[Any]] = []
        self.balances: list[list[Any]] = []
        self.others: list[Any] = []

    async def read(self) -> None:
        """Collect frames until cancelled or closed."""
        async for message in self.ws:
            self.take(json.loads(message.data))

    def take(self, frame: Any) -> None:
        """Note a frame."""
        kinds = {"t": self.quotes, "a": self.alerts, "b": self.balances}
        kind = frame[0] if isinstance(frame, list) else None
        kinds.get(kind, self.others).append(frame)  # type: ignore[arg-type]


@asynccontextmanager
async def open_client(url: str) -> AsyncIterator[Client]:
    """A client without an account yet."""
    async with aiohttp.ClientSession() as session:
        yield Client(session, url)
