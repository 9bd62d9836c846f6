"""The analysis surface as its callers meet it: shapes, figures, money, memory, refusals and their order."""

from __future__ import annotations

import re
from typing import Any

import pytest

from services.scanner.patterns import NAMES
from services.scanner.rounding import shown
from services.scanner.snapshot import snapshot
from tests.contract.analysis.conftest import BARS, PAIR, PROXY, SHORT, WAVE, load
from tests.contract.auth.people import Answer, Caller, Town
from tests.oracles import structure
from tests.unit.scanner.series import plain

DISCLAIMER = "Informational market data only; not investment advice."
ASK = {"ticker": PAIR, "timeframe": "1h"}
PAID = ("brief", "delta", "candles", "analogs", "multi")


async def ask(caller: Caller, path: str, body: Any = None, **more: Any) -> Answer:
    """A call of the surface; whatever the answer, it carries the disclaimer."""
    answer = await caller.call("GET" if body is None else "POST", path, body, **more)
    assert answer.headers["X-Disclaimer"] == DISCLAIMER
    return answer


async def balance(caller: Caller) -> int:
    found: int = (await caller.done("GET", "/v1/balance"))["balanceMicros"]
    return found


async def charged(caller: Caller, path: str, body: Any) -> tuple[Answer, int]:
    """An answer and what it cost."""
    before = await balance(caller)
    answer = await ask(caller, path, body)
    return answer, before - await balance(caller)


# ── briefs ────────────────────────────────────────────────────────────────────────────────────────


async def test_a_brief_says_what_the_oracle_says_of_the_newest_200_candles(key: Caller) -> None:
    answer, cost = await charged(key, "/v1/brief", ASK)
    assert (answer.status, cost) == (200, 10_000)
    body, window = answer.json, BARS.last(200)
    series = plain(window)
    assert list(body) == ["header", "codec", "analysis", "disclaimer", "methodologyUrl"]
    assert body["header"] == {
        "sym": PAIR,
        "tf": "1h",
        "src": "manual",
        "n": 200,
        "t0": int(window.open_ms[0]),
        "t1": int(window.open_ms[-1]),
    }
    assert body["codec"] == {
        "rows": structure.rows(series),
        "sax": structure.sax(series.close),
        "precision": 2,
    }
    analysis = body["analysis"]
    assert [(p["name"], p["confidence"], p["at"], p["span"]) for p in analysis["patterns"]] == [
        (name, shown(confidence, 2), at, span) for name, confidence, at, span in structure.patterns(series)
    ]
    expected = structure.levels(series)
    for side, levels in zip(("support", "resistance"), expected, strict=True):
        assert analysis["levels"][side] == [
            {"price": shown(price, 2), "strength": shown(strength, 2)} for price, strength in levels
        ]
    regime = structure.regime(series)
    assert analysis["regime"] == {
        "trend": regime.trend,
        "strength": shown(regime.strength, 2),
        "volPct": shown(regime.vol_pct, 2),
    }
    now = snapshot(window)
    assert analysis["indicators"] == {
        "rsi": {"v": shown(now.rsi, 2), "state": now.rsi_state},
        "ema": {"v": shown(now.ema_fast, 2), "state": now.ema_state},
    }
    assert re.fullmatch(
        rf"{PAIR}: (uptrend|downtrend|range-bound) \((weak|moderate|strong)\), [+-][\d.]+% last 1h, "
        rf"RSI [\d.]+ \((overbought|oversold|neutral)\)(, ({'|'.join(NAMES)}) \(conf [\d.]+\))?\.",
        analysis["nl"],
    )
    assert body["disclaimer"] == DISCLAIMER
    page = await key.call("GET", body["methodologyUrl"].removeprefix(key.url))
    assert page.status == 200
    assert b"head_and_shoulders" in page.body


@pytest.mark.parametrize(("limit", "n"), [(20, 20), (1_000, 1_000), (10_001, 1_000), (None, 200)])
async def test_a_limit_counts_candles_and_is_cut_at_a_thousand(
    key: Caller, limit: int | None, n: int
) -> None:
    body = (await ask(key, "/v1/candles", {**ASK, "limit": limit})).json
    assert list(body) == ["header", "codec", "disclaimer"]
    assert body["header"]["n"] == n == body["codec"]["rows"].count(";") + 1
    assert body["header"]["t1"] - body["header"]["t0"] == (n - 1) * 3_600_000
    assert body["codec"]["rows"] == structure.rows(plain(BARS.last(n)))


