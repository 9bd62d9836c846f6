"""The published conformance suite, with nothing excused, and the inspector's command line."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from services.gateway.endpoints import ENDPOINTS
from services.gateway.mcp.catalogue import tools_of
from tests.contract.auth.people import Town
from tests.e2e.agents import strangers
from tests.house import House

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

APPLY = (
    "server-initialize",
    "ping",
    "tools-list",
    "resources-list",
    "prompts-list",
    "dns-rebinding-protection",
)
OWN_EXAMPLES = "calls tools, resources or prompts that only the suite's own example server has"
NOT_SERVED = "an optional capability that is neither served nor announced"
DO_NOT_APPLY = {
    "logging-set-level": NOT_SERVED,
    "completion-complete": NOT_SERVED,
    "resources-subscribe": NOT_SERVED,
    "resources-unsubscribe": NOT_SERVED,
    "server-sse-polling": "needs sessions with an event store; here every request stands alone",
    "server-sse-multiple-streams": "needs sessions; here every request stands alone",
    **dict.fromkeys(
        (
            "tools-call-simple-text",
            "tools-call-image",
            "tools-call-audio",
            "tools-call-embedded-resource",
            "tools-call-mixed-content",
            "tools-call-with-logging",
            "tools-call-error",
            "tools-call-with-progress",
            "tools-call-sampling",
            "tools-call-elicitation",
            "json-schema-2020-12",
            "elicitation-sep1034-defaults",
            "elicitation-sep1330-enums",
            "resources-read-text",
            "resources-read-binary",
            "resources-templates-read",
            "prompts-get-simple",
            "prompts-get-with-args",
            "prompts-get-embedded-resource",
            "prompts-get-with-image",
        ),
        OWN_EXAMPLES,
    ),
}

GIVEN: dict[str, dict[str, Any]] = {
    "tradewind_alert_create": {
        "symbol": "EURUSD",
        "side": 0,
        "condition": 2,
        "repeat_mode": 0,
        "target_price": 1.5,
        "idempotency_key": "by-hand",
    },
    "tradewind_alerts_list": {},
    "tradewind_quotes": {},
    "tradewind_symbol": {"symbol": "EURUSD"},
}


async def test_every_scenario_of_the_suite_is_judged_here() -> None:
    _, said = await strangers.conformance("list", "--server")
    listed = set(re.findall(r"^\s+- ([\w-]+) \[", said, re.MULTILINE))
    assert listed == set(APPLY) | set(DO_NOT_APPLY), "the suite has scenarios that nobody looked at"
    assert not set(APPLY) & set(DO_NOT_APPLY)


@pytest.mark.parametrize("scenario", APPLY)
async def test_the_suite_finds_nothing_wrong(stack: House, scenario: str) -> None:
    code, said = await strangers.conformance("server", "--url", f"{stack.url}/mcp", "--scenario", scenario)
    assert code == 0, said
    assert re.search(r"Passed: (\d+)/\1\b|0 failed", said), said


async def test_the_inspector_drives_every_tool(stack: House, town: Town) -> None:
    user = await town.user()
    key = await town.key(user, ["read", "trade"])
    url = f"{stack.url}/mcp"
    listed = {tool["name"] for tool in (await strangers.inspect(url, "", "tools/list"))["tools"]}
    assert listed == set(tools_of(ENDPOINTS))
    code, said = await strangers.inspected(url, "", "tools/list", "--strict")
    assert code == 0, said
    quotes = await strangers.inspect(url, key.token, "tools/call", "--tool-name", "tradewind_quotes")
    assert quotes["structuredContent"] == await key.done("GET", f"/market/short/list?login={user.login}")
    for name in sorted(listed):
        given = [f"{field}={value}" for field, value in GIVEN.get(name, {}).items()]
        more = ("--tool-arg", *given) if given else ()
        said = await strangers.inspect(url, key.token, "tools/call", "--tool-name", name, *more)
        if name in GIVEN:
            assert not said.get("isError"), said
            assert said["content"][0]["type"] == "text", said
            assert json.loads(said["content"][0]["text"]) == said["structuredContent"]
        else:
            assert said, name
