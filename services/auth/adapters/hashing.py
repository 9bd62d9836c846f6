"""Password hashing off the event loop: a few threads, a bounded queue, the lowest place in the line.

One check costs some 20 ms and 19 MiB on purpose. Threads run it because argon2 releases the interpreter;
they are few and nicer than the rest of the process, so that a storm of sign-ins waits for itself and
not the others for it. Beyond ``waiting_max`` a caller is refused at once.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from services.auth.errors import Busy
from services.auth.metrics import hashing_seconds, hashing_waiting
from services.auth.passwords import LANES, MEMORY_KIB, PASSES

NICENESS = 10
T = TypeVar("T")


class Hasher:
    """argon2id in a bounded pool. Close at the end."""

    def __init__(self, *, threads: int | None = None, waiting_max: int = 400) -> None:
        self._argon2 = PasswordHasher(
            time_cost=PASSES,
            memory_cost=MEMORY_KIB,
            parallelism=LANES,
            hash_len=32,
            salt_len=16,
            type=Type.ID,
        )
        self._pool = ThreadPoolExecutor(
            threads or max(1, (os.cpu_count() or 2) // 2),
            thread_name_prefix="argon2",
            initializer=_step_back,
        )
        self._waiting = 0
        self._waiting_max = waiting_max
        # Somebody's password to check when there is no such user: the same work, the same time.
        self._nobody = self._argon2.hash("nobody has this password")

    async def hash(self, password: str) -> str:
        """The encoded argon2id hash."""
        return await self._run(lambda: self._argon2.hash(password))

    async def matches(self, encoded: str | None, password: str) -> bool:
        """Whether the password is the one; without a hash it takes as long and is False."""
        return await self._run(lambda: self._verify(encoded, password))

    async def which(self, first: str | None, second: str | None, password: str) -> int | None:
        """0 or 1 for the hash that the password has, None for neither, which always costs two checks.

        Both checks are one piece of work: in pieces, the guesses of a crowd would all be made before the
        first failure of them could be counted.
        """

        def look() -> int | None:
            if self._verify(first, password):
                return 0
            return 1 if self._verify(second, password) else None

        return await self._run(look)

    def outdated(self, encoded: str) -> bool:
        """Whether the hash was made with other parameters than today's."""
        return self._argon2.check_needs_rehash(encoded)

    def close(self) -> None:
        """Wait for what is being hashed."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _verify(self, encoded: str | None, password: str) -> bool:
        try:
            self._argon2.verify(encoded or self._nobody, password)
        except (VerificationError, InvalidHashError):
            return False
        return encoded is not None

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= self._waiting_max:
            raise Busy
        self._waiting += 1
        hashing_waiting.set(self._waiting)
        try:
            with hashing_seconds.time():
                return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1
            hashing_waiting.set(self._waiting)


def _step_back() -> None:
    try:
        # On Linux niceness belongs to the thread.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
    except OSError:
        pass  # not allowed here: hashing then competes as everybody does
