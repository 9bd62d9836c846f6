"""The adapters against servers that speak as the real ones do, lie, stall, and answer nonsense."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from libs.common.clock import ManualClock
from services.pricing.adapters.binance import Binance
from services.pricing.adapters.coingecko import CoinGecko
from services.pricing.adapters.documents import FilePools, UrlPools
from services.pricing.adapters.geckoterminal import GeckoTerminal
from services.pricing.adapters.kraken import Kraken
from services.pricing.adapters.web import Web
from services.pricing.reading import document_of
from services.pricing.sample import ANCHOR_ID, pools, tokens
from services.pricing.sources import SourceFailed

CLOCK = ManualClock(datetime(2026, 1, 31, 12, 0, tzinfo=UTC))
NOW_MS = CLOCK.now_ms()
DOCUMENT = document_of(tokens(), pools({"BTCUSD": 70_000.0, "SOLUSD": 150.0}, NOW_MS), ANCHOR_ID)


@dataclass
class Outsider:
    """A server that answers every path as it is told, and remembers what it was asked."""

    url: str = ""
    body: bytes = b"{}"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append((request.path_qs, dict(request.headers)))
        etag = self.headers.get("ETag")
        if etag and request.headers.get("If-None-Match") == etag:
            return web.Response(status=304)
        return web.Response(status=self.status, body=self.body, headers=self.headers)


@pytest_asyncio.fixture
async def outsider() -> AsyncIterator[Outsider]:
    made = Outsider()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@pytest_asyncio.fixture
async def http() -> AsyncIterator[Web]:
    made = Web()
    yield made
    await made.close()


ANCHORS: list[tuple[Callable[[Web, str], Any], bytes, str]] = [
    (CoinGecko, b'{"bitcoin":{"usd":70123.5}}', "/simple/price?ids=bitcoin&vs_currencies=usd"),
    (
        Kraken,
        b'{"error":[],"result":{"XXBTZUSD":{"a":["1","1","1"],"c":["70123.5","0.01"]}}}',
        "/0/public/Ticker?pair=XBTUSD",
    ),
    (Binance, b'{"symbol":"BTCUSDT","price":"70123.50000000"}', "/api/v3/ticker/price?symbol=BTCUSDT"),
]
NONSENSE = [b"", b"null", b"[]", b"{}", b"<html>", b'{"bitcoin":{}}', b'{"error":["EQuery"]}', b"\xff\xfe"]


@pytest.mark.parametrize(("adapter", "body", "path"), ANCHORS)
async def test_a_price_as_the_exchange_says_it(
    outsider: Outsider, http: Web, adapter: Callable[[Web, str], Any], body: bytes, path: str
) -> None:
    outsider.body = body
    assert await adapter(http, outsider.url).price() == 70123.5
    assert outsider.asked[0][0] == path
    for nonsense in NONSENSE:
        outsider.body = nonsense
        with pytest.raises(SourceFailed):
            await adapter(http, outsider.url).price()
    outsider.body, outsider.status = body, 500
    with pytest.raises(SourceFailed, match="answered 500"):
        await adapter(http, outsider.url).price()


async def test_a_server_that_is_not_there_is_a_failure(http: Web) -> None:
    with pytest.raises(SourceFailed):
        await CoinGecko(http, "http://127.0.0.1:1").price()


async def test_a_graph_at_a_url_is_fetched_again_only_when_it_changed(outsider: Outsider, http: Web) -> None:
    outsider.body, outsider.headers = DOCUMENT, {"ETag": '"one"'}
    source = UrlPools(f"{outsider.url}/pools.json", http, CLOCK)
    first = await source.fetch()
    assert first is not None and first.anchor_id == ANCHOR_ID and len(first.tokens) == 12
    assert await source.fetch() is None
    assert outsider.asked[1][1]["If-None-Match"] == '"one"'
    outsider.headers = {"ETag": '"two"'}
    assert await source.fetch() is None  # another tag, the same bytes
    outsider.body, outsider.headers = DOCUMENT.replace(b"Charisma", b"Chaos"), {}
    changed = await source.fetch()
    assert changed is not None
    outsider.body = b'{"tokens":5}'
    with pytest.raises(SourceFailed, match="not a graph of pools"):
        await source.fetch()


async def test_a_graph_in_a_file_is_read_when_it_changed(tmp_path: Path) -> None:
    path = tmp_path / "pools.json"
    source = FilePools(path, CLOCK)
    with pytest.raises(SourceFailed, match="No such file"):
        await source.fetch()
    path.write_bytes(DOCUMENT)
    first = await source.fetch()
    assert first is not None and len(first.pools) > 5
    assert await source.fetch() is None
    path.write_bytes(b"{")
    os.utime(path, (1, 1))
    with pytest.raises(SourceFailed):
        await source.fetch()
    assert await source.fetch() is None  # what is wrong with it was said


def indexed(**changed: Any) -> bytes:
    attributes = {
        "address": "0xpool",
        "reserve_in_usd": "200000.0",
        "base_token_price_usd": "2500",
        "quote_token_price_usd": "1.0",
    } | changed
    token = {"type": "token"}
    return json.dumps(
        {
            "data": [
                {
                    "id": "eth_0xpool",
                    "type": "pool",
                    "attributes": attributes,
                    "relationships": {
                        "base_token": {"data": {"id": "eth_0xweth", "type": "token"}},
                        "quote_token": {"data": {"id": "eth_0xusdc", "type": "token"}},
                    },
                }
            ],
            "included": [
                {
                    **token,
                    "id": "eth_0xweth",
                    "attributes": {"address": "0xweth", "name": "Ether", "symbol": "WETH", "decimals": 18},
                },
                {
                    **token,
                    "id": "eth_0xusdc",
                    "attributes": {"address": "0xusdc", "name": "Dollar", "symbol": "USDC", "decimals": 6},
                },
            ],
        }
    ).encode()


async def test_pools_of_an_indexer(outsider: Outsider, http: Web) -> None:
    outsider.body = indexed()
    graph = await GeckoTerminal(http, outsider.url, "eth", ["0xpool"], CLOCK).fetch()
    assert graph is not None
    assert outsider.asked[0][0] == "/networks/eth/pools/multi/0xpool?include=base_token,quote_token"
    assert {token.id: token.decimals for token in graph.tokens} == {"eth.0xweth": 18, "eth.0xusdc": 6}
    (pool,) = graph.pools
    assert (pool.id, pool.a, pool.b) == ("eth.0xpool", "eth.0xweth", "eth.0xusdc")
    assert (pool.reserve_a, pool.reserve_b) == (40 * 10**18, 100_000 * 10**6)
    assert pool.updated_ms == NOW_MS


@pytest.mark.parametrize(
    "changed",
    [
        {"reserve_in_usd": "much"},
        {"base_token_price_usd": "1e-320", "reserve_in_usd": "1e300"},
    ],
)
async def test_nonsense_of_an_indexer_is_a_failure(
    outsider: Outsider, http: Web, changed: dict[str, str]
) -> None:
    outsider.body = indexed(**changed)
    with pytest.raises(SourceFailed):
        await GeckoTerminal(http, outsider.url, "eth", ["0xpool"], CLOCK).fetch()
    outsider.body = indexed().replace(b'"eth_0xusdc", "attributes"', b'"eth_other", "attributes"')
    with pytest.raises(SourceFailed, match="did not come along"):
        await GeckoTerminal(http, outsider.url, "eth", ["0xpool"], CLOCK).fetch()


async def test_more_pools_than_one_call_takes_are_asked_in_parts(outsider: Outsider, http: Web) -> None:
    outsider.body = indexed()
    await GeckoTerminal(http, outsider.url, "eth", [f"0x{n}" for n in range(65)], CLOCK).fetch()
    assert [path.count("0x") for path, _ in outsider.asked] == [30, 30, 5]
