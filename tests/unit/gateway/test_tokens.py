"""Tokens are verified once and remembered; keys are fetched when they are needed and no more often."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from libs.common.clock import ManualClock
from libs.common.errors import NotAuthenticated, ServiceUnavailable
from libs.common.messages.auth import JsonWebKeys, SessionRevoked
from libs.common.principal import Principal
from services.gateway.tokens import KEYS_S, REFETCH_S, Tokens
from tests.contract.gateway.edge import Signer

NOW_S = 1_800_000_000
TIMES = {"iat": NOW_S, "nbf": NOW_S, "exp": NOW_S + 3600}


@dataclass
class Auth:
    """Auth's side, in the test's hands."""

    signers: list[Signer] = field(default_factory=lambda: [Signer()])
    revoked: list[SessionRevoked] = field(default_factory=list)
    away: bool = False
    asked: int = 0
    redeemed: list[str] = field(default_factory=list)

    async def keys(self) -> JsonWebKeys:
        self.asked += 1
        await asyncio.sleep(0)
        if self.away:
            raise ServiceUnavailable("auth does not answer")
        return JsonWebKeys(keys=[key for signer in self.signers for key in signer.jwks.keys])

    async def revocations(self) -> Sequence[SessionRevoked]:
        return self.revoked

    async def redeem(self, token: str) -> Principal:
        if token in self.redeemed:
            raise NotAuthenticated
        self.redeemed.append(token)
        return Principal(kind="account", login=7)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime.fromtimestamp(NOW_S, UTC))


@pytest.fixture
def auth() -> Auth:
    return Auth()


@pytest.fixture
def tokens(auth: Auth, clock: ManualClock) -> Tokens:
    return Tokens(auth, clock)


def signed(auth: Auth, kind: str = "user", **changed: Any) -> str:
    return auth.signers[-1].token(kind, **{**TIMES, **changed})


async def refused(tokens: Tokens, token: str) -> None:
    with pytest.raises(NotAuthenticated):
        await tokens.principal(token)


async def test_a_good_token_is_verified_once(tokens: Tokens, auth: Auth) -> None:
    token = signed(auth)
    first = await tokens.principal(token)
    assert (first.login, first.group, first.session_type) == (7, "demo", 0)
    assert await tokens.principal(token) is first
    assert auth.asked == 1


async def test_a_remembered_token_still_expires(tokens: Tokens, auth: Auth, clock: ManualClock) -> None:
    token = signed(auth, exp=NOW_S + 10)
    await tokens.principal(token)
    clock.advance(9.999)
    await tokens.principal(token)
    clock.advance(0.001)
    await refused(tokens, token)


async def test_a_revoked_token_is_refused_though_remembered(tokens: Tokens, auth: Auth) -> None:
    one, other, newer = signed(auth, jti="one"), signed(auth, jti="other"), signed(auth, jti="new", ver=2)
    for token in (one, other, newer):
        await tokens.principal(token)
    until_ms = (NOW_S + 3600) * 1000
    tokens.revoke(
        SessionRevoked(subject="account:7", reason="sign_out", revoked_ms=0, until_ms=until_ms, jtis=("one",))
    )
    await refused(tokens, one)
    await tokens.principal(other)
    tokens.revoke(
        SessionRevoked(subject="account:7", reason="password", revoked_ms=0, until_ms=until_ms, version_min=2)
    )
    await refused(tokens, other)
    await tokens.principal(newer)


async def test_what_was_revoked_before_the_start_is_known(tokens: Tokens, auth: Auth) -> None:
    auth.revoked.append(
        SessionRevoked(
            subject="account:7",
            reason="sign_out",
            revoked_ms=0,
            until_ms=(NOW_S + 60) * 1000,
            jtis=("jti of user",),
        )
    )
    await refused(tokens, signed(auth))


async def test_many_callers_at_once_fetch_the_keys_once(tokens: Tokens, auth: Auth) -> None:
    await asyncio.gather(*(tokens.principal(signed(auth, jti=str(n))) for n in range(20)))
    assert auth.asked == 1


async def test_a_new_key_is_fetched_when_a_token_names_it(
    tokens: Tokens, auth: Auth, clock: ManualClock
) -> None:
    await tokens.principal(signed(auth))
    next_signer = Signer()
    next_signer.kid = "next"
    auth.signers.append(next_signer)
    clock.advance(REFETCH_S)
    assert (await tokens.principal(signed(auth))).login == 7
    assert auth.asked == 2


async def test_unknown_keys_do_not_make_a_storm(tokens: Tokens, auth: Auth, clock: ManualClock) -> None:
    for number in range(50):
        await refused(tokens, signed(auth, kid=f"nobody's {number}"))
        clock.advance(REFETCH_S / 10)
    assert auth.asked <= 1 + 5


async def test_a_key_that_was_taken_away_stops_counting(
    tokens: Tokens, auth: Auth, clock: ManualClock
) -> None:
    token = signed(auth)
    await tokens.principal(token)
    fresh = Signer()
    fresh.kid = "fresh"
    auth.signers = [fresh]
    clock.advance(KEYS_S + 1)
    await tokens.principal(token)  # asked for meanwhile
    for _ in range(5):
        await asyncio.sleep(0)
    await refused(tokens, token)


async def test_while_auth_is_away_known_tokens_work_and_unknown_keys_are_503(
    tokens: Tokens, auth: Auth, clock: ManualClock
) -> None:
    known = signed(auth)
    await tokens.principal(known)
    auth.away = True
    clock.advance(KEYS_S + 1)
    await tokens.principal(known)
    await tokens.principal(signed(auth, jti="another"))
    clock.advance(REFETCH_S)
    with pytest.raises(ServiceUnavailable):
        await tokens.principal(signed(auth, kid="unknown"))


async def test_before_auth_ever_answered_nothing_can_be_said(tokens: Tokens, auth: Auth) -> None:
    auth.away = True
    for _ in range(2):
        with pytest.raises(ServiceUnavailable):
            await tokens.principal(signed(auth))


async def test_a_stream_token_opens_one_socket_and_no_request(tokens: Tokens, auth: Auth) -> None:
    token = signed(auth, typ="stream")
    await refused(tokens, token)
    assert (await tokens.stream_principal(token)).login == 7
    with pytest.raises(NotAuthenticated):
        await tokens.stream_principal(token)
    assert (await tokens.stream_principal(signed(auth))).jti == "jti of user"


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "ünï.cö.dé", "x" * 9000, "eyJhbGciOiJub25lIn0.e30."])
async def test_nonsense_is_refused_without_asking_for_keys(tokens: Tokens, auth: Auth, token: str) -> None:
    await refused(tokens, token)
    with pytest.raises(NotAuthenticated):
        await tokens.stream_principal(token)
    assert auth.asked == 0
