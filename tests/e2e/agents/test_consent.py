"""The consent flow in a real browser, from the app's link to the app's token."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import matplotlib.image
import pytest

from tests import browser
from tests.contract.auth.oauth_client import App
from tests.contract.auth.people import PASSWORD, Town
from tests.contract.auth.test_mcp import call, post
from tests.tools import npm_packages

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
SCRIPT = Path(__file__).with_name("consent.mjs")


async def agree(url: str, folder: Path, *who: str) -> dict[str, Any]:
    """What a person at a browser did and saw."""
    home = await asyncio.to_thread(npm_packages, "node@22", "playwright-core@1")
    script = home / SCRIPT.name
    script.write_text(SCRIPT.read_text())  # packages are found from where a script stands
    process = await asyncio.create_subprocess_exec(
        str(home / "node_modules/.bin/node"),
        str(script),
        await asyncio.to_thread(browser.find),
        url,
        str(folder / "consent.png"),
        *who,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(120):
        said, wrong = await process.communicate()
    assert process.returncode == 0, wrong.decode()
    found: dict[str, Any] = json.loads(said)
    return found


@pytest.mark.parametrize("signed_in", [False, True])
async def test_a_person_agrees_and_the_app_calls_a_tool(town: Town, tmp_path: Path, signed_in: bool) -> None:
    app = App(town.stranger())
    await app.register()
    user = await town.user()
    address = app.caller.url + app.address(
        resource=f"{app.caller.url}/mcp", scope="read trade" if signed_in else "read"
    )
    seen = await agree(address, tmp_path, *((user.email, PASSWORD) if signed_in else ()))
    assert seen["problems"] == [], "the page's own policy lets it work"
    assert "Claude wants to connect" in seen["text"]
    assert (user.email in seen["text"]) is signed_in
    assert seen["heading"] == "Back in the app"
    said = dict(parse_qsl(urlsplit(seen["landed"]).query))
    assert (said["state"], said["iss"]) == ("a state", app.caller.url)
    picture = matplotlib.image.imread(tmp_path / "consent.png")
    assert picture.std() > 0.01, "there is something to see"
    given = await app.exchange(said["code"], resource=f"{app.caller.url}/mcp")
    agent = town.stranger()
    agent.token = given.json["access_token"]
    assert given.json["scope"] == ("read trade" if signed_in else "read")
    answer = await post(agent, call("account" if signed_in else "capabilities"))
    assert answer.status == 200, answer.body
    assert not answer.json["result"]["isError"], answer.body
