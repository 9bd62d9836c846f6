"""Refresh, stream and access tokens; every way a session ends; and what the doors are told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from libs.common.bus import decode
from libs.common.bus_nats import NatsBus
from libs.common.errors import AppError, InvalidData, NotAuthenticated, PermissionDenied
from libs.common.messages.auth import (
    PasswordChange,
    Refresh,
    RevocationsAsk,
    SessionRevoked,
    SignCheck,
    SignedIn,
    SignIn,
    SignOut,
    StreamRedeem,
    StreamTokenAsk,
    UserAdd,
)
from libs.common.subjects import (
    PASSWORD_CHANGE,
    REVOCATIONS,
    SIGN_CHECK,
    SIGN_IN,
    SIGN_OUT,
    SIGN_REFRESH,
    STREAM_REDEEM,
    STREAM_TOKEN,
    USER_ADD,
)
from services.auth.errors import (
    BadCredentials,
    NotEnoughRights,
    PasswordNotUpdated,
    TooFrequent,
    UserDisabled,
    UserNotFound,
)
from tests.integration.auth.rig import ADMIN_PASSWORD, Rig

DAY_S = 24 * 3600
PASSWORD = "correct horse"


async def sign_in(rig: Rig, login: int, password: str = PASSWORD, ip: str = "10.0.0.1") -> SignedIn:
    answer: SignedIn = await rig.call(SIGN_IN, SignIn(login=login, password=password, ip=ip))
    return answer


async def check(rig: Rig, token: str) -> SignedIn:
    answer: SignedIn = await rig.call(SIGN_CHECK, SignCheck(login=0, session_type=0, jti="", token=token))
    return answer


async def refused(rig: Rig, token: str) -> bool:
    try:
        await check(rig, token)
    except NotAuthenticated:
        return True
    return False


def change(login: int, old: str = PASSWORD, new: str = "another horse", **more: Any) -> PasswordChange:
    given = {"session_type": 0, "actor": login, "ip": "10.0.0.1", **more}
    return PasswordChange(login=login, password=old, new_password=new, **given)


async def revocations(rig: Rig) -> list[SessionRevoked]:
    rows: list[SessionRevoked] = (await rig.call(REVOCATIONS, RevocationsAsk())).rows
    return rows


# ── refresh ──


async def test_a_refresh_token_gives_the_next_pair_once(rig: Rig) -> None:
    first = await rig.sign_up()
    second = await rig.call(SIGN_REFRESH, Refresh(refresh_token=first.refresh_token))
    assert second.refresh_token != first.refresh_token
    assert (await check(rig, second.token)).login == first.login
    third = await rig.call(SIGN_REFRESH, Refresh(refresh_token=second.refresh_token))
    assert not await refused(rig, third.token)


async def test_reuse_of_a_refresh_token_ends_the_family_and_its_access_tokens(rig: Rig) -> None:
    first = await rig.sign_up()
    second = await rig.call(SIGN_REFRESH, Refresh(refresh_token=first.refresh_token))
    other = await sign_in(rig, first.login)
    with pytest.raises(NotAuthenticated):
        await rig.call(SIGN_REFRESH, Refresh(refresh_token=first.refresh_token))
    with pytest.raises(NotAuthenticated):
        await rig.call(SIGN_REFRESH, Refresh(refresh_token=second.refresh_token))
    assert await refused(rig, first.token)
    assert await refused(rig, second.token)
    assert not await refused(rig, other.token), "another session of the same account goes on"
    (row,) = await revocations(rig)
    assert row.reason == "refresh_reuse"
    assert set(row.jtis) == {(await rig.claims(t)).jti for t in (first.token, second.token)}


async def test_of_two_uses_at_once_one_gives_tokens_and_the_family_ends(rig: Rig) -> None:
    first = await rig.sign_up()
    message = Refresh(refresh_token=first.refresh_token)
    answers = await asyncio.gather(
        *(rig.call(SIGN_REFRESH, message) for _ in range(5)), return_exceptions=True
    )
    given = [a for a in answers if not isinstance(a, BaseException)]
    assert len(given) == 1
    assert all(isinstance(a, NotAuthenticated) for a in answers if isinstance(a, BaseException))
    assert await refused(rig, given[0].token)


async def test_a_refresh_token_expires_after_thirty_days_without_use(rig: Rig) -> None:
    first = await rig.sign_up()
    rig.clock.advance(29 * DAY_S)
    second = await rig.call(SIGN_REFRESH, Refresh(refresh_token=first.refresh_token))
    rig.clock.advance(30 * DAY_S)
    with pytest.raises(NotAuthenticated):
        await rig.call(SIGN_REFRESH, Refresh(refresh_token=second.refresh_token))


@pytest.mark.parametrize("token", ["", "nonsense", "x" * 5000, "\ud800"])
async def test_an_unknown_refresh_token_is_refused(rig: Rig, token: str) -> None:
    with pytest.raises(NotAuthenticated):
        await rig.call(SIGN_REFRESH, Refresh(refresh_token=token))


async def test_kinds_of_tokens_cannot_be_swapped(rig: Rig) -> None:
    answer = await rig.sign_up()
    stream = (await rig.call(STREAM_TOKEN, StreamTokenAsk(token=answer.token))).token
    for command, message in (
        (SIGN_REFRESH, Refresh(refresh_token=answer.token)),
        (SIGN_REFRESH, Refresh(refresh_token=stream)),
        (STREAM_TOKEN, StreamTokenAsk(token=stream)),
        (STREAM_TOKEN, StreamTokenAsk(token=answer.refresh_token)),
        (STREAM_REDEEM, StreamRedeem(token=answer.token)),
        (SIGN_CHECK, SignCheck(login=0, session_type=0, jti="", token=stream)),
        (SIGN_CHECK, SignCheck(login=0, session_type=0, jti="", token=answer.refresh_token)),
        (SIGN_OUT, SignOut(token=stream)),
    ):
        with pytest.raises(NotAuthenticated):
            await rig.call(command, message)


# ── stream tokens ──


async def test_a_stream_token_opens_one_socket_with_the_rights_of_its_access_token(rig: Rig) -> None:
    answer = await rig.sign_up()
    claims = await rig.claims(answer.token)
    given = await rig.call(STREAM_TOKEN, StreamTokenAsk(token=answer.token))
    assert given.expires_in == 60
    principal = await rig.call(STREAM_REDEEM, StreamRedeem(token=given.token))
    assert (principal.login, principal.kind, principal.group) == (answer.login, "account", "demo")
    assert (principal.jti, principal.expires_at) == (claims.jti, claims.exp)
    with pytest.raises(NotAuthenticated):
        await rig.call(STREAM_REDEEM, StreamRedeem(token=given.token))


async def test_of_many_uses_of_a_stream_token_at_once_one_counts(rig: Rig) -> None:
    answer = await rig.sign_up()
    given = await rig.call(STREAM_TOKEN, StreamTokenAsk(token=answer.token))
    message = StreamRedeem(token=given.token)
    answers = await asyncio.gather(
        *(rig.call(STREAM_REDEEM, message) for _ in range(8)), return_exceptions=True
    )
    assert sum(not isinstance(a, BaseException) for a in answers) == 1


async def test_a_stream_token_lives_a_minute(rig: Rig) -> None:
    answer = await rig.sign_up()
    given = await rig.call(STREAM_TOKEN, StreamTokenAsk(token=answer.token))
    rig.clock.advance(60)
    with pytest.raises(NotAuthenticated):
        await rig.call(STREAM_REDEEM, StreamRedeem(token=given.token))


async def test_a_stream_token_dies_with_the_session_it_came_from(rig: Rig) -> None:
    answer = await rig.sign_up()
    given = await rig.call(STREAM_TOKEN, StreamTokenAsk(token=answer.token))
    await rig.call(SIGN_OUT, SignOut(token=answer.token, only_this=True))
    with pytest.raises(NotAuthenticated):
        await rig.call(STREAM_REDEEM, StreamRedeem(token=given.token))


# ── signing out ──


async def test_signing_out_ends_every_session_of_the_account(
    rig: Rig, bus: NatsBus, eventually: Callable[..., Awaitable[Any]]
) -> None:
    first = await rig.sign_up()
    second = await sign_in(rig, first.login)
    await rig.call(SIGN_OUT, SignOut(token=first.token))
    assert await refused(rig, first.token)
    assert await refused(rig, second.token)
    with pytest.raises(NotAuthenticated):
        await rig.call(SIGN_REFRESH, Refresh(refresh_token=second.refresh_token))
    third = await sign_in(rig, first.login)
    assert not await refused(rig, third.token)

    async def told() -> Any:
        return (await bus.history("AUTH", "auth.evt.session.revoked.>", 0, 10)).entries

    (entry,) = await eventually(told)
    revoked = decode(entry.payload, SessionRevoked)
    assert (revoked.subject, revoked.login, revoked.reason) == (
        f"account:{first.login}",
        first.login,
        "sign_out",
    )
    assert revoked.version_min == (await rig.claims(third.token)).ver
    assert [revoked] == await revocations(rig)


async def test_signing_out_of_one_session_leaves_the_others(rig: Rig) -> None:
    first = await rig.sign_up()
    second = await sign_in(rig, first.login)
    for _ in range(2):  # again changes nothing
        await rig.call(SIGN_OUT, SignOut(token=first.token, only_this=True))
    assert await refused(rig, first.token)
    assert not await refused(rig, second.token)
    assert len(await revocations(rig)) == 1


async def test_staff_signs_out(rig: Rig) -> None:
    answer = await sign_in(rig, 1, ADMIN_PASSWORD)
    await rig.call(SIGN_OUT, SignOut(token=answer.token))
    assert await refused(rig, answer.token)
    assert not await refused(rig, (await sign_in(rig, 1, ADMIN_PASSWORD)).token)


async def test_a_revocation_is_forgotten_when_no_token_of_it_could_be_left(rig: Rig) -> None:
    first = await rig.sign_up()
    await rig.call(SIGN_OUT, SignOut(token=first.token))
    rig.clock.advance(DAY_S)
    assert await revocations(rig) == []


# ── passwords ──


async def test_a_changed_password_opens_every_door_and_the_old_one_none(rig: Rig) -> None:
    first = await rig.sign_up()
    done = await rig.call(PASSWORD_CHANGE, change(first.login))
    assert done.data == "OK"
    assert await refused(rig, first.token)
    with pytest.raises(NotAuthenticated):
        await rig.call(SIGN_REFRESH, Refresh(refresh_token=first.refresh_token))
    with pytest.raises(BadCredentials):
        await sign_in(rig, first.login)
    assert not await refused(rig, (await sign_in(rig, first.login, "another horse")).token)
    subjects = {row.subject for row in await revocations(rig)}
    assert {f"account:{first.login}"} < subjects, "the customer's tokens end, too"


async def test_a_wrong_current_password_changes_nothing_and_counts_as_a_guess(rig: Rig) -> None:
    first = await rig.sign_up()
    for _ in range(10):
        with pytest.raises(PasswordNotUpdated):
            await rig.call(PASSWORD_CHANGE, change(first.login, old="wrong horse"))
    with pytest.raises(TooFrequent):
        await rig.call(PASSWORD_CHANGE, change(first.login))
    assert not await refused(rig, first.token)


@pytest.mark.parametrize("changed", [{"new": "short"}, {"new": "x" * 65}, {"old": "short"}, {"investor": 2}])
async def test_a_password_change_out_of_form_is_refused(rig: Rig, changed: dict[str, Any]) -> None:
    first = await rig.sign_up()
    with pytest.raises(InvalidData):
        await rig.call(PASSWORD_CHANGE, change(first.login, **changed))
    with pytest.raises(InvalidData):
        message = PasswordChange(login=first.login, actor=first.login, session_type=0, password=PASSWORD)
        await rig.call(PASSWORD_CHANGE, message)


async def test_who_may_not_change_the_password_is_told_so(rig: Rig) -> None:
    added = await rig.call(
        USER_ADD,
        UserAdd(
            group="demo",
            name="G",
            password=PASSWORD,
            leverage=100,
            enable=1,
            email="g@example.com",
            enable_change_password=0,
        ),
    )
    with pytest.raises(NotEnoughRights):
        await rig.call(PASSWORD_CHANGE, change(added.login))
    first = await rig.sign_up()
    with pytest.raises(NotEnoughRights):
        await rig.call(PASSWORD_CHANGE, change(first.login, read_only=True))


async def test_the_read_only_password_opens_a_read_only_session(rig: Rig) -> None:
    first = await rig.sign_up()
    await rig.call(PASSWORD_CHANGE, change(first.login, new="just looking", investor=1))
    assert await refused(rig, first.token), "the account's sessions end"
    reader = await sign_in(rig, first.login, "just looking")
    assert (await rig.claims(reader.token)).read_only == 1
    refreshed = await rig.call(SIGN_REFRESH, Refresh(refresh_token=reader.refresh_token))
    assert (await rig.claims(refreshed.token)).read_only == 1
    owner = await sign_in(rig, first.login)
    assert (await rig.claims(owner.token)).read_only == 0
    await rig.call(SIGN_OUT, SignOut(token=refreshed.token))
    assert await refused(rig, refreshed.token)
    assert not await refused(rig, owner.token), "a guest does not throw the owner out"
    with pytest.raises(InvalidData):
        await rig.call(PASSWORD_CHANGE, change(first.login, new=PASSWORD, investor=1))


async def test_staff_sets_a_password_without_knowing_the_old_one(rig: Rig) -> None:
    first = await rig.sign_up()
    by_staff = PasswordChange(login=first.login, actor=1, session_type=3, password="set by staff")
    assert (await rig.call(PASSWORD_CHANGE, by_staff)).login == "OK"
    assert await refused(rig, first.token)
    await sign_in(rig, first.login, "set by staff")
    with pytest.raises(UserNotFound):
        await rig.call(
            PASSWORD_CHANGE, PasswordChange(login=5, actor=1, session_type=3, password="set by staff")
        )


async def test_only_an_administrator_sets_the_password_of_other_staff(rig: Rig) -> None:
    with pytest.raises(PermissionDenied):
        await rig.call(
            PASSWORD_CHANGE, PasswordChange(login=1, actor=2, session_type=1, password="overtaken")
        )
    await rig.call(PASSWORD_CHANGE, PasswordChange(login=1, actor=1, session_type=3, password="my new one"))
    await sign_in(rig, 1, "my new one")


# ── brute force ──


async def test_the_eleventh_try_is_too_frequent_even_with_the_right_password(rig: Rig) -> None:
    login = (await rig.sign_up()).login
    for _ in range(10):
        with pytest.raises(BadCredentials):
            await sign_in(rig, login, "wrong horse")
    with pytest.raises(TooFrequent) as held:
        await sign_in(rig, login)
    assert held.value.meta["retry_after_s"] == 900
    await sign_in(rig, login, ip="10.0.0.2")  # nobody can lock somebody else out
    rig.clock.advance(900)
    await sign_in(rig, login)


async def test_the_right_password_forgets_the_wrong_ones_before_it(rig: Rig) -> None:
    login = (await rig.sign_up()).login
    for _ in range(3):
        for _ in range(9):
            with pytest.raises(BadCredentials):
                await sign_in(rig, login, "wrong horse")
        await sign_in(rig, login)


async def test_an_address_may_guess_at_fifty_accounts_and_no_more(rig: Rig) -> None:
    login = (await rig.sign_up()).login
    for guess in range(50):
        with pytest.raises(BadCredentials):
            await sign_in(rig, 500_000 + guess, "wrong horse")
    with pytest.raises(TooFrequent):
        await sign_in(rig, login)


async def test_of_a_hundred_guesses_at_once_only_the_first_ten_learn_anything(rig: Rig) -> None:
    login = (await rig.sign_up()).login
    guesses = (
        [f"wrong horse {n}" for n in range(40)] + [PASSWORD] + [f"wrong horse {n}" for n in range(40, 99)]
    )
    outcomes = await asyncio.gather(*(sign_in(rig, login, g) for g in guesses), return_exceptions=True)
    assert not any(isinstance(o, SignedIn) for o in outcomes)
    assert all(isinstance(o, AppError) for o in outcomes)


async def test_forty_sign_ins_at_once_with_the_right_password_all_pass(rig: Rig) -> None:
    login = (await rig.sign_up()).login
    answers = await asyncio.gather(*(sign_in(rig, login) for _ in range(40)))
    assert len({a.token for a in answers}) == 40


async def test_a_disabled_account_gets_no_new_tokens(rig: Rig) -> None:
    first = await rig.sign_up()
    await rig.base.database.pool.execute("UPDATE auth.person SET enable = false")
    for command, message in (
        (SIGN_REFRESH, Refresh(refresh_token=first.refresh_token)),
        (STREAM_TOKEN, StreamTokenAsk(token=first.token)),
        (SIGN_CHECK, SignCheck(login=0, session_type=0, jti="", token=first.token)),
    ):
        with pytest.raises(UserDisabled):
            await rig.call(command, message)


async def test_no_token_is_stored_in_the_clear(rig: Rig) -> None:
    answer = await rig.sign_up()
    pool = rig.base.database.pool
    for table in ("session", "refresh_token", "stream_token", "revocation", "outbox"):
        for row in await pool.fetch(f"SELECT t::text AS text FROM auth.{table} AS t"):
            assert answer.refresh_token not in row["text"]
            assert answer.token not in row["text"]


async def test_what_has_expired_is_forgotten(rig: Rig) -> None:
    from services.auth.session_store import SessionStore

    answer = await rig.sign_up()
    await rig.call(STREAM_TOKEN, StreamTokenAsk(token=answer.token))
    await rig.call(SIGN_OUT, SignOut(token=answer.token))
    rig.clock.advance(31 * DAY_S)
    pool = rig.base.database.pool
    async with rig.base.database.connection() as db:
        await SessionStore().forget(db, rig.clock.now_ms())
    for table in ("session", "refresh_token", "stream_token", "revocation"):
        assert await pool.fetchval(f"SELECT count(*) FROM auth.{table}") == 0
