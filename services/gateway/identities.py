"""Who a credential belongs to, whatever its form: an access token, an API key, or a session cookie.

Access tokens are verified here (``tokens.py``). Keys and cookies are opaque: auth is asked, and its answer
remembered for ``REMEMBER_S`` unless it is revoked or the person changes before, which is heard as a fact.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from typing import NamedTuple

from libs.common.clock import Clock
from libs.common.errors import NotAuthenticated
from libs.common.messages.auth import PersonChanged
from libs.common.principal import Principal
from libs.common.tokens import PASS_PREFIX
from services.gateway.socket import Upgrade
from services.gateway.tokens import Tokens

REMEMBER_S = 30.0
REMEMBERED_MAX = 20_000
CREDENTIAL_CHARS_MAX = 256
COOKIE_WORD = "cookie"
KEY_PREFIXES = ("tw_live_", "tw_test_")

OfKey = Callable[[str, str], Awaitable[Principal]]
OfCookie = Callable[[str], Awaitable[Principal]]


class _Known(NamedTuple):
    principal: Principal
    until_s: float


class Identities:
    """One per process; owned by the event loop. ``of_key`` and ``of_cookie`` ask auth."""

    def __init__(self, tokens: Tokens, clock: Clock, *, of_key: OfKey, of_cookie: OfCookie) -> None:
        self._tokens = tokens
        self._clock = clock
        self._of_key = of_key
        self._of_cookie = of_cookie
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._changes = 0

    async def principal(self, credential: str, *, address: str = "", cookie: bool = False) -> Principal:
        """The caller; NotAuthenticated (or auth's own 401) for nobody. Keys may be bound to addresses."""
        if not credential.isascii():
            raise NotAuthenticated
        if credential.startswith(KEY_PREFIXES):
            return await self._ask(f"{address} {credential}", lambda: self._of_key(credential, address))
        if (cookie and "." not in credential) or credential.startswith(PASS_PREFIX):
            return await self._ask(credential, lambda: self._of_cookie(credential))
        return await self._tokens.principal(credential)

    async def of_socket(self, credential: str, upgrade: Upgrade) -> Principal:
        """The owner of a socket: by an access token or a stream token, an API key, or with the word
        ``cookie`` by the cookie the upgrade came with."""
        if credential == COOKIE_WORD:
            if upgrade.token:
                return await self.principal(upgrade.token, address=upgrade.address)
            if upgrade.session:
                return await self.principal(upgrade.session, address=upgrade.address, cookie=True)
            raise NotAuthenticated
        if credential.startswith(KEY_PREFIXES):
            principal = await self.principal(credential, address=upgrade.address)
            if principal.resource:
                raise NotAuthenticated("this token counts for another resource")
            return principal
        return await self._tokens.stream_principal(credential)

    async def _ask(self, credential: str, ask: Callable[[], Awaitable[Principal]]) -> Principal:
        if len(credential) > CREDENTIAL_CHARS_MAX:
            raise NotAuthenticated
        digest = blake2b(credential.encode(), digest_size=16).digest()
        known = self._known.get(digest)
        if known is not None and self._still_good(known):
            self._known.move_to_end(digest)
            return known.principal
        self._known.pop(digest, None)
        changes = self._changes
        principal = await ask()
        if not self._tokens.allows(principal):
            raise NotAuthenticated
        if changes != self._changes:  # somebody changed while auth answered: it may have been this person
            return principal
        self._known[digest] = _Known(principal, self._clock.monotonic_s() + REMEMBER_S)
        if len(self._known) > REMEMBERED_MAX:
            self._known.popitem(last=False)
        return principal

    def _still_good(self, known: _Known) -> bool:
        principal = known.principal
        if self._clock.monotonic_s() >= known.until_s or not self._tokens.allows(principal):
            return False
        return not principal.expires_at or self._clock.now_ms() < principal.expires_at * 1000

    def changed(self, person: PersonChanged) -> None:
        """Ask again for everything of this person."""
        self._changes += 1
        self._known = OrderedDict(
            (digest, known)
            for digest, known in self._known.items()
            if known.principal.person_id != person.person_id
        )

    def forget(self) -> None:
        """Ask again for everybody: staff has changed somebody, and the next call must show it."""
        self._changes += 1
        self._known.clear()
