"""The scan surface as its callers meet it: shapes, tiers, whose things, bad input."""

from __future__ import annotations

import struct
from base64 import b64decode
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiohttp import WSMsgType
from msgspec.structs import replace
from standardwebhooks import Webhook

from libs.common.bus import encode
from libs.common.bus_nats import NatsBus
from libs.common.ids import Uuid
from libs.common.messages.scan_people import FeedFrame
from libs.common.subjects import FEED_TOLD
from services.scanner.catalogue import PATTERNS
from services.scanner.contexts import visual_code
from tests.conftest import PATIENCE_S, wait_until
from tests.contract.auth.people import Answer, Town
from tests.contract.scan.conftest import (
    BAD_SCANS,
    BARS,
    FOUR_HOURS_MS,
    agent_of,
    close_bars,
    context_of,
    fat_event,
    load,
    person,
    quota_of,
    refused,
    unix_text,
)
from tests.integration.notifier import receivers

CANONICAL = "BINANCE:WAVUSDT"
DAY_MS = 86_400_000


# ── scan ──────────────────────────────────────────────────────────────────────────────────────────


async def test_a_scan_has_the_contracts_fields_and_counts_in_the_quota(town: Town) -> None:
    caller = await person(town, "free")
    for used, symbol in enumerate(("WAVUSDT", "WAV%2FUSDT", "BINANCE:WAVUSDT", "wav"), 1):
        body = await caller.done("GET", f"/api/v1/scan?symbol={symbol}&tf=4H")
        assert body["quota"]["used"] == used
    fields = "symbol tf scanned_at candles price patterns levels regime indicators quota"
    assert list(body) == fields.split()
    assert (body["symbol"], body["tf"], body["candles"]) == (CANONICAL, "4h", 120)
    assert body["price"] == BARS[-1][4]
    by_name = {one["pattern"]: one for one in body["patterns"]}
    top = by_name["double_top"]
    assert (top["at"], top["direction"], top["confidence"]) == (102, "bearish", 1)
    assert top["entry"] == BARS[105][4] and len(top["targets"]) == 2 and top["stop"] > top["entry"]
    neutral = [one for one in body["patterns"] if one["direction"] == "neutral"]
    assert all(one["entry"] is one["stop"] is one["targets"] is None for one in neutral)
    order = [(-one["at"], -one["confidence"]) for one in body["patterns"]]
    assert [at for at, _ in order] == sorted(at for at, _ in order)


async def test_the_sixth_scan_of_a_free_day_is_refused_and_one_that_failed_does_not_count(town: Town) -> None:
    caller = await person(town, "free")
    for used in range(1, 6):
        if used == 3:
            short = await refused(caller, "GET", "/api/v1/scan?symbol=NEWUSDT&tf=4h")
            assert short[:2] == (422, "insufficient_data")
        answer = await caller.call("GET", "/api/v1/scan?symbol=WAVUSDT&tf=4h")
        quota = answer.json["quota"]
        assert (quota["used"], quota["limit"]) == (used, 5)
        assert quota_of(answer) == (5, 5 - used) and "X-Credits-Charged" not in answer.headers
        assert answer.headers["X-Quota-Reset"] == unix_text(quota["resets_at"])
    answer = await caller.call("GET", "/api/v1/scan?symbol=WAVUSDT&tf=4h")
    assert (answer.status, quota_of(answer)) == (429, (5, 0))
    assert answer.headers["X-Quota-Reset"] == unix_text(answer.json["meta"]["resets_at"])
    status, code, said = await refused(caller, "GET", "/api/v1/scan?symbol=WAVUSDT&tf=4h")
    assert (status, code) == (429, "quota_exceeded")
    assert said["detail"] == "Daily quota of 5 scans exceeded."
    assert said["hint"] == "Upgrade to Go for 50 scans a day."
    usage = await caller.done("GET", "/api/v1/usage")
    assert usage["quota"]["scans"]["used"] == 5


async def test_wanted_patterns_only_and_none_is_all(town: Town) -> None:
    caller = await person(town)
    path = f"/api/v1/scan?symbol={CANONICAL}&tf=4h&patterns="
    some = await caller.done("GET", path + "double_top,double_bottom")
    assert [one["pattern"] for one in some["patterns"]] == ["double_bottom", "double_top"]
    assert len((await caller.done("GET", path))["patterns"]) > 2
    status, code, body = await refused(caller, "GET", path + "double_top,nonsense")
    assert (status, code, body["meta"]["field"]) == (400, "invalid_param", "patterns")
    assert "double_top" in body["meta"]["allowed"]


