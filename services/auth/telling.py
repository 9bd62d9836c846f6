"""What others are told of a person."""

from __future__ import annotations

from collections.abc import Sequence

from libs.common.db import Connection
from libs.common.messages.auth import PersonChanged, PersonView
from libs.common.subjects import PERSON_CHANGED
from services.auth.ground import Ground
from services.auth.people import Person


async def tell_person_changed(
    ground: Ground, tx: Connection, person: Person, logins: Sequence[int], now_ms: int
) -> None:
    """What doors remember of this person is out of date. Wake the relay after the commit."""
    changed = PersonChanged(
        person_id=person.person_id,
        tier=person.tier,
        tier_until_ms=person.tier_until_ms,
        enable=int(person.enable),
        logins=tuple(logins),
        changed_ms=now_ms,
    )
    await ground.say(tx, PERSON_CHANGED, changed, person=person.person_id)


def person_view(person: Person, logins: Sequence[int]) -> PersonView:
    """What other services may know of a person."""
    return PersonView(
        customer_id=person.person_id,
        email=person.email,
        email_verified=int(person.email_verified),
        enable=int(person.enable),
        tier=person.tier,
        tier_until_ms=person.tier_until_ms,
        logins=tuple(logins),
        created_ms=person.created_ms,
    )