async def test_fields_leave_sections_out_at_the_same_price(key: Caller) -> None:
    answer, cost = await charged(key, "/v1/brief", {**ASK, "fields": ["regime", "nl"]})
    assert list(answer.json) == ["header", "analysis", "disclaimer", "methodologyUrl"]
    assert (list(answer.json["analysis"]), cost) == (["regime", "nl"], 10_000)
    only = (await ask(key, "/v1/brief", {**ASK, "fields": ["candles"]})).json
    assert list(only) == ["header", "codec", "disclaimer", "methodologyUrl"]


@pytest.mark.parametrize("ticker", ["tst/usdt", "TSTUSDT", "BINANCE:TST/USDT", "TST", "binance:tstusdt"])
async def test_a_ticker_is_found_however_it_is_written(key: Caller, ticker: str) -> None:
    body = (await ask(key, "/v1/candles", {**ASK, "ticker": ticker})).json
    assert body["header"]["sym"] == PAIR


# ── deltas ────────────────────────────────────────────────────────────────────────────────────────


async def test_a_delta_tells_news_once_and_costs_less_without_any(key: Caller) -> None:
    first, cost = await charged(key, "/v1/delta", ASK)
    assert list(first.json) == ["delta", "brief", "disclaimer"]
    assert first.json["delta"] == {
        "changed": True,
        "sym": PAIR,
        "tf": "1h",
        "notes": ["first brief for this ticker+timeframe"],
    }
    assert (first.json["brief"]["header"]["n"], cost) == (200, 8_000)
    second, cost = await charged(key, "/v1/delta", ASK)
    assert second.json == {
        "delta": {"changed": False, "sym": PAIR, "tf": "1h", "notes": []},
        "disclaimer": DISCLAIMER,
    }
    assert cost == 1_000


async def test_a_brief_is_a_look_too_and_every_key_has_its_own_memory(key: Caller, town: Town) -> None:
    await ask(key, "/v1/brief", {**ASK, "timeframe": "4h"})
    assert not (await ask(key, "/v1/delta", {**ASK, "timeframe": "4h"})).json["delta"]["changed"]
    assert (await ask(key, "/v1/delta", {**ASK, "timeframe": "1d"})).json["delta"]["changed"]
    other = town.stranger()
    other.token = (await other.done("POST", "/v1/keys", {"email": "other@example.com"}))["key"]
    assert (await ask(other, "/v1/delta", {**ASK, "timeframe": "4h"})).json["delta"]["changed"]


async def test_a_delta_names_what_changed_in_the_market(key: Caller, town: Town) -> None:
    symbol, hour = "MOV/USDT", 3_600_000
    admin = await town.admin()
    await load(admin, symbol, "1h", BARS.cut(0, 200))
    await ask(key, "/v1/brief", {"ticker": symbol, "timeframe": "1h"})
    before = snapshot(BARS.cut(0, 200))
    close, at = before.close, 200 * hour
    rising = [
        [
            at + i * hour,
            close * (1 + 0.02 * i),
            close * (1.02 + 0.02 * i),
            close * (1 + 0.02 * i),
            close * (1.02 + 0.02 * i),
            9,
        ]
        for i in range(60)
    ]
    await admin.done("POST", "/admin/candles", {"symbol": symbol, "timeframe": "1h", "candles": rising})
    notes = (await ask(key, "/v1/delta", {"ticker": symbol, "timeframe": "1h"})).json["delta"]["notes"]
    assert before.regime.trend != "up"
    assert notes[0] == f"trend {before.regime.trend} -> up"
    assert notes[-1] == f"RSI {before.rsi_state} -> overbought"


# ── analogs and several timeframes ────────────────────────────────────────────────────────────────