async def test_a_scan_that_can_not_be_done_costs_no_quota(town: Town) -> None:
    caller = await person(town, "free")
    said = {}
    for query, status, code in BAD_SCANS:
        got = await refused(caller, "GET", f"/api/v1/scan?{query}")
        assert got[:2] == (status, code), query
        said[query] = got[2]
    assert said["symbol=WAVUSDT&tf=5m"]["meta"]["allowed"] == ["30m", "1h", "4h", "1d"]
    assert said["symbol=NOPE&tf=4h"]["guidance"]["next_actions"][0] == {"action": "search_symbols"}
    assert said["symbol=NEWUSDT&tf=4h"]["meta"] == {"have": 19, "need": 20}
    usage = await caller.done("GET", "/api/v1/usage")
    assert usage["quota"]["scans"]["used"] == 0


async def test_who_may_scan_and_who_may_read_records(town: Town) -> None:
    free, nobody = await person(town, "free"), town.stranger()
    assert (await refused(nobody, "GET", "/api/v1/scan?symbol=WAVUSDT&tf=4h"))[0] == 401
    status, code, body = await refused(free, "GET", "/api/v1/records")
    assert (status, code) == (403, "tier_insufficient")
    assert body["meta"] == {"required_tier": "go", "current_tier": "free"}
    assert (await refused(nobody, "GET", "/api/v1/records"))[0] == 401
    for path, count in (("public", 5), ("recent", 20)):
        records = (await nobody.done("GET", f"/api/v1/records/{path}"))["records"]
        assert len(records) == count
        assert all(not {"entry", "stop", "targets"} & set(record) for record in records)
        assert all(record["status"] in ("active", "closed") for record in records)
    kept = await nobody.call("GET", "/api/v1/records/recent")
    assert kept.headers["Cache-Control"] == "public, max-age=60"
    assert "Cache-Control" not in (await nobody.call("GET", "/api/v1/records/public")).headers


async def test_an_agent_without_a_good_key_is_told_how_its_owner_gets_one(town: Town) -> None:
    nobody, wrong = town.stranger(), town.stranger()
    wrong.token = "tw_live_" + "x" * 32
    status = await nobody.done("GET", "/api/v1/status")
    assert status["recovery"]["flow"] == "manual_web_agent_key"
    for path in ("contexts?symbol=WAV&timeframe=4h", "contexts/ctx_1/chart", "monitors", "feed", "usage"):
        for caller, code in ((nobody, "missing_agent_key"), (wrong, "invalid_agent_key")):
            said = await refused(caller, "GET", f"/api/v1/{path}")
            assert said[:2] == (401, code), path
            assert said[2]["recovery"] == status["recovery"]
            assert said[2]["guidance"] == {"do_not_guess": True, "next_actions": [{"action": "get_status"}]}
    in_browsers_too = await refused(nobody, "GET", "/api/v1/watchlists")
    assert in_browsers_too[:2] == (401, "not_authenticated")


# ── patterns and records ──────────────────────────────────────────────────────────────────────────


async def test_the_catalogue_says_what_each_pattern_is(town: Town) -> None:
    nobody = town.stranger()
    body = await nobody.done("GET", "/api/v1/patterns")
    assert body["count"] == len(body["patterns"]) == len(PATTERNS)
    fields = {"id", "name", "direction", "category", "min_candles", "description"}
    assert all(fields <= set(pattern) for pattern in body["patterns"])
    one = await nobody.done("GET", "/api/v1/patterns/head_and_shoulders")
    assert (one["direction"], one["category"]) == ("bearish", "reversal")
    for path in ("/api/v1/patterns/nope", "/api/v1/patterns/nope/performance"):
        assert (await refused(nobody, "GET", path))[:2] == (404, "pattern_not_found")


