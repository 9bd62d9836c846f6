"""Money as clients see it: keys and their starter credit, balance, usage, metered calls, staff's credits."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.conftest import wait_until
from tests.contract.auth.people import Caller, Town, new_email
from tests.contract.billing.conftest import PAIR, Till, ledger_is_sound


async def key_of(town: Town, email: str = "", address: str | None = None) -> Caller:
    """Somebody with a fresh key of ``/v1/keys``; ``credit`` is what it started with."""
    caller = town.stranger(address)
    caller.email = email or new_email()
    said = await caller.done("POST", "/v1/keys", {"email": caller.email})
    caller.token = said["key"]
    caller.headers["key-id"] = said["keyId"]
    caller.headers["credit"] = str(said["starterCreditMicros"])
    return caller


async def balance(caller: Caller) -> int:
    micros: int = (await caller.done("GET", "/v1/balance"))["balanceMicros"]
    return micros


async def credited(caller: Caller) -> None:
    """Wait until a person's first key has what it starts with: the fact that gives it may be late."""

    async def given() -> bool:
        return await balance(caller) == 50_000

    await wait_until(given)


async def test_a_call_costs_its_price_and_a_failed_one_nothing(till: Till) -> None:
    caller = await key_of(till.town)
    assert await balance(caller) == 50_000
    answer = await caller.call("POST", "/v1/brief", PAIR)
    assert (answer.status, answer.headers["X-Credits-Charged"]) == (200, "1")
    assert answer.headers["X-Credits-Remaining"] == "4"
    assert await balance(caller) == 40_000
    till.scanner.fail = True
    assert (await caller.call("POST", "/v1/brief", PAIR)).status == 422
    for bad in ({}, {"ticker": 1, "timeframe": "4h"}):
        assert (await caller.call("POST", "/v1/brief", bad)).status == 400
    assert await balance(caller) == 40_000


async def test_a_delta_costs_less_when_nothing_changed(till: Till) -> None:
    caller = await key_of(till.town)
    await caller.done("POST", "/v1/delta", PAIR)
    assert await balance(caller) == 42_000
    till.scanner.changed = False
    await caller.done("POST", "/v1/delta", PAIR)
    assert await balance(caller) == 41_000
    admin, id = await till.town.admin(), caller.headers["key-id"]
    await admin.done("POST", "/admin/credits", {"keyId": id, "deltaMicros": 7_999 - 41_000})
    assert (await caller.call("POST", "/v1/delta", PAIR)).status == 402  # it might have changed
    await admin.done("POST", "/admin/credits", {"keyId": id, "deltaMicros": 1})
    await caller.done("POST", "/v1/delta", PAIR)
    assert await balance(caller) == 7_000


async def test_fifty_parallel_calls_on_credit_for_five_charge_five(till: Till) -> None:
    caller = await key_of(till.town)
    answers = await asyncio.gather(*(caller.call("POST", "/v1/brief", PAIR) for _ in range(50)))
    assert sorted(a.status for a in answers) == [200] * 5 + [402] * 45
    refused = next(a for a in answers if a.status == 402).json
    assert refused["error"] == "PAYMENT_REQUIRED"
    assert refused["x402Version"] == 1
    assert refused["accepts"][0]["maxAmountRequired"] == "10000"
    assert await balance(caller) == 0
    usage = await caller.done("GET", "/v1/usage")
    assert [(row["operation"], row["calls"], row["chargedMicros"]) for row in usage["days"]] == [
        ("POST /v1/brief", 5, 50_000)
    ]


async def test_an_answer_given_again_for_its_idempotency_key_is_free(till: Till) -> None:
    caller = await key_of(till.town)
    before = till.scanner.calls
    for _ in range(3):
        await caller.done("POST", "/v1/brief", PAIR, headers={"Idempotency-Key": "one"})
    assert till.scanner.calls == before + 1
    assert await balance(caller) == 40_000


async def test_the_same_request_id_of_a_client_is_charged_each_time(till: Till) -> None:
    caller = await key_of(till.town)
    for _ in range(2):
        await caller.done("POST", "/v1/brief", PAIR, headers={"X-Request-Id": "mine"})
    assert await balance(caller) == 30_000


async def test_starter_credit_is_given_once_per_email_and_thrice_a_day_and_address(till: Till) -> None:
    email = new_email()
    first = await key_of(till.town, email)
    again = await key_of(till.town, email.upper())
    assert (first.headers["credit"], again.headers["credit"]) == ("50000", "0")
    place = "127.9.9.9"
    given = [(await key_of(till.town, address=place)).headers["credit"] for _ in range(5)]
    assert given == ["50000"] * 3 + ["0"] * 2


