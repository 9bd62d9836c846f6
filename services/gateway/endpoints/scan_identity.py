"""Scan rows about people: cookie sessions, API keys, mails; and keys of the analysis surface."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from libs.common import subjects
from libs.common.messages import auth_people
from libs.common.messages.billing import StarterGrant, StarterGranted
from libs.common.principal import SessionType
from services.gateway.endpoints.fields import Email, Line
from services.gateway.endpoints.row import KIB, PUBLIC, Access, Answer, Caller, Endpoint, Limit, Then
from services.gateway.referrals import code_in

PERSON = Access(frozenset({SessionType.CUSTOMER}))
KEY_HOLDER = Access(frozenset({SessionType.CUSTOMER}), scope="admin")
WITH_COOKIE = Access(optional=True)

MAILS = (Limit("mails", 10, window_s=3600),)
AGENT_KEYS = (Limit("agent-keys", 60, window_s=3600),)
DISCLAIMER = "Informational market data only; not investment advice."

ScanPassword = Annotated[str, Meta(min_length=8, max_length=64)]
AnyPassword = Annotated[str, Meta(min_length=1, max_length=64)]
MailToken = Annotated[str, Meta(min_length=1, max_length=128)]


class SignUpRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Sign up by e-mail."""

    email: Email
    password: ScanPassword
    ref_code: Annotated[str, Meta(max_length=32)] | None = None


class LoginRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Sign in by e-mail."""

    email: Annotated[str, Meta(min_length=1, max_length=254)]
    password: AnyPassword


class KeyRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Make an API key."""

    name: Annotated[str, Meta(min_length=1, max_length=64)]
    scopes: Annotated[list[str], Meta(max_length=8)] | None = None
    mode: Line | None = None
    expires_at: Line | None = None
    ip_allow: Annotated[list[Line], Meta(max_length=50)] | None = None


class KeyIdRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One API key."""

    id: Line


class AgentKeyRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Make an API key by e-mail alone."""

    email: Email


class TokenRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The token of a mail."""

    token: MailToken


class ForgotRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Whose password was forgotten."""

    email: Annotated[str, Meta(min_length=1, max_length=254)]


class ResetRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A new password, with the token of the mail."""

    token: MailToken
    password: ScanPassword


class AgentKeyMade(msgspec.Struct, frozen=True, kw_only=True):
    """The new key, shown this once."""

    key: str
    keyId: str  # noqa: N815
    starterCreditMicros: int  # noqa: N815
    disclaimer: str = DISCLAIMER


def _sign_up(request: SignUpRequest, caller: Caller) -> auth_people.ScanSignUp:
    fields = msgspec.structs.asdict(request)
    fields["ref_code"] = request.ref_code or code_in(caller.sent.headers.get("cookie", "")) or None
    return auth_people.ScanSignUp(**fields, ip=caller.principal.address)


def _login(request: LoginRequest, caller: Caller) -> auth_people.ScanLogin:
    return auth_people.ScanLogin(**msgspec.structs.asdict(request), ip=caller.principal.address)


def _logout(request: Any, caller: Caller) -> auth_people.ScanOut:
    return auth_people.ScanOut(session=caller.token)


def _me(request: Any, caller: Caller) -> auth_people.CustomerAsk:
    return auth_people.CustomerAsk(customer_id=caller.principal.person_id or 0)


def _key_create(request: KeyRequest, caller: Caller) -> auth_people.KeyCreate:
    who = caller.principal
    asked = msgspec.structs.asdict(request)
    return auth_people.KeyCreate(person_id=who.person_id or 0, ip=who.address, **asked)


def _key_list(request: Any, caller: Caller) -> auth_people.KeyListAsk:
    return auth_people.KeyListAsk(person_id=caller.principal.person_id or 0)


def _key_revoke(request: KeyIdRequest, caller: Caller) -> auth_people.KeyRevoke:
    return auth_people.KeyRevoke(person_id=caller.principal.person_id or 0, id=request.id)


def _agent_key(request: AgentKeyRequest, caller: Caller) -> auth_people.AgentKeyIssue:
    return auth_people.AgentKeyIssue(email=request.email, ip=caller.principal.address)


def _mail_ask(request: Any, caller: Caller) -> auth_people.MailVerifyAsk:
    return auth_people.MailVerifyAsk(person_id=caller.principal.person_id or 0)


def _mail_verify(request: TokenRequest, caller: Caller) -> auth_people.MailVerify:
    return auth_people.MailVerify(token=request.token)


def _forgot(request: ForgotRequest, caller: Caller) -> auth_people.PasswordForgot:
    return auth_people.PasswordForgot(email=request.email, ip=caller.principal.address)


def _reset(request: ResetRequest, caller: Caller) -> auth_people.PasswordReset:
    return auth_people.PasswordReset(token=request.token, password=request.password)


_scan_in = msgspec.json.Decoder(auth_people.ScanIn)
_key_created = msgspec.json.Decoder(auth_people.KeyCreated)
_agent_key_reply = msgspec.json.Decoder(auth_people.AgentKey)
_encode = msgspec.json.Encoder().encode


def _signed_in(reply: bytes) -> Answer:
    """The user is the answer, the session goes into the cookie and nowhere else."""
    came_in = _scan_in.decode(reply)
    body = _encode(auth_people.ScanUserIs(user=came_in.user))
    return Answer(body, cookie=came_in.session, max_age_s=came_in.max_age_s)


def _signed_out(reply: bytes) -> Answer:
    return Answer(b"", cookie="")


def _done(reply: bytes) -> Answer:
    return Answer(b"")


def _agent_key_made(reply: bytes) -> Answer:
    made = _agent_key_reply.decode(reply)
    granted = _granted.decode(reply).granted_micros
    return Answer(_encode(AgentKeyMade(key=made.key, keyId=made.key_id, starterCreditMicros=granted)))


class _Granted(msgspec.Struct, frozen=True):
    """What billing added to auth's reply."""

    granted_micros: int = 0


_granted = msgspec.json.Decoder(_Granted)


def _starter(reply: bytes, caller: Caller) -> StarterGrant:
    """The credit of a new e-mail is asked for at once; the fact of the key is the net below."""
    made = _agent_key_reply.decode(reply)
    return StarterGrant(key_id=made.key_id, email_key=made.email_key, address=caller.principal.address)


def _with_starter(reply: bytes, granted: StarterGranted | None) -> bytes:
    """Nobody knows what was given while billing does not answer: it is shown as nothing."""
    made = msgspec.structs.asdict(_agent_key_reply.decode(reply))
    return _encode({**made, "granted_micros": granted.micros if granted is not None else 0})


def _person_starter(reply: bytes, caller: Caller) -> StarterGrant:
    """Billing hears of the key by a fact; asking makes sure that it has before the key is shown."""
    made = _key_created.decode(reply)
    return StarterGrant(key_id=made.id, person_id=caller.principal.person_id, mode=made.mode)


def _as_it_was(reply: bytes, granted: StarterGranted | None) -> bytes:
    return reply


def _scan(**row: Any) -> Endpoint:
    return Endpoint(**{"surface": "scan", "tags": ("people",), "body_bytes_max": 16 * KIB, **row})


SESSIONS = (
    _scan(
        method="POST",
        path="/auth/signup",
        summary="Sign up by e-mail; the answer sets the session cookie",
        access=PUBLIC,
        repeat="key",
        request=SignUpRequest,
        command=subjects.SCAN_SIGN_UP,
        message=_sign_up,
        headers=("cookie",),  # a referrer's link may have left its code there
        response=auth_people.ScanUserIs,
        render=_signed_in,
        status=201,
        errors=("email_taken",),
    ),
    _scan(
        method="POST",
        path="/auth/login",
        summary="Sign in by e-mail; the answer sets the session cookie",
        access=PUBLIC,
        repeat="idempotent",
        request=LoginRequest,
        command=subjects.SCAN_LOGIN,
        message=_login,
        response=auth_people.ScanUserIs,
        render=_signed_in,
        errors=("invalid_credentials",),
    ),
    _scan(
        method="POST",
        path="/auth/logout",
        summary="End the session of the cookie; once or again",
        access=WITH_COOKIE,
        repeat="idempotent",
        command=subjects.SCAN_LOGOUT,
        message=_logout,
        response=None,
        render=_signed_out,
        status=204,
        revokes=True,
    ),
    _scan(
        method="GET",
        path="/auth/me",
        summary="Who is signed in",
        access=PERSON,
        repeat="safe",
        command=subjects.SCAN_ME,
        message=_me,
        response=auth_people.ScanUserIs,
    ),
)