async def test_performance_is_what_the_records_say(town: Town) -> None:
    caller = await person(town)
    page = await caller.done("GET", "/api/v1/records?pattern=double_top&status=closed&limit=100")
    wins = sum(record["outcome"] == "win" for record in page["records"])
    body = await caller.done("GET", "/api/v1/patterns/double_top/performance")
    assert (body["total"]["n"], body["total"]["wins"]) == (page["returned_count"], wins)
    assert body["total"]["hit_rate"] == wins / page["returned_count"]
    assert body["total"]["ci_low"] < body["total"]["hit_rate"] <= body["total"]["ci_high"]
    assert body["total"]["baseline_n"] > 0
    assert [part["key"] for part in body["by_tf"]] == ["4h"]
    assert [part["key"] for part in body["by_symbol"]] == [CANONICAL]
    assert sum(part["n"] for part in body["by_hour"]) == body["total"]["n"]
    none = await caller.done("GET", "/api/v1/patterns/double_top/performance?symbol=EURUSD&tf=1h")
    assert (none["total"]["n"], none["total"]["hit_rate"], none["by_tf"]) == (0, None, [])


async def test_records_come_in_pages_and_by_filter(town: Town) -> None:
    caller = await person(town, "go")
    seen: list[str] = []
    cursor = ""
    while True:
        page = await caller.done("GET", f"/api/v1/records?symbol=WAVUSDT&limit=9&cursor={cursor}")
        assert page["returned_count"] == len(page["records"]) <= 9
        seen += [record["id"] for record in page["records"]]
        assert page["has_more"] == (page["next_cursor"] is not None)
        if not page["has_more"]:
            break
        cursor = page["next_cursor"]
    assert len(seen) == len(set(seen)) > 18
    losses = await caller.done("GET", "/api/v1/records?outcome=loss&limit=100")
    assert {record["outcome"] for record in losses["records"]} == {"loss"}
    one = await caller.done("GET", f"/api/v1/records/{losses['records'][0]['id']}")
    assert one == losses["records"][0]
    fields = "id detection_id symbol tf pattern direction confidence detected_at entry stop targets status"
    assert list(one)[:12] == fields.split()
    nothing = await caller.done("GET", "/api/v1/records?from=2031-01-01")
    assert nothing == {"records": [], "returned_count": 0, "has_more": False, "next_cursor": None}
    for query in (
        "limit=0",
        "limit=101",
        "outcome=maybe",
        "status=x",
        "from=yesterday",
        "cursor=zz",
        "tf=7h",
    ):
        assert (await refused(caller, "GET", f"/api/v1/records?{query}"))[:2] == (400, "invalid_param"), query
    missing = "/api/v1/records/rec_00000000000000000000000000000000"
    assert (await refused(caller, "GET", missing))[:2] == (404, "record_not_found")
    assert (await refused(caller, "GET", "/api/v1/records/1"))[:2] == (404, "record_not_found")


# ── watchlists ────────────────────────────────────────────────────────────────────────────────────


async def test_watchlists_are_kept_changed_and_somebody_elses_are_not_there(town: Town) -> None:
    caller, other = await person(town, "free"), await person(town, "free")
    made = await caller.call(
        "POST", "/api/v1/watchlists", {"name": "Waves", "symbols": ["wav", "EURUSD", "WAV/USDT"]}
    )
    assert made.status == 201
    body = made.json
    assert list(body) == ["id", "name", "symbols", "created_at", "updated_at"]
    assert body["id"].startswith("wl_") and body["symbols"] == [CANONICAL, "TRADEWIND:EURUSD"]
    path = f"/api/v1/watchlists/{body['id']}"
    changed = await caller.done("PUT", path, {"symbols": ["GBPUSD"]})
    assert (changed["name"], changed["symbols"]) == ("Waves", ["TRADEWIND:GBPUSD"])
    assert (await refused(caller, "POST", "/api/v1/watchlists", {"name": "waves"}))[:2] == (
        409,
        "watchlist_name_taken",
    )
    for method, content in (("PUT", {"name": "Mine"}), ("DELETE", None)):
        assert (await refused(other, method, path, content))[:2] == (404, "watchlist_not_found")
    for symbol in ("EURUSD", "wav", "EURUSD"):
        await caller.done("POST", "/api/v1/watchlists", {"symbol": symbol})
    lists = (await caller.done("GET", "/api/v1/watchlists"))["watchlists"]
    assert [one["name"] for one in lists] == ["Default", "Waves"]
    assert lists[0]["symbols"] == ["TRADEWIND:EURUSD", CANONICAL]
    assert (await caller.call("DELETE", "/api/v1/watchlists/WAVUSDT")).status == 204
    assert (await refused(caller, "DELETE", "/api/v1/watchlists/WAVUSDT"))[:2] == (404, "watchlist_not_found")
    assert (await caller.call("DELETE", path)).status == 204
    assert (await other.done("GET", "/api/v1/watchlists")) == {"watchlists": []}


