"""The prices surface on running services, as its reference documents it: from a fresh stack on."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import msgspec
import pytest

from libs.common.messages.pricing import OnePrice, PriceList
from services.pricing.sample import ANCHOR_ID, CHARISMA_ID
from tests.conftest import wait_until
from tests.contract.gateway.edge import Answer, Client
from tests.contract.gateway.samples_prices import GRAPH
from tests.house import House
from tests.integration.pricing.conftest import admin_of, caller

BASE = "/api/v1/prices"
BULK = ["tokenId", "symbol", "name", "decimals", "usdPrice", "sbtcRatio", "confidence", "lastUpdated"]
BULK += ["totalLiquidity", "calculationDetails", "primaryPath", "alternativePathCount"]
META = {"count", "totalTokensAvailable", "processingTimeMs", "minConfidence", "includeDetails", "graphStats"}
STATS = {"totalNodes", "totalEdges", "averageLiquidity", "lastUpdate"}
CACHE = "public, s-maxage=30, stale-while-revalidate=60"


def refused(answer: Answer, status: int, title: str, message: str) -> None:
    assert answer.status == status, answer.body
    assert answer.json["status"] == "error"
    assert (answer.json["error"], answer.json["message"]) == (title, message)
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


async def prices(client: Client, query: str = "") -> dict[str, Any]:
    answer = await client.get(f"{BASE}{query}")
    assert answer.status == 200, answer.body
    body: dict[str, Any] = answer.json
    return body


# ── a fresh stack: every example of the reference ─────────────────────────────────────────────────


async def test_the_bulk_call_answers_as_documented(client: Client) -> None:
    answer = await client.get(BASE)
    body = answer.json
    assert list(body) == ["status", "data", "metadata"]
    assert body["status"] == "success"
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == CACHE
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert set(body["metadata"]) >= META
    assert set(body["metadata"]["graphStats"]) >= STATS
    assert body["metadata"]["count"] == len(body["data"]) <= 50
    for token in body["data"]:
        assert [key for key in token if key in BULK] == BULK
        assert token["usdPrice"] == pytest.approx(
            token["sbtcRatio"] * token["calculationDetails"]["btcPrice"], rel=1e-9
        )
        assert 0 <= token["confidence"] <= 1
        assert token["alternativePathCount"] == len(token.get("alternativePaths", ())) <= 5
        path = token["primaryPath"]
        if path is not None:
            assert "pools" not in path
            assert path["pathLength"] == len(path["tokens"]) == path["poolCount"] + 1
            assert (path["tokens"][0], path["tokens"][-1]) == (token["tokenId"], ANCHOR_ID)
    assert [t["confidence"] for t in body["data"]] == sorted(
        (t["confidence"] for t in body["data"]), reverse=True
    )
    msgspec.json.decode(answer.body, type=PriceList)


async def test_the_documented_filters(client: Client) -> None:
    page = await prices(client, "?limit=3")
    assert len(page["data"]) == 3
    sure = await prices(client, "?minConfidence=0.8&details=true")
    assert sure["data"] and all(token["confidence"] >= 0.8 for token in sure["data"])
    assert sure["metadata"]["minConfidence"] == 0.8
    named = await prices(client, "?symbols=CHA,sBTC,STX")
    assert {token["symbol"] for token in named["data"]} == {"CHA", "sBTC", "STX"}
    lower = await prices(client, "?symbols=cha,%20SBTC,unknown")
    assert {token["symbol"] for token in lower["data"]} == {"CHA", "sBTC"}
    both = await prices(client, "?limit=20&minConfidence=0.5&symbols=CHA,sBTC,STX&details=false")
    assert both["metadata"]["includeDetails"] is True
    rest = await prices(client, "?limit=2&offset=2")
    assert rest["metadata"]["offset"] == 2
    most = await prices(client, "?limit=1000")
    assert most["metadata"]["limit"] == 100


@pytest.mark.parametrize("token_id", [CHARISMA_ID, ".stx", "%2Estx"])
async def test_a_single_token_shows_the_pools_of_its_path(client: Client, token_id: str) -> None:
    answer = await client.get(f"{BASE}/{token_id}")
    assert answer.status == 200, answer.body
    assert answer.headers["Cache-Control"] == CACHE
    token = answer.json["data"]
    assert token["tokenId"] == token_id.replace("%2E", ".")
    pool = token["primaryPath"]["pools"][0]
    assert list(pool) == ["poolId", "tokenA", "tokenB", "reserveA", "reserveB", "fee", "lastUpdated"]
    assert isinstance(pool["reserveA"], int)
    assert all("pools" not in path for path in token["alternativePaths"])
    assert set(answer.json["metadata"]) >= {"processingTimeMs", "includeDetails"}
    msgspec.json.decode(answer.body, type=OnePrice)


@pytest.mark.parametrize(
    ("path", "status", "title", "message"),
    [
        (f"{BASE}/charisma", 400, "Bad Request", "Token contract ID must contain a period (.)"),
        (f"{BASE}/a.%20b", 400, "Bad Request", "Invalid token contract ID format"),
        (f"{BASE}/SP1.nobody", 404, "Not Found", "Token not found in the system"),
        (f"{BASE}?limit=0", 400, "Bad Request", "limit: Expected `int` >= 1"),
        (f"{BASE}?limit=x", 400, "Bad Request", "limit: Expected `int`, got `str`"),
        (f"{BASE}?minConfidence=1.1", 400, "Bad Request", "minConfidence: Expected `float` <= 1.0"),
        (f"{BASE}?minConfidence=NaN", 400, "Bad Request", "minConfidence: Expected `float` >= 0.0"),
        (
            f"{BASE}/.stx/history?interval=2h",
            400,
            "Bad Request",
            "interval: one of 1m, 5m, 15m, 1h, 4h, 1d, 1w",
        ),
        (f"{BASE}/.stx/nothing", 404, "Not Found", "There is no such path."),
    ],
)
async def test_refusals_in_their_own_words(
    client: Client, path: str, status: int, title: str, message: str
) -> None:
    refused(await client.get(path), status, title, message)


async def test_a_wrong_method_and_a_preflight(client: Client) -> None:
    wrong = await client.delete(BASE)
    refused(
        wrong,
        405,
        "Method Not Allowed",
        "The path does not take this method; the Allow header names those it takes.",
    )
    for path in (BASE, f"{BASE}/.stx", f"{BASE}/health"):
        ahead = await client.call("OPTIONS", path)
        assert (ahead.status, ahead.body) == (204, b"")
        assert ahead.headers["Access-Control-Allow-Origin"] == "*"
        assert ahead.headers["Access-Control-Allow-Methods"] == "GET, POST, PUT, DELETE, PATCH, OPTIONS"
        assert (
            ahead.headers["Access-Control-Allow-Headers"]
            == "*, X-Requested-With, Content-Type, Authorization"
        )


async def test_the_loop_of_105_requests_meets_the_limit(stack: House) -> None:
    async with caller(stack) as loud, caller(stack) as quiet:
        assert (await loud.call("OPTIONS", BASE)).status == 204  # not counted
        statuses = []
        for number in range(105):
            path = (BASE, f"{BASE}/.stx", f"{BASE}/btc", f"{BASE}/health")[number % 4]
            answer = await loud.get(path)
            statuses.append(answer.status)
            if number == 0:
                assert answer.headers["X-RateLimit-Limit"] == "100"
                assert answer.headers["X-RateLimit-Remaining"] == "99"
        assert statuses == [200] * 100 + [429] * 5
        assert (await loud.call("OPTIONS", BASE)).status == 204
        denied = await loud.get(BASE)
        assert denied.json["status"] == "error"
        assert denied.json["error"] == "Too Many Requests"
        assert 1 <= int(denied.headers["Retry-After"]) <= 60
        assert denied.headers["X-RateLimit-Remaining"] == "0"
        assert int(denied.headers["X-RateLimit-Reset"]) > 1_700_000_000
        assert denied.headers["Access-Control-Allow-Origin"] == "*"
        assert denied.headers["Cache-Control"] == "no-store"
        page = await loud.get(BASE, headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
        assert page.status == 429
        assert page.headers["Content-Type"].startswith("text/html")
        assert b"<title>Rate Limit Exceeded</title>" in page.body
        assert page.headers["Retry-After"]
        plain = await loud.get(BASE, headers={"Accept": "application/json, text/html;q=0.9"})
        assert plain.json["error"] == "Too Many Requests"
        assert (await loud.get("/api/health")).status == 200
        assert (await quiet.get(BASE)).status == 200  # another address is another client


async def test_the_anchor_and_its_health(client: Client) -> None:
    answer = await client.get(f"{BASE}/btc?health=true")
    assert answer.headers["Cache-Control"] == "public, s-maxage=300, stale-while-revalidate=600"
    data = answer.json["data"]
    assert set(data) == {"price", "source", "confidence", "timestamp", "age", "health"}
    assert (data["source"], data["confidence"]) == ("market", 0.9)
    assert data["health"]["consecutiveFailures"] == 0
    assert data["health"]["availableSources"] == ["market"]
    assert "health" not in (await client.get(f"{BASE}/btc")).json["data"]
    for path in (f"{BASE}/health", "/api/health", "/api/health/cache"):
        health = (await client.get(path)).json["data"]
        assert health["overall"] == {"status": "healthy", "score": 100}
        assert health["dataAvailability"]["pricingCoverage"] == 100.0
        assert health["priceGraph"]["freshness"] == "fresh"
    assert (await client.get("/api/health/btc-oracle")).json["data"]["health"]


# ── beyond the reference ──────────────────────────────────────────────────────────────────────────


async def test_an_unchanged_answer_is_not_sent_again(client: Client) -> None:
    async def unchanged() -> Answer | None:
        first = await client.get(f"{BASE}/{CHARISMA_ID}")
        again = await client.get(f"{BASE}/{CHARISMA_ID}", headers={"If-None-Match": first.headers["ETag"]})
        return again if again.status == 304 else None

    answer = await wait_until(unchanged)
    assert isinstance(answer, Answer)
    assert answer.body == b""
    assert int(answer.headers["Age"]) >= 0


async def test_a_batch_by_ids(client: Client) -> None:
    answer = await client.post(f"{BASE}/batch", {"ids": [CHARISMA_ID, ".stx", "SP1.nobody"]})
    assert answer.status == 200, answer.body
    assert {token["tokenId"] for token in answer.json["data"]} == {CHARISMA_ID, ".stx"}
    assert answer.headers["ETag"]
    refused(
        await client.post(f"{BASE}/batch", {"ids": []}),
        400,
        "Bad Request",
        "ids: Expected `array` of length >= 1",
    )


async def test_an_explanation_a_quote_and_the_liquidity(client: Client) -> None:
    told = (await client.get(f"{BASE}/{CHARISMA_ID}?explain=true")).json["data"]["explanation"]
    assert told["pathsFound"] >= len(told["paths"]) > 1
    assert {path["dropped"] for path in told["paths"]} >= {None}
    quoted = await client.get(f"{BASE}/{CHARISMA_ID}/quote?sizeUsd=5000&side=sell")
    assert quoted.status == 200, quoted.body
    assert quoted.json["data"]["averagePrice"] < quoted.json["data"]["spotPrice"]
    refused(
        await client.get(f"{BASE}/{CHARISMA_ID}/quote?sizeUsd=0"),
        400,
        "Bad Request",
        "sizeUsd: Expected `float` > 0.0",
    )
    refused(
        await client.get(f"{BASE}/{ANCHOR_ID}/quote?sizeUsd=5"),
        404,
        "Not Found",
        "No priced path for this token",
    )
    shares = (await client.get(f"{BASE}/.stx/liquidity")).json["data"]
    assert sum(pool["share"] for pool in shares["pools"]) == pytest.approx(1.0)
    one = (await client.get(f"{BASE}/.stx")).json["data"]
    assert one["priceLow"] <= one["priceHigh"]
    assert one["depth2Pct"]["usdUp"] > 0
    assert one["freshness"]["stale"] is False


async def test_the_past_of_a_price(client: Client) -> None:
    async def bars() -> Any:
        found = (await client.get(f"{BASE}/.stx/history?interval=1m&limit=5")).json["data"]
        return found if found["bars"] else None

    found = await wait_until(bars)
    assert isinstance(found, dict)
    bar = found["bars"][-1]
    assert bar["low"] <= min(bar["open"], bar["close"]) <= max(bar["open"], bar["close"]) <= bar["high"]
    assert set(found["changePct"]) == {"1h", "24h", "7d"}
    then = await client.get(f"{BASE}/.stx?at={bar['time'] + 30_000}")
    assert then.status == 200, then.body
    later = (await client.get(f"{BASE}/.stx/history?interval=1m&limit=5")).json["data"]["bars"]
    bar = next(one for one in later if one["time"] == bar["time"])  # it may have grown meanwhile
    assert bar["low"] <= then.json["data"]["usdPrice"] <= bar["high"]
    refused(
        await client.get(f"{BASE}/.stx?at=1500000000000"),
        404,
        "Not Found",
        "No price of this token is known at or before that time",
    )


async def test_prices_come_on_the_stream_without_authorization(stack: House) -> None:
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{stack.url}/ws") as ws:
        await ws.send_json({"event": "subscribe", "data": [f"token:{CHARISMA_ID}", "token:stx"]})
        seen: dict[str, list[Any]] = {}
        while len(seen) < 2:
            frame = json.loads((await ws.receive(timeout=40)).data)
            assert frame[0] == "p" and len(frame) == 6
            seen[frame[1]] = frame
        assert set(seen) == {CHARISMA_ID, ".stx"}
        _, _, usd, confidence, ctm_ms, seq = seen[".stx"]
        assert usd > 0 and 0 <= confidence <= 1 and ctm_ms > 1_700_000_000_000 and seq >= 1


# ── what staff puts, last: it replaces the sample ─────────────────────────────────────────────────


async def test_a_bad_graph_is_refused_and_the_old_one_stays(client: Client) -> None:
    admin = await admin_of(client)
    before = await prices(client)
    cases = [
        ({"tokens": [{**GRAPH["tokens"][0], "decimals": 19}]}, "decimals were 19"),
        ({"pools": [{**GRAPH["pools"][0], "reserveA": -1}]}, "not negative"),
        ({"pools": [GRAPH["pools"][0], GRAPH["pools"][0]]}, "stands twice"),
        ({"pools": [{**GRAPH["pools"][0], "tokenA": "SP9.gone"}]}, "is not known"),
        ({"pools": [{**GRAPH["pools"][0], "reserveA": 1.5}]}, "no whole number"),
        ({"pools": [{**GRAPH["pools"][0], "reserveA": 10**49}]}, "above 10^48"),
        ({"pools": 5}, "Expected `array`"),
        ({"btcPrices": [{"source": "x", "price": 0}]}, "no price above 0"),
        ({"btcPrices": [{"source": "x", "price": 1}, {"source": "x", "price": 1}]}, "stands twice"),
    ]
    for change, fault in cases:
        answer = await client.put("/admin/pools", {**GRAPH, **change}, admin)
        assert answer.status == 400, answer.body
        assert answer.json["error"] == "INVALID_DATA"
        assert fault in answer.json["message"], answer.json
    assert len((await prices(client))["data"]) == len(before["data"])
    assert (await client.put("/admin/pools", GRAPH)).status == 401


async def test_a_put_graph_is_in_force_for_the_next_request(stack: House, client: Client) -> None:
    admin = await admin_of(client)
    await prices(client)  # kept by the gateway
    taken = await client.put("/admin/pools", GRAPH, admin)
    assert taken.status == 200, taken.body
    assert taken.json["data"] == "OK"
    assert (taken.json["tokens"], taken.json["pools"], taken.json["priced"]) == (4, 4, 4)
    body = await prices(client)
    assert {token["symbol"] for token in body["data"]} == {"sBTC", "CHA", "STX", "USDC"}
    btc = (await client.get(f"{BASE}/btc?health=true")).json["data"]
    assert (btc["price"], btc["source"]) == (pytest.approx(100_100), "coingecko +1 other")
    assert btc["confidence"] == pytest.approx(0.985014985)
    cha = next(token for token in body["data"] if token["symbol"] == "CHA")
    assert cha["sbtcRatio"] == pytest.approx(5e-6, rel=0.01)
    assert cha["image"] == "https://x.example/c.png"
    huge = {**GRAPH, "pools": [{**GRAPH["pools"][0], "reserveA": 10**30, "reserveB": 10**30}]}
    assert (await client.put("/admin/pools", huge, admin)).status == 200
    pool = (await client.get(f"{BASE}/{CHARISMA_ID}")).json["data"]["primaryPath"]["pools"][0]
    assert pool["reserveA"] == 10**30
    drained = {**GRAPH, "pools": [{**GRAPH["pools"][0], "reserveA": 0}]}
    assert (await client.put("/admin/pools", drained, admin)).json["ignoredPools"] == 1
    refused(await client.get(f"{BASE}/{CHARISMA_ID}"), 404, "Not Found", "No priced path for this token")
    assert (await client.put("/admin/pools", GRAPH, admin)).status == 200


async def test_the_graph_and_the_bars_outlive_a_restart(stack: House, client: Client) -> None:
    before = await prices(client)
    assert await stack.end("pricing-0") == 0
    refused(
        await client.get(f"{BASE}?limit=7"),
        503,
        "Service Unavailable",
        "pricing does not answer",
    )
    await stack.start("pricing", FEED="synthetic")
    async with caller(stack) as later:
        after = await prices(later)
        was = {token["tokenId"]: token["usdPrice"] for token in before["data"]}
        assert {token["tokenId"]: token["usdPrice"] for token in after["data"]} == pytest.approx(
            was, rel=1e-3
        )
        bars = (await later.get(f"{BASE}/{CHARISMA_ID}/history?interval=1m")).json["data"]["bars"]
        assert bars
