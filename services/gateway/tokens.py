"""Who a token belongs to: verified here with auth's public keys, remembered until it expires or is revoked.

Keys are fetched at start, again when a token names a key nobody knows (at most every ``REFETCH_S``, by one
call at a time), and every ``KEYS_S`` so that a key that was taken away stops counting. With the keys come the
revocations that still matter; later ones are heard as facts.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple, Protocol

import structlog

from libs.common.clock import Clock
from libs.common.errors import AppError, NotAuthenticated, ServiceUnavailable
from libs.common.messages.auth import JsonWebKeys, SessionRevoked
from libs.common.principal import Principal
from libs.common.tokens import ACCESS, STREAM, TOKEN_CHARS_MAX, PublicKeys, Revocations, kid_of, principal_of
from services.gateway.metrics import TOKENS

log = structlog.get_logger()

REFETCH_S = 2.0
KEYS_S = 300.0
REMEMBERED_MAX = 50_000

_from_cache = TOKENS.labels("cache")
_verified = TOKENS.labels("verified")
_refused = TOKENS.labels("refused")


class _Known(NamedTuple):
    principal: Principal
    kid: str


class TokenPorts(Protocol):
    """What auth knows of tokens."""

    async def keys(self) -> JsonWebKeys:
        """The public signing keys."""
        ...

    async def revocations(self) -> Sequence[SessionRevoked]:
        """Every revocation whose tokens have not all expired."""
        ...

    async def redeem(self, token: str) -> Principal:
        """Whose stream token this is; it counts once."""
        ...


class Tokens:
    """Verifies tokens. One per process; owned by the event loop."""

    def __init__(self, ports: TokenPorts, clock: Clock) -> None:
        self._ports = ports
        self._clock = clock
        self._revocations = Revocations()
        self._keys: PublicKeys | None = None
        self.jwks = JsonWebKeys(keys=[])
        self._fetched_s = 0.0
        self._tried_s: float | None = None
        self._fetching: asyncio.Task[None] | None = None
        self._known: OrderedDict[bytes, _Known] = OrderedDict()

    async def principal(self, token: str) -> Principal:
        """The caller behind a good access token; NotAuthenticated for every other."""
        if len(token) > TOKEN_CHARS_MAX or not token.isascii():
            raise NotAuthenticated
        digest = blake2b(token.encode(), digest_size=16).digest()
        known = self._known.get(digest)
        if known is not None and self._still_good(known):
            self._known.move_to_end(digest)
            _from_cache.inc()
            return known.principal
        self._known.pop(digest, None)
        try:
            found = await self._verify(token)
        except NotAuthenticated:
            _refused.inc()
            raise
        _verified.inc()
        self._known[digest] = found
        if len(self._known) > REMEMBERED_MAX:
            self._known.popitem(last=False)
        return found.principal

    async def stream_principal(self, token: str) -> Principal:
        """The owner of a socket: behind an access token, or a stream token that was not used before."""
        try:
            return await self.principal(token)
        except NotAuthenticated:
            await self._verify(token, STREAM)
            return await self._ports.redeem(token)

    def revoke(self, revoked: SessionRevoked) -> None:
        """Refuse these tokens from now on."""
        self._revocations.add(
            revoked.subject, version_min=revoked.version_min, jtis=revoked.jtis, until_ms=revoked.until_ms
        )

    def allows(self, principal: Principal) -> bool:
        """Whether the token behind a principal was not revoked since."""
        return self._revocations.allows(principal.subject, principal.version, principal.jti)

    async def learn_revocations(self) -> None:
        """Ask for what was revoked, without waiting for the facts."""
        for revoked in await self._ports.revocations():
            self.revoke(revoked)

    async def refresh(self) -> None:
        """Fetch the keys and revocations now; the error of auth when it does not answer."""
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._load(), name="public keys")
        await asyncio.shield(self._fetching)

    def _still_good(self, known: _Known) -> bool:
        if self._clock.monotonic_s() - self._fetched_s > KEYS_S and self._may_fetch():
            self._start_fetching()
        principal = known.principal
        return (
            self._clock.now_ms() < principal.expires_at * 1000
            and self._keys is not None
            and known.kid in self._keys
            and self.allows(principal)
        )

    async def _verify(self, token: str, typ: str = ACCESS) -> _Known:
        kid = kid_of(token)
        if kid is None:
            raise NotAuthenticated
        if self._keys is None or kid not in self._keys:
            await self._look_again()
        if self._keys is None:
            raise ServiceUnavailable("auth does not answer, tokens can't be verified")
        claims = self._keys.verify(token, now_s=self._clock.now_ms() // 1000, typ=typ)
        principal = principal_of(claims)
        if not self.allows(principal):
            raise NotAuthenticated
        return _Known(principal, kid)

    async def _look_again(self) -> None:
        if self._fetching is None and not self._may_fetch():
            return
        try:
            await self.refresh()
        except AppError as e:
            # Whether the token is good can't be known now: that is no reason to call it bad.
            raise ServiceUnavailable("auth does not answer, tokens can't be verified") from e

    def _may_fetch(self) -> bool:
        # Without any key nobody can come in: auth, which may have started after us, is asked each time.
        if self._keys is None or self._tried_s is None:
            return True
        return self._clock.monotonic_s() - self._tried_s >= REFETCH_S

    def _start_fetching(self) -> None:
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._load(), name="public keys")
            self._fetching.add_done_callback(_tell)

    async def _load(self) -> None:
        self._tried_s = self._clock.monotonic_s()
        try:
            jwks = await self._ports.keys()
            await self.learn_revocations()
            self._revocations.forget(self._clock.now_ms())
            self._keys = PublicKeys.from_jwks(jwks.keys)
            self.jwks = jwks
            self._fetched_s = self._clock.monotonic_s()
        finally:
            self._fetching = None


def _tell(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.warning("public keys not refreshed", error=str(task.exception()))