BAD_LISTS: tuple[Any, ...] = (
    {},
    {"name": ""},
    {"name": "x" * 51},
    {"name": "a", "symbols": ["EURUSD"] * 51},
    {"name": "a", "symbol": "EURUSD"},
    {"name": "a\u0000b"},
    {"name": 7},
    [],
)


async def test_a_broken_watchlist_is_refused_and_nothing_is_stored(town: Town) -> None:
    caller = await person(town, "free")
    for body in BAD_LISTS:
        assert (await refused(caller, "POST", "/api/v1/watchlists", body))[:2] == (400, "invalid_param"), body
    unknown = {"name": "ok", "symbols": ["EURUSD", "NOPE"]}
    assert (await refused(caller, "POST", "/api/v1/watchlists", unknown))[0] == 404
    assert (await caller.done("GET", "/api/v1/watchlists"))["watchlists"] == []


# ── contexts ──────────────────────────────────────────────────────────────────────────────────────


async def test_a_context_shows_what_was_known_then(town: Town) -> None:
    caller = await person(town)
    page = await caller.done("GET", f"/api/v1/contexts?symbol={CANONICAL}&timeframe=4h&limit=3")
    assert page["returned_count"] == 3 and page["queued"] is False
    none = await caller.done("GET", "/api/v1/contexts?symbol=EURUSD&timeframe=1d")
    assert (none["contexts"], none["queued"]) == ([], True)
    path = f"/api/v1/contexts/{await context_of(caller)}"
    view = await caller.done("GET", path)
    candles = (await caller.done("GET", f"{path}/ohlcv"))["candles"]
    assert candles[-1] == [float(x) for x in BARS[105]] and len(candles) == 106
    manifest = (await caller.done("GET", f"{path}/manifest"))["manifest"]
    assert manifest["schema"] == "tradewind.context_manifest.v1"
    assert manifest["window"]["candles"] == 106 and manifest["pattern"] == view["pattern"] == "double_top"
    inspect = await caller.done("GET", f"{path}/inspect")
    shown = (inspect["chart"]["dimensions"], inspect["context"]["context_id"])
    assert shown == ({"width": 1920, "height": 1080}, view["context_id"])


async def test_charts_are_pictures_of_the_promised_size(town: Town) -> None:
    caller = await person(town)
    path = f"/api/v1/contexts/{await context_of(caller)}"
    pictures = set()
    for kind in ("chart", "original-chart", "inspect/chart"):
        answer = await caller.call("GET", f"{path}/{kind}")
        assert (answer.status, answer.headers["Content-Type"]) == (200, "image/png")
        assert answer.body[:8] == b"\x89PNG\r\n\x1a\n"
        assert struct.unpack(">II", answer.body[16:24]) == (1920, 1080)
        pictures.add(answer.body)
    assert len(pictures) == 3


async def test_conditions_are_figures_of_the_contexts_bars(town: Town) -> None:
    caller = await person(town)
    path = f"/api/v1/contexts/{await context_of(caller)}/conditions"
    answer = await caller.done(
        "POST", path, {"condition_id": "price_above_vwap", "parameters": {"window_days": 5}}
    )
    bars = [bar for bar in BARS[:106] if bar[0] > BARS[105][0] - 5 * DAY_MS]
    vwap = sum((high + low + close) / 3 * volume for _, _, high, low, close, volume in bars)
    vwap /= sum(bar[5] for bar in bars)
    assert answer["values"]["candles"] == len(bars) == 5 * DAY_MS // FOUR_HOURS_MS
    assert answer["values"]["vwap"] == pytest.approx(vwap, abs=0.005)
    assert answer["met"] == (BARS[105][4] > vwap)
    state = await caller.done("POST", path, {"condition_id": "price_volume_state"})
    assert state["values"]["volume"] == state["values"]["volume_mean"] == 10 and state["met"] is False
    for body in (
        {"condition_id": "nope"},
        {"condition_id": "price_above_vwap", "parameters": {"window_days": 0}},
        {"condition_id": "price_above_vwap", "parameters": {"window_days": "5"}},
        {"condition_id": "price_volume_state", "parameters": {"x": 1}},
        {},
    ):
        assert (await refused(caller, "POST", path, body))[:2] == (400, "invalid_param"), body


