"""What clients and senders of signals' streams and texts use."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import aiohttp
from standardwebhooks import Webhook

from tests.contract.auth.people import Caller
from tests.contract.signals.conftest import TEXTS_SECRET

FEED = "/ai-signal/feed"


class Events:
    """An open stream, read event by event."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def next(self) -> dict[str, str] | None:
        """The fields of the next event that has data; None at the end of the stream."""
        fields: dict[str, str] = {}
        while line := await self.response.content.readline():
            text = line.decode().rstrip("\n")
            if not text and "data" in fields:
                return fields
            name, _, value = text.partition(":")
            if name:
                fields[name] = value.removeprefix(" ")
        return None

    async def signals(self, count: int) -> list[dict[str, Any]]:
        """The next signals; each event's id is its signal's."""
        found = []
        for _ in range(count):
            event = await self.next()
            assert event is not None and event["event"] == "signal", event
            found.append(json.loads(event["data"]))
            assert event["id"] == found[-1]["id"]
        return found


@asynccontextmanager
async def listening(caller: Caller, query: str = "", last: str = "") -> AsyncIterator[Events]:
    headers = {"Authorization": f"Bearer {caller.token}", "Accept": "text/event-stream"}
    if last:
        headers["Last-Event-ID"] = last
    async with caller.session.get(caller.url + FEED + query, headers=headers) as response:
        assert response.status == 200, await response.text()
        assert response.headers["Content-Type"] == "text/event-stream"
        assert response.headers["Cache-Control"] == "no-store"
        yield Events(response)


def call_of(texts: Any, secret: str = TEXTS_SECRET) -> dict[str, Any]:
    """What a sender's library makes of texts."""
    at, body = datetime.now(UTC), json.dumps({"texts": texts})
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign("msg_1", at, body),
        "Content-Type": "application/json",
    }
    return {"data": body.encode(), "headers": headers}
