"""People known by their wallet, the token a plan comes with, and who came by which code."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from libs.common.errors import InvalidData
from libs.common.messages.auth_people import (
    AccessGrant,
    CookieResolve,
    PersonJoined,
    ScanSignUp,
    WalletPersonAsk,
)
from libs.common.subjects import ACCESS_GRANT, COOKIE_RESOLVE, PERSON_JOINED, SCAN_SIGN_UP, WALLET_PERSON
from services.auth.errors import NotSignedIn
from tests.integration.auth.rig import Rig

WALLET = "0x" + "ab" * 20


async def test_a_wallet_is_one_person_however_often_it_pays(rig: Rig) -> None:
    asked = WalletPersonAsk(wallet=WALLET)
    made = await asyncio.gather(*(rig.call(WALLET_PERSON, asked) for _ in range(3)))
    assert len({person.person_id for person in made}) == 1
    other = await rig.call(WALLET_PERSON, WalletPersonAsk(wallet="0x" + "00" * 20))
    assert other.person_id != made[0].person_id


@pytest.mark.parametrize("wallet", ["", "0x12", WALLET.upper(), WALLET + "0", "ann@example.com"])
async def test_what_is_no_wallet_is_refused(rig: Rig, wallet: str) -> None:
    with pytest.raises(InvalidData):
        await rig.call(WALLET_PERSON, WalletPersonAsk(wallet=wallet))


async def test_nobody_signs_up_as_a_wallet(rig: Rig) -> None:
    with pytest.raises(InvalidData):
        await rig.sign_up(f"{WALLET}@Wallet.X402.invalid")


async def test_the_token_of_a_plan_is_a_session_until_it_ends(rig: Rig) -> None:
    person_id = (await rig.call(WALLET_PERSON, WalletPersonAsk(wallet=WALLET))).person_id
    until_ms = rig.clock.now_ms() + 60_000
    grant = AccessGrant(person_id=person_id, tier="plus", until_ms=until_ms)
    token = (await rig.call(ACCESS_GRANT, grant)).access_token
    assert token.startswith("tw_pass_")
    principal = await rig.call(COOKIE_RESOLVE, CookieResolve(session=token))
    assert (principal.kind, principal.person_id, principal.expires_at) == (
        "customer",
        person_id,
        until_ms // 1000,
    )
    rig.clock.advance(60)
    with pytest.raises(NotSignedIn):
        await rig.call(COOKIE_RESOLVE, CookieResolve(session=token))
    with pytest.raises(InvalidData):
        await rig.call(ACCESS_GRANT, grant)


async def test_the_code_somebody_came_by_is_told(rig: Rig) -> None:
    asked = ScanSignUp(email="ada@example.com", password="correct horse", ref_code="REF12345", ip="10.0.0.1")
    await rig.call(SCAN_SIGN_UP, asked)
    async with rig.base.database.connection() as db:
        pattern = PERSON_JOINED.template.replace("{person}", "%")
        (payload,) = await db.fetch("SELECT payload FROM auth.outbox WHERE subject LIKE $1", pattern)
    joined = msgspec.json.decode(payload["payload"], type=PersonJoined)
    assert (joined.ref_code, joined.email_key, joined.address) == ("REF12345", "ada@example.com", "10.0.0.1")