async def test_looking_is_confirmed_by_the_code_on_the_chart_only(town: Town) -> None:
    caller = await person(town)
    context = await context_of(caller)
    me = (await caller.done("GET", "/auth/me"))["user"]
    view, path = f"/api/v1/contexts/{context}", f"/api/v1/contexts/{context}/visual-confirmation"
    seen = (("GET", view), ("POST", path), ("GET", view))
    wrong = {"observed_visual_code": "AAAAAA", "method": "eye", "observations": ""}
    assert (await refused(caller, "POST", path, wrong))[:2] == (422, "visual_confirmation_failed")
    code = visual_code(Uuid(hex=context[4:]), int(me["id"]))
    right = {**wrong, "observed_visual_code": f" {code.lower()} "}
    said = [await caller.done(verb, where, right if verb == "POST" else None) for verb, where in seen]
    assert [one["visual_status"] for one in said] == ["unconfirmed", "visual_confirmed", "visual_confirmed"]


async def test_an_unknown_context_is_not_there(town: Town) -> None:
    caller = await person(town, "free")
    for context in ("ctx_00000000000000000000000000000000", "nope", "wl_1", "ctx_zz"):
        for tail in ("", "/inspect", "/chart", "/manifest", "/ohlcv", "/original-chart"):
            got = await refused(caller, "GET", f"/api/v1/contexts/{context}{tail}")
            assert got[:2] == (404, "not_found"), (context, tail)


# ── monitors and the feed ─────────────────────────────────────────────────────────────────────────


async def test_a_monitor_feeds_its_owner_and_nobody_else(town: Town) -> None:
    caller, other, admin = await person(town), await person(town), await town.admin()
    symbol = "FED/USDT"
    await load(admin, symbol, "1h", [(at - BARS[0][0], *rest) for at, *rest in BARS[:100]])
    body = {"name": "Feed", "symbol_filters": [symbol], "timeframe_filters": ["1H"]}
    monitor = await caller.done("POST", "/api/v1/monitors", body)
    assert monitor["id"].startswith("mon_") and monitor["status"] == "active"
    assert monitor["symbol_filters"] == ["BINANCE:FEDUSDT"]
    rest = await caller.done("POST", "/api/v1/monitors", {"name": "Rests", "symbol_filters": [symbol]})
    paused = await caller.done("POST", f"/api/v1/monitors/{rest['id']}/pause", {})
    assert paused["status"] == "paused"
    await close_bars(town, symbol, [(at - BARS[0][0], *rest) for at, *rest in BARS[100:112]])

    async def fed() -> Any:
        page: Any = await caller.done("GET", "/api/v1/feed?limit=100")
        return {event["type"] for event in page["events"]} == {"context_ready", "record_closed"} and page

    page: Any = await wait_until(fed)
    assert {event["monitor_id"] for event in page["events"]} == {monitor["id"]}
    assert {event["symbol"] for event in page["events"]} == {"BINANCE:FEDUSDT"}
    assert (await other.done("GET", "/api/v1/feed"))["events"] == []
    first = page["events"][0]
    assert (await other.done("POST", "/api/v1/feed/ack", {"event_ids": [first["id"]]}))["acknowledged"] == 0
    assert (await caller.done("POST", "/api/v1/feed/ack", {"event_ids": [first["id"], "x"]}))[
        "acknowledged"
    ] == 1
    unread = await caller.done("GET", "/api/v1/feed?unread_only=true&limit=100")
    assert first["id"] not in {event["id"] for event in unread["events"]}
    half = await caller.done("GET", "/api/v1/feed?limit=1")
    after = await caller.done("GET", f"/api/v1/feed?limit=1&cursor={half['next_cursor']}")
    assert half["has_more"] and after["events"][0]["id"] != half["events"][0]["id"]
    path = f"/api/v1/monitors/{monitor['id']}"
    for method, tail in (("POST", "/pause"), ("POST", "/resume"), ("DELETE", "")):
        assert (await refused(other, method, path + tail, {} if tail else None))[:2] == (404, "not_found")
    assert (await caller.call("DELETE", path)).status == 204
    usage = await caller.done("GET", "/api/v1/usage")
    assert (usage["monitors"]["used"], usage["monitors"]["active"], usage["tier"]) == (1, 0, "pro")