async def test_analogs_show_every_outcome(key: Caller) -> None:
    asked = {"ticker": WAVE, "timeframe": "1h", "window": 12, "horizon": 6}
    answer, cost = await charged(key, "/v1/analogs", asked)
    body = answer.json
    assert list(body) == ["sym", "tf", "window", "distribution", "matches", "note", "disclaimer"]
    assert body["distribution"] == {
        "n": 4,
        "horizon": 6,
        "winRate": 1,
        "median": 0.062,
        "mean": 0.062,
        "min": 0.062,
        "max": 0.062,
    }
    assert (body["sym"], body["tf"], body["window"], body["matches"], cost) == (WAVE, "1h", 12, 4, 50_000)


async def test_analogs_search_more_than_a_thousand_candles(key: Caller) -> None:
    body = (await ask(key, "/v1/analogs", {**ASK, "window": 32})).json
    expected = structure.analogs(BARS.close.tolist(), 32, 20)
    assert body["matches"] == len(expected)
    assert body["distribution"]["horizon"] == 20


async def test_several_timeframes_are_told_side_by_side(key: Caller) -> None:
    body = (await ask(key, "/v1/multi", {"ticker": PAIR, "timeframes": ["4h", "1d"], "limit": 60})).json
    assert list(body) == ["briefs", "alignment", "disclaimer"]
    trends = {tf: brief["analysis"]["regime"]["trend"] for tf, brief in body["briefs"].items()}
    assert list(trends) == ["4h", "1d"]
    assert body["alignment"]["note"] == f"4h {trends['4h']} / 1d {trends['1d']}"
    assert list((await ask(key, "/v1/multi", {"ticker": PAIR})).json.get("briefs", ())) in (
        [],
        ["1h", "4h", "1d"],
    )


# ── what is offered ───────────────────────────────────────────────────────────────────────────────


async def test_the_demo_is_free_and_has_120_candles(town: Town) -> None:
    stranger = town.stranger()
    answer = await ask(stranger, "/v1/demo", {**ASK, "limit": 500})
    assert answer.json["header"]["n"] == 120
    assert "X-Credits-Charged" not in answer.headers
    codes = [(await ask(stranger, "/v1/demo", ASK)).status for _ in range(9)]
    assert codes == [200] * 9
    refused = await ask(stranger, "/v1/demo", ASK)
    assert (refused.status, refused.code) == (429, "RATE_LIMITED")
    assert 0 < int(refused.headers["Retry-After"]) <= 3_600


async def test_platforms_say_what_there_is_and_what_it_costs(town: Town) -> None:
    body = (await ask(town.stranger(), "/v1/platforms")).json
    assert body["assets"][0] == {"class": "crypto", "type": "spot", "source": "manual", "delay": "realtime"}
    assert body["timeframes"] == ["1m", "5m", "15m", "1h", "4h", "1d"]
    prices = {(e["method"], e["path"]): (e["priceMicros"], e["auth"]) for e in body["endpoints"]}
    assert prices["POST", "/v1/brief"] == (10_000, True)
    assert prices["POST", "/v1/delta"] == (8_000, True)
    assert prices["POST", "/v1/candles"] == (5_000, True)
    assert prices["POST", "/v1/analogs"] == (50_000, True)
    assert prices["POST", "/v1/multi"] == (25_000, True)
    assert prices["POST", "/v1/demo"] == (0, False)
    assert body["limits"] == {
        "minCandles": 20,
        "defaultLimit": 200,
        "maxLimit": 1000,
        "demoCandles": 120,
        "analogs": {"min": 2, "max": 500, "window": 32, "horizon": 20},
    }
    assert (body["starterCreditMicros"], body["disclaimer"]) == (50_000, DISCLAIMER)


async def test_status_and_health_answer_anybody(town: Town) -> None:
    stranger = town.stranger()
    status = (await ask(stranger, "/v1/status")).json
    assert (status["ok"], status["upstream"], list(status)) == (
        True,
        "ok",
        ["ok", "version", "uptimeSec", "upstream"],
    )
    assert (await ask(stranger, "/healthz")).body == b"ok"


# ── refusals ──────────────────────────────────────────────────────────────────────────────────────

BAD = [
    {"timeframe": "1h"},
    {"ticker": PAIR},
    {"ticker": "", "timeframe": "1h"},
    {"ticker": "no symbol", "timeframe": "1h"},
    {"ticker": 5, "timeframe": "1h"},
    {"ticker": PAIR, "timeframe": "2h"},
    {"ticker": PAIR, "timeframe": "1H"},
    {"ticker": PAIR, "timeframe": None},
    {**ASK, "limit": 19},
    {**ASK, "limit": -1},
    {**ASK, "limit": "many"},
    {**ASK, "limit": 50.5},
    {**ASK, "fields": ["regime", "everything"]},
    {**ASK, "market": "moon"},
    [1],
]


