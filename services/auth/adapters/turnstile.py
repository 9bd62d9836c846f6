"""How many calls that check a password are under way at once; the rest wait outside, in order.

Without it a crowd of sign-ins would stand in every queue of the service before the first password is
checked, and a read that comes later would wait behind all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.auth.errors import Busy
from services.auth.metrics import doors_waiting


class Turnstile:
    """Lets ``inside_max`` in; at most ``waiting_max`` wait, more are refused at once."""

    def __init__(self, *, inside_max: int, waiting_max: int) -> None:
        self._inside = asyncio.Semaphore(inside_max)
        self._waiting_max = waiting_max
        self._waiting = 0

    @asynccontextmanager
    async def passed(self) -> AsyncIterator[None]:
        """Be inside."""
        if self._waiting >= self._waiting_max:
            raise Busy
        self._waiting += 1
        doors_waiting.set(self._waiting)
        try:
            await self._inside.acquire()
        finally:
            self._waiting -= 1
            doors_waiting.set(self._waiting)
        try:
            yield
        finally:
            self._inside.release()