MAIL = (
    _scan(
        method="POST",
        path="/auth/email/send",
        summary="Send a mail that proves the address",
        access=PERSON,
        repeat="key",
        command=subjects.MAIL_VERIFY_ASK,
        message=_mail_ask,
        response=None,
        render=_done,
        status=204,
        limits=MAILS,
    ),
    _scan(
        method="POST",
        path="/auth/email/verify",
        summary="Prove the address with the token of that mail",
        access=PUBLIC,
        repeat="key",
        request=TokenRequest,
        command=subjects.MAIL_VERIFY,
        message=_mail_verify,
        response=None,
        render=_done,
        status=204,
        errors=("invalid_token",),
    ),
    _scan(
        method="POST",
        path="/auth/password/forgot",
        summary="Send a mail that resets the password; the answer never tells whether the e-mail is known",
        access=PUBLIC,
        repeat="key",
        request=ForgotRequest,
        command=subjects.PASSWORD_FORGOT,
        message=_forgot,
        response=None,
        render=_done,
        status=202,
        limits=MAILS,
    ),
    _scan(
        method="POST",
        path="/auth/password/reset",
        summary="Set a new password with the token of that mail; every session ends",
        access=PUBLIC,
        repeat="key",
        request=ResetRequest,
        command=subjects.PASSWORD_RESET,
        message=_reset,
        response=None,
        render=_done,
        status=204,
        revokes=True,
        errors=("invalid_token",),
    ),
)

KEYS = tuple(
    row
    for folder in ("/api/v1/keys", "/auth/keys")
    for row in (
        _scan(
            method="POST",
            path=folder,
            summary="Make an API key; it is shown this once",
            access=KEY_HOLDER,
            repeat="key",
            request=KeyRequest,
            command=subjects.API_KEY_CREATE,
            then=Then(subjects.STARTER_GRANT, _person_starter, _as_it_was),
            message=_key_create,
            response=auth_people.KeyCreated,
            status=201,
            errors=("tier_insufficient", "key_limit_reached"),
        ),
        _scan(
            method="GET",
            path=folder,
            summary="The person's API keys, without the keys themselves",
            access=KEY_HOLDER,
            repeat="safe",
            command=subjects.API_KEY_LIST,
            message=_key_list,
            response=auth_people.KeyList,
        ),
        _scan(
            method="DELETE",
            path=f"{folder}/{{id}}",
            summary="Take an API key back",
            access=KEY_HOLDER,
            repeat="idempotent",
            request=KeyIdRequest,
            command=subjects.API_KEY_REVOKE,
            message=_key_revoke,
            response=None,
            render=_done,
            status=204,
            revokes=True,
            errors=("not_found",),
        ),
    )
)

AGENT = Endpoint(
    method="POST",
    path="/v1/keys",
    surface="analysis",
    tags=("keys",),
    summary="Make an API key by e-mail alone; it is shown this once",
    access=PUBLIC,
    repeat="key",
    request=AgentKeyRequest,
    command=subjects.AGENT_KEY_ISSUE,
    then=Then(subjects.STARTER_GRANT, _starter, _with_starter),
    message=_agent_key,
    response=AgentKeyMade,
    render=_agent_key_made,
    body_bytes_max=16 * KIB,
    limits=AGENT_KEYS,
)

ROWS = (*SESSIONS, *MAIL, *KEYS, AGENT)
