"""Signals as they are recorded, as a client of server-sent events hears them; texts that callers send."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import aiohttp
from standardwebhooks import Webhook

from tests.contract.auth.people import Caller, Town, new_email
from tests.contract.signals.conftest import LATER, TEXTS_SECRET
from tests.contract.signals.test_surface import PATH, page, refused

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


async def credits_of(caller: Caller) -> int:
    """What is left, told by a page that costs nothing."""
    return int((await caller.call("POST", PATH, {"cmcId": 77})).headers["X-Credits-Remaining"])


async def told_since(caller: Caller, signal_id: str) -> list[dict[str, Any]]:
    """What was recorded after a signal, in the order of the record."""
    found: list[dict[str, Any]] = []
    while True:
        query = f"?include=evidence&limit=50&offset={len(found)}"
        part = await page(caller, {"since": signal_id}, query)
        found += part["data"]
        if len(found) >= part["total"]:
            return sorted(found, key=lambda signal: int(signal["chain"]["position"]))


async def test_a_stream_hears_what_is_recorded_and_goes_on_where_it_ended(town: Town, key: Caller) -> None:
    last = (await told_since(key, ""))[-1]
    admin = await town.admin()
    left = await credits_of(key)
    async with listening(key) as events:
        body = {"symbol": "BTC/USDT", "timeframe": "1h", "candles": LATER}
        await admin.done("POST", "/admin/candles", body)
        first = await events.signals(4)
    spent = left - await credits_of(key)
    told = await told_since(key, last["id"])
    assert 1 <= spent <= -(-len(told) // 10)  # by what was on its way when the reader left
    shown = [{name: signal[name] for name in first[0]} for signal in told]
    assert len(told) > 10 and first == shown[:4]
    left = await credits_of(key)
    async with listening(key, last=first[2]["id"]) as events:
        assert await events.signals(len(told) - 3) == shown[3:]
    assert await credits_of(key) == left - -(-(len(told) - 3) // 10)
    bullish = [signal for signal in shown[1:] if signal["sentiment"] == "bullish"]
    async with listening(key, f"?sentiment=bullish&chain=bit&since={first[0]['id']}") as events:
        assert bullish and await events.signals(len(bullish)) == bullish


async def test_a_stream_that_makes_no_sense_is_refused(town: Town, key: Caller) -> None:
    for query in ("?since=nothing", "?sentiment=up", "?cmcId=x", "?minConfidence=2"):
        refused(await key.call("GET", FEED + query), 400, "Bad Request")
    unknown = {"Last-Event-ID": "00000000-0000-5000-8000-000000000000"}
    refused(await key.call("GET", FEED, headers=unknown), 400, "Bad Request")
    refused(await town.stranger().call("GET", FEED), 401, "Unauthorized")


async def test_streams_are_few_and_paid_for(town: Town, key: Caller) -> None:
    record = sorted(await told_since(key, ""), key=lambda signal: int(signal["chain"]["position"]))
    poor = town.stranger()
    poor.token = (await poor.done("POST", "/v1/keys", {"email": new_email()}))["key"]
    assert (await poor.call("POST", f"{PATH}?limit=40", {})).headers["X-Credits-Remaining"] == "1"
    async with listening(poor, last=record[0]["id"]) as events:
        heard = await events.signals(10)  # one credit: all it has
        assert len({signal["id"] for signal in heard}) == 10
        ending = await events.next()
        assert ending is not None and ending["event"] == "error"
        assert json.loads(ending["data"])["statusCode"] == 403
        assert await events.next() is None
    opened = [await listening(key).__aenter__() for _ in range(5)]
    refused(await key.call("GET", FEED), 429, "Too Many Requests")
    for one in opened:
        one.response.close()


async def test_a_stream_ends_with_its_key(town: Town) -> None:
    owner = await town.user()
    browser = await town.browser(owner)
    made = await browser.done("POST", "/api/v1/keys", {"name": "feed", "scopes": ["read"]})
    caller = town.stranger()
    caller.token = made["key"]
    async with listening(caller) as events:
        assert (await browser.call("DELETE", f"/api/v1/keys/{made['id']}")).status < 300
        assert await events.next() is None


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


async def test_texts_are_taken_from_who_signs_them(town: Town) -> None:
    sender = town.stranger()
    now = datetime.now(UTC).isoformat()
    texts = [{"id": "1", "title": "Bitcoin rises", "source": "wire", "publishedAt": now}]
    for taken in (1, 0):
        answer = await sender.call("POST", "/ai-signal/texts", **call_of(texts))
        assert answer.json["data"] == {"taken": taken, "known": 1 - taken}, answer.body
        assert "X-Credits-Charged" not in answer.headers
    forged = call_of(texts, "whsec_" + "eHh4" * 10)
    refused(await sender.call("POST", "/ai-signal/texts", **forged), 403, "Forbidden")
    refused(await sender.call("POST", "/ai-signal/texts", {"texts": texts}), 403, "Forbidden")
    refused(await sender.call("POST", "/ai-signal/texts", **call_of([{}])), 400, "Bad Request")
    large = call_of([{**texts[0], "title": "x" * 300_000}])
    refused(await sender.call("POST", "/ai-signal/texts", **large), 413, "Request Entity Too Large")
