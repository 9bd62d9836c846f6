"""Credentials of every form: what is asked of auth, what is remembered, and until when."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from libs.common.clock import ManualClock
from libs.common.errors import NotAuthenticated
from libs.common.messages.auth import JsonWebKeys, PersonChanged, SessionRevoked
from libs.common.principal import Principal
from services.gateway.identities import REMEMBER_S, Identities
from services.gateway.tokens import Tokens

KEY = "tw_live_" + "a" * 32


class Auth:
    """Auth as the gateway asks it."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.expires_at = 0

    async def keys(self) -> JsonWebKeys:
        return JsonWebKeys(keys=[])

    async def revocations(self) -> list[SessionRevoked]:
        return []

    async def redeem(self, token: str) -> Principal:
        raise NotAuthenticated

    async def of_key(self, key: str, address: str) -> Principal:
        self.asked.append(f"{key} {address}")
        return Principal(
            kind="key", person_id=1, jti="key_1", subject="key:key_1", expires_at=self.expires_at
        )

    async def of_cookie(self, session: str) -> Principal:
        self.asked.append(session)
        if session == "unknown":
            raise NotAuthenticated
        return Principal(kind="customer", person_id=2, jti="s1", subject="customer:2", version=3)


@pytest.fixture
def made() -> tuple[Identities, Auth, ManualClock, Tokens]:
    clock = ManualClock(datetime(2026, 3, 2, tzinfo=UTC))
    auth = Auth()
    tokens = Tokens(auth, clock)
    return Identities(tokens, clock, of_key=auth.of_key, of_cookie=auth.of_cookie), auth, clock, tokens


Made = tuple[Identities, Auth, ManualClock, Tokens]


async def test_auth_is_asked_once_and_again_when_it_may_be_out_of_date(made: Made) -> None:
    identities, auth, clock, _ = made
    for _ in range(3):
        assert (await identities.principal(KEY, address="10.0.0.1")).kind == "key"
    assert len(auth.asked) == 1
    clock.advance(REMEMBER_S)
    await identities.principal(KEY, address="10.0.0.1")
    assert len(auth.asked) == 2


async def test_a_key_from_another_address_is_another_question(made: Made) -> None:
    identities, auth, _, _ = made
    for address in ("10.0.0.1", "10.0.0.2"):
        await identities.principal(KEY, address=address)
    assert len(auth.asked) == 2


async def test_what_was_revoked_is_refused_whatever_is_remembered(made: Made) -> None:
    identities, _, clock, tokens = made
    await identities.principal(KEY)
    await identities.principal("session", cookie=True)
    until_ms = clock.now_ms() + 1000
    revoked: dict[str, Any] = {"reason": "closed", "revoked_ms": 0, "until_ms": until_ms}
    tokens.revoke(SessionRevoked(subject="key:key_1", jtis=("key_1",), **revoked))
    tokens.revoke(SessionRevoked(subject="customer:2", version_min=4, **revoked))
    with pytest.raises(NotAuthenticated):
        await identities.principal(KEY)
    with pytest.raises(NotAuthenticated):
        await identities.principal("session", cookie=True)


async def test_a_person_that_changed_is_asked_for_again(made: Made) -> None:
    identities, auth, _, _ = made
    await identities.principal(KEY)
    await identities.principal("session", cookie=True)
    changed: dict[str, Any] = {"tier": "pro", "tier_until_ms": 0, "enable": 1, "logins": (), "changed_ms": 0}
    identities.changed(PersonChanged(person_id=2, **changed))
    await identities.principal(KEY)
    await identities.principal("session", cookie=True)
    assert auth.asked == [f"{KEY} ", "session", "session"]


async def test_a_credential_that_expires_is_not_remembered_longer(made: Made) -> None:
    identities, auth, clock, _ = made
    auth.expires_at = clock.now_ms() // 1000 + 5
    await identities.principal(KEY)
    clock.advance(5)
    await identities.principal(KEY)
    assert len(auth.asked) == 2


@pytest.mark.parametrize(
    ("credential", "cookie"),
    [
        ("unknown", True),
        ("session", False),
        ("é", True),
        (KEY + "a" * 300, False),
        ("x" * 300, True),
        ("a.b", True),
    ],
)
async def test_what_is_no_credential_is_refused_and_not_remembered(
    made: Made, credential: str, cookie: bool
) -> None:
    identities, _, _, _ = made
    for _ in range(2):
        with pytest.raises(NotAuthenticated):
            await identities.principal(credential, cookie=cookie)


async def test_what_auth_said_before_a_change_is_not_remembered_after_it(made: Made) -> None:
    identities, auth, _, _ = made
    await identities.principal(KEY)
    await identities.principal("session", cookie=True)
    assert len(auth.asked) == 2
    identities.forget()
    asked = auth.of_key

    async def changed_meanwhile(key: str, address: str) -> Principal:
        answer = await asked(key, address)
        identities.forget()
        return answer

    identities._of_key = changed_meanwhile
    await identities.principal(KEY)
    identities._of_key = asked
    await identities.principal(KEY)
    await identities.principal("session", cookie=True)
    assert len(auth.asked) == 5
    await identities.principal(KEY)
    await identities.principal("session", cookie=True)
    assert len(auth.asked) == 5
