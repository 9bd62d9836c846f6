"""The subject of a token as it is now: an account, a member of staff, or a customer."""

from __future__ import annotations

from dataclasses import dataclass

from libs.common.db import Connection
from services.auth.people import Account, Person, Staff
from services.auth.signed_in import account_subject, customer_subject, staff_subject
from services.auth.store import Store
from services.auth.tokens import Subject


@dataclass(frozen=True, slots=True)
class Held:
    """A subject with whether it may sign in, and the row it was made from."""

    subject: Subject
    enable: bool
    account: Account | None = None
    staff: Staff | None = None
    person: Person | None = None


async def subject_held(
    db: Connection, store: Store, kind: str, number: int, *, read_only: bool = False
) -> Held | None:
    """What is stored of ``kind`` and ``number`` (login, for customers the person id) now."""
    if kind == "account":
        account = await store.account(db, number)
        if account is None:
            return None
        return Held(account_subject(account, read_only=read_only), account.enable, account=account)
    if kind == "staff":
        staff = await store.staff(db, number)
        return None if staff is None else Held(staff_subject(staff), staff.enable, staff=staff)
    person = await store.person(db, number)
    if person is None:
        return None
    logins = await store.logins_of(db, number)
    return Held(customer_subject(person, logins), person.enable, person=person)
