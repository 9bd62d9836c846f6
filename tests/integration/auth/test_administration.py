"""What staff changes of accounts, people and staff, and who hears of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from libs.common.bus import decode
from libs.common.bus_nats import NatsBus
from libs.common.errors import InvalidData, NotAuthenticated, PermissionDenied
from libs.common.messages.auth import (
    AccountAsk,
    AccountChanged,
    PersonChanged,
    PersonName,
    PersonSet,
    SessionRevoked,
    SignCheck,
    SignedIn,
    SignIn,
    SignOut,
    SsoAsk,
    StaffAdd,
    StaffAsk,
    StaffUpdate,
    UserUpdate,
)
from libs.common.messages.auth_people import CustomerLogin
from libs.common.messages.market import Group
from libs.common.subjects import (
    ACCOUNT_OF,
    CUSTOMER_LOGIN,
    PERSON_FIND,
    PERSON_SET,
    SIGN_CHECK,
    SIGN_IN,
    SIGN_OUT,
    SSO,
    STAFF_ADD,
    STAFF_LIST,
    STAFF_UPDATE,
    USER_UPDATE,
)
from services.auth.errors import (
    BadCredentials,
    CustomerDisabled,
    GroupNotFound,
    LoginExists,
    UserDisabled,
    UserNotFound,
)
from tests.integration.auth.rig import Rig

PASSWORD = "correct horse"


async def sign_in(rig: Rig, login: int, password: str = PASSWORD) -> SignedIn:
    answer: SignedIn = await rig.call(SIGN_IN, SignIn(login=login, password=password))
    return answer


async def check(rig: Rig, token: str) -> SignedIn:
    answer: SignedIn = await rig.call(SIGN_CHECK, SignCheck(login=0, session_type=0, jti="", token=token))
    return answer


async def facts(bus: NatsBus, pattern: str, message: type[Any], eventually: Any, count: int = 1) -> list[Any]:
    """What was told so far, as soon as it is ``count`` facts or more."""

    async def told() -> Any:
        entries = (await bus.history("AUTH", pattern, 0, 20)).entries
        return len(entries) >= count and entries

    return [decode(entry.payload, message) for entry in await eventually(told)]


Eventually = Callable[..., Awaitable[Any]]


async def test_a_disabled_account_is_out_at_once_and_back_when_enabled(
    rig: Rig, bus: NatsBus, eventually: Eventually
) -> None:
    answer = await rig.sign_up()
    changed = await rig.call(USER_UPDATE, UserUpdate(login=answer.login, enable=0))
    assert changed.enable == 0
    with pytest.raises(UserDisabled):
        await check(rig, answer.token)
    with pytest.raises(UserDisabled):
        await sign_in(rig, answer.login)
    (revoked,) = await facts(bus, "auth.evt.session.revoked.>", SessionRevoked, eventually)
    assert (revoked.login, revoked.reason) == (answer.login, "disabled")
    await rig.call(USER_UPDATE, UserUpdate(login=answer.login, enable=1))
    with pytest.raises(NotAuthenticated):
        await check(rig, answer.token)
    await sign_in(rig, answer.login)


async def test_a_change_of_group_or_rights_ends_tokens_that_carry_the_old_ones(
    rig: Rig, bus: NatsBus, eventually: Eventually
) -> None:
    answer = await rig.sign_up()
    rig.peers.groups["gold"] = Group(group="gold", default_leverage=10)
    await rig.call(USER_UPDATE, UserUpdate(login=answer.login, leverage=33, comment="c", phone="+1"))
    assert (await check(rig, answer.token)).leverage == 33, "the token carries no leverage"
    await rig.call(USER_UPDATE, UserUpdate(login=answer.login, group="gold"))
    with pytest.raises(NotAuthenticated):
        await check(rig, answer.token)
    again = await sign_in(rig, answer.login)
    assert (await rig.claims(again.token)).grp == "gold"
    await rig.call(USER_UPDATE, UserUpdate(login=answer.login, enable_read_only=1))
    with pytest.raises(NotAuthenticated):
        await check(rig, again.token)
    assert (await rig.claims((await sign_in(rig, answer.login)).token)).read_only == 1
    changes = await facts(bus, "auth.evt.account.changed.>", AccountChanged, eventually, 3)
    assert [(c.group, c.leverage, c.enable_read_only) for c in changes] == [
        ("demo", 33, 0),
        ("gold", 33, 0),
        ("gold", 33, 1),
    ]
    account = await rig.call(ACCOUNT_OF, AccountAsk(login=answer.login))
    assert (account.comment, account.phone, account.name) == ("c", "+1", "Ada Lovelace")


async def test_a_change_that_cannot_be_is_refused(rig: Rig) -> None:
    login = (await rig.sign_up()).login
    for changed, error in (
        ({"group": "nothing"}, GroupNotFound),
        ({"group": "vip"}, InvalidData),  # another currency
        ({"leverage": 0}, InvalidData),
        ({"enable": 2}, InvalidData),
        ({"name": " "}, InvalidData),
    ):
        with pytest.raises(error):
            await rig.call(USER_UPDATE, UserUpdate(login=login, **changed))
    with pytest.raises(UserNotFound):
        await rig.call(USER_UPDATE, UserUpdate(login=5, enable=0))


async def test_disabling_an_account_of_a_disabled_person_keeps_both_flags_apart(rig: Rig) -> None:
    login = (await rig.sign_up()).login
    await rig.call(PERSON_SET, PersonSet(customer_id=1, enable=0))
    await rig.call(USER_UPDATE, UserUpdate(login=login, comment="note"))
    await rig.call(PERSON_SET, PersonSet(customer_id=1, enable=1))
    await sign_in(rig, login)


async def test_a_disabled_person_is_out_of_every_door(rig: Rig) -> None:
    answer = await rig.sign_up()
    customer = await rig.call(CUSTOMER_LOGIN, CustomerLogin(email="ada@example.com", password=PASSWORD))
    await rig.call(PERSON_SET, PersonSet(email="ADA@example.com", enable=0))
    for token in (answer.token, customer.token):
        with pytest.raises(UserDisabled):
            await check(rig, token)
    with pytest.raises(CustomerDisabled):
        await rig.call(CUSTOMER_LOGIN, CustomerLogin(email="ada@example.com", password=PASSWORD))


async def test_a_tier_counts_until_its_end_and_doors_hear_of_it(
    rig: Rig, bus: NatsBus, eventually: Eventually
) -> None:
    login = (await rig.sign_up()).login
    until_ms = rig.clock.now_ms() + 5000
    seen = await rig.call(PERSON_SET, PersonSet(email="ada@example.com", tier="pro", tier_until_ms=until_ms))
    assert (seen.tier, seen.tier_until_ms, seen.logins) == ("pro", until_ms, (login,))
    assert (await rig.call(ACCOUNT_OF, AccountAsk(login=login))).tier == "pro"
    (changed,) = await facts(bus, "auth.evt.person.changed.>", PersonChanged, eventually)
    assert (changed.tier, changed.logins) == ("pro", (login,))
    rig.clock.advance(5)
    assert (await rig.call(ACCOUNT_OF, AccountAsk(login=login))).tier == "free"
    with pytest.raises(InvalidData):
        await rig.call(PERSON_SET, PersonSet(customer_id=1, tier="gold"))
    for nobody in (PersonSet(customer_id=99), PersonSet(email="nobody@example.com")):
        with pytest.raises(UserNotFound):
            await rig.call(PERSON_SET, nobody)
    with pytest.raises(InvalidData):
        await rig.call(PERSON_FIND, PersonName())


async def test_an_administrator_signs_in_as_an_account(rig: Rig) -> None:
    answer = await rig.sign_up()
    as_account = await rig.call(SSO, SsoAsk(login=answer.login))
    assert (await rig.claims(as_account.token)).sub == f"account:{answer.login}"
    await rig.call(SIGN_OUT, SignOut(token=as_account.token))
    with pytest.raises(NotAuthenticated):
        await check(rig, as_account.token)
    assert (await check(rig, answer.token)).login == answer.login, "the owner is not thrown out"
    with pytest.raises(BadCredentials):
        await rig.call(SSO, SsoAsk(login=1))
    await rig.call(USER_UPDATE, UserUpdate(login=answer.login, enable=0))
    with pytest.raises(UserDisabled):
        await rig.call(SSO, SsoAsk(login=answer.login))


async def test_staff_of_every_kind_is_added_and_signs_in(rig: Rig) -> None:
    for kind in (1, 2, 3):
        added = await rig.call(STAFF_ADD, StaffAdd(name=f"Kind {kind}", password=PASSWORD, type=kind))
        assert added.login == kind + 1
        assert (await rig.claims((await sign_in(rig, added.login)).token)).type == kind
    listed = await rig.call(STAFF_LIST, StaffAsk())
    assert [(s.login, s.type) for s in listed.staff] == [(1, 3), (2, 1), (3, 2), (4, 3)]
    with pytest.raises(LoginExists):
        await rig.call(STAFF_ADD, StaffAdd(name="X", password=PASSWORD, type=1, login=2))
    for wrong in (
        {"type": 0},
        {"type": 9},
        {"name": ""},
        {"password": "short"},
        {"email": "x"},
        {"login": -1},
    ):
        with pytest.raises(InvalidData):
            await rig.call(STAFF_ADD, StaffAdd(**{"name": "X", "password": PASSWORD, "type": 1, **wrong}))


async def test_a_changed_kind_or_a_disabled_one_ends_staff_sessions(rig: Rig) -> None:
    login = (await rig.call(STAFF_ADD, StaffAdd(name="M", password=PASSWORD, type=1))).login
    token = (await sign_in(rig, login)).token
    await rig.call(STAFF_UPDATE, StaffUpdate(login=login, name="Manager", email="m@example.com"))
    assert (await check(rig, token)).name == "Manager"
    await rig.call(STAFF_UPDATE, StaffUpdate(login=login, type=2))
    with pytest.raises(NotAuthenticated):
        await check(rig, token)
    token = (await sign_in(rig, login)).token
    await rig.call(STAFF_UPDATE, StaffUpdate(login=login, enable=0))
    with pytest.raises(UserDisabled):
        await check(rig, token)


async def test_the_last_administrator_stays_one(rig: Rig) -> None:
    for changed in ({"enable": 0}, {"type": 1}):
        with pytest.raises(PermissionDenied):
            await rig.call(STAFF_UPDATE, StaffUpdate(login=1, **changed))
    second = (await rig.call(STAFF_ADD, StaffAdd(name="A", password=PASSWORD, type=3))).login
    outcomes = await asyncio.gather(
        *(rig.call(STAFF_UPDATE, StaffUpdate(login=login, enable=0)) for login in (1, second)),
        return_exceptions=True,
    )
    assert sum(isinstance(o, PermissionDenied) for o in outcomes) == 1