async def test_a_monitor_calls_its_owners_webhook_with_each_event_of_the_feed_once(town: Town) -> None:
    caller, admin = await person(town), await town.admin()
    async with receivers.open_receiver() as receiver:

        async def echo(request: Any) -> Any:
            return await receivers.status(200, {"code": receiver.calls[-1].json["data"]["code"]})(request)

        receiver.script.append(echo)
        target = {"channel": "webhook", "target": f"{receiver.url}/hook"}
        bound = await caller.done("POST", "/api/v1/notifications/channels/bind", target)
        assert bound["status"] == "verified"
        receiver.calls.clear()
        receiver.script.append(receivers.status(503))
        symbol = "HUK/USDT"
        bars = [(at - BARS[0][0], *rest) for at, *rest in BARS]
        await load(admin, symbol, "1h", bars[:100])
        body = {"name": "Hook", "symbol_filters": [symbol], "channels": ["webhook"]}
        assert (await caller.done("POST", "/api/v1/monitors", body))["channels"] == ["webhook"]
        await close_bars(town, symbol, bars[100:112])

        async def told() -> Any:
            fed = (await caller.done("GET", "/api/v1/feed?limit=100"))["events"]
            got = {call.headers["webhook-id"] for call in receiver.calls[1:]}
            return {event["type"] for event in fed} == {"context_ready", "record_closed"} and (
                {event["id"] for event in fed} == got and fed
            )

        fed: Any = await wait_until(told)
        refused_one, *calls = receiver.calls
        assert refused_one.headers["webhook-id"] in {call.headers["webhook-id"] for call in calls}
        assert len(calls) == len(fed)
        for call in calls:
            said: Any = Webhook(bound["secret"]).verify(call.body, call.headers)
            event = next(event for event in fed if event["id"] == said["id"])
            assert said["type"] == f"monitor.{event['type']}"
            assert {name: said["data"][name] for name in event} == event


async def test_the_feeds_socket_gives_new_events_to_their_owner_only(town: Town) -> None:
    caller, other, admin = await person(town), await person(town), await town.admin()
    symbol = "SOK/USDT"
    bars = [(at - BARS[0][0], *rest) for at, *rest in BARS]
    await load(admin, symbol, "1h", bars[:100])
    for one in (caller, other):
        await one.done("POST", "/api/v1/monitors", {"name": "all", "symbol_filters": [symbol]})
    url = caller.url.replace("http", "ws") + "/api/v1/feed/ws"
    cookie = {"Cookie": f"session={caller.cookie}", **caller.headers}
    async with caller.session.ws_connect(url) as nobody:
        await nobody.send_json({"authorization": "nonsense"})
        assert (await nobody.receive_json())["error"] == "INVALID_TOKEN"
    async with caller.session.ws_connect(url, headers=cookie) as mine:
        await mine.send_json({"authorization": "cookie"})
        assert await mine.receive_json() == {"event": "authorization", "success": True}
        await close_bars(town, symbol, bars[100:112])
        first = await mine.receive_json(timeout=PATIENCE_S)
        listed = await caller.done("GET", "/api/v1/feed?limit=100")
        assert first in listed["events"]
        theirs = (await other.done("GET", "/api/v1/feed?limit=100"))["events"]
        assert theirs and first["id"] not in {event["id"] for event in theirs}
        await mine.send_str("nonsense")
    assert (await refused(caller, "GET", "/api/v1/feed/ws"))[:2] == (400, "invalid_param")


