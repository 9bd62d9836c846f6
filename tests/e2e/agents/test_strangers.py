"""The published conformance suite, with nothing excused, and the inspector's command line."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from services.gateway.endpoints import ENDPOINTS
from services.gateway.mcp.catalogue import tools_of
from tests.contract.auth.oauth_client import App, Browser
from tests.contract.auth.people import Town
from tests.e2e.agents import strangers
from tests.house import House, free_port

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

# Each version on its own wire, by its own set of scenarios.
VERSIONS = {
    "2025-06-18": ("--suite", "all", "--spec-version", "2025-06-18"),
    "2025-11-25": ("--requirements", "2025-11-25"),
    "2026-07-28": ("--requirements", "2026-07-28"),
}
APPLY = {
    "server-initialize",
    "server-sse-multiple-streams",
    "ping",
    "tools-list",
    "resources-list",
    "prompts-list",
    "dns-rebinding-protection",
    "sep-2164-resource-not-found",
    "caching",
    "http-header-validation",
    "input-required-result-unsupported-methods",
}
# Some of its checks drive the suite's own example tools; the suite itself calls those not testable here.
PARTLY = {"server-stateless"}
OWN_EXAMPLES = "calls tools, resources or prompts that only the suite's own example server has"
NOT_SERVED = "an optional capability that is neither served nor announced"
NOT_ASKED = "no tool of ours asks back; the scenario drives example tools that do"
EXTENSION = "an extension that is neither served nor announced"
SESSIONS = "needs sessions; here every request stands alone"
DO_NOT_APPLY = {
    "server-session-lifecycle": SESSIONS,
    "server-sse-polling": SESSIONS,
    "http-custom-header-server-validation": "no tool of ours wants an argument as a header",
    **dict.fromkeys(
        ("logging-set-level", "completion-complete", "resources-subscribe", "resources-unsubscribe"),
        NOT_SERVED,
    ),
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
    **dict.fromkeys(
        (
            f"input-required-result-{name}"
            for name in (
                "basic-elicitation",
                "basic-sampling",
                "basic-list-roots",
                "request-state",
                "multiple-input-requests",
                "multi-round",
                "missing-input-response",
                "non-tool-request",
                "result-type",
                "tampered-state",
                "capability-check",
                "ignore-extra-params",
                "validate-input",
            )
        ),
        NOT_ASKED,
    ),
    **dict.fromkeys(
        ("sep-2640-skills-directory", "sep-2640-skills-enumeration", "sep-2640-skills-manifest"), EXTENSION
    ),
    **dict.fromkeys(
        (
            f"tasks-{name}"
            for name in (
                "lifecycle",
                "capability-negotiation",
                "wire-fields",
                "request-state-removal",
                "mrtr-input",
                "request-headers",
                "dispatch-and-envelope",
                "status-notifications",
                "required-task-error",
                "mrtr-composition",
            )
        ),
        EXTENSION,
    ),
}
AUTHORIZATION = {"authorization-server-metadata-endpoint", "authorization-code-grant"}
# The other half of the suite tests clients, all of `auth/…` among it: there it plays the server.


async def test_every_scenario_of_the_suite_is_judged_here() -> None:
    _, said = await strangers.conformance("list")
    server, _, rest = said.partition("Client scenarios")
    client, _, authorization = rest.partition("Authorization server scenarios")
    names = re.compile(r"^\s+- (\S+) \[", re.MULTILINE)
    assert client
    judged = [APPLY, PARTLY, set(DO_NOT_APPLY)]
    assert set(names.findall(server)) == set.union(*judged), "the suite has scenarios that nobody looked at"
    assert sum(map(len, judged)) == len(set.union(*judged))
    assert set(names.findall(authorization)) == AUTHORIZATION


@pytest.fixture(scope="module")
def passed() -> set[str]:
    """The scenarios in which something was looked at and found right, in whatever version."""
    return set()


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_suite_finds_nothing_wrong(
    stack: House, town: Town, tmp_path: Path, passed: set[str], version: str
) -> None:
    key = await town.key(await town.user(), ["read"])
    async with strangers.with_key(stack.url, key.token) as url:
        where = ("--url", f"{url}/mcp", "--output-dir", str(tmp_path))
        _, said = await strangers.conformance("server", *where, *VERSIONS[version])
    found = {name.removeprefix("server-"): checks for name, checks in strangers.checks_in(tmp_path).items()}
    assert set(found) & (APPLY | PARTLY), said
    for name in set(found) & APPLY:
        assert [check for check in found[name] if check["status"] == "FAILURE"] == [], name
        if any(check["status"] == "SUCCESS" for check in found[name]):
            passed.add(name)
    for name in set(found) & PARTLY:
        wrong = [check for check in found[name] if check["status"] == "FAILURE"]
        assert [check for check in wrong if not check["details"].get("untestable")] == [], name
        assert sum(check["status"] == "SUCCESS" for check in found[name]) > 20


def test_every_scenario_that_applies_found_something_right(passed: set[str]) -> None:
    assert passed == APPLY


async def test_the_suite_gets_a_code_and_a_token(stack: House, town: Town, tmp_path: Path) -> None:
    port = free_port()
    app = App(town.stranger())
    await app.register(f"http://127.0.0.1:{port}/callback")
    arguments = ("--url", stack.url, "--client-id", app.client_id, "--port", str(port))
    more = ("--resource", f"{stack.url}/mcp", "--output-dir", str(tmp_path))
    process = await strangers.start(*strangers.SUITE, "authorization", *arguments, *more)
    assert process.stdout is not None
    said = b""
    while b"Waiting up to" not in said:
        line = await process.stdout.readline()
        assert line, said.decode()
        said += line
    (address,) = re.findall(r"^http\S+/oauth/authorize\?\S+$", said.decode(), re.MULTILINE)
    browser = Browser(town.stranger())
    page = await browser.call("GET", address.removeprefix(stack.url))
    agreed = await browser.decide(page)
    async with browser.caller.session.get(agreed.headers["Location"]) as response:
        assert response.status == 200
    async with asyncio.timeout(strangers.PATIENCE_S):
        said += (await process.communicate())[0]
    assert process.returncode == 0, said.decode()
    found = {
        name.removeprefix("authorization-server-"): checks
        for name, checks in strangers.checks_in(tmp_path).items()
    }
    assert set(found) == AUTHORIZATION
    assert {check["status"] for checks in found.values() for check in checks} == {"SUCCESS"}


async def test_the_inspector_lists_every_tool_and_finds_nothing_to_warn_of(stack: House) -> None:
    url = f"{stack.url}/mcp"
    listed = {tool["name"] for tool in (await strangers.inspect(url, "", "tools/list"))["tools"]}
    assert listed == set(tools_of(ENDPOINTS))
    code, said = await strangers.inspected(url, "", "tools/list", "--strict")
    assert code == 0, said