@pytest.mark.parametrize("body", BAD)
async def test_a_bad_parameter_is_refused_and_costs_nothing(key: Caller, body: Any) -> None:
    answer, cost = await charged(key, "/v1/brief", body)
    assert (answer.status, answer.json["error"], cost) == (400, "INVALID_PARAM", 0)
    assert answer.json["message"]


@pytest.mark.parametrize("field", ["window", "horizon"])
@pytest.mark.parametrize("value", [1, 501, 0, "x", 3.5])
async def test_analogs_take_2_to_500(key: Caller, field: str, value: Any) -> None:
    answer = await ask(key, "/v1/analogs", {**ASK, field: value})
    assert (answer.status, answer.code) == (400, "INVALID_PARAM")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"ticker": SHORT, "timeframe": "1h"}, 422, "INSUFFICIENT_DATA"),
        ({"ticker": SHORT, "timeframe": "4h"}, 422, "INSUFFICIENT_DATA"),
        ({"ticker": "ZZZ/USDT", "timeframe": "1h"}, 422, "INSUFFICIENT_DATA"),
        ({"ticker": "ZZZ", "timeframe": "1h"}, 422, "INSUFFICIENT_DATA"),
        ({"ticker": "zzz.x", "timeframe": "1h"}, 400, "INVALID_PARAM"),
    ],
)
async def test_too_few_candles_cost_nothing_and_leave_no_memory(
    key: Caller, body: Any, status: int, code: str
) -> None:
    for path in ("/v1/brief", "/v1/delta", "/v1/candles", "/v1/demo"):
        answer, cost = await charged(key, path, body)
        assert (answer.status, answer.code, cost) == (status, code, 0), path


async def test_an_analog_search_says_how_many_candles_it_lacks(key: Caller) -> None:
    answer, cost = await charged(key, "/v1/analogs", {"ticker": WAVE, "timeframe": "1h", "window": 60})
    assert (answer.status, answer.code, cost) == (422, "INSUFFICIENT_DATA", 0)
    assert "120 candles" in answer.json["message"]
    assert "141" in answer.json["message"]


async def test_nobody_is_refused_before_the_body_is_looked_at(town: Town) -> None:
    for path in PAID:
        for token in ("", "tw_live_nobody"):
            caller = town.stranger()
            caller.token = token
            answer = await ask(caller, f"/v1/{path}", {"nonsense": 1})
            assert (answer.status, answer.code) == (401, "UNAUTHORIZED")
            assert list(answer.json) == ["error", "message"]


async def test_an_empty_purse_is_told_after_the_body_and_before_the_candles(key: Caller) -> None:
    await ask(key, "/v1/analogs", {"ticker": WAVE, "timeframe": "1h", "window": 12, "horizon": 6})
    assert await balance(key) == 0
    bad = await ask(key, "/v1/brief", {"ticker": PAIR, "timeframe": "2h"})
    assert (bad.status, bad.code) == (400, "INVALID_PARAM")
    for path in PAID:
        unreadable = await ask(key, f"/v1/{path}", {"ticker": "foo.bar", "timeframe": "1h"})
        assert (unreadable.status, unreadable.code) == (400, "INVALID_PARAM"), path
    for body in (ASK, {"ticker": SHORT, "timeframe": "1h"}):
        poor = await ask(key, "/v1/brief", body)
        assert (poor.status, poor.code) == (402, "PAYMENT_REQUIRED")
        assert (poor.json["x402Version"], poor.json["accepts"]) == (1, [])
    free = await ask(key, "/v1/demo", ASK)
    assert free.status == 200


async def test_no_such_path_and_no_such_method_are_not_found(town: Town) -> None:
    stranger = town.stranger()
    for method, path in (("GET", "/v1/nothing"), ("GET", "/v1/brief"), ("DELETE", "/v1/status")):
        answer = await stranger.call(method, path)
        assert (answer.status, answer.json["error"]) == (404, "NOT_FOUND"), path
        assert answer.headers["X-Disclaimer"] == DISCLAIMER