async def test_a_socket_that_does_not_read_delays_nobody_and_is_cut(town: Town, bus: NatsBus) -> None:
    sleeper, reader = await person(town), await person(town)
    ids = [(await one.done("GET", "/auth/me"))["user"]["id"] for one in (sleeper, reader)]
    fat = fat_event()
    url = reader.url.replace("http", "ws") + "/api/v1/feed/ws"
    async with AsyncExitStack() as stack:
        sockets = []
        for one in (sleeper, reader):
            headers = {"Cookie": f"session={one.cookie}", **one.headers}
            socket = await stack.enter_async_context(one.session.ws_connect(url, headers=headers))
            await socket.send_json({"authorization": "cookie"})
            assert (await socket.receive_json())["success"]
            sockets.append(socket)
        asleep, awake = sockets
        for number in range(400):  # 24 MB: more than every buffer on the way and the 200 that may wait
            await bus.publish(FEED_TOLD.at(person=ids[0]), encode(FeedFrame(event=fat)))
            if number % 40 == 0:
                await bus.publish(
                    FEED_TOLD.at(person=ids[1]), encode(FeedFrame(event=replace(fat, id=f"evt_{number}")))
                )
                assert (await awake.receive_json(timeout=PATIENCE_S))["id"] == f"evt_{number}"
        got = 0
        while (await asleep.receive(timeout=PATIENCE_S)).type is WSMsgType.TEXT:
            got += 1
        assert got < 400 and not awake.closed


async def test_monitors_are_limited_by_tier_and_checked(town: Town) -> None:
    caller = await person(town, "free")
    broken: tuple[Any, ...] = (
        {"name": "a", "pattern_filters": ["nope"]},
        {"name": "a", "timeframe_filters": ["2h"]},
        {"name": ""},
        {"name": "a", "symbol_filters": "EURUSD"},
        {"name": "a", "channels": ["pigeon"]},
    )
    for one in broken:
        assert (await refused(caller, "POST", "/api/v1/monitors", one))[:2] == (400, "invalid_param"), one
    unknown = {"name": "a", "symbol_filters": ["NOPE"]}
    assert (await refused(caller, "POST", "/api/v1/monitors", unknown))[0] == 404
    hooked = {"name": "a", "channels": ["webhook"]}
    _, code, body = await refused(caller, "POST", "/api/v1/monitors", hooked)
    assert (code, body["meta"]) == ("tier_insufficient", {"required_tier": "pro", "current_tier": "free"})
    mailed = await caller.done("POST", "/api/v1/monitors", {"name": "all", "channels": ["email", "email"]})
    assert mailed["channels"] == ["email"]
    answered, code, body = await refused(caller, "POST", "/api/v1/monitors", {"name": "two"})
    assert (answered, code, body["meta"]["limit"]) == (409, "limit_reached", 1)
    assert [one["name"] for one in (await caller.done("GET", "/api/v1/monitors"))["monitors"]] == ["all"]


async def test_an_agents_tools_answer_as_rest_does(town: Town) -> None:
    agent = await agent_of(town)
    page = await agent.told("scan_contexts", symbol="WAVUSDT", timeframe="4h", limit=1)
    id_ = page["contexts"][0]["context_id"]
    path = f"/api/v1/contexts/{id_}"
    for action, rest in (
        ("get_context", ""),
        ("get_context_manifest", "/manifest"),
        ("get_context_ohlcv", "/ohlcv"),
    ):
        assert await agent.told(action, ctx_id=id_) == await agent.caller.done("GET", path + rest)
    (picture,) = (await agent.call("get_chart", ctx_id=id_))["content"]
    assert (picture["type"], picture["mimeType"]) == ("image", "image/png")
    assert b64decode(picture["data"]) == (await agent.caller.call("GET", f"{path}/chart")).body
    state = await agent.told("check_context_condition", ctx_id=id_, condition_id="price_volume_state")
    assert state["context_id"] == id_
    record = (await agent.told("search_records", pattern="double_top", limit=1))["records"][0]
    assert await agent.told("get_record", id=record["id"]) == record
    monitor = await agent.told("create_monitor", name="Agent", timeframe_filters=["4h"])
    for action, status in (("pause_monitor", "paused"), ("resume_monitor", "active")):
        assert (await agent.told(action, id=monitor["id"]))["status"] == status
    assert (await agent.told("list_monitors"))["monitors"] == [monitor]
    gone = await agent.call("delete_monitor", id=monitor["id"])
    assert gone["content"] == [{"type": "text", "text": "{}"}]
    await agent.told("create_watchlist", symbol="WAVUSDT")
    await agent.call("remove_watchlist", id="WAVUSDT")
    assert (await agent.told("list_watchlists"))["watchlists"][0]["symbols"] == []
    assert (await agent.told("set_timezone", timezone="Asia/Tokyo")) == await agent.told("get_timezone")
    assert (await agent.told("get_usage"))["monitors"] == {"limit": 50, "used": 0, "active": 0}
    assert (await agent.told("get_status"))["recovery"] is None  # it has a key


