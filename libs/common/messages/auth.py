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
