"""x402 in both versions, with real signatures against the package's own facilitator."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from typing import Any

import asyncpg
import pytest
from x402.http.clients.httpx import wrapHttpxWithPayment

from tests.conftest import wait_until
from tests.contract.auth.people import new_email
from tests.contract.billing.conftest import PAIR, PAY_TO, Till, ledger_is_sound
from tests.contract.billing.paying import HEADERS, RECEIPTS, Payer, bent, header_of, pay
from tests.contract.billing.test_metered_rows import balance, key_of

VERSIONS = pytest.mark.parametrize("version", [1, 2])


@VERSIONS
async def test_a_call_without_a_key_is_paid_by_itself(till: Till, version: int) -> None:
    stranger, payer = till.town.stranger(), Payer()
    answer, payload = await pay(stranger, payer, "POST", "/v1/brief", PAIR, version)
    assert answer.status == 200, answer.body
    receipt = json.loads(base64.b64decode(answer.headers[RECEIPTS[version]]))
    assert receipt["success"] is True and len(receipt["transaction"]) == 66
    assert till.facilitator.chain.balances[payer.address] == 10**12 - 10_000
    again = await stranger.call("POST", "/v1/brief", PAIR, headers=header_of(payload))
    assert (again.status, again.code) == (402, "PAYMENT_REQUIRED")
    assert till.facilitator.chain.balances[payer.address] == 10**12 - 10_000
    await ledger_is_sound(till)


@VERSIONS
async def test_with_a_key_it_pays_that_call_and_the_balance_stays(till: Till, version: int) -> None:
    caller = await key_of(till.town)
    caller.headers.pop("credit")
    for _ in range(5):
        await caller.done("POST", "/v1/brief", PAIR)
    answer, _ = await pay(caller, Payer(), "POST", "/v1/brief", PAIR, version)
    assert answer.status == 200
    assert await balance(caller) == 0


async def test_the_packages_own_http_client_pays_without_knowing_us(till: Till) -> None:
    """It asks, is refused, pays and asks again by itself: a call, and a top-up that makes a key."""
    payer = Payer()
    wrapped = wrapHttpxWithPayment(payer.client)
    async with wrapped as client:
        answer = await client.post(f"{till.house.url}/v1/brief", json=PAIR)
        assert answer.status_code == 200 and answer.json()["header"]["sym"] == "BTC/USDT"
        receipt = json.loads(base64.b64decode(answer.headers["PAYMENT-RESPONSE"]))
        assert receipt["success"] is True and receipt["network"] == "eip155:8453"
        made = await client.post(f"{till.house.url}/v1/topup", json={"amountMicros": 100_000})
        assert made.status_code == 200 and made.json()["balanceMicros"] == 100_000
    assert till.facilitator.chain.balances[payer.address] == 10**12 - 110_000


async def test_a_call_that_fails_is_not_paid_and_its_payment_may_be_brought_again(till: Till) -> None:
    stranger, payer = till.town.stranger(), Payer()
    till.scanner.fail = True
    answer, payload = await pay(stranger, payer, "POST", "/v1/brief", PAIR, 2)
    assert answer.status == 422
    assert payer.address not in till.facilitator.chain.balances
    till.scanner.fail = False
    answer = await stranger.call("POST", "/v1/brief", PAIR, headers=header_of(payload))
    assert answer.status == 200
    assert till.facilitator.chain.balances[payer.address] == 10**12 - 10_000


@VERSIONS
async def test_a_hundred_parallel_double_spends_buy_one_answer(till: Till, version: int) -> None:
    stranger, payer = till.town.stranger(), Payer()
    payload = await payer.payload(await stranger.call("POST", "/v1/brief", PAIR), version)
    calls = (stranger.call("POST", "/v1/brief", PAIR, headers=header_of(payload)) for _ in range(100))
    answers = await asyncio.gather(*calls)
    assert sorted(a.status for a in answers) == [200] + [402] * 99
    assert till.facilitator.chain.balances[payer.address] == 10**12 - 10_000
    await ledger_is_sound(till)


DOORS: dict[str, Any] = {
    "/v1/brief": PAIR,
    "/v1/topup": {"amountMicros": 3_000_000},
    "/payments/x402": {"plan": "go", "period": "month"},
}


async def attacks(till: Till, path: str) -> list[tuple[str, dict[str, Any], int]]:
    """Payments that must buy nothing: the name, the payment, the status."""
    stranger, payer = till.town.stranger(), Payer()
    refused = await stranger.call("POST", path, DOORS[path])
    one, two = await payer.payload(refused, 1), await payer.payload(refused, 2)
    foreign = await payer.payload(await stranger.call("POST", "/v1/analogs", PAIR), 2)
    value, to = "payload__authorization__value", "payload__authorization__to"
    price = int(two["accepted"]["amount"])
    made: list[tuple[str, dict[str, Any], int]] = [
        ("another resource's payment", foreign, 402),
        ("another resource's terms", bent(two, accepted=foreign["accepted"]), 402),
        ("another resource named", bent(two, resource={"url": "http://elsewhere/v1/brief"}), 402),
        ("less", bent(two, **{value: str(price - 1)}), 402),
        ("less in version 1", bent(one, **{value: str(price - 1)}), 402),
        ("less, accepted says so, too", bent(two, accepted__amount="1", **{value: "1"}), 402),
        ("more in version 2", bent(two, **{value: str(price + 1)}), 402),
        ("more in version 1, not signed", bent(one, **{value: str(2 * price)}), 402),
        ("more than there is", bent(one, **{value: "9" * 40}), 402),
        ("another receiver", bent(two, **{to: "0x" + "b2" * 20}), 402),
        ("another receiver accepted", bent(two, accepted__payTo="0x" + "b2" * 20), 402),
        ("another network", bent(two, accepted__network="eip155:84532"), 402),
        ("another network v1", bent(one, network="base-sepolia"), 402),
        ("another asset", bent(two, accepted__asset="0x" + "c3" * 20), 402),
        ("expired", bent(two, payload__authorization__validBefore="1"), 402),
        ("not yet", bent(two, payload__authorization__validAfter="99999999999"), 402),
        ("another payer", bent(two, payload__authorization__from="0x" + "d4" * 20), 402),
        ("another nonce", bent(two, payload__authorization__nonce="0x" + "00" * 32), 402),
        ("a forged signature", bent(two, payload__signature="0x" + "11" * 65), 402),
        ("another scheme", bent(one, scheme="upto"), 402),
        ("a negative value", bent(two, **{value: f"-{price}"}), 400),
        ("a number for a text", bent(two, **{value: price}), 400),
        ("no number", bent(two, **{value: "NaN"}), 400),
        ("a short nonce", bent(two, payload__authorization__nonce="0x00"), 400),
        ("no such version", bent(two, x402Version=3), 400),
        ("nothing in it", {"x402Version": 2}, 400),
        ("larger than 16 KiB", bent(two, extensions={"note": "x" * 12_400}), 400),
    ]
    return made


@pytest.mark.parametrize("path", DOORS)
async def test_what_is_bent_buys_nothing(till: Till, path: str) -> None:
    stranger = till.town.stranger()
    db = await asyncpg.connect(till.dsns["admin"])
    before = (till.scanner.calls, await db.fetchval("SELECT count(*) FROM billing.entry"))
    wrong = []
    for name, payload, status in await attacks(till, path):
        answer = await stranger.call("POST", path, DOORS[path], headers=header_of(payload))
        if answer.status != status:
            wrong.append((name, answer.status, answer.body))
        if answer.status == 402:
            assert answer.json["accepts"] and answer.headers["PAYMENT-REQUIRED"], name
    assert wrong == []
    assert (till.scanner.calls, await db.fetchval("SELECT count(*) FROM billing.entry")) == before
    await db.close()
    await ledger_is_sound(till)


@pytest.mark.parametrize("path", DOORS)
async def test_a_body_or_a_payment_above_sixteen_kib_is_refused(till: Till, path: str) -> None:
    stranger, payer = till.town.stranger(), Payer()
    payload = await payer.payload(await stranger.call("POST", path, DOORS[path]), 2)
    large = {**DOORS[path], "note": "x" * 16_384}
    answer = await stranger.call("POST", path, large, headers=header_of(payload))
    assert answer.status == 413, answer.body
    for version, header in HEADERS.items():
        packed = base64.b64encode(b'{"x402Version":%d,"x":"%s"}' % (version, b"x" * 12_300)).decode()
        assert len(packed) > 16_384
        answer = await stranger.call("POST", path, DOORS[path], headers={header: packed})
        assert answer.status == 400 and b"16 KiB" in answer.body
        answer = await stranger.call("POST", path, DOORS[path], headers={header: packed * 2})
        assert answer.status == 400  # no HTTP any more, as far as we are concerned
    assert payer.address not in till.facilitator.chain.balances
    answer = await stranger.call("POST", path, DOORS[path], headers=header_of(payload))
    assert answer.status == 200, answer.body  # what was refused has cost nothing
    for other, body in DOORS.items():
        again = await stranger.call("POST", other, body, headers=header_of(payload))
        assert again.status == 402, other
    spent = 10**12 - till.facilitator.chain.balances[payer.address]
    assert spent == int(payload["accepted"]["amount"])


async def test_one_payment_at_two_doors_a_hundred_times_at_once_buys_one_thing(till: Till) -> None:
    stranger, keyed, payer = till.town.stranger(), await key_of(till.town), Payer()
    asked = {"amountMicros": 100_000}
    payload = await payer.payload(await stranger.call("POST", "/v1/topup", asked), 1)
    doors = ((stranger, "/v1/topup", asked), (stranger, "/v1/brief", PAIR), (keyed, "/v1/topup", asked))
    # Version 1 may pay a door more than it asks, but this facilitator takes the exact amount only: where the
    # brief has the payment first it is given back, perhaps after all the others were told that it is taken.
    for _ in range(20):
        calls = [
            caller.call("POST", path, body, headers=header_of(payload))
            for _ in range(33)
            for caller, path, body in doors
        ]
        statuses = [answer.status for answer in await asyncio.gather(*calls)]
        if 200 in statuses:
            break
    assert sorted(statuses) == [200] + [402] * 98
    assert till.facilitator.chain.balances[payer.address] == 10**12 - 100_000
    await ledger_is_sound(till)


@pytest.mark.parametrize("header", ["", "%%%", "e30", base64.b64encode(b"[]").decode(), "A" * 7_000])
async def test_a_payment_that_can_not_be_read_is_400(till: Till, header: str) -> None:
    answer = await till.town.stranger().call("POST", "/v1/brief", PAIR, headers={"X-PAYMENT": header})
    assert (answer.status, answer.code) == (400, "INVALID_PARAM")


@VERSIONS
async def test_credit_is_paid_in_once(till: Till, version: int) -> None:
    caller, payer = await key_of(till.town), Payer()
    answer, payload = await pay(caller, payer, "POST", "/v1/topup", {"amountMicros": 2_000_000}, version)
    assert answer.status == 200, answer.body
    said = answer.json
    assert (said["ok"], said["creditedMicros"], said["balanceMicros"]) == (True, 2_000_000, 2_050_000)
    assert said["network"] == "base" and said["payer"] == payer.address and "key" not in said
    again = await caller.call("POST", "/v1/topup", {"amountMicros": 2_000_000}, headers=header_of(payload))
    assert again.status == 402
    assert await balance(caller) == 2_050_000
    invoices = (await caller.done("GET", "/v1/invoices"))["invoices"]
    assert [(i["total_usd"], i["status"]) for i in invoices] == [("2.00", "paid")]
    page = await caller.call("GET", f"/v1/invoices/{invoices[0]['number']}/page")
    assert page.headers["Content-Type"].startswith("text/html") and b"2.00" in page.body
    foreign = await key_of(till.town)
    assert (await foreign.call("GET", f"/v1/invoices/{invoices[0]['number']}")).status == 404


async def test_who_pays_in_without_a_key_gets_one(till: Till) -> None:
    stranger, payer = till.town.stranger(), Payer()
    answer, _ = await pay(stranger, payer, "POST", "/v1/topup", {}, 1)
    assert answer.status == 200, answer.body
    stranger.token = answer.json["key"]
    assert await balance(stranger) == 5_000_000
    await stranger.done("POST", "/v1/brief", PAIR)
    assert await balance(stranger) == 4_990_000
    invoices = (await stranger.done("GET", "/v1/invoices"))["invoices"]
    assert [(i["total_usd"], i["customer"].partition(":")[0]) for i in invoices] == [("5.00", "key")]


async def test_two_payments_of_one_wallet_at_once_make_two_keys_with_their_own_credit(till: Till) -> None:
    payer, asked = Payer(), ({"amountMicros": 1_000_000}, {"amountMicros": 2_000_000})
    strangers = [till.town.stranger() for _ in asked]
    both = zip(strangers, asked, strict=True)
    answers = await asyncio.gather(*(pay(one, payer, "POST", "/v1/topup", body, 2) for one, body in both))
    for stranger, body, (answer, _) in zip(strangers, asked, answers, strict=True):
        assert answer.json["balanceMicros"] == answer.json["creditedMicros"] == body["amountMicros"]
        stranger.token = answer.json["key"]
        assert await balance(stranger) == body["amountMicros"]
        assert len((await stranger.done("GET", "/v1/invoices"))["invoices"]) == 1
    await ledger_is_sound(till)


async def test_what_was_paid_in_and_never_came_to_a_key_goes_to_the_next_one(till: Till) -> None:
    """The process died, or the settlement's answer got lost, before a key was made."""
    stranger, payer = till.town.stranger(), Payer()
    payload = await payer.payload(await stranger.call("POST", "/v1/topup", {"amountMicros": 1_000_000}), 2)
    answers = itertools.chain(["before"], itertools.repeat(""))
    till.facilitator.lose = lambda: next(answers)
    lost = await stranger.call("POST", "/v1/topup", {"amountMicros": 1_000_000}, headers=header_of(payload))
    assert lost.status == 502
    db = await asyncpg.connect(till.dsns["admin"])
    await db.execute("UPDATE billing.payment SET tried_ms = 0 WHERE status = 'unknown'")  # time has passed

    async def settled() -> bool:
        done = (
            "UPDATE billing.payment SET settled_ms = 1 WHERE payer = $1 AND status = 'settled' RETURNING true"
        )
        return bool(await db.fetchval(done, payer.address))

    await wait_until(settled)
    await db.close()
    answer, _ = await pay(stranger, payer, "POST", "/v1/topup", {"amountMicros": 500_000}, 2)
    assert (answer.json["creditedMicros"], answer.json["balanceMicros"]) == (500_000, 1_500_000)
    stranger.token = answer.json["key"]
    assert len((await stranger.done("GET", "/v1/invoices"))["invoices"]) == 2
    await ledger_is_sound(till)