async def test_a_skill_does_by_name_what_its_manifest_lists(town: Town) -> None:
    agent, nobody = (await agent_of(town)).caller, town.stranger()
    manifest = await nobody.done("GET", "/api/v1/skill/manifest.json")
    actions = {one["action"]: one for one in manifest["actions"]}
    assert actions["create_monitor"]["operation"] == "POST /api/v1/monitors"
    assert "idempotency_key" not in actions["create_monitor"]["input_schema"]["properties"]

    async def act(action: str, key: str = "", **given: Any) -> Answer:
        headers, body = {"Idempotency-Key": key} if key else {}, {"action": action, "input": given}
        return await agent.call("POST", manifest["endpoint"], body, headers=headers)

    made = [await act("create_monitor", "once", name="Skilled") for _ in range(2)]
    assert [answer.status for answer in made] == [201, 201] and made[0].json == made[1].json
    assert (await act("list_monitors")).json == await agent.done("GET", "/api/v1/monitors")
    assert (await act("delete_monitor", id=made[0].json["id"])).status == 204
    page = (await act("scan_contexts", symbol="WAVUSDT", timeframe="4h")).json
    picture = await act("get_chart", ctx_id=page["contexts"][0]["context_id"])
    assert (picture.headers["Content-Type"], picture.body[:4]) == ("image/png", b"\x89PNG")
    for body, said in (
        ({"action": "fly", "input": {}}, (404, "action_not_found")),
        ({"action": "get_context", "input": {}}, (400, "invalid_param")),
        ({"action": "get_context", "input": {"ctx_id": "nope"}}, (404, "not_found")),
        ({"input": {}}, (400, "invalid_param")),
        ([], (400, "invalid_param")),
    ):
        assert (await refused(agent, "POST", manifest["endpoint"], body))[:2] == said, body
    said = await refused(nobody, "POST", manifest["endpoint"], {"action": "get_usage"})
    assert said[:2] == (401, "missing_agent_key")


# ── symbols, time zone ────────────────────────────────────────────────────────────────────────────


async def test_symbols_are_found_in_pages_and_resolved(town: Town) -> None:
    nobody = town.stranger()
    first = await nobody.done("GET", "/api/v1/symbols/search?limit=3")
    second = await nobody.done("GET", f"/api/v1/symbols/search?limit=100&cursor={first['next_cursor']}")
    names = [item["symbol"] for item in first["items"] + second["items"]]
    assert names == sorted(set(names)) and len(names) == first["total_count"]
    found = await nobody.done("GET", "/api/v1/symbols/search?query=wavusdt&asset=crypto")
    assert [item["symbol"] for item in found["items"]] == [CANONICAL]
    assert (await nobody.done("GET", "/api/v1/symbols/resolve?symbol=wav"))["symbol"] == CANONICAL
    assert (await refused(nobody, "GET", "/api/v1/symbols/resolve?symbol=zzz"))[:2] == (
        404,
        "symbol_not_supported",
    )
    assert (await refused(nobody, "GET", "/api/v1/symbols/search?asset=cows"))[:2] == (400, "invalid_param")
    there = await nobody.done("GET", "/api/v1/capabilities")
    assert "4h" in there["timeframes"] and len(there["patterns"]) == len(PATTERNS)
    status = await nobody.done("GET", "/api/v1/status")
    assert status["ok"] is True and status["recovery"]["agent_direct_payment"] is False


async def test_a_time_zone_is_an_iana_name(town: Town) -> None:
    caller = await person(town, "free")
    assert (await caller.done("GET", "/api/v1/timezone")) == {"timezone": "UTC"}
    await caller.done("PUT", "/api/v1/timezone", {"timezone": "Europe/Berlin"})
    for wrong in ("Mars/Base", "../etc/passwd", "", "Europe", "utc\n"):
        assert (await refused(caller, "PUT", "/api/v1/timezone", {"timezone": wrong}))[0] == 400, wrong
    assert (await caller.done("GET", "/api/v1/timezone")) == {"timezone": "Europe/Berlin"}
