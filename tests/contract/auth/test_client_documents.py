"""A client whose id is the https address of its metadata, and the SDK's own OAuth client: from the first 401
to a tool's answer, on running services."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from zlib import crc32

import httpx2
import pytest
import pytest_asyncio
from aiohttp import web
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken

from tests.certificates import served_with, write_certificate
from tests.conftest import empty_streams
from tests.contract.auth.oauth_client import BACK, App, Browser, query_of
from tests.contract.auth.people import PASSWORD, Town
from tests.databases import Databases
from tests.house import House
from tests.servers import NatsServer

HERE, ELSEWHERE = "127.0.0.1", "127.0.0.3"  # the certificate names the first alone


@dataclass
class Publisher:
    """Somebody's https server with the metadata of an app."""

    url: str = ""
    elsewhere: str = ""
    changed: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        if request.path.startswith("/moved"):
            return web.Response(status=302, headers={"Location": f"{self.url}/client.json"})
        said = {"client_id": self.url + request.path, "client_name": "Published", "redirect_uris": [BACK]}
        return web.json_response(said | self.changed)


@pytest_asyncio.fixture(scope="module")
async def stack(
    template: Databases, nats: NatsServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[House, Publisher]]:
    """A house whose gateway trusts the publisher's authority and may call loopback addresses."""
    await empty_streams(nats)
    folder = tmp_path_factory.mktemp("publisher")
    authority = write_certificate(folder, "publisher", HERE)
    publisher, served = Publisher(), web.Application()
    served.router.add_route("*", "/{tail:.*}", publisher.answer)
    runner = web.AppRunner(served)
    await runner.setup()
    for address in (HERE, ELSEWHERE):
        await web.TCPSite(runner, address, 0, ssl_context=served_with(authority)).start()
    publisher.url, publisher.elsewhere = (f"https://{host}:{port}" for host, port in runner.addresses)
    async with template.fresh() as dsns:
        house = House(dsns, nats.url, folder)
        try:
            with pytest.MonkeyPatch.context() as environment:
                environment.setenv("SSL_CERT_FILE", str(authority))
                await house.start(
                    "auth", "billing", "market", "alerts", "gateway", CLIENTS_ALLOW_PRIVATE="on"
                )
            yield house, publisher
        finally:
            await house.stop()
            await runner.cleanup()


@pytest_asyncio.fixture
async def town(stack: tuple[House, Publisher]) -> AsyncIterator[Town]:
    """People who call that house."""
    made = Town(stack[0])
    yield made
    await made.close()


@pytest.fixture
def publisher(stack: tuple[House, Publisher]) -> Publisher:
    """The publisher, as at the start."""
    made = stack[1]
    made.changed.clear()
    made.asked.clear()
    return made


# ── the suite's and everybody's client ──


class Kept:
    """Where the SDK's client keeps what it was given."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


class Person:
    """Somebody whom the SDK's client sends to the browser: signs in where that is needed, and agrees."""

    def __init__(self, browser: Browser, email: str = "") -> None:
        self.browser = browser
        self.email = email
        self.asked: list[dict[str, str]] = []
        self._said: dict[str, str] = {}

    async def go(self, address: str) -> None:
        parts = urlsplit(address)
        self.asked.append(dict(parse_qsl(parts.query)))
        page = await self.browser.call("GET", f"{parts.path}?{parts.query}")
        assert page.status == 200, page.body
        if b'value="allow"' not in page.body:
            back = await self.browser.sign_in(self.email, PASSWORD, page)
            page = await self.browser.call("GET", back.headers["Location"])
        self._said = query_of(await self.browser.decide(page))

    async def come_back(self) -> AuthorizationCodeResult:
        return AuthorizationCodeResult(
            code=self._said["code"], state=self._said["state"], iss=self._said["iss"]
        )


