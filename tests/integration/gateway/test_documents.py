"""A client's metadata document over a real connection: had, kept, and not had where it breaks a rule."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
import pytest_asyncio
from aiohttp import web

from libs.common.clock import ManualClock
from libs.common.outbound import Outbound
from services.gateway.oauth.documents import (
    AGENT,
    DOCUMENT_BYTES_MAX,
    REMEMBER_FAILURE_S,
    REMEMBER_S,
    Documents,
)

START = datetime(2030, 1, 1, tzinfo=UTC)


@dataclass
class App:
    """Somebody's server with a document, and who asked for it."""

    url: str = ""
    status: int = 200
    body: bytes = b""
    asked: list[web.Request] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request)
        headers = {"Location": f"{self.url}/other"} if self.status == 302 else {}
        return web.Response(
            status=self.status, body=self.body, content_type="application/json", headers=headers
        )


@pytest_asyncio.fixture
async def app() -> AsyncIterator[App]:
    made = App()
    served = web.Application()
    served.router.add_route("*", "/{tail:.*}", made.answer)
    runner = web.AppRunner(served)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    made.body = json.dumps({"client_id": f"{made.url}/client.json", "client_name": "App"}).encode()
    yield made
    await runner.cleanup()


async def test_a_document_is_fetched_once_and_again_when_it_is_old(app: App) -> None:
    clock = ManualClock(START)
    documents = Documents(Outbound(AGENT, allow_private=True), clock)
    url = f"{app.url}/client.json"
    assert await documents.of(url) == app.body
    assert await documents.of(url) == app.body
    assert len(app.asked) == 1
    assert (app.asked[0].method, app.asked[0].path) == ("GET", "/client.json")
    assert app.asked[0].headers["Accept"] == "application/json"
    assert app.asked[0].headers["User-Agent"] == AGENT
    assert "Authorization" not in app.asked[0].headers and "Cookie" not in app.asked[0].headers
    clock.advance(REMEMBER_S + 1)
    app.body = b'{"client_name":"Renamed"}'
    assert await documents.of(url) == app.body


@pytest.mark.parametrize(
    ("status", "size"), [(302, 10), (404, 10), (500, 10), (204, 0), (200, DOCUMENT_BYTES_MAX + 1)]
)
async def test_a_redirect_an_error_and_too_much_are_no_document(app: App, status: int, size: int) -> None:
    clock = ManualClock(START)
    documents = Documents(Outbound(AGENT, allow_private=True), clock)
    good, app.status, app.body = app.body, status, b"x" * size
    assert await documents.of(f"{app.url}/client.json") is None
    assert await documents.of(f"{app.url}/client.json") is None
    assert [request.path for request in app.asked] == ["/client.json"]  # not followed, not asked at once
    clock.advance(REMEMBER_FAILURE_S + 1)
    app.status, app.body = 200, good
    assert await documents.of(f"{app.url}/client.json") == good


async def test_a_private_address_is_never_asked_where_the_product_runs(app: App) -> None:
    documents = Documents(Outbound(AGENT), ManualClock(START))
    assert await documents.of(f"{app.url}/client.json") is None
    assert await documents.of(app.url.replace("http://", "https://") + "/client.json") is None
    assert app.asked == []