@pytest.mark.parametrize("amount", [99_999, 1_000_000_001, 0, -1, "5", 1.5])
async def test_an_amount_out_of_bounds_is_400(till: Till, amount: Any) -> None:
    caller = await key_of(till.town)
    assert (await caller.call("POST", "/v1/topup", {"amountMicros": amount})).status == 400


async def test_a_lost_answer_is_asked_for_again_and_credited_once(till: Till) -> None:
    caller, payer = await key_of(till.town, new_email()), Payer()
    refused = await caller.call("POST", "/v1/topup", {"amountMicros": 1_000_000})
    payload = await payer.payload(refused, 2)
    answers = itertools.chain(["before"], itertools.repeat(""))
    till.facilitator.lose = lambda: next(answers)
    answer = await caller.call("POST", "/v1/topup", {"amountMicros": 1_000_000}, headers=header_of(payload))
    assert answer.status == 502
    assert await balance(caller) == 50_000
    db = await asyncpg.connect(till.dsns["admin"])
    await db.execute("UPDATE billing.payment SET tried_ms = 0 WHERE status = 'unknown'")  # time has passed

    async def credited() -> bool:
        return await balance(caller) != 50_000

    await wait_until(credited)
    assert await balance(caller) == 1_050_000
    await db.execute("UPDATE billing.payment SET tried_ms = 0")
    await db.close()
    await ledger_is_sound(till)


