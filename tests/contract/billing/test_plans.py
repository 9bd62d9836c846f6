"""Plans by x402, and who brought whom."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from tests.conftest import wait_until
from tests.contract.auth.people import PASSWORD, Caller, cookie_of, new_email
from tests.contract.billing.conftest import Till, ledger_is_sound
from tests.contract.billing.paying import Payer, header_of, pay
from tests.contract.billing.test_providers import customer_of, ipn, ipn_of, order, tier_of, until_tier


@pytest.mark.parametrize("version", [1, 2])
async def test_a_signed_in_person_buys_a_plan_and_its_token_acts_like_their_session(
    till: Till, version: int
) -> None:
    buyer = await customer_of(till)
    asked = {"plan": "pro", "period": "month"}
    answer, payload = await pay(buyer, Payer(), "POST", "/payments/x402", asked, version)
    assert answer.status == 200, answer.body
    said = answer.json
    assert (said["token_type"], said["tier"]) == ("Bearer", "pro") and said["expires_at"].endswith("Z")
    assert await tier_of(buyer) == "pro"
    bearer = till.town.stranger()
    bearer.token = said["access_token"]
    me = (await bearer.done("GET", "/auth/me"))["user"]
    assert (me["tier"], me["id"]) == ("pro", (await buyer.done("GET", "/auth/me"))["user"]["id"])
    again = await buyer.call("POST", "/payments/x402", asked, headers=header_of(payload))
    assert (again.status, again.code) == (402, "payment_failed")
    refused = await buyer.call("POST", "/payments/x402", asked)
    assert (refused.status, refused.code) == (402, "payment_required")
    assert refused.json["accepts"][0]["maxAmountRequired"] == "49000000"
    assert "ETH" in refused.json["detail"]


async def test_a_paying_wallet_without_an_account_becomes_a_person(till: Till) -> None:
    payer, ids = Payer(), set()
    for plan in ("go", "plus"):
        answer, _ = await pay(
            till.town.stranger(), payer, "POST", "/payments/x402", {"plan": plan, "period": "month"}, 2
        )
        assert answer.status == 200, answer.body
        bearer = till.town.stranger()
        bearer.token = answer.json["access_token"]
        user = (await bearer.done("GET", "/auth/me"))["user"]
        assert user["tier"] == plan
        ids.add(user["id"])
    assert len(ids) == 1


async def test_an_upgrade_takes_what_is_left_along(till: Till) -> None:
    buyer = await customer_of(till)
    made = []
    for plan in ("go", "plus"):
        made.append(await order(till, buyer, plan))
        await ipn(till, ipn_of(made[-1], "finished"))
        await until_tier(buyer, plan)
    ends = (await buyer.done("GET", "/auth/me"))["user"]["tier_expires_at"]
    plain = await customer_of(till)
    await ipn(till, ipn_of(await order(till, plain, "plus"), "finished"))
    await until_tier(plain, "plus")
    assert ends > (await plain.done("GET", "/auth/me"))["user"]["tier_expires_at"]
    # Go is paid back: the time its money bought of Plus goes, Plus stays.
    where = f"/payments/nowpayments/status?invoice_id={made[1]['invoice_id']}"
    assert (await buyer.done("GET", where))["subscription_expires_at"] == ends
    await ipn(till, ipn_of(made[0], "refunded"))
    now = (await buyer.done("GET", where))["subscription_expires_at"]
    assert (await plain.done("GET", "/auth/me"))["user"]["tier_expires_at"][:10] == now[:10] < ends
    assert await tier_of(buyer) == "plus"
    await ipn(till, ipn_of(made[1], "refunded"))
    await until_tier(buyer, "free")


async def joined(till: Till, code: str) -> Caller:
    """Somebody who signed up with a code."""
    caller = till.town.stranger()
    caller.email = new_email()
    body = {"email": caller.email, "password": PASSWORD, "ref_code": code}
    caller.cookie = cookie_of(await caller.call("POST", "/auth/signup", body))
    return caller


async def test_who_brought_a_customer_gets_a_share_held_back_and_taken_back_on_refund(till: Till) -> None:
    referrer = await customer_of(till)
    codes = (await referrer.done("GET", "/api/v1/affiliate/codes"))["codes"]
    assert len(codes) == 1 and len(codes[0]["code"]) == 8 and codes[0]["code"] in codes[0]["url"]
    assert (await referrer.done("GET", "/api/v1/affiliate/codes"))["codes"] == codes
    buyers = [await joined(till, codes[0]["code"].lower()), await joined(till, codes[0]["code"])]

    async def both_joined() -> Any:
        found = await referrer.done("GET", "/api/v1/affiliate/me")
        return found["referrals"] == 2 and found

    me: Any = await wait_until(both_joined)
    assert (me["enabled"], me["referrals"], me["paid_referrals"], me["commission_rate"]) == (True, 2, 0, 0.2)
    made = [await order(till, buyer) for buyer in buyers]
    for one in made:
        await ipn(till, ipn_of(one, "finished"))
    me = await referrer.done("GET", "/api/v1/affiliate/me")
    assert (me["paid_referrals"], me["pending_usd"], me["earned_usd"], me["paid_usd"]) == (2, 7.6, 7.6, 0)
    page = await referrer.done("GET", "/api/v1/affiliate/commissions?limit=1")
    assert page["has_more"] and page["commissions"][0]["amount_usd"] == 3.8
    assert (
        page["commissions"][0]["status"] == "pending" and "***" in page["commissions"][0]["referred_masked"]
    )
    rest = await referrer.done("GET", f"/api/v1/affiliate/commissions?limit=1&cursor={page['next_cursor']}")
    assert not rest["has_more"] and rest["commissions"][0]["id"] != page["commissions"][0]["id"]
    await ipn(till, ipn_of(made[0], "refunded"))
    me = await referrer.done("GET", "/api/v1/affiliate/me")
    assert (me["paid_referrals"], me["pending_usd"], me["earned_usd"]) == (1, 3.8, 3.8)
    db = await asyncpg.connect(till.dsns["admin"])
    owed = """SELECT sum(p.amount_micros)
                FROM billing.posting AS p JOIN billing.account AS a ON a.id = p.account_id
               WHERE a.kind = 'affiliate' AND a.ref = $1"""
    id = (await referrer.done("GET", "/auth/me"))["user"]["id"]
    assert await db.fetchval(owed, str(id)) == 3_800_000
    admin = await till.town.admin()
    payout, said = f"/admin/affiliates/{id}/payout", {"ref": f"wire {id}"}
    assert (await admin.call("POST", payout, said)).status == 404  # held back for 30 days
    over = "UPDATE billing.commission SET status = 'approved' WHERE referrer_id = $1 AND status = 'pending'"
    await db.execute(over, int(id))
    paid = await admin.done("POST", payout, said)
    assert (paid["customerId"], paid["commissions"], paid["paidMicros"]) == (int(id), 1, 3_800_000)
    assert await admin.done("POST", payout, said) == paid  # the same transfer
    assert (await admin.call("POST", payout, {"ref": f"wire {id} again"})).status == 404  # nothing is owed
    me = await referrer.done("GET", "/api/v1/affiliate/me")
    assert (me["pending_usd"], me["paid_usd"], me["earned_usd"]) == (0, 3.8, 3.8)
    assert await db.fetchval(owed, str(id)) == 0
    await ipn(till, ipn_of(made[1], "refunded"))  # the share was paid out: it stays the house's loss
    assert await db.fetchval(owed, str(id)) == 0
    await db.close()
    await ledger_is_sound(till)


async def test_who_came_by_a_link_counts_for_the_last_one_that_was_followed(till: Till) -> None:
    referrers = [await customer_of(till) for _ in range(2)]
    codes = [(await r.done("GET", "/api/v1/affiliate/codes"))["codes"][0] for r in referrers]
    visitor = till.town.stranger()
    cookies = []
    for code in codes:
        visit = await visitor.call("GET", code["url"].removeprefix(till.house.url))
        assert (visit.status, visit.headers["Location"]) == (307, "/docs")
        assert f"Max-Age={30 * 86_400};" in visit.headers["Set-Cookie"]
        cookies.append(cookie_of(visit, "ref"))
    assert cookies == [code["code"] for code in codes]
    odd = await visitor.call("GET", "/?ref=%3Cscript%3E")
    assert odd.status == 307 and "Set-Cookie" not in odd.headers
    for number, (cookie, said) in enumerate(
        ((cookies[1], None), (cookies[1], codes[0]["code"]), ("x;y", None))
    ):
        body = {"email": new_email(), "password": PASSWORD, **({"ref_code": said} if said else {})}
        headers = {"Cookie": f"other=1; ref={cookie}"}
        answer = await visitor.call("POST", "/auth/signup", body, headers=headers)
        assert answer.status == 201, (number, answer.body)

    async def counted() -> list[int]:
        return [(await r.done("GET", "/api/v1/affiliate/me"))["referrals"] for r in referrers]

    async def both() -> bool:
        return await counted() == [1, 1]

    await wait_until(both)
