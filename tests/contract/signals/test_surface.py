"""The signals surface as its callers meet it: shapes, filters, pages, credits, lookups, refusals, streams."""

from __future__ import annotations

import json
import random
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from tests.conftest import wait_until
from tests.contract.auth.people import Answer, Caller, Town, new_email
from tests.contract.signals.conftest import ASSETS, LATER, looked_at
from tests.contract.signals.streams import FEED, call_of, listening

PATH = "/ai-signal/details"
FIELDS = [
    "id",
    "sentiment",
    "price",
    "marketCap",
    "fullyDilutedMarketCap",
    "volume24h",
    "priceChange1h",
    "title",
    "summary",
    "recordedAt",
    "coin",
    "tags",
    "narratives",
    "graphData",
]
CHAINS: dict[Any, Any] = {1027: ["Ethereum"], **{asset["cmcId"]: asset["chains"] for asset in ASSETS}}


async def page(caller: Caller, body: Any = None, query: str = "") -> dict[str, Any]:
    answer = await caller.call("POST", PATH + query, body)
    assert answer.status == 200, answer.body
    said = answer.json
    assert list(said) == ["statusCode", "message", "data"]
    assert (said["statusCode"], said["message"]) == (200, "Request Successful")
    assert list(said["data"])[:4] == ["data", "total", "limit", "offset"]
    found: dict[str, Any] = said["data"]
    return found


async def every(caller: Caller) -> list[dict[str, Any]]:
    """All signals there are, page by page."""
    found: list[dict[str, Any]] = []
    while True:
        part = await page(caller, {}, f"?limit=50&offset={len(found)}")
        found += part["data"]
        if len(found) >= part["total"]:
            return found


def seconds(signal: dict[str, Any]) -> int:
    return int(datetime.fromisoformat(signal["recordedAt"]).timestamp())


async def test_a_page_has_the_documented_shape_and_order(key: Caller) -> None:
    signals = await every(key)
    assert len(signals) > 60 and len({signal["id"] for signal in signals}) == len(signals)
    order = [(signal["recordedAt"], signal["id"]) for signal in signals]
    assert order == sorted(order, reverse=True)
    for signal in signals:
        assert list(signal) == FIELDS
        assert list(signal["coin"]) == ["cmcId", "name", "symbol", "slug", "logo"]
        assert signal["recordedAt"].endswith(".000Z")
        assert len(signal["title"]) <= 120 and len(signal["summary"]) <= 400
        assert len(signal["graphData"]) == 24
        assert signal["graphData"][-1]["time"] == signal["recordedAt"]
        assert signal["graphData"][-1]["price"] == signal["price"]
        assert len({tag.casefold() for tag in signal["tags"]}) == len(signal["tags"])
        assert signal["priceChange1h"] == round(signal["priceChange1h"], 4)
        known = signal["coin"]["cmcId"] == 1
        assert signal["marketCap"] == (round(19_000_000 * signal["price"], 2) if known else None)
        assert signal["fullyDilutedMarketCap"] == (round(21_000_000 * signal["price"], 2) if known else None)
    default = await page(key)
    assert (len(default["data"]), default["limit"], default["offset"]) == (10, 10, 0)
    assert default["data"] == signals[:10] and default["total"] == len(signals)
    assert await page(key, {}) == default
    clamped = await page(key, {"limit": 51, "offset": 3})
    assert clamped["limit"] == 50 and clamped["data"] == signals[3:53]
    assert (await page(key, {"limit": 2}, "?limit=3"))["data"] == signals[:3]  # the query wins
    assert (await page(key, {"offset": 10_000}))["data"] == []


