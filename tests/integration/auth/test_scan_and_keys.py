"""The scan door, API keys and mails on a real PostgreSQL and NATS."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from libs.common.bus import Call, decode
from libs.common.bus_nats import NatsBus
from libs.common.errors import InvalidData
from libs.common.messages.auth import PasswordChange, PersonSet, RevocationsAsk, SignCheck
from libs.common.messages.auth_people import (
    AgentKeyIssue,
    CookieResolve,
    CustomerAsk,
    CustomerLogin,
    KeyCreate,
    KeyIssued,
    KeyListAsk,
    KeyResolve,
    KeyRevoke,
    MailVerify,
    MailVerifyAsk,
    PasswordForgot,
    PasswordReset,
    ScanIn,
    ScanLogin,
    ScanOut,
    ScanSignUp,
)
from libs.common.messages.notifier import MailSend, MailTaken
from libs.common.subjects import (
    AGENT_KEY_ISSUE,
    API_KEY_CREATE,
    API_KEY_LIST,
    API_KEY_RESOLVE,
    API_KEY_REVOKE,
    COOKIE_RESOLVE,
    CUSTOMER_LOGIN,
    MAIL_SEND,
    MAIL_VERIFY,
    MAIL_VERIFY_ASK,
    PASSWORD_CHANGE,
    PASSWORD_FORGOT,
    PASSWORD_RESET,
    PERSON_SET,
    REVOCATIONS,
    SCAN_LOGIN,
    SCAN_LOGOUT,
    SCAN_ME,
    SCAN_SIGN_UP,
    SIGN_CHECK,
)
from services.auth.errors import (
    BadKey,
    BadMailToken,
    EmailTaken,
    InvalidCredentials,
    KeyLimitReached,
    KeyNotFound,
    NotSignedIn,
    TierInsufficient,
    TooFrequent,
)
from tests.integration.auth.rig import Rig

EMAIL, PASSWORD = "Ada@example.com", "correct horse"
Eventually = Callable[..., Awaitable[Any]]


async def sign_up(rig: Rig, email: str = EMAIL, password: str = PASSWORD) -> ScanIn:
    answer: ScanIn = await rig.call(SCAN_SIGN_UP, ScanSignUp(email=email, password=password))
    return answer


async def resolve(rig: Rig, session: str) -> Any:
    return await rig.call(COOKIE_RESOLVE, CookieResolve(session=session))


async def create(rig: Rig, person_id: int = 1, **fields: Any) -> Any:
    return await rig.call(API_KEY_CREATE, KeyCreate(person_id=person_id, **{"name": "my key", **fields}))


async def use(rig: Rig, key: str, ip: str = "10.0.0.1") -> Any:
    return await rig.call(API_KEY_RESOLVE, KeyResolve(key=key, ip=ip))


# ── cookies ──


async def test_signing_up_signs_in_and_opens_a_demo_account(rig: Rig) -> None:
    answer = await sign_up(rig)
    assert msgspec.to_builtins(answer.user) == {
        "id": 1,
        "email": EMAIL,
        "email_verified": False,
        "tier": "free",
        "tier_expires_at": None,
        "timezone": "UTC",
        "created_at": "2026-03-02T12:00:00Z",
    }
    assert answer.max_age_s == 30 * 24 * 3600
    principal = await resolve(rig, answer.session)
    assert (principal.kind, principal.person_id, principal.logins) == ("customer", 1, (100001,))
    assert (await rig.call(SCAN_ME, CustomerAsk(customer_id=1))).user == answer.user
    assert [asked.login for asked in rig.peers.opened] == [100001]


async def test_a_known_e_mail_is_refused(rig: Rig) -> None:
    await rig.sign_up("ada@example.com")
    with pytest.raises(EmailTaken):
        await sign_up(rig)


@pytest.mark.parametrize(("email", "password"), [("x", PASSWORD), (EMAIL, "seven 7"), (EMAIL, "x" * 65)])
async def test_a_sign_up_out_of_form_is_refused(rig: Rig, email: str, password: str) -> None:
    with pytest.raises(InvalidData):
        await sign_up(rig, email, password)


@pytest.mark.parametrize(
    ("email", "password"),
    [(EMAIL, "wrong horse"), ("nobody@example.com", PASSWORD), ("\x00", PASSWORD), ("", "x")],
)
async def test_unknown_e_mail_and_wrong_password_are_the_same_refusal(
    rig: Rig, email: str, password: str
) -> None:
    await sign_up(rig)
    with pytest.raises(InvalidCredentials):
        await rig.call(SCAN_LOGIN, ScanLogin(email=email, password=password))


async def test_the_doors_count_guesses_at_one_e_mail_together(rig: Rig) -> None:
    await sign_up(rig)
    for _ in range(10):
        with pytest.raises(InvalidCredentials):
            await rig.call(SCAN_LOGIN, ScanLogin(email=EMAIL, password="wrong horse"))
    with pytest.raises(TooFrequent):
        await rig.call(CUSTOMER_LOGIN, CustomerLogin(email=EMAIL.lower(), password=PASSWORD))


async def test_a_cookie_counts_until_it_is_signed_out_once_or_twice(rig: Rig) -> None:
    first = await sign_up(rig)
    second = await rig.call(SCAN_LOGIN, ScanLogin(email=EMAIL.upper(), password=PASSWORD))
    principal = await resolve(rig, first.session)
    for _ in range(2):
        await rig.call(SCAN_LOGOUT, ScanOut(session=first.session))
    with pytest.raises(NotSignedIn):
        await resolve(rig, first.session)
    await resolve(rig, second.session)
    (row,) = (await rig.call(REVOCATIONS, RevocationsAsk())).rows
    assert row.jtis == (principal.jti,)
    await rig.call(SCAN_LOGOUT, ScanOut(session="never was one"))


async def test_a_cookie_lives_thirty_days(rig: Rig) -> None:
    answer = await sign_up(rig)
    rig.clock.advance(30 * 24 * 3600 - 1)
    await resolve(rig, answer.session)
    rig.clock.advance(1)
    with pytest.raises(NotSignedIn):
        await resolve(rig, answer.session)


async def test_a_disabled_person_has_no_cookie_and_no_key(rig: Rig) -> None:
    answer = await sign_up(rig)
    key = (await create(rig)).key
    await rig.call(PERSON_SET, PersonSet(customer_id=1, enable=0))
    with pytest.raises(NotSignedIn):
        await resolve(rig, answer.session)
    with pytest.raises(BadKey):
        await use(rig, key)
    with pytest.raises(InvalidCredentials):
        await rig.call(SCAN_LOGIN, ScanLogin(email=EMAIL, password=PASSWORD))


async def test_the_tier_shows_until_it_ends(rig: Rig) -> None:
    answer = await sign_up(rig)
    until_ms = rig.clock.now_ms() + 60_000
    await rig.call(PERSON_SET, PersonSet(customer_id=1, tier="go", tier_until_ms=until_ms))
    assert (await resolve(rig, answer.session)).tier == "go"
    user = (await rig.call(SCAN_ME, CustomerAsk(customer_id=1))).user
    assert (user.tier, user.tier_expires_at) == ("go", "2026-03-02T12:01:00Z")
    rig.clock.advance(60)
    user = (await rig.call(SCAN_ME, CustomerAsk(customer_id=1))).user
    assert (user.tier, user.tier_expires_at) == ("free", None)
    assert (await resolve(rig, answer.session)).tier == "free"


async def test_the_cookie_is_kept_as_a_hash(rig: Rig) -> None:
    answer = await sign_up(rig)
    key = (await create(rig)).key
    for table in ("session", "api_key", "outbox"):
        for row in await rig.base.database.pool.fetch(f"SELECT t::text AS text FROM auth.{table} AS t"):
            assert answer.session not in row["text"]
            assert key not in row["text"]


# ── keys ──


async def test_a_key_is_shown_once_and_opens_with_its_scopes(
    rig: Rig, bus: NatsBus, eventually: Eventually
) -> None:
    await sign_up(rig)
    made = await create(rig, scopes=["trade", "read"], expires_at="2026-03-03T12:00:00+00:00", ip="10.0.0.7")
    assert list(msgspec.to_builtins(made))[:7] == [
        "id",
        "key",
        "name",
        "prefix",
        "scopes",
        "mode",
        "created_at",
    ]
    assert made.key.startswith("tw_live_")
    principal = await use(rig, made.key)
    assert (principal.kind, principal.person_id, principal.logins) == ("key", 1, (100001,))
    assert (principal.scopes, principal.jti, principal.mode) == ({"read", "trade"}, made.id, "live")
    (listed,) = (await rig.call(API_KEY_LIST, KeyListAsk(person_id=1))).keys
    assert "key" not in msgspec.to_builtins(listed)
    assert (listed.last_used_at, listed.expires_at) == ("2026-03-02T12:00:00Z", "2026-03-03T12:00:00Z")

    async def told() -> Any:
        return (await bus.history("AUTH", "auth.evt.key.issued.>", 0, 10)).entries

    (entry,) = await eventually(told)
    issued = decode(entry.payload, KeyIssued)
    assert (issued.key_id, issued.person_id, issued.origin, issued.address) == (
        made.id,
        1,
        "scan",
        "10.0.0.7",
    )
    rig.clock.advance(24 * 3600)
    with pytest.raises(BadKey):
        await use(rig, made.key)


async def test_a_test_key_sees_and_never_trades(rig: Rig) -> None:
    await sign_up(rig)
    made = await create(rig, scopes=["read", "trade"], mode="test")
    assert made.key.startswith("tw_test_")
    principal = await use(rig, made.key)
    assert (principal.scopes, principal.mode) == ({"read"}, "test")


async def test_the_scan_scope_needs_pro(rig: Rig) -> None:
    await sign_up(rig)
    with pytest.raises(TierInsufficient) as refused:
        await create(rig, scopes=["scan"])
    assert refused.value.meta == {"required_tier": "pro", "current_tier": "free"}
    await rig.call(PERSON_SET, PersonSet(customer_id=1, tier="pro"))
    assert (await create(rig, scopes=["scan"])).scopes == ("scan",)


async def test_a_key_counts_from_its_addresses_only(rig: Rig) -> None:
    await sign_up(rig)
    key = (await create(rig, ip_allow=["10.0.0.0/24", "2001:db8::1"])).key
    await use(rig, key, "10.0.0.77")
    await use(rig, key, "2001:db8::1")
    for address in ("10.0.1.1", "2001:db8::2", ""):
        with pytest.raises(BadKey):
            await use(rig, key, address)


async def test_a_key_is_taken_back_by_its_person_only(rig: Rig) -> None:
    await sign_up(rig)
    made = await create(rig)
    await sign_up(rig, "bob@example.com")
    for message in (KeyRevoke(person_id=2, id=made.id), KeyRevoke(person_id=1, id="key_nothing")):
        with pytest.raises(KeyNotFound):
            await rig.call(API_KEY_REVOKE, message)
    await rig.call(API_KEY_REVOKE, KeyRevoke(person_id=1, id=made.id))
    with pytest.raises(BadKey):
        await use(rig, made.key)
    assert (await rig.call(API_KEY_LIST, KeyListAsk(person_id=1))).keys == []
    (row,) = (await rig.call(REVOCATIONS, RevocationsAsk())).rows
    assert (row.subject, row.jtis) == (f"key:{made.id}", (made.id,))


@pytest.mark.parametrize("key", ["", "tw_live_" + "a" * 32, "nonsense", "tw_live_" + "é" * 32])
async def test_an_unknown_key_is_refused(rig: Rig, key: str) -> None:
    with pytest.raises(BadKey):
        await use(rig, key)


@pytest.mark.parametrize(
    "fields", [{"name": ""}, {"name": "x" * 65}, {"scopes": []}, {"scopes": ["root"]}, {"mode": "prod"},
               {"expires_at": "2020-01-01T00:00:00Z"}, {"ip_allow": ["x"]}]
)  # fmt: skip
async def test_a_key_out_of_form_is_refused(rig: Rig, fields: dict[str, Any]) -> None:
    await sign_up(rig)
    with pytest.raises(InvalidData):
        await create(rig, **fields)


async def test_a_person_has_at_most_fifty_keys(rig: Rig) -> None:
    await sign_up(rig)
    for _ in range(50):
        await create(rig)
    with pytest.raises(KeyLimitReached):
        await create(rig)


async def test_a_key_by_e_mail_belongs_to_nobody_even_when_the_e_mail_does(rig: Rig) -> None:
    await sign_up(rig)
    made = await rig.call(AGENT_KEY_ISSUE, AgentKeyIssue(email="ADA@Example.com", ip="10.0.0.1"))
    principal = await use(rig, made.key)
    assert (principal.person_id, principal.logins, principal.scopes) == (None, (), {"read"})
    assert made.email_key == "ada@example.com"
    with pytest.raises(InvalidData):
        await rig.call(AGENT_KEY_ISSUE, AgentKeyIssue(email="x"))


# ── mails ──


class Postbox:
    """The notifier, as far as auth speaks to it."""

    def __init__(self) -> None:
        self.mails: list[MailSend] = []

    async def take(self, message: MailSend, call: Call) -> MailTaken:
        self.mails.append(message)
        return MailTaken(id=message.id)


@pytest.fixture
async def postbox(bus: NatsBus) -> Any:
    box = Postbox()
    serving = await bus.serve(MAIL_SEND, box.take)
    yield box
    await serving.stop()


async def test_the_token_of_the_mail_proves_the_address_once(rig: Rig, postbox: Postbox) -> None:
    await sign_up(rig)
    await rig.call(MAIL_VERIFY_ASK, MailVerifyAsk(person_id=1))
    (mail,) = postbox.mails
    assert (mail.to, mail.kind, mail.fields["minutes"]) == (EMAIL, "verify_email", "1440")
    await rig.call(MAIL_VERIFY, MailVerify(token=mail.fields["code"]))
    assert (await rig.call(SCAN_ME, CustomerAsk(customer_id=1))).user.email_verified is True
    with pytest.raises(BadMailToken):
        await rig.call(MAIL_VERIFY, MailVerify(token=mail.fields["code"]))
    await rig.call(MAIL_VERIFY_ASK, MailVerifyAsk(person_id=1))
    assert len(postbox.mails) == 1, "there is nothing left to prove"


async def test_a_forgotten_password_is_reset_by_mail_and_every_session_ends(
    rig: Rig, postbox: Postbox, eventually: Eventually
) -> None:
    broker = await rig.sign_up(EMAIL)
    scan = await rig.call(SCAN_LOGIN, ScanLogin(email=EMAIL, password=PASSWORD))
    await rig.call(PASSWORD_FORGOT, PasswordForgot(email="ADA@example.com"))
    await eventually(lambda: postbox.mails)
    (mail,) = postbox.mails
    assert mail.kind == "reset_password"
    message = PasswordReset(token=mail.fields["code"], password="another horse")
    with pytest.raises(InvalidData):
        await rig.call(PASSWORD_RESET, PasswordReset(token=mail.fields["code"], password="short"))
    await rig.call(PASSWORD_RESET, message)
    await eventually(lambda: postbox.mails[1:])
    assert (postbox.mails[1].kind, postbox.mails[1].to) == ("password_changed", EMAIL)
    with pytest.raises(BadMailToken):
        await rig.call(PASSWORD_RESET, message)
    with pytest.raises(NotSignedIn):
        await resolve(rig, scan.session)
    with pytest.raises(Exception, match="token"):
        await rig.call(SIGN_CHECK, SignCheck(login=0, session_type=0, jti="", token=broker.token))
    again = await rig.call(SCAN_LOGIN, ScanLogin(email=EMAIL, password="another horse"))
    assert again.user.email_verified is True, "the mail was read"


async def test_nothing_is_sent_for_an_unknown_e_mail_and_the_answer_is_the_same(
    rig: Rig, postbox: Postbox, eventually: Eventually
) -> None:
    await sign_up(rig)
    for email in ("nobody@example.com", "x", "\x00", "a" * 1000):
        await rig.call(PASSWORD_FORGOT, PasswordForgot(email=email))
    await rig.call(PASSWORD_FORGOT, PasswordForgot(email=EMAIL))
    await eventually(lambda: postbox.mails)
    assert [mail.to for mail in postbox.mails] == [EMAIL]


async def test_a_token_expires_and_purposes_cannot_be_swapped(
    rig: Rig, postbox: Postbox, eventually: Eventually
) -> None:
    await sign_up(rig)
    await rig.call(MAIL_VERIFY_ASK, MailVerifyAsk(person_id=1))
    await rig.call(PASSWORD_FORGOT, PasswordForgot(email=EMAIL))
    await eventually(lambda: len(postbox.mails) == 2)
    codes = {mail.kind: mail.fields["code"] for mail in postbox.mails}
    with pytest.raises(BadMailToken):
        await rig.call(PASSWORD_RESET, PasswordReset(token=codes["verify_email"], password=PASSWORD))
    with pytest.raises(BadMailToken):
        await rig.call(MAIL_VERIFY, MailVerify(token=codes["reset_password"]))
    rig.clock.advance(30 * 60)
    with pytest.raises(BadMailToken):
        await rig.call(PASSWORD_RESET, PasswordReset(token=codes["reset_password"], password=PASSWORD))


async def test_a_person_is_sent_at_most_five_mails_of_a_kind_an_hour(rig: Rig, postbox: Postbox) -> None:
    await sign_up(rig)
    for _ in range(8):
        await rig.call(MAIL_VERIFY_ASK, MailVerifyAsk(person_id=1))
    assert len(postbox.mails) == 5
    rig.clock.advance(3600)
    await rig.call(MAIL_VERIFY_ASK, MailVerifyAsk(person_id=1))
    assert len(postbox.mails) == 6


async def test_whose_password_was_changed_is_told_so(
    rig: Rig, postbox: Postbox, eventually: Eventually
) -> None:
    login = (await rig.sign_up(EMAIL)).login
    change = {"login": login, "actor": login, "session_type": 0, "password": PASSWORD}
    await rig.call(PASSWORD_CHANGE, PasswordChange(**change, new_password="just looking", investor=1))
    await rig.call(PASSWORD_CHANGE, PasswordChange(**change, new_password="another horse"))
    await eventually(lambda: postbox.mails)
    (mail,) = postbox.mails
    assert (mail.kind, mail.to, mail.fields) == (
        "password_changed",
        EMAIL,
        {"time_ms": str(rig.clock.now_ms())},
    )


async def test_a_password_under_old_parameters_is_hashed_anew_at_every_door(rig: Rig) -> None:
    from argon2 import PasswordHasher

    await sign_up(rig)
    old = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
    pool = rig.base.database.pool
    for command, message in (
        (SCAN_LOGIN, ScanLogin(email=EMAIL, password=PASSWORD)),
        (CUSTOMER_LOGIN, CustomerLogin(email=EMAIL, password=PASSWORD)),
    ):
        await pool.execute("UPDATE auth.person SET password_hash = $1", old)
        await rig.call(command, message)
        assert "m=19456,t=2,p=1" in await pool.fetchval("SELECT password_hash FROM auth.person")