async def test_what_stays_open_is_for_staff(till: Till) -> None:
    caller, payer, admin = await key_of(till.town), Payer(), await till.town.admin()
    payload = await payer.payload(await caller.call("POST", "/v1/topup", {"amountMicros": 1_000_000}), 2)
    answers = itertools.chain(["after"], itertools.repeat(""))
    till.facilitator.lose = lambda: next(answers)  # it went through, and nobody heard
    answer = await caller.call("POST", "/v1/topup", {"amountMicros": 1_000_000}, headers=header_of(payload))
    assert answer.status == 502
    db = await asyncpg.connect(till.dsns["admin"])
    await db.execute("UPDATE billing.payment SET tried_ms = 0 WHERE status = 'unknown'")
    await db.close()

    async def is_held() -> list[Any]:
        listed = (await admin.done("GET", "/admin/payments?status=held"))["payments"]
        return [one for one in listed if payer.address in one["ref"]]

    held: Any = await wait_until(is_held)
    assert await balance(caller) == 50_000
    said = await admin.done("POST", f"/admin/payments/{held[0]['id']}", {"decision": "grant"})
    assert said["status"] == "settled"
    assert await balance(caller) == 1_050_000
    repeated = await admin.call("POST", f"/admin/payments/{held[0]['id']}", {"decision": "grant"})
    assert repeated.status == 404
    assert await balance(caller) == 1_050_000
    assert till.facilitator.chain.balances[PAY_TO] > 0