async def test_a_body_that_is_no_json_is_refused(key: Caller) -> None:
    answer = await key.call("POST", "/v1/brief", data=b"{nope", headers={"Content-Type": "application/json"})
    assert (answer.status, answer.code) == (400, "INVALID_PARAM")


async def test_a_refused_country_meets_451_before_anything_else(town: Town) -> None:
    proxied = town.stranger(PROXY)
    us = {"headers": {"CF-IPCountry": "us", "X-Forwarded-For": "127.9.9.9"}}
    for path in (*(f"/v1/{name}" for name in PAID), "/v1/demo", "/v1/keys"):
        answer = await ask(proxied, path, {"nonsense": 1}, **us)
        assert (answer.status, answer.code) == (451, "GEO_BLOCKED"), path
    for path in ("/v1/platforms", "/v1/status", "/healthz"):
        assert (await ask(proxied, path, **us)).status == 200, path
    assert (await ask(proxied, "/v1/nothing", {}, **us)).status == 404


@pytest.mark.parametrize(("address", "country"), [(None, "US"), (PROXY, "DE"), (PROXY, "")])
async def test_others_are_not_refused_by_country(town: Town, address: str | None, country: str) -> None:
    caller = town.stranger(address)
    headers = {"CF-IPCountry": country, "X-Forwarded-For": f"127.8.8.{len(country)}"}
    assert (await ask(caller, "/v1/demo", ASK, headers=headers)).status == 200


@pytest.mark.parametrize(
    "candle",
    [
        [0, 1, 2, 0, 1.5, 1],
        [0, 1, 2, -1, 1.5, 1],
        [0, 1, 1.4, 0.5, 1.5, 1],
        [0, "NaN", 2, 0.5, 1.5, 1],
        [0, 1, 2, 0.5, 1.5, -1],
    ],
)
async def test_candles_that_are_none_never_reach_the_analysis(
    town: Town, key: Caller, candle: list[Any]
) -> None:
    admin = await town.admin()
    good = [[(i + 1) * 3_600_000, 1, 2, 0.5, 1.5, 1] for i in range(30)]
    body = {"symbol": PAIR, "timeframe": "5m", "candles": [*good, candle]}
    assert (await admin.call("POST", "/admin/candles", body)).status == 400
    answer = await ask(key, "/v1/brief", {**ASK, "timeframe": "5m"})
    assert (answer.status, answer.code) == (422, "INSUFFICIENT_DATA")


async def test_a_candle_that_is_given_again_is_one_candle(town: Town, key: Caller) -> None:
    admin = await town.admin()
    rows = [[i * 60_000, 10, 11, 9, 10 + i % 2, 1] for i in range(25)]
    for candles in (rows, rows[5:20]):
        await admin.done("POST", "/admin/candles", {"symbol": PAIR, "timeframe": "1m", "candles": candles})
    assert (await ask(key, "/v1/candles", {**ASK, "timeframe": "1m"})).json["header"]["n"] == 25


async def test_a_hole_in_the_candles_is_told_by_their_times(town: Town, key: Caller) -> None:
    admin = await town.admin()
    rows = [[i * 900_000, 10, 11, 9, 10, 1] for i in range(40) if i not in (7, 8, 30)]
    await admin.done("POST", "/admin/candles", {"symbol": PAIR, "timeframe": "15m", "candles": rows})
    header = (await ask(key, "/v1/candles", {**ASK, "timeframe": "15m"})).json["header"]
    assert (header["n"], header["t0"], header["t1"]) == (37, 0, 39 * 900_000)


# ── what came after ───────────────────────────────────────────────────────────────────────────────


