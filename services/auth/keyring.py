"""The ring of signing keys in this process: loaded from the store, refreshed, rotated.

Lifecycle: ``open`` at start makes the first keys; ``refresh`` runs every minute and takes over what
another process rotated; a rotation is safe while other processes still sign with the key before it,
because that key stays public for a token's lifetime and the new one was public before.
"""

from __future__ import annotations

from typing import Any

import structlog

from libs.common.clock import Clock
from libs.common.db import Connection, Database
from libs.common.errors import ConfigInvalid, invariant
from libs.common.ids import Ids
from libs.common.tokens import Claims, PublicKeys
from services.auth.keys import (
    KeyState,
    SigningKey,
    StoredKey,
    make_key,
    missing_states,
    open_key,
    outlived,
    plan_rotation,
)
from services.auth.sealing import SealBroken, Sealer
from services.auth.store import Store
from services.auth.tokens import ACCESS_S, sign

log = structlog.get_logger()

DAY_MS = 86_400_000
ROTATE_AFTER_MS = 30 * DAY_MS
RETIRING_MS = ACCESS_S * 1000 + 3_600_000  # another process may sign with it for a little longer


class KeyRing:
    """Signs with the active key and knows every public one."""

    def __init__(self, database: Database, store: Store, sealer: Sealer, clock: Clock, ids: Ids) -> None:
        self._database = database
        self._store = store
        self._sealer = sealer
        self._clock = clock
        self._ids = ids
        self._active: SigningKey | None = None
        self._stored: list[StoredKey] = []
        self.public = PublicKeys({})

    async def open(self) -> None:
        """Load the ring; the first start makes it."""
        async with self._database.transaction() as tx:
            await self._store.lock_keys(tx)
            ring = await self._store.signing_keys(tx)
            for state in missing_states(ring):
                await self._store.insert_signing_key(tx, self._new(state))
        await self._load()

    async def refresh(self) -> None:
        """Take over other processes' rotations; rotate when the active key is old; forget outlived keys."""
        await self._load()
        now_ms = self._clock.now_ms()
        active = next(k for k in self._stored if k.state is KeyState.ACTIVE)
        dead = outlived(self._stored, now_ms=now_ms, token_ms_max=RETIRING_MS)
        if dead:
            async with self._database.transaction() as tx:
                await self._store.delete_signing_keys(tx, dead)
            await self._load()
        # The age of a key counts from when it was made, one rotation before it began to sign.
        if now_ms - active.created_ms > 2 * ROTATE_AFTER_MS:
            await self.rotate()

    async def rotate(self) -> str:
        """The next key signs from now on; the kid that does."""
        async with self._database.transaction() as tx:
            await self._store.lock_keys(tx)
            await self._rotate(tx)
        await self._load()
        invariant(self._active is not None, "there is an active signing key")
        return self._active.kid if self._active else ""

    async def _rotate(self, tx: Connection) -> None:
        plan = plan_rotation(await self._store.signing_keys(tx))
        if plan.retire is not None:
            await self._store.set_key_state(tx, plan.retire, KeyState.RETIRING, self._clock.now_ms())
        if plan.activate is not None:
            await self._store.set_key_state(tx, plan.activate, KeyState.ACTIVE)
        for state in plan.missing:
            await self._store.insert_signing_key(tx, self._new(state))
        log.info("signing key rotated", active=plan.activate, retiring=plan.retire)

    def sign(self, claims: Claims) -> str:
        """A token signed with the active key."""
        if self._active is None:
            raise RuntimeError("the key ring was not opened")
        return sign(claims, self._active)

    def jwks(self) -> list[dict[str, Any]]:
        """Every public key, in the form of RFC 7517."""
        return [key.jwk() for key in self._stored]

    async def _load(self) -> None:
        async with self._database.connection() as db:
            stored = await self._store.signing_keys(db)
        active = next(k for k in stored if k.state is KeyState.ACTIVE)
        try:
            self._active = open_key(active, self._sealer)
        except SealBroken as e:
            raise ConfigInvalid(
                "TRADEWIND_SECRET_KEY (or secret.key in the data folder) is not the one the signing keys "
                "were sealed with: restore it from your backup"
            ) from e
        self._stored = stored
        self.public = PublicKeys({key.kid: key.public_key() for key in stored})

    def _new(self, state: KeyState) -> StoredKey:
        return make_key(self._ids.token(32), self._ids.token(32), self._sealer, state, self._clock.now_ms())
