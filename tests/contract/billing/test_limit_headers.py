"""The real limits at a real door: every answer says how much is left, refusals included."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest_asyncio

from tests.conftest import wait_until
from tests.contract.auth.people import PASSWORD, Answer, Caller, Town, cookie_of, new_email
from tests.contract.billing.conftest import PAIR, Till
from tests.contract.billing.test_metered_rows import key_of
from tests.house import free_port


@pytest_asyncio.fixture(scope="module")
async def strict(counter: Till) -> AsyncIterator[str]:
    """Another gateway of the same house, with the built-in plans."""
    port = free_port()
    await counter.house.start("gateway", PROCESS_INDEX="1", PLANS_FILE="", HTTP_PORT=str(port))
    yield f"http://127.0.0.1:{port}"
    await counter.house.end("gateway-1")


@pytest_asyncio.fixture(scope="module")
async def elsewhere(counter: Till, strict: str, tmp_path_factory: Any) -> AsyncIterator[str]:
    """The same on another machine: its table of limits is its own."""
    port = free_port()
    folder = str(tmp_path_factory.mktemp("another machine"))
    settings = {"PLANS_FILE": "", "HTTP_PORT": str(port), "DATA_DIR": folder}
    await counter.house.start("gateway", PROCESS_INDEX="2", **settings)
    yield f"http://127.0.0.1:{port}"
    await counter.house.end("gateway-2")


@pytest_asyncio.fixture
async def town(till: Till) -> Town:
    return till.town


def at(caller: Caller, url: str) -> Caller:
    caller.url = url
    return caller


def limits_of(answer: Answer) -> tuple[int, int]:
    """Limit and remaining; the reset must be a full minute that lies ahead."""
    headers = answer.headers
    assert int(headers["X-RateLimit-Reset"]) > 1_700_000_000
    return int(headers["X-RateLimit-Limit"]), int(headers["X-RateLimit-Remaining"])


async def test_the_scan_surface_counts_by_tier_and_says_so(strict: str, town: Town) -> None:
    answers: list[Answer] = []
    while len({a.headers["X-RateLimit-Reset"] for a in answers}) != 1:  # again where the minute turned
        caller = at(town.stranger(), strict)
        body: dict[str, Any] = {"email": new_email(), "password": PASSWORD}
        signed_up = await caller.call("POST", "/auth/signup", body)
        assert (signed_up.status, limits_of(signed_up)[0]) == (201, 10)
        caller.cookie = cookie_of(signed_up)
        answers = [await caller.call("GET", "/auth/me") for _ in range(12)]
    assert {a.status for a in answers} == {200, 429}
    assert all(limits_of(a)[0] == 10 for a in answers)
    good = [limits_of(a)[1] for a in answers if a.status == 200]
    assert good == sorted(good, reverse=True)
    refused = next(a for a in answers if a.status == 429)
    assert refused.code == "rate_limited" and int(refused.headers["Retry-After"]) >= 1
    assert refused.json["meta"]["retry_after"] == int(refused.headers["Retry-After"])
    admin = await town.admin()
    await admin.done("POST", "/admin/tier", {"email": caller.email or body["email"], "tier": "pro"})

    async def heard() -> bool:
        """This is another process than the one staff asked: it hears of it."""
        answer = await caller.call("GET", "/auth/me")
        return (answer.status, limits_of(answer)[0]) == (200, 120)

    await wait_until(heard)


async def test_refusals_before_anybody_is_known_carry_the_headers_and_count_nothing(
    strict: str, town: Town
) -> None:
    caller = at(town.stranger(), strict)
    for path, status in (("/auth/me", 401), ("/api/v1/nothing", 404), ("/api/v1/keys", 401)) * 3:
        answer = await caller.call("GET", path)
        assert (answer.status, limits_of(answer)) == (status, (10, 10)), path


async def test_a_key_has_sixty_a_minute_and_its_answers_say_what_is_left(strict: str, till: Till) -> None:
    caller = at(await key_of(till.town), strict)
    answer = await caller.call("POST", "/v1/brief", PAIR)
    assert (answer.status, limits_of(answer)) == (200, (60, 59))
    answer = await caller.call("GET", "/v1/balance")
    assert limits_of(answer) == (60, 58)
    rest = [await caller.call("GET", "/v1/balance") for _ in range(60)]
    assert [a.status for a in rest] == [200] * 58 + [429] * 2
    assert rest[-1].code == "RATE_LIMITED" and "Retry-After" in rest[-1].headers
    assert limits_of(rest[-1]) == (60, 0)


async def test_usage_shows_the_days_quotas_of_the_tier(till: Till) -> None:
    caller = await key_of(till.town)
    said = await caller.done("GET", "/v1/usage?days=1")
    assert said["tier"] == "free" and said["days"] == []
    assert said["quotas"]["scan"]["limit"] == 5 and said["quotas"]["scan"]["used"] == 0
    assert said["quotas"]["scan"]["resets_at"].endswith("T00:00:00Z")
    assert (await caller.call("GET", "/v1/usage?days=0")).status == 400


async def test_calls_at_two_machines_at_once_get_the_limit_of_one(
    strict: str, elsewhere: str, till: Till
) -> None:
    caller = await key_of(till.town)

    async def call(number: int) -> Answer:
        return await replace(caller, url=(strict, elsewhere)[number % 2]).call("GET", "/v1/balance")

    answers = await asyncio.gather(*(call(number) for number in range(100)))
    good = [limits_of(a) for a in answers if a.status == 200]
    assert sorted(good) == [(60, left) for left in range(60)]  # each call once, and each is told its own
    refused = [a for a in answers if a.status == 429]
    assert len(refused) == 40 and {limits_of(a) for a in refused} == {(60, 0)}
    by_machine = [sum(a.status == 200 for a in answers[side::2]) for side in (0, 1)]
    assert all(by_machine), by_machine
    asked = await till.house.running["gateway-2"].metrics()
    assert 'tradewind_gateway_limit_asks_total{outcome="answered"}' in asked
    assert 'tradewind_gateway_limit_asks_total{outcome="unanswered"} 0.0' in asked