async def test_a_persons_first_key_counts_for_its_address_too(till: Till) -> None:
    place = "127.9.9.10"
    browser = till.town.stranger(place)
    browser.cookie = (await till.town.browser(await till.town.user())).cookie
    holder = till.town.stranger()
    holder.token = (await browser.done("POST", "/api/v1/keys", {"name": "a"}))["key"]
    await credited(holder)
    given = [(await key_of(till.town, address=place)).headers["credit"] for _ in range(3)]
    assert given == ["50000", "50000", "0"]


async def test_a_persons_keys_share_a_wallet_and_a_test_key_has_its_own(till: Till) -> None:
    owner = await till.town.user()
    browser = await till.town.browser(owner)
    keys: dict[str, Any] = {}
    for name, mode in (("a", "live"), ("b", "live"), ("t", "test")):
        keys[name] = await browser.done("POST", "/api/v1/keys", {"name": name, "mode": mode})
    callers = {name: till.town.stranger() for name in keys}
    for name, caller in callers.items():
        caller.token = keys[name]["key"]
    await credited(callers["a"])
    await callers["a"].done("POST", "/v1/brief", PAIR)
    assert await balance(callers["b"]) == 40_000
    await callers["t"].done("POST", "/v1/brief", PAIR)
    said = await callers["t"].done("GET", "/v1/balance")
    assert (said["balanceMicros"], said["mode"]) == (990_000, "test")
    assert await balance(callers["a"]) == 40_000


async def test_staff_gives_and_takes_credit_and_never_below_nothing(till: Till) -> None:
    caller, admin = await key_of(till.town), await till.town.admin()
    id = caller.headers["key-id"]
    said = await admin.done("POST", "/admin/credits", {"keyId": id, "deltaCredits": 10, "reason": "sorry"})
    assert (said["deltaMicros"], said["balanceMicros"]) == (100_000, 150_000)
    said = await admin.done("POST", "/admin/credits", {"keyId": id, "deltaMicros": -150_000})
    assert await balance(caller) == 0
    cases: list[tuple[dict[str, Any], int]] = [
        ({"keyId": id, "deltaMicros": -1}, 409),
        ({"keyId": "key_none", "deltaMicros": 1}, 404),
        ({"customerId": 999_999, "deltaMicros": 1}, 404),
        ({"keyId": id, "customerId": 1, "deltaMicros": 1}, 400),
        ({"keyId": id}, 400),
        ({"keyId": id, "deltaMicros": 1, "deltaCredits": 1}, 400),
        ({"keyId": id, "deltaMicros": 0}, 400),
    ]
    for body, status in cases:
        assert (await admin.call("POST", "/admin/credits", body)).status == status, body


NO_AMOUNTS = (
    "1e400",
    "NaN",
    "Infinity",
    "-Infinity",
    f"{10**30}",
    f"-{10**30}",
    f"{2**63}",
    "1.5",
    '"5"',
    "true",
)


async def test_amounts_that_are_none_are_400_at_every_door(till: Till) -> None:
    caller, admin = await key_of(till.town), await till.town.admin()
    id = caller.headers["key-id"]
    doors = (
        (admin, "/admin/credits", f'{{"keyId":"{id}","deltaMicros":%s}}'),
        (admin, "/admin/credits", f'{{"keyId":"{id}","deltaCredits":%s}}'),
        (caller, "/v1/topup", '{"amountMicros":%s}'),
        (caller, "/v1/topup/stripe", '{"amountMicros":%s}'),
    )
    json_ = {"Content-Type": "application/json"}
    for who, path, body in doors:
        for amount in NO_AMOUNTS:
            answer = await who.call("POST", path, data=body % amount, headers=json_)
            assert answer.status == 400, (path, amount, answer.status, answer.body)
    for path in (f"/admin/affiliates/{10**30}/payout", f"/admin/affiliates/{2**63}/payout"):
        assert (await admin.call("POST", path, {"ref": "wire"})).status in (400, 404), path
    for number in (2**53, 2**63, 10**30, "x"):
        assert (await caller.call("GET", f"/v1/invoices/{number}")).status in (400, 404), number
    assert await balance(caller) == 50_000
    top = {"keyId": id, "deltaMicros": 10**15}
    assert (await admin.done("POST", "/admin/credits", top))["balanceMicros"] == 10**15 + 50_000
    assert (await admin.done("POST", "/admin/credits", {**top, "deltaMicros": -(10**15)}))[
        "balanceMicros"
    ] == 50_000
    await ledger_is_sound(till)


async def test_who_brings_nothing_is_told_the_terms_and_a_bad_key_is_401(till: Till) -> None:
    stranger = till.town.stranger()
    answer = await stranger.call("POST", "/v1/brief", {"nonsense": True})
    assert answer.status == 402
    assert answer.headers["PAYMENT-REQUIRED"]
    assert "USDC" in answer.json["message"] and "ETH" in answer.json["message"]
    stranger.token = "tw_live_" + "x" * 32
    assert (await stranger.call("POST", "/v1/brief", PAIR)).status == 401
    assert (await till.town.stranger().call("GET", "/v1/balance")).status == 401
