"""Checking passwords at every door: bounded, throttled, and telling nothing by its time."""

from __future__ import annotations

from libs.common.clock import Clock
from libs.common.db import Database
from services.auth.adapters.hashing import Hasher
from services.auth.errors import BadCredentials, TooFrequent
from services.auth.metrics import sign_ins
from services.auth.store import Store
from services.auth.throttle import network_of, wait_s


class Doorkeeper:
    """One for all doors, so that guesses at one count at the others of the same name."""

    def __init__(self, database: Database, store: Store, hasher: Hasher, clock: Clock) -> None:
        self._database = database
        self._store = store
        self._hasher = hasher
        self._clock = clock

    async def admit(
        self,
        *,
        door: str,
        name: str,
        address: str,
        password: str,
        encoded: str | None,
        second: str | None = None,
    ) -> bool:
        """True for the password, False for the second one; BadCredentials or TooFrequent for neither.

        ``name`` is what was asked for, known or not. Every wrong guess costs two checks, whether the user
        exists or has a second password or not. The failures are counted before the work and again after
        it: of many guesses under way at once, those behind the tenth wrong one learn nothing.
        """
        network = network_of(address)
        await self.hold(door, name, network)
        which = await self._hasher.which(encoded, second, password)
        if which is None:
            await self.count(door, name, network)
            raise BadCredentials
        await self.hold(door, name, network)
        async with self._database.connection() as db:
            await self._store.forget_failures_of(db, network, name)
        return which == 0

    async def hold(self, door: str, name: str, network: str) -> None:
        """TooFrequent while the address has given too many wrong passwords."""
        async with self._database.connection() as db:
            failures = await self._store.failures(db, network, name, self._clock.now_ms())
        wait = wait_s(failures, self._clock.now_ms())
        if wait:
            sign_ins.labels(door, "throttled").inc()
            raise TooFrequent(wait)

    async def count(self, door: str, name: str, network: str) -> None:
        """A wrong password was given."""
        sign_ins.labels(door, "refused").inc()
        async with self._database.connection() as db:
            await self._store.insert_failure(db, network, name, self._clock.now_ms())

    async def keep_up(self, person_id: int, encoded: str, password: str) -> None:
        """A person came in by this password: hash it anew when today's parameters are others."""
        now = await self.rehashed(encoded, password)
        if now is not None:
            async with self._database.connection() as db:
                await self._store.rehash_person_password(db, person_id, encoded, now)

    async def rehashed(self, encoded: str, password: str) -> str | None:
        """The same password under today's parameters; None when it is already."""
        if not self._hasher.outdated(encoded):
            return None
        return await self._hasher.hash(password)

    async def hash(self, password: str) -> str:
        """The hash of a new password."""
        return await self._hasher.hash(password)

    async def is_password(self, encoded: str | None, password: str) -> bool:
        """Whether a chosen password is one that is in use; no guess, so nothing is counted."""
        return encoded is not None and await self._hasher.matches(encoded, password)
