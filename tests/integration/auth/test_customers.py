"""The customer door: registration, login, several accounts, one-time codes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pyotp
import pytest

from libs.common.bus import decode
from libs.common.bus_nats import NatsBus
from libs.common.errors import InvalidData
from libs.common.messages.auth import PersonChanged, Refresh, SignCheck, SignIn
from libs.common.messages.auth_people import (
    CustomerAccountOpen,
    CustomerAsk,
    CustomerIn,
    CustomerLogin,
    CustomerRegister,
    OtpCheck,
    OtpSet,
)
from libs.common.subjects import (
    CUSTOMER_ACCOUNT_OPEN,
    CUSTOMER_ACCOUNTS,
    CUSTOMER_LOGIN,
    CUSTOMER_REGISTER,
    OTP_CHECK,
    OTP_OFFER,
    OTP_SET,
    SIGN_CHECK,
    SIGN_IN,
    SIGN_REFRESH,
)
from services.auth.errors import (
    AccountExists,
    AccountLimitReached,
    BadCustomer,
    BadOtpCode,
    CustomerDisabled,
    DuplicateRecord,
    GroupNotFound,
    OtpNotConfigured,
    OtpRequired,
    TooFrequent,
)
from tests.integration.auth.rig import Rig

EMAIL, PASSWORD = "ada@example.com", "correct horse"


async def register(rig: Rig, email: str = EMAIL, **fields: Any) -> Any:
    message = CustomerRegister(
        email=email, password=PASSWORD, first_name="Ada", last_name="Lovelace", **fields
    )
    return await rig.call(CUSTOMER_REGISTER, message)


async def login(
    rig: Rig, email: str = EMAIL, password: str = PASSWORD, code: str | None = None
) -> CustomerIn:
    answer: CustomerIn = await rig.call(
        CUSTOMER_LOGIN, CustomerLogin(email=email, password=password, otp_code=code)
    )
    return answer


def code_of(rig: Rig, secret: str, steps: int = 0) -> str:
    return pyotp.TOTP(secret).at(rig.clock.now_ms() // 1000 + 30 * steps)


async def switch_on(rig: Rig, customer_id: int) -> str:
    secret: str = (await rig.call(OTP_OFFER, CustomerAsk(customer_id=customer_id))).secret
    await rig.call(OTP_SET, OtpSet(customer_id=customer_id, secret=secret, code=code_of(rig, secret)))
    return secret


async def test_registration_makes_a_person_with_a_demo_account(rig: Rig) -> None:
    answer = await register(rig, phone="+44", brand="b", marketing_allowed=1)
    assert msgspec.to_builtins(answer) == {
        "registered": True,
        "customer": {
            "customer_id": 1,
            "email": EMAIL,
            "first_name": "Ada",
            "last_name": "Lovelace",
            "full_name": "Ada Lovelace",
            "status": "active",
            "enable": 1,
            "brand": "b",
            "created_time": rig.clock.now_ms() // 1000,
            "updated_time": rig.clock.now_ms() // 1000,
        },
    }
    assert len(rig.peers.opened) == 1
    signed = await rig.call(SIGN_IN, SignIn(login=rig.peers.opened[0].login, password=PASSWORD))
    assert signed.name == "Ada Lovelace", "the one password opens every door"


async def test_a_known_e_mail_is_refused_at_every_door(rig: Rig) -> None:
    await register(rig)
    with pytest.raises(DuplicateRecord):
        await register(rig, "ADA@example.com")
    with pytest.raises(AccountExists):
        await rig.sign_up(EMAIL)
    await rig.sign_up("bob@example.com")
    with pytest.raises(DuplicateRecord):
        await register(rig, "bob@example.com")


@pytest.mark.parametrize(
    "fields", [{"email": "x"}, {"password": "short"}, {"marketing_allowed": 2}, {"first_name": "x" * 200}]
)
async def test_a_registration_out_of_form_is_refused(rig: Rig, fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidData):
        await rig.call(
            CUSTOMER_REGISTER, CustomerRegister(**{"email": EMAIL, "password": PASSWORD, **fields})
        )


async def test_login_answers_in_the_contracts_order_with_the_linked_accounts(rig: Rig) -> None:
    await register(rig)
    answer = await login(rig, "ADA@Example.com")
    assert list(msgspec.to_builtins(answer)) == [
        "customer_id", "email", "full_name", "first_name", "last_name", "status", "phone",
        "preferred_language", "brand", "desk", "manager_id", "last_login_time", "otp_enabled", "accounts",
        "__token", "refresh_token",
    ]  # fmt: skip
    (account,) = answer.accounts
    assert list(msgspec.to_builtins(account)) == [
        "login", "customer_id", "enable", "leverage", "group", "name", "email",
    ]  # fmt: skip
    claims = await rig.claims(answer.token)
    assert (claims.sub, claims.type, claims.login, claims.logins) == ("customer:1", 9, None, (account.login,))
    checked = await rig.call(SIGN_CHECK, SignCheck(login=0, session_type=9, jti="", token=answer.token))
    assert (checked.type, checked.id) == (9, 1)


async def test_somebody_who_signed_up_at_the_broker_is_a_customer(rig: Rig) -> None:
    signed = await rig.sign_up(EMAIL)
    assert [account.login for account in (await login(rig)).accounts] == [signed.login]


@pytest.mark.parametrize(("email", "password"), [(EMAIL, "wrong horse"), ("nobody@example.com", PASSWORD)])
async def test_unknown_e_mail_and_wrong_password_are_the_same_refusal(
    rig: Rig, email: str, password: str
) -> None:
    await register(rig)
    with pytest.raises(BadCustomer):
        await login(rig, email, password)


async def test_guesses_at_an_e_mail_are_counted_whether_it_is_known_or_not(rig: Rig) -> None:
    for _ in range(10):
        with pytest.raises(BadCustomer):
            await login(rig, "nobody@example.com")
    with pytest.raises(TooFrequent):
        await login(rig, "NOBODY@example.com")


async def test_a_disabled_customer_is_told_so_only_with_the_right_password(rig: Rig) -> None:
    await register(rig)
    await rig.base.database.pool.execute("UPDATE auth.person SET enable = false")
    with pytest.raises(CustomerDisabled):
        await login(rig)
    with pytest.raises(BadCustomer):
        await login(rig, password="wrong horse")


async def test_a_further_account_is_linked_and_named_by_a_fresh_token(
    rig: Rig, bus: NatsBus, eventually: Callable[..., Awaitable[Any]]
) -> None:
    first = await rig.sign_up(EMAIL, phone="+44")
    customer = await login(rig)
    opened = await rig.call(CUSTOMER_ACCOUNT_OPEN, CustomerAccountOpen(customer_id=1, leverage=50))
    assert (opened.login, opened.leverage, opened.currency, opened.name) == (
        100002,
        50,
        "USD",
        "Ada Lovelace",
    )
    assert (await rig.claims(opened.token)).logins == (first.login, opened.login)
    assert [asked.login for asked in rig.peers.opened] == [first.login, opened.login]
    listed = await rig.call(CUSTOMER_ACCOUNTS, CustomerAsk(customer_id=1))
    assert [account.login for account in listed.accounts] == [first.login, opened.login]
    refreshed = await rig.call(SIGN_REFRESH, Refresh(refresh_token=customer.refresh_token))
    assert (await rig.claims(refreshed.token)).logins == (first.login, opened.login)

    async def told() -> Any:
        return (await bus.history("AUTH", "auth.evt.person.changed.v1.1", 0, 10)).entries

    (entry,) = await eventually(told)
    assert decode(entry.payload, PersonChanged).logins == (first.login, opened.login)


async def test_a_further_account_in_a_currency_nobody_offers_is_refused(rig: Rig) -> None:
    await register(rig)
    with pytest.raises(GroupNotFound):
        await rig.call(CUSTOMER_ACCOUNT_OPEN, CustomerAccountOpen(customer_id=1, currency="JPY"))
    with pytest.raises(InvalidData):
        await rig.call(CUSTOMER_ACCOUNT_OPEN, CustomerAccountOpen(customer_id=1, leverage=0))


async def test_a_person_has_at_most_fifty_accounts(rig: Rig) -> None:
    await register(rig)
    for _ in range(49):
        await rig.call(CUSTOMER_ACCOUNT_OPEN, CustomerAccountOpen(customer_id=1))
    with pytest.raises(AccountLimitReached):
        await rig.call(CUSTOMER_ACCOUNT_OPEN, CustomerAccountOpen(customer_id=1))


# ── one-time codes ──


async def test_an_offered_secret_changes_nothing_until_a_code_proves_it(rig: Rig) -> None:
    await register(rig)
    offer = await rig.call(OTP_OFFER, CustomerAsk(customer_id=1))
    assert (offer.algorithm, offer.digits, offer.period) == ("SHA1", 6, 30)
    assert offer.secret in offer.otp_url
    assert (await rig.call(OTP_OFFER, CustomerAsk(customer_id=1))).secret != offer.secret
    assert (await login(rig)).otp_enabled == 0
    with pytest.raises(BadOtpCode):
        await rig.call(OTP_SET, OtpSet(customer_id=1, secret=offer.secret, code="000000"))
    with pytest.raises(OtpNotConfigured):
        await rig.call(OTP_CHECK, OtpCheck(customer_id=1, code="000000"))


async def test_with_codes_on_the_door_asks_for_one(rig: Rig) -> None:
    await register(rig)
    secret = await switch_on(rig, 1)
    with pytest.raises(OtpRequired):
        await login(rig)
    with pytest.raises(BadOtpCode):
        await login(rig, code="not it")
    with pytest.raises(BadCustomer):
        await login(rig, password="wrong horse", code=code_of(rig, secret))
    assert (await login(rig, code=code_of(rig, secret))).otp_enabled == 1


async def test_a_code_opens_the_door_once(rig: Rig) -> None:
    await register(rig)
    secret = await switch_on(rig, 1)
    code = code_of(rig, secret)
    await rig.call(OTP_CHECK, OtpCheck(customer_id=1, code=code))
    await login(rig, code=code)
    with pytest.raises(BadOtpCode):
        await login(rig, code=code)
    with pytest.raises(BadOtpCode):
        await login(rig, code=code_of(rig, secret, -1))
    rig.clock.advance(30)
    await login(rig, code=code_of(rig, secret))


async def test_a_secret_is_replaced_with_a_code_of_the_one_before(rig: Rig) -> None:
    await register(rig)
    old = await switch_on(rig, 1)
    young = (await rig.call(OTP_OFFER, CustomerAsk(customer_id=1))).secret
    proof = {"customer_id": 1, "secret": young, "code": code_of(rig, young)}
    with pytest.raises(InvalidData):
        await rig.call(OTP_SET, OtpSet(**proof))
    with pytest.raises(BadOtpCode):
        await rig.call(OTP_SET, OtpSet(**proof, current_code=code_of(rig, young)))
    await rig.call(OTP_SET, OtpSet(**proof, current_code=code_of(rig, old)))
    with pytest.raises(BadOtpCode):
        await login(rig, code=code_of(rig, old))
    await login(rig, code=code_of(rig, young))


async def test_codes_cannot_be_guessed(rig: Rig) -> None:
    await register(rig)
    secret = await switch_on(rig, 1)
    good = code_of(rig, secret)
    wrong = "000000" if good != "000000" else "000001"
    for _ in range(10):
        with pytest.raises(BadOtpCode):
            await login(rig, code=wrong)
    with pytest.raises(TooFrequent):
        await login(rig, code=good)


async def test_the_secret_is_sealed_where_it_is_kept(rig: Rig) -> None:
    await register(rig)
    secret = await switch_on(rig, 1)
    sealed = await rig.base.database.pool.fetchval("SELECT otp_sealed FROM auth.person")
    assert secret.encode() not in sealed