async def test_filters_are_those_of_a_plain_filter(key: Caller) -> None:
    signals = await every(key)
    narratives = {n["name"]: n["id"] for n in (await key.call("GET", "/ai-signal/narratives")).json}
    draw = random.Random(7)
    middle = seconds(signals[len(signals) // 2])
    choices: dict[str, list[Any]] = {
        "chain": [["BITCOIN"], ["eth", "nothing"], "base", ["  Base "], [], ["%"], ["_"], ["ba%e"]],
        "search": [
            "ünits",
            "ÜNITS",
            "100%_coin",
            "'n'",
            "%",
            "_",
            "bit",
            "1H)",
            "'; DROP TABLE x; --",
            "\\",
            "",
        ],
        "tag": [["surge", "regime"], "BTC", ["meme"], ["%"], ["volume-spike"], [""]],
        "narrative": [[narratives["Memes"]], [narratives["Payments"], 999], [], 12345],
        "cmcId": [1, 9001, 77],
        "from": [middle, 0],
        "to": [middle, 9_999_999_999],
        "sentiment": ["bullish", ["bearish", "neutral"], []],
    }

    def listed(value: Any) -> list[Any]:
        return value if isinstance(value, list) else [value]

    def matches(signal: dict[str, Any], asked: dict[str, Any]) -> bool:
        def part(needles: Any, names: list[str]) -> bool:
            wanted = [needle.strip().casefold() for needle in listed(needles) if needle.strip()]
            return not wanted or any(n in name.casefold() for n in wanted for name in names)

        ids = [narratives[name] for name in signal["narratives"]]
        wanted_ids = listed(asked.get("narrative", []))
        return (
            part(asked.get("chain", []), CHAINS[signal["coin"]["cmcId"]])
            and part(asked.get("search", ""), [signal["title"]])
            and part(asked.get("tag", []), signal["tags"])
            and (not wanted_ids or any(id_ in wanted_ids for id_ in ids))
            and signal["coin"]["cmcId"] == asked.get("cmcId", signal["coin"]["cmcId"])
            and asked.get("from", 0) <= seconds(signal) <= asked.get("to", 10**11)
            and (not asked.get("sentiment") or signal["sentiment"] in listed(asked["sentiment"]))
        )

    asks = [{name: value} for name, values in choices.items() for value in values]
    asks += [
        {name: draw.choice(choices[name]) for name in draw.sample(list(choices), draw.randint(2, 4))}
        for _ in range(40)
    ]
    some = 0
    for asked in asks:
        found = await page(key, {**asked, "unknown": 1}, "?limit=50")
        expected = [signal for signal in signals if matches(signal, asked)]
        assert (found["total"], found["data"]) == (len(expected), expected[:50]), asked
        some += 0 < len(expected) < len(signals)
    assert some > 20


async def test_credits_are_charged_by_what_is_returned(town: Town, key: Caller) -> None:
    for limit, cost in ((1, "1"), (10, "1"), (11, "2"), (50, "5")):
        answer = await key.call("POST", f"{PATH}?limit={limit}", {})
        assert (answer.status, answer.headers["X-Credits-Charged"]) == (200, cost)
    nothing = await key.call("POST", PATH, {"cmcId": 77})
    assert nothing.json["data"]["total"] == 0 and nothing.headers["X-Credits-Charged"] == "0"
    left = int(nothing.headers["X-Credits-Remaining"])
    assert left == 1005 - 9
    for path in ("chains", "tags", "narratives", "performance", "bullishness"):
        assert (await key.call("GET", f"/ai-signal/{path}")).status == 200
    once, replayed = [await key.call("POST", PATH, {}, headers={"Idempotency-Key": "1"}) for _ in range(2)]
    assert once.body == replayed.body and replayed.headers["Idempotency-Replayed"] == "true"
    left -= 1  # what is given again is free
    assert (await key.call("POST", f"{PATH}?limit=0", {})).status == 400
    again = await key.call("POST", PATH, {"cmcId": 77})
    assert int(again.headers["X-Credits-Remaining"]) == left
    poor = town.stranger()
    poor.token = (await poor.done("POST", "/v1/keys", {"email": "poor@example.com"}))["key"]
    refused = await poor.call("POST", f"{PATH}?limit=50", {})  # five credits: all it has
    assert refused.status == 200 and refused.headers["X-Credits-Remaining"] == "0"
    refused = await poor.call("POST", PATH, {})
    assert refused.status == 403
    assert refused.json["statusCode"] == 403 and refused.json["error"] == "Forbidden"
    assert "data" not in refused.json
    assert (await poor.call("POST", PATH, {"cmcId": 77})).status == 200  # nothing costs nothing


def refused(answer: Answer, status: int, error: str) -> str:
    assert (answer.status, answer.json["statusCode"], answer.json["error"]) == (status, status, error)
    message: str = answer.json["message"]
    return message


async def test_what_makes_no_sense_is_refused(town: Town, key: Caller) -> None:
    bad = [
        {"sentiment": "BULL"},
        {"sentiment": ["bullish", "up"]},
        {"from": 2, "to": 1},
        {"from": 1_700_000_000_000},
        {"to": 1_700_000_000_000},
        {"from": -1},
        {"cmcId": "1"},
        {"narrative": ["1"]},
        {"chain": [1]},
        {"search": 5},
        {"limit": 0},
        {"limit": 1.5},
        {"offset": -1},
        {"cursor": "nonsense"},
        {"since": "nonsense"},
        {"include": "everything"},
        {"timeframe": "7h"},
        [],
    ]
    for body in bad:
        assert refused(await key.call("POST", PATH, body), 400, "Bad Request"), body
    for query in ("?limit=x", "?offset=-1", "?limit=0", "?limit=1.5"):
        refused(await key.call("POST", PATH + query, {}), 400, "Bad Request")
    assert "milliseconds" in refused(await key.call("POST", PATH, bad[3]), 400, "Bad Request")
    nobody = town.stranger()
    for method, path in (("POST", PATH), ("GET", "/ai-signal/tags")):
        answer = await nobody.call(method, path)
        refused(answer, 401, "Unauthorized")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    nobody.token = "tw_live_nothing"
    refused(await nobody.call("POST", PATH, {}), 401, "Unauthorized")
    refused(await key.call("GET", f"{PATH}/00000000-0000-5000-8000-000000000000"), 404, "Not Found")
    refused(await key.call("GET", f"{PATH}/nothing"), 404, "Not Found")
    refused(await key.call("GET", "/ai-signal/nothing"), 404, "Not Found")
    assert refused(await key.call("PUT", PATH, {}), 405, "Method Not Allowed")


async def test_lookups_are_bare_lists_by_id(key: Caller) -> None:
    chains = (await key.call("GET", "/ai-signal/chains")).json
    assert [list(chain) for chain in chains] == [["id", "name"]] * len(chains)
    assert {chain["name"] for chain in chains} == {"Bitcoin", "Ethereum", "Base"}
    assert [c["name"] for c in (await key.call("GET", "/ai-signal/chains?search=SOLA")).json] == ["Solana"]
    assert (await key.call("GET", "/ai-signal/chains?search=%25")).json == []
    for name in ("tags", "narratives", "chains"):
        ids = [one["id"] for one in (await key.call("GET", f"/ai-signal/{name}?search=")).json]
        assert ids and ids == sorted(set(ids))
    tags = {one["name"] for one in (await key.call("GET", "/ai-signal/tags")).json}
    assert {"BTC", "HUN", "meme", "price-surge", "volume-spike"} <= tags
    assert {tag for signal in await every(key) for tag in signal["tags"]} <= tags


async def test_evidence_cursor_since_and_the_chain_go_beyond(key: Caller) -> None:
    signals = await every(key)
    seen: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        part = await page(key, {"cursor": cursor, "limit": 25})
        assert part["total"] == len(signals)
        seen += part["data"]
        cursor = part["nextCursor"]
    assert seen == signals
    one = (await key.call("GET", f"{PATH}/{signals[0]['id']}")).json["data"]
    assert one == signals[0]
    full = (await page(key, {}, "?include=evidence&limit=50"))["data"]
    assert [{name: signal[name] for name in FIELDS} for signal in full] == signals[:50]
    for signal in full:
        assert 0 <= signal["confidence"] <= 1 and -1 <= signal["score"] <= 1
        assert signal["triggers"] and signal["timeframe"] == "1h"
        total = sum(c["weight"] * c["quality"] * c["value"] for c in signal["components"])
        weights = sum(c["weight"] * c["quality"] for c in signal["components"])
        assert abs(signal["score"] - total / weights) < 1e-12
        assert signal["barClose"] == signal["recordedAt"]
        for outcome in signal["outcomes"]:
            assert outcome["horizon"] in ("1h", "4h", "24h")
            assert (outcome["hit"] is None) == (signal["sentiment"] == "neutral")
    by_position = sorted(full, key=lambda signal: signal["chain"]["position"])
    for before, after in pairwise(by_position):
        if after["chain"]["position"] == before["chain"]["position"] + 1:
            assert after["chain"]["previousHash"] == before["chain"]["hash"]
    last = by_position[-1]
    since = await page(key, {"since": by_position[0]["id"]}, "?limit=50")
    assert last["id"] in {signal["id"] for signal in since["data"]}
    assert by_position[0]["id"] not in {signal["id"] for signal in since["data"]}
    shown = (await key.call("GET", "/ai-signal/performance")).json
    assert shown["signals"] == len(signals) and len(shown["headHash"]) == 64
    leaning = (await key.call("GET", "/ai-signal/bullishness")).json
    assert [coin["rank"] for coin in leaning["coins"]] == list(range(1, len(leaning["coins"]) + 1))
    assert {coin["cmcId"] for coin in leaning["coins"]} >= {1, 9001}
    assert all(0 <= coin["bullishness"] <= 100 for coin in leaning["coins"])


# ── the stream, and texts that callers send ──


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


async def nobody_listens(town: Town) -> bool:
    """Whether every stream has ended at the gateway, too: until then it may be charged for."""
    metrics = await town.house.running["gateway-0"].metrics()
    return "tradewind_gateway_signal_subscriptions 0.0" in metrics


async def test_a_stream_hears_what_is_recorded_and_goes_on_where_it_ended(town: Town, key: Caller) -> None:
    last = (await told_since(key, ""))[-1]
    admin = await town.admin()
    left = await credits_of(key)
    async with listening(key) as events:
        body = {"symbol": "BTC/USDT", "timeframe": "1h", "candles": LATER}
        await admin.done("POST", "/admin/candles", body)
        first = await events.signals(4)
    await looked_at(town.house.dsns["scanner"], LATER[-1][0], 1)
    await wait_until(lambda: nobody_listens(town))
    spent = left - await credits_of(key)
    told = await told_since(key, last["id"])
    assert 1 <= spent <= -(-len(told) // 10)  # by what was on its way when the reader left
    shown = [{name: signal[name] for name in first[0]} for signal in told]
    assert len(told) > 10 and first == shown[:4]
    left = await credits_of(key)
    async with listening(key, last=first[2]["id"]) as events:
        assert await events.signals(len(told) - 3) == shown[3:]
    await wait_until(lambda: nobody_listens(town))
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
    async with AsyncExitStack() as opened:
        for _ in range(5):
            await opened.enter_async_context(listening(key))
        refused(await key.call("GET", FEED), 429, "Too Many Requests")
    await wait_until(lambda: nobody_listens(town))
    async with listening(key):
        assert not await nobody_listens(town)  # who left made room


async def test_a_stream_ends_with_its_key(town: Town) -> None:
    owner = await town.user()
    browser = await town.browser(owner)
    made = await browser.done("POST", "/api/v1/keys", {"name": "feed", "scopes": ["read"]})
    caller = town.stranger()
    caller.token = made["key"]
    async with listening(caller) as events:
        assert (await browser.call("DELETE", f"/api/v1/keys/{made['id']}")).status < 300
        assert await events.next() is None


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
