"""Messages owned by auth. Major 1 of each."""

from __future__ import annotations

from typing import Any

import msgspec


class AccountOpened(msgspec.Struct, frozen=True, kw_only=True):
    """A trading account was opened for a person. The trading service makes its margin account."""

    login: int
    person_id: int
    group: str
    currency: str
    leverage: int
    email: str
    name: str
    opened_ms: int


class SignUp(msgspec.Struct, frozen=True, kw_only=True):
    """Open a person and a demo account (broker 2.2)."""

    name: str
    email: str
    password: str
    group: str | None = None
    leverage: int | None = None
    phone: str = ""
    country: str = ""
    city: str = ""
    address: str = ""
    state: str = ""
    zipcode: str = ""
    comment: str = ""
    lead_source: str = ""
    ip: str = ""


class SignIn(msgspec.Struct, frozen=True, kw_only=True):
    """Sign in with a trading-account login (broker 2.1). ``ip`` is the caller's address."""

    login: int
    password: str
    ip: str = ""


class SignCheck(msgspec.Struct, frozen=True, kw_only=True):
    """Who am I? ``token`` was verified by the gateway; auth checks that it still counts."""

    login: int
    session_type: int
    jti: str
    token: str


class SignedIn(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """The sign-in object of the broker surface, in its order. ``id`` equals ``login``."""

    id: int
    login: int
    regdate: int
    leverage: int
    email: str
    avatar: str
    name: str
    phone: str
    address: str
    city: str
    state: str
    country: str
    zipcode: str
    group: str
    currency: str
    token: str = msgspec.field(name="__token")
    type: int | msgspec.UnsetType = msgspec.UNSET
    refresh_token: str | msgspec.UnsetType = msgspec.UNSET


class UserAdd(msgspec.Struct, frozen=True, kw_only=True):
    """Staff opens an account (broker 9.5, AddUser)."""

    group: str
    name: str
    password: str
    leverage: int
    enable: int
    email: str
    login: int | None = None
    comment: str = ""
    country: str = ""
    city: str = ""
    address: str = ""
    state: str = ""
    zipcode: str = ""
    phone: str = ""
    enable_read_only: int = 0
    enable_change_password: int = 1
    send_reports: int = 0
    id: str = ""
    lead_source: str = ""
    user_color: int = 0


class UserAdded(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to AddUser."""

    login: int
    leverage: int
    currency: str


class KeysAsk(msgspec.Struct, frozen=True):
    """Ask for the public signing keys."""


class JsonWebKeys(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 7517 key set: the public halves of every key a valid token may be signed with."""

    keys: list[dict[str, Any]]


class AuditAppend(msgspec.Struct, frozen=True, kw_only=True):
    """Record an act of staff: the intent before the act, the outcome after it.

    ``kind`` is ``intent`` or ``outcome``; ``ref`` of an outcome is the id of its intent. ``detail``
    is what was asked, without secrets.
    """

    kind: str
    actor: int
    session_type: int
    method: str
    path: str
    detail: str = ""
    status: int = 0
    ref: int = 0
    address: str = ""


class AuditRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the audit chain. ``hash`` covers the row and ``previous_hash``."""

    id: int
    time_ms: int
    kind: str
    actor: int
    session_type: int
    method: str
    path: str
    detail: str
    status: int
    ref: int
    address: str
    previous_hash: str
    hash: str


class AuditAsk(msgspec.Struct, frozen=True, kw_only=True):
    """Read the audit log, newest first."""

    limit: int = 100
    offset: int = 0
    actor: int | None = None


class AuditPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the audit log and how many rows there are."""

    rows: list[AuditRow]
    count: int


class AuditVerify(msgspec.Struct, frozen=True):
    """Follow the whole audit chain."""


class AuditChecked(msgspec.Struct, frozen=True, kw_only=True):
    """How far the chain holds: ``broken_id`` is the first row that does not fit, 0 when all do."""

    rows: int
    last_hash: str
    broken_id: int = 0
    reason: str = ""


class KeyRotate(msgspec.Struct, frozen=True):
    """Let the next signing key sign from now on; the one before stays public until its tokens expire."""


class KeyRotated(msgspec.Struct, frozen=True, kw_only=True):
    """The key that signs now."""

    kid: str


class AccountAsk(msgspec.Struct, frozen=True, kw_only=True):
    """Whose account is this login, and in which group? For calls of staff and customers about it."""

    login: int


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """What auth knows of a trading account; USER_NOT_FOUND_OR_INCORRECT (403) when there is none.

    1.1 added the flags and the profile. ``enable`` is 0 when the account or its person is disabled.
    """

    login: int
    person_id: int
    group: str
    currency: str
    leverage: int
    enable: int = 1
    enable_read_only: int = 0
    enable_change_password: int = 1
    name: str = ""
    email: str = ""
    avatar: str = ""
    phone: str = ""
    address: str = ""
    city: str = ""
    state: str = ""
    country: str = ""
    zipcode: str = ""
    comment: str = ""
    regdate: int = 0
    tier: str = "free"


# ── sessions ────────────────────────────────────────────────────────────────────────────────────


class SessionRevoked(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens stopped counting: whoever opens a door refuses them and cuts the sockets they opened.

    Those of ``subject`` whose version is below ``version_min`` (0: none), and those in ``jtis``. After
    ``until_ms`` none of them could be presented any more. ``reason`` is password, disabled, sign_out,
    refresh_reuse or closed.
    """

    subject: str
    reason: str
    revoked_ms: int
    until_ms: int
    version_min: int = 0
    jtis: tuple[str, ...] = ()
    login: int | None = None
    person_id: int | None = None


class PersonChanged(msgspec.Struct, frozen=True, kw_only=True):
    """What doors remember of a person is out of date: the tier, the accounts or whether it is enabled."""

    person_id: int
    tier: str
    tier_until_ms: int
    enable: int
    logins: tuple[int, ...]
    changed_ms: int


class RevocationsAsk(msgspec.Struct, frozen=True):
    """Every revocation that still matters: for a door that was not there to hear the facts."""


class RevocationList(msgspec.Struct, frozen=True, kw_only=True):
    """The revocations whose tokens have not all expired."""

    rows: list[SessionRevoked]


class Refresh(msgspec.Struct, frozen=True, kw_only=True):
    """Give a refresh token, get the next one and an access token. ``ip`` is the caller's address."""

    refresh_token: str
    ip: str = ""


class Refreshed(msgspec.Struct, frozen=True, kw_only=True):
    """A new access token, and the refresh token that replaces the one given."""

    token: str = msgspec.field(name="__token")
    refresh_token: str


class StreamTokenAsk(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for a token that opens one socket. ``token`` is a good access token."""

    token: str


class StreamToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token for the stream's first frame: once, within ``expires_in`` seconds."""

    token: str
    expires_in: int


class StreamRedeem(msgspec.Struct, frozen=True, kw_only=True):
    """A socket was given this stream token: whose is it? It counts once; the answer is a Principal."""

    token: str


class SignOut(msgspec.Struct, frozen=True, kw_only=True):
    """End the sessions of the token's subject, or with ``only_this`` the one session it belongs to."""

    token: str
    only_this: bool = False


class PasswordChange(msgspec.Struct, frozen=True, kw_only=True):
    """Change the password behind a login (broker 2.4); with ``investor`` its read-only one.

    The holder gives the current one in ``password`` and the new one in ``new_password``; staff gives the
    new one in ``password``. ``actor`` and ``session_type`` say who asks.
    """

    login: int
    actor: int
    session_type: int
    password: str
    new_password: str | None = None
    investor: int = 0
    read_only: bool = False
    ip: str = ""


class PasswordChanged(msgspec.Struct, frozen=True, kw_only=True):
    """``{"data":"OK"}`` for the holder; for staff, oddly named as the contract has it, ``{"login":"OK"}``."""

    data: str | msgspec.UnsetType = msgspec.UNSET
    login: str | msgspec.UnsetType = msgspec.UNSET


# ── administration ──────────────────────────────────────────────────────────────────────────────


class AccountChanged(msgspec.Struct, frozen=True, kw_only=True):
    """What others keep of a trading account is out of date. Trading takes over group and leverage."""

    login: int
    person_id: int
    group: str
    currency: str
    leverage: int
    enable: int
    enable_read_only: int
    changed_ms: int


class UserUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """Staff changes an account; absent fields stay."""

    login: int
    group: str | None = None
    leverage: int | None = None
    enable: int | None = None
    enable_read_only: int | None = None
    enable_change_password: int | None = None
    send_reports: int | None = None
    name: str | None = None
    phone: str | None = None
    country: str | None = None
    city: str | None = None
    address: str | None = None
    state: str | None = None
    zipcode: str | None = None
    comment: str | None = None
    lead_source: str | None = None


class PersonName(msgspec.Struct, frozen=True, kw_only=True):
    """A person, by id or by e-mail; RET_USER_NOT_FOUND when there is none."""

    customer_id: int | None = None
    email: str | None = None


class PersonView(msgspec.Struct, frozen=True, kw_only=True):
    """What others may know of a person."""

    customer_id: int
    email: str
    email_verified: int
    enable: int
    tier: str
    tier_until_ms: int
    logins: tuple[int, ...]
    created_ms: int


class PersonSet(msgspec.Struct, frozen=True, kw_only=True):
    """Change the tier of a person, or whether it may come in at all; absent fields stay.

    ``tier_until_ms`` 0 is without an end; it counts with ``tier`` only.
    """

    customer_id: int | None = None
    email: str | None = None
    tier: str | None = None
    tier_until_ms: int = 0
    enable: int | None = None


class StaffAdd(msgspec.Struct, frozen=True, kw_only=True):
    """An administrator adds a member of staff: session type 1 manager, 2 dealer, 3 admin."""

    name: str
    password: str
    type: int
    email: str = ""
    login: int | None = None


class StaffUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """An administrator changes a member of staff; absent fields stay."""

    login: int
    name: str | None = None
    email: str | None = None
    type: int | None = None
    enable: int | None = None


class StaffView(msgspec.Struct, frozen=True, kw_only=True):
    """A member of staff."""

    login: int
    type: int
    name: str
    email: str
    enable: int
    regdate: int


class StaffAsk(msgspec.Struct, frozen=True):
    """Every member of staff."""


class StaffList(msgspec.Struct, frozen=True, kw_only=True):
    """``{"staff":[…]}``, by login."""

    staff: list[StaffView]


class SsoAsk(msgspec.Struct, frozen=True, kw_only=True):
    """An administrator signs in as an account, to open its terminal (broker 2.5)."""

    login: int
    ip: str = ""