async def test_a_pattern_says_what_came_after_such_when_it_is_asked(key: Caller) -> None:
    async def known() -> bool:
        body = (await ask(key, "/v1/demo", {"ticker": PAIR, "timeframe": "1h"})).json
        return bool(body["analysis"]["patterns"])

    assert await known()
    body = (await ask(key, "/v1/brief", {**ASK, "evidence": True})).json
    told = [p for p in body["analysis"]["patterns"] if "evidence" in p]
    assert told
    assert all(p["name"] != "doji" for p in told)
    for evidence in (p["evidence"] for p in told):
        assert list(evidence) == [
            "scope",
            "tf",
            "band",
            "horizon",
            "n",
            "hitRate",
            "ci95",
            "dist",
            "lift",
            "definition",
        ]
        assert evidence["dist"]["n"] == evidence["n"] > 0
        assert evidence["lift"]["lift"] == pytest.approx(
            evidence["hitRate"] - evidence["lift"]["baseline"], abs=2e-4
        )
        assert evidence["lift"]["baselineN"] >= 139
    assert "hist " in body["analysis"]["nl"]
    plainly = (await ask(key, "/v1/brief", ASK)).json
    assert not any("evidence" in p for p in plainly["analysis"]["patterns"])


async def test_the_table_lists_what_shows_now_the_highest_rate_first(key: Caller) -> None:
    answer, cost = await charged(key, "/v1/scan", {})
    rows = answer.json["rows"]
    assert (cost, list(answer.json)) == (20_000, ["rows", "disclaimer"])
    assert rows
    assert {row["assetClass"] for row in rows} == {"crypto"}
    order = [(-(row["baseRate"] if row["baseRate"] is not None else -1), -row["confidence"]) for row in rows]
    assert order == sorted(order)
    assert list(rows[0]) == [
        "sym",
        "tf",
        "assetClass",
        "regime",
        "pattern",
        "baseRate",
        "ci95",
        "n",
        "scope",
        "confidence",
        "asOf",
        "baseline",
        "lift",
        "liftCi95",
        "liftReading",
    ]
    lifted = (await ask(key, "/v1/scan", {"minLift": -1, "tf": "1h"})).json["rows"]
    assert all(row["lift"] is not None and row["tf"] == "1h" for row in lifted)
    for wrong in ({"limit": 501}, {"limit": 0}, {"minBaseRate": 1.1}, {"minLift": -1.1}, {"pattern": "moon"}):
        refused = await ask(key, "/v1/scan", wrong)
        assert (refused.status, refused.code) == (400, "INVALID_PARAM")


async def test_decimals_are_those_asked_for_and_change_nothing_that_is_computed(key: Caller) -> None:
    window = BARS.last(200)
    for path in ("brief", "candles"):
        plainly = (await ask(key, f"/v1/{path}", ASK)).json
        asked = (await ask(key, f"/v1/{path}", {**ASK, "decimals": 1})).json
        assert (plainly["codec"]["precision"], asked["codec"]["precision"]) == (2, 1)
        first = asked["codec"]["rows"].split(";")[0].split(",")
        assert first[0] == structure.text(float(window.open[0]), 1)
        assert asked["codec"]["sax"] == plainly["codec"]["sax"]
        if path == "brief":
            assert asked["analysis"]["patterns"] == plainly["analysis"]["patterns"]
            assert asked["analysis"]["nl"] == plainly["analysis"]["nl"]
            for side in ("support", "resistance"):
                levels = zip(
                    asked["analysis"]["levels"][side], plainly["analysis"]["levels"][side], strict=True
                )
                assert all(abs(a["price"] - b["price"]) <= 0.06 for a, b in levels)
    for wrong in (-1, 9, "two"):
        assert (await ask(key, "/v1/brief", {**ASK, "decimals": wrong})).code == "INVALID_PARAM"


async def test_an_agents_call_answers_as_rest_and_the_ledger_shows_it_once(key: Caller) -> None:
    rest = await key.done("POST", "/v1/brief", ASK)
    before = await balance(key)
    call = {"name": "tradewind_brief", "arguments": ASK}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    accept = {"Accept": "application/json, text/event-stream"}
    said = (await key.call("POST", "/mcp", message, headers=accept)).json["result"]
    assert not said["isError"] and said["structuredContent"] == rest
    assert before - await balance(key) == 10_000
    usage = await key.done("GET", "/v1/usage")
    assert [(day["calls"], day["chargedMicros"]) for day in usage["days"]] == [(2, 20_000)]
    few = {"name": "tradewind_brief", "arguments": {**ASK, "ticker": SHORT}}
    refused = await key.call("POST", "/mcp", {**message, "params": few}, headers=accept)
    assert refused.json["result"]["isError"]
    assert before - await balance(key) == 10_000  # charged on success only
