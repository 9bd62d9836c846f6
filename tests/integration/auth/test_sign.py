"""Sign up, sign in, sign check and AddUser on a real PostgreSQL and NATS."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from libs.common.bus import decode
from libs.common.bus_nats import NatsBus
from libs.common.db import Database
from libs.common.errors import InvalidData, NotAuthenticated, PermissionDenied
from libs.common.messages.auth import AccountAsk, AccountOpened, SignCheck, SignedIn, SignIn, UserAdd
from libs.common.subjects import ACCOUNT_OF, SIGN_CHECK, SIGN_IN, USER_ADD
from services.auth.errors import AccountExists, BadCredentials, GroupNotFound, LoginExists, UserDisabled
from tests.integration.auth.rig import Peers, Rig, open_rig

SIGN_IN_FIELDS = (
    "id", "login", "regdate", "leverage", "email", "avatar", "name", "phone", "address", "city", "state",
    "country", "zipcode", "group", "currency", "__token",
)  # fmt: skip


def check_of(answer: SignedIn) -> SignCheck:
    return SignCheck(login=answer.login, session_type=0, jti="", token=answer.token)


def user(**changed: Any) -> UserAdd:
    given = {
        "group": "vip",
        "name": "Grace Hopper",
        "password": "grace-password",
        "leverage": 200,
        "enable": 1,
        "email": "grace@example.com",
        **changed,
    }
    return UserAdd(**given)


async def test_sign_up_makes_a_person_with_a_demo_account(rig: Rig) -> None:
    answer = await rig.sign_up("Ada@Example.com", phone="+44 1", country="GB", city="London", zipcode="W1")
    assert tuple(msgspec.to_builtins(answer))[:16] == SIGN_IN_FIELDS
    assert answer.id == answer.login == 100001
    assert (answer.group, answer.currency, answer.leverage) == ("demo", "USD", 100)
    assert answer.email == "Ada@Example.com"
    assert answer.regdate == rig.clock.now_ms() // 1000
    claims = await rig.claims(answer.token)
    assert (claims.sub, claims.type, claims.grp, claims.logins) == ("account:100001", 0, "demo", (100001,))


async def test_sign_up_tells_trading_before_the_answer_and_by_the_fact(
    rig: Rig, bus: NatsBus, eventually: Callable[..., Awaitable[Any]]
) -> None:
    answer = await rig.sign_up()
    assert [asked.login for asked in rig.peers.opened] == [answer.login]

    async def published() -> Any:
        return (await bus.history("AUTH", "auth.evt.account.opened.>", 0, 10)).entries

    entries = await eventually(published)
    opened = decode(entries[0].payload, AccountOpened)
    assert (opened.login, opened.group, opened.currency, opened.leverage) == (
        answer.login,
        "demo",
        "USD",
        100,
    )
    assert opened.email == "ada@example.com"


async def test_sign_up_answers_although_trading_breaks(
    rig: Rig, bus: NatsBus, eventually: Callable[..., Awaitable[Any]]
) -> None:
    rig.peers.trading_breaks = True
    answer = await rig.sign_up()

    async def published() -> Any:
        return (await bus.history("AUTH", f"auth.evt.account.opened.v1.{answer.login}", 0, 10)).entries

    assert await eventually(published)


async def test_a_known_e_mail_is_refused_whatever_its_case(rig: Rig) -> None:
    await rig.sign_up("ada@example.com")
    with pytest.raises(AccountExists):
        await rig.sign_up("ADA@Example.com")
    with pytest.raises(AccountExists):
        await rig.call(USER_ADD, user(email="Ada@example.com"))


async def test_of_ten_sign_ups_at_once_with_one_e_mail_one_is_taken(rig: Rig) -> None:
    answers = await asyncio.gather(
        *(rig.sign_up("ada@example.com") for _ in range(10)), return_exceptions=True
    )
    assert sum(isinstance(a, SignedIn) for a in answers) == 1
    assert sum(isinstance(a, AccountExists) for a in answers) == 9
    assert len(rig.peers.opened) == 1


@pytest.mark.parametrize(
    "fields",
    [{"name": " "}, {"name": "x" * 200}, {"name": "a\x00b"}, {"email": "nobody"}, {"password": "12345"},
     {"password": "x" * 65}, {"leverage": 0}, {"leverage": 10_001}, {"phone": "x" * 600}],
)  # fmt: skip
async def test_a_sign_up_that_cannot_be_kept_is_refused(rig: Rig, fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidData):
        await rig.sign_up(**{"email": "ada@example.com", **fields})
    assert rig.peers.opened == []


@pytest.mark.parametrize("group", ["vip", "nothing", ""])
async def test_a_group_that_may_not_be_named_is_refused(rig: Rig, group: str) -> None:
    with pytest.raises(GroupNotFound):
        await rig.sign_up(group=group)


async def test_the_group_caps_the_leverage(rig: Rig) -> None:
    assert (await rig.sign_up("a@example.com", leverage=50)).leverage == 50
    assert (await rig.sign_up("b@example.com", leverage=500)).leverage == 100


async def test_sign_up_can_be_switched_off(
    database: Callable[[str], Awaitable[Database]], bus: NatsBus, tmp_path: Path
) -> None:
    async with open_rig(await database("auth"), bus, tmp_path, signup="off") as rig:
        with pytest.raises(PermissionDenied):
            await rig.sign_up()


async def test_sign_in_gives_the_same_object_as_sign_up(rig: Rig) -> None:
    first = await rig.sign_up()
    again = await rig.call(SIGN_IN, SignIn(login=first.login, password="correct horse"))
    assert msgspec.structs.replace(again, token="", refresh_token="") == msgspec.structs.replace(
        first, token="", refresh_token=""
    )
    assert (await rig.claims(again.token)).jti != (await rig.claims(first.token)).jti


@pytest.mark.parametrize(
    ("login", "password"), [(100001, "wrong horse"), (424242, "correct horse"), (0, "correct")]
)
async def test_unknown_login_and_wrong_password_are_the_same_refusal(
    rig: Rig, login: int, password: str
) -> None:
    await rig.sign_up()
    with pytest.raises(BadCredentials) as refused:
        await rig.call(SIGN_IN, SignIn(login=login, password=password))
    assert (refused.value.code, refused.value.http_status) == ("USER_NOT_FOUND_OR_INCORRECT", 403)


@pytest.mark.parametrize(
    ("login", "password"),
    [(100001, "short"), (100001, "x" * 65), (-1, "correct horse"), (2**63, "correct horse")],
)
async def test_a_sign_in_out_of_form_is_refused(rig: Rig, login: int, password: str) -> None:
    with pytest.raises(InvalidData):
        await rig.call(SIGN_IN, SignIn(login=login, password=password))


async def test_a_disabled_account_is_told_so_only_with_the_right_password(rig: Rig) -> None:
    added = await rig.call(USER_ADD, user(enable=0))
    with pytest.raises(UserDisabled):
        await rig.call(SIGN_IN, SignIn(login=added.login, password="grace-password"))
    with pytest.raises(BadCredentials):
        await rig.call(SIGN_IN, SignIn(login=added.login, password="wrong-password"))


async def test_sign_in_of_an_account_whose_group_is_gone_or_closed(rig: Rig) -> None:
    answer = await rig.sign_up()
    message = SignIn(login=answer.login, password="correct horse")
    group = rig.peers.groups.pop("demo")
    with pytest.raises(GroupNotFound):
        await rig.call(SIGN_IN, message)
    rig.peers.groups["demo"] = msgspec.structs.replace(group, enable=0)
    with pytest.raises(UserDisabled):
        await rig.call(SIGN_IN, message)


async def test_people_sign_in_while_market_and_trading_are_away(
    database: Callable[[str], Awaitable[Database]], bus: NatsBus, tmp_path: Path
) -> None:
    pool = await database("auth")
    async with open_rig(pool, bus, tmp_path) as rig:
        login = (await rig.sign_up()).login
    async with open_rig(pool, bus, tmp_path, peers=Peers()) as rig:
        answer = await rig.call(SIGN_IN, SignIn(login=login, password="correct horse"))
        assert answer.login == login


async def test_a_password_under_old_parameters_is_hashed_anew_at_sign_in(rig: Rig) -> None:
    from argon2 import PasswordHasher

    login = (await rig.sign_up()).login
    old = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash("correct horse")
    pool = rig.base.database.pool
    await pool.execute("UPDATE auth.person SET password_hash = $1", old)
    await rig.call(SIGN_IN, SignIn(login=login, password="correct horse"))
    stored = await pool.fetchval("SELECT password_hash FROM auth.person")
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    await rig.call(SIGN_IN, SignIn(login=login, password="correct horse"))


async def test_no_password_is_stored_in_the_clear(rig: Rig) -> None:
    await rig.sign_up(password="canary-password")
    for row in await rig.base.database.pool.fetch("SELECT p::text AS text FROM auth.person AS p"):
        assert "canary-password" not in row["text"]


async def test_sign_check_gives_the_object_with_its_type_and_token(rig: Rig) -> None:
    answer = await rig.sign_up()
    checked = await rig.call(SIGN_CHECK, check_of(answer))
    assert checked.type == 0
    assert checked.token == answer.token
    assert tuple(msgspec.to_builtins(checked)) == (*SIGN_IN_FIELDS, "type")


async def test_sign_check_refuses_what_no_longer_counts(rig: Rig) -> None:
    answer = await rig.sign_up()
    pool = rig.base.database.pool
    await pool.execute("UPDATE auth.account SET token_version = 2")
    with pytest.raises(NotAuthenticated):
        await rig.call(SIGN_CHECK, check_of(answer))
    await pool.execute("UPDATE auth.account SET token_version = 1, enable = false")
    with pytest.raises(UserDisabled):
        await rig.call(SIGN_CHECK, check_of(answer))
    rig.clock.advance(24 * 3600)
    with pytest.raises(NotAuthenticated):
        await rig.call(SIGN_CHECK, check_of(answer))


async def test_staff_adds_a_user_with_everything_given(rig: Rig) -> None:
    added = await rig.call(
        USER_ADD, user(login=777, comment="c", id="ext-7", user_color=255, enable_read_only=1)
    )
    assert msgspec.to_builtins(added) == {"login": 777, "leverage": 200, "currency": "EUR"}
    signed = await rig.call(SIGN_IN, SignIn(login=777, password="grace-password"))
    claims = await rig.claims(signed.token)
    assert (claims.read_only, claims.grp) == (1, "vip")


async def test_a_taken_login_is_refused_and_leaves_nothing_behind(rig: Rig) -> None:
    await rig.call(USER_ADD, user(login=777))
    with pytest.raises(LoginExists):
        await rig.call(USER_ADD, user(login=777, email="other@example.com"))
    with pytest.raises(LoginExists):
        await rig.call(USER_ADD, user(login=1, email="other@example.com"))
    assert (await rig.call(USER_ADD, user(email="other@example.com"))).login == 100001


async def test_the_sequence_goes_around_logins_that_staff_chose(rig: Rig) -> None:
    await rig.call(USER_ADD, user(login=100001))
    await rig.call(USER_ADD, user(login=100002, email="two@example.com"))
    assert (await rig.sign_up()).login == 100003
    assert (await rig.call(USER_ADD, user(login=0, email="three@example.com"))).login == 100004


@pytest.mark.parametrize(
    "changed",
    [{"leverage": 0}, {"leverage": 10_001}, {"enable": 2}, {"enable_read_only": -1}, {"login": -5},
     {"login": 2**60}, {"user_color": 2**63}, {"id": "a\x00"}, {"password": "short"}, {"email": "x"},
     {"name": ""}],
)  # fmt: skip
async def test_a_user_that_cannot_be_kept_is_refused(rig: Rig, changed: dict[str, Any]) -> None:
    with pytest.raises(InvalidData):
        await rig.call(USER_ADD, user(**changed))


async def test_a_user_in_an_unknown_group_is_refused(rig: Rig) -> None:
    with pytest.raises(GroupNotFound):
        await rig.call(USER_ADD, user(group="nothing"))


async def test_anybody_in_the_house_is_told_what_is_known_of_an_account(rig: Rig) -> None:
    answer = await rig.sign_up(phone="+44 1")
    account = await rig.call(ACCOUNT_OF, AccountAsk(login=answer.login))
    assert (account.group, account.currency, account.leverage) == ("demo", "USD", 100)
    assert (account.enable, account.enable_read_only, account.phone) == (1, 0, "+44 1")
    assert account.regdate == answer.regdate
    with pytest.raises(BadCredentials):
        await rig.call(ACCOUNT_OF, AccountAsk(login=5))