def provider(url: str, person: Person, kept: Kept, document: str | None) -> OAuthClientProvider:
    asked = OAuthClientMetadata.model_validate({"redirect_uris": [BACK], "client_name": "SDK"})
    return OAuthClientProvider(f"{url}/mcp", asked, kept, person.go, person.come_back, document)


@pytest.mark.parametrize("published", [False, True])
async def test_the_sdks_client_finds_its_way_from_a_401_to_an_answer_and_to_further_scopes(
    town: Town, publisher: Publisher, published: bool
) -> None:
    user = await town.user()
    person, kept = Person(Browser(town.stranger()), user.email), Kept()
    url, document = user.url, f"{publisher.url}/client.json" if published else None
    auth = provider(url, person, kept, document)
    async with (
        httpx2.AsyncClient(auth=auth, timeout=20) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http)) as client,
    ):
        assert (await client.list_tools()).tools
        assert person.asked == [], "nobody is asked for what is open"
        said = await client.call_tool("tradewind_capabilities", {})
        assert not said.is_error
        (asked,) = person.asked
        assert asked["scope"] == "read", "one click without an account"
        assert asked["resource"] == f"{url}/mcp"
        assert asked["code_challenge_method"] == "S256"
        assert (asked["client_id"] == document) is published
        assert person.browser.cookies.get("session") is None
        alert = {"symbol": "EURUSD", "side": 0, "condition": 2, "repeat_mode": 0, "target_price": 1.5}
        said = await client.call_tool("tradewind_alert_create", alert)
        assert not said.is_error, said
        assert [set(one["scope"].split()) for one in person.asked] == [{"read"}, {"read", "trade"}]
    assert kept.tokens is not None
    grants = await person.browser.call("GET", "/oauth/grants")
    assert ("Published" if published else "SDK") in grants.body.decode()
    if published:
        assert set(publisher.asked) == {"/client.json"}


# ── documents that are none ──


async def test_a_published_client_is_shown_by_its_host_and_agreed_with(
    town: Town, publisher: Publisher
) -> None:
    app, browser = App(town.stranger(), f"{publisher.url}/app/client.json"), Browser(town.stranger())
    page = await browser.call("GET", app.address())
    text = page.body.decode()
    assert "Published wants to connect" in text
    assert urlsplit(publisher.url).netloc in text
    given = await app.exchange(query_of(await browser.decide(page))["code"])
    assert given.status == 200
    assert publisher.asked == ["/app/client.json"], "asked once, remembered then"


@pytest.mark.parametrize(
    "changed",
    [
        {"client_id": "https://app.example/other.json"},
        {"redirect_uris": ["https://app.example/other"]},
        {"redirect_uris": ["http://app.example/back"]},
        {"redirect_uris": []},
        {"token_endpoint_auth_method": "client_secret_basic"},
        {"redirect_uris": "https://app.example/back"},
        {"client_name": "x" * 20_000},
    ],
)
async def test_a_document_that_says_something_else_leads_nowhere(
    town: Town, publisher: Publisher, changed: dict[str, Any]
) -> None:
    publisher.changed |= changed
    path = f"/{crc32(json.dumps(changed).encode())}/client.json"
    app = App(town.stranger(), publisher.url + path)
    answer = await Browser(town.stranger()).call("GET", app.address())
    assert publisher.asked == [path]
    assert answer.status == 400
    assert "Location" not in answer.headers


@pytest.mark.parametrize("where", ["/moved/client.json", "elsewhere", "plain"])
async def test_a_document_that_can_not_be_had_safely_is_not_had(
    town: Town, publisher: Publisher, where: str
) -> None:
    addresses = {
        "elsewhere": f"{publisher.elsewhere}/client.json",  # the certificate is another address's
        "plain": publisher.url.replace("https://", "http://") + "/client.json",
    }
    app = App(town.stranger(), addresses.get(where, publisher.url + where))
    answer = await Browser(town.stranger()).call("GET", app.address())
    assert answer.status == 400
    assert "Location" not in answer.headers
    assert "/client.json" not in publisher.asked
