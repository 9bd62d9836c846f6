"""The sign-in object and the token subject of accounts and staff."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from libs.common.messages import auth
from libs.common.messages.auth import SignedIn
from libs.common.principal import SessionType
from services.auth.people import Account, Person, Staff, tier_now
from services.auth.tokens import Subject


def account_subject(account: Account, *, read_only: bool = False) -> Subject:
    """Whom a token of this account speaks for."""
    return Subject(
        kind="account",
        number=account.login,
        session_type=SessionType.USER,
        version=account.token_version,
        person_id=account.person_id,
        group=account.group_name,
        logins=(account.login,),
        read_only=read_only or account.enable_read_only,
    )


def staff_subject(staff: Staff) -> Subject:
    """Whom a staff token speaks for."""
    return Subject(
        kind="staff",
        number=staff.login,
        session_type=SessionType(staff.session_type),
        version=staff.token_version,
    )


def customer_subject(person: Person, logins: Sequence[int]) -> Subject:
    """Whom a customer token of this person speaks for."""
    return Subject(
        kind="customer",
        number=person.person_id,
        session_type=SessionType.CUSTOMER,
        version=person.token_version,
        person_id=person.person_id,
        logins=tuple(logins),
    )


def account_signed_in(
    account: Account,
    token: str,
    *,
    session_type: SessionType | None = None,
    refresh_token: str | None = None,
) -> SignedIn:
    """The sign-in object of a trading account (broker 2.1)."""
    return SignedIn(
        id=account.login,
        login=account.login,
        regdate=account.opened_ms // 1000,
        leverage=account.leverage,
        email=account.email,
        avatar=account.avatar,
        name=account.name,
        phone=account.phone,
        address=account.address,
        city=account.city,
        state=account.state,
        country=account.country,
        zipcode=account.zipcode,
        group=account.group_name,
        currency=account.currency,
        token=token,
        type=msgspec.UNSET if session_type is None else int(session_type),
        refresh_token=msgspec.UNSET if refresh_token is None else refresh_token,
    )


def staff_signed_in(
    staff: Staff,
    token: str,
    *,
    session_type: SessionType | None = None,
    refresh_token: str | None = None,
) -> SignedIn:
    """The sign-in object of staff: the same fields, those of a trading account empty."""
    return SignedIn(
        id=staff.login,
        login=staff.login,
        regdate=staff.created_ms // 1000,
        leverage=0,
        email=staff.email,
        avatar="",
        name=staff.name,
        phone="",
        address="",
        city="",
        state="",
        country="",
        zipcode="",
        group="",
        currency="",
        token=token,
        type=msgspec.UNSET if session_type is None else int(session_type),
        refresh_token=msgspec.UNSET if refresh_token is None else refresh_token,
    )


def customer_signed_in(person: Person, token: str) -> SignedIn:
    """The sign-in object of a customer session: ``id`` is the customer's, no account is chosen yet."""
    return SignedIn(
        id=person.person_id,
        login=0,
        regdate=person.created_ms // 1000,
        leverage=0,
        email=person.email,
        avatar="",
        name=person.full_name,
        phone="",
        address="",
        city="",
        state="",
        country="",
        zipcode="",
        group="",
        currency="",
        token=token,
        type=int(SessionType.CUSTOMER),
    )


def account_view(account: Account, *, now_ms: int) -> auth.Account:
    """What other services and the gateway are told of an account."""
    return auth.Account(
        login=account.login,
        person_id=account.person_id,
        group=account.group_name,
        currency=account.currency,
        leverage=account.leverage,
        enable=int(account.enable),
        enable_read_only=int(account.enable_read_only),
        enable_change_password=int(account.enable_change_password),
        name=account.name,
        email=account.email,
        avatar=account.avatar,
        phone=account.phone,
        address=account.address,
        city=account.city,
        state=account.state,
        country=account.country,
        zipcode=account.zipcode,
        comment=account.comment,
        regdate=account.opened_ms // 1000,
        tier=tier_now(account.tier, account.tier_until_ms, now_ms),
    )
