"""Rules through the front door: REST in, the stream and the list out; what is refused says why."""

from __future__ import annotations

from typing import Any

import pytest

from tests.client import open_client
from tests.conftest import wait_until
from tests.house import House
from tests.integration.alerts.test_rules import HISTORY, candles

SERVICES = ("auth", "market", "trading", "alerts", "notifier", "gateway")
PRICE: dict[str, Any] = {"type": "price", "op": "above", "value": 99.5}
# No bar of an hour closes in its quiet minute, whatever the time of the day is.
RULE: dict[str, Any] = {
    "symbol": "EURUSD",
    "timeframe": "1h",
    "when": PRICE,
    "name": "over it",
    "message": "look at it",
    "schedule": {"timezone": "Europe/Berlin", "quiet": {"start": "03:10", "end": "03:11"}},
    "channels": [],
}


def nested(depth: int) -> dict[str, Any]:
    return PRICE if depth == 1 else {"type": "all", "of": [nested(depth - 1)]}


BAD: list[tuple[dict[str, Any], str]] = [
    ({"when": nested(4)}, "deeper"),
    ({"when": nested(40)}, "deeper"),
    ({"when": nested(250)}, "too deeply"),
    ({"when": {"type": "any", "of": [{"type": "all", "of": [PRICE] * 3}] * 2}}, "6 conditions"),
    ({"when": {**PRICE, "colour": "red"}}, "colour"),
    ({"colour": "red"}, "colour"),
    ({"when": {"type": "python", "of": "1"}}, "python"),
    ({"when": {"type": "rsi", "op": "above", "value": 50, "period": 10**6}}, "period"),
    ({"timeframe": "7m"}, "timeframe"),
    ({"schedule": {"timezone": "Mars"}}, "Mars"),
    ({"schedule": {"quiet": {"start": "25:00", "end": "06:00"}}}, "start"),
    ({"days": 400}, "days"),
]


@pytest.mark.timeout(180)
async def test_a_rule_is_tested_armed_and_told_to_its_owner(house: House) -> None:
    await house.start(*SERVICES, SERVICES=",".join(SERVICES))
    rows = [list(row) for row in candles()]
    async with open_client(house.url) as client, open_client(house.url) as staff:
        await staff.sign_in(1, "admin-password")
        put = {"symbol": "EURUSD", "timeframe": "1h", "candles": rows[:HISTORY]}
        await staff.call("POST", "/admin/candles", put)
        await client.sign_up()
        for change, says in BAD:
            path = "/alerts/rules/test" if "days" in change else "/alerts/rules"
            code, answer = await client.ask("POST", path, {**RULE, **change})
            assert code in (400, 413) and says in str(answer), (change, code, answer)
        assert (await client.call("GET", "/alerts/rules"))["rules"] == []
        tested = await client.call("POST", "/alerts/rules/test", {**RULE, "days": 30})
        assert tested["bars"] == HISTORY and tested["hits"][0]["told"] == "yes"
        rule = await client.call("POST", "/alerts/rules", RULE)
        assert (rule["status"], rule["rule"]["when"]["type"]) == ("active", "price")
        path = f"/alerts/rules/{rule['id']}"
        async with client.stream() as stream:
            await staff.call("POST", "/admin/candles", {**put, "candles": rows[HISTORY:]})
            await wait_until(lambda: stream.others)
        (frame,) = [frame for frame in stream.others if frame[0] == "n"]
        assert (frame[1].startswith("over it: EURUSD "), frame[3]) == (True, "ALERT_RULE")
        lines = frame[2].splitlines()
        assert lines[0] == "look at it" and "[caught up]" in lines  # the bar closed long ago
        assert frame[8]["rule_id"] == rule["id"]
        (hit,) = (await client.call("GET", f"{path}/hits"))["hits"]
        assert hit["bar_open"] == frame[8]["bar_open"]
        assert (await client.call("GET", path))["status"] == "triggered"
        listed = await client.call("GET", "/notify/list?limit=10&offset=0&filter=")
        assert listed["rows"][0][1] == "ALERT_RULE"
        again = await client.call("PUT", path, {**RULE, "repeat": True, "enabled": False})
        assert (again["status"], again["rule"]["repeat"]) == ("disabled", True)
        assert (await staff.ask("GET", path))[0] == 403
        await client.call("DELETE", path)
        assert (await client.ask("GET", path))[0] == 404
