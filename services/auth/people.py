"""People and their trading accounts: what may be stored of them, and how they are told apart."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Any

from libs.common.errors import InvalidData

NAME_CHARS_MAX = 128
TEXT_CHARS_MAX = 512
EMAIL_CHARS_MAX = 254
LEVERAGE_MAX = 10_000
LOGIN_MAX = 2**53 - 1  # JSON numbers of every client are exact up to here
STAFF_BOOTSTRAP_LOGIN = 1
WALLET_DOMAIN = "wallet.x402.invalid"  # of people who are known by their wallet only; nobody signs up there
TIERS = ("free", "go", "plus", "pro")

_LOCAL = r"[^\s@<>()\[\]\\,;:\"\x00-\x1f\x7f]{1,64}"
_LABEL = r"[^\W_](?:(?:[^\W_]|-){0,61}[^\W_])?"
_EMAIL = re.compile(rf"{_LOCAL}@(?:{_LABEL}\.)+{_LABEL}")
_CONTROL = frozenset({"Cc", "Cs"})

TEXT_FIELDS = ("phone", "country", "city", "address", "state", "zipcode", "comment", "lead_source")


@dataclass(frozen=True, slots=True)
class Email:
    """An e-mail address: as typed for display, folded for identity."""

    typed: str
    key: str


def read_email(text: str) -> Email:
    """The address; InvalidData when it has not the form of one. Case does not make another person."""
    typed = unicodedata.normalize("NFC", text.strip())
    if len(typed) > EMAIL_CHARS_MAX or not _EMAIL.fullmatch(typed) or ".." in typed:
        raise InvalidData("email is not an e-mail address")
    local = typed.partition("@")[0]
    if local.startswith(".") or local.endswith("."):
        raise InvalidData("email is not an e-mail address")
    return Email(typed, fold_email(typed))


def fold_email(typed: str) -> str:
    """The identity of an address. Folding again changes nothing."""
    folded = typed.strip()
    # A few letters grow when lowered and compose anew, so fold until nothing moves.
    for _ in range(4):
        once = unicodedata.normalize("NFC", unicodedata.normalize("NFC", folded).lower())
        if once == folded:
            break
        folded = once
    return folded


def read_text(field: str, text: str, *, required: bool = False, chars_max: int = TEXT_CHARS_MAX) -> str:
    """Text that can be stored and shown: no control characters, no lone surrogates, bounded."""
    value = text.strip()
    if required and not value:
        raise InvalidData(f"{field} is empty")
    if len(value) > chars_max:
        raise InvalidData(f"{field} is longer than {chars_max} characters")
    if any(unicodedata.category(c) in _CONTROL and c not in "\n\t" for c in value):
        raise InvalidData(f"{field} has control characters")
    return value


def can_be_stored(text: str) -> bool:
    """Whether PostgreSQL can hold it: no NUL, no lone surrogates."""
    return "\x00" not in text and not any("\ud800" <= c <= "\udfff" for c in text)


def read_flag(field: str, value: int) -> bool:
    """A flag of the broker surface: 0 or 1."""
    if value not in (0, 1):
        raise InvalidData(f"{field} is 0 or 1")
    return bool(value)


def read_leverage(value: int) -> int:
    """A leverage of 1 to 10 000."""
    if not 1 <= value <= LEVERAGE_MAX:
        raise InvalidData(f"leverage is between 1 and {LEVERAGE_MAX}")
    return value


def sign_up_leverage(asked: int | None, group_default: int) -> int:
    """What a person who signs up gets: the group caps what was asked, and is the default."""
    if asked is None:
        return group_default
    return min(read_leverage(asked), group_default)


@dataclass(frozen=True, slots=True)
class Profile:
    """What is kept of the holder of a trading account."""

    name: str
    email: Email
    phone: str = ""
    country: str = ""
    city: str = ""
    address: str = ""
    state: str = ""
    zipcode: str = ""
    comment: str = ""
    lead_source: str = ""


def read_profile(message: Any) -> Profile:
    """The profile in a sign-up or AddUser message; InvalidData names the first field that can't be kept."""
    return Profile(
        name=read_text("name", message.name, required=True, chars_max=NAME_CHARS_MAX),
        email=read_email(message.email),
        **{field: read_text(field, getattr(message, field)) for field in TEXT_FIELDS},
    )


def split_name(name: str) -> tuple[str, str]:
    """First and last name of a full name, for the customer object."""
    first, _, last = name.partition(" ")
    return first, last.strip()


@dataclass(frozen=True, slots=True)
class NewPerson:
    """What a person begins with."""

    email: Email
    first_name: str
    last_name: str
    phone: str = ""
    brand: str = ""
    preferred_language: str = ""
    timezone: str = ""
    marketing_allowed: bool = False
    ref_code: str = ""


def name_of(new: NewPerson) -> str:
    """The name an account shows: the person's, else what stands before the @."""
    return f"{new.first_name} {new.last_name}".strip() or new.email.typed.partition("@")[0]


def new_person(profile: Profile) -> NewPerson:
    """The person behind the first trading account, where only the account's profile was given."""
    first, last = split_name(profile.name)
    return NewPerson(profile.email, first, last, phone=profile.phone)


@dataclass(frozen=True, slots=True)
class Account:
    """A trading account with its person, as stored. ``enable`` is false when either is disabled."""

    login: int
    person_id: int
    group_name: str
    currency: str
    leverage: int
    enable: bool
    enable_read_only: bool
    enable_change_password: bool
    send_reports: bool
    investor_hash: str | None
    name: str
    email: str
    avatar: str
    phone: str
    address: str
    city: str
    state: str
    country: str
    zipcode: str
    comment: str
    lead_source: str
    external_id: str
    user_color: int
    token_version: int
    opened_ms: int
    password_hash: str
    tier: str
    tier_until_ms: int


@dataclass(frozen=True, slots=True)
class Person:
    """A person, as stored."""

    person_id: int
    email: str
    email_key: str
    password_hash: str
    first_name: str
    last_name: str
    enable: bool
    email_verified: bool
    tier: str
    tier_until_ms: int
    token_version: int
    phone: str
    brand: str
    preferred_language: str
    timezone: str
    marketing_allowed: bool
    ref_code: str
    status: str
    desk: str
    manager_id: int
    otp_sealed: bytes | None
    otp_enabled: bool
    otp_step: int
    last_login_ms: int
    created_ms: int
    updated_ms: int

    @property
    def full_name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()


@dataclass(frozen=True, slots=True)
class Staff:
    """A member of staff, as stored."""

    login: int
    session_type: int
    name: str
    email: str
    password_hash: str
    enable: bool
    token_version: int
    created_ms: int


@dataclass(frozen=True, slots=True)
class AccountTerms:
    """What a new account is opened with, besides its holder's profile."""

    group: str
    currency: str
    leverage: int
    enable: bool = True
    enable_read_only: bool = False
    enable_change_password: bool = True
    send_reports: bool = False
    external_id: str = ""
    user_color: int = 0


def tier_now(tier: str, until_ms: int, now_ms: int) -> str:
    """The tier in force: what was bought until it ends (0: without an end), then free."""
    return tier if until_ms == 0 or now_ms < until_ms else "free"
