"""Texts that came from outside and are kept: those of feeds and of callers. Owned by the event loop.

The first word about an id holds. Never: a text dated later than it came; more than ``TEXTS_MAX`` in memory;
one older than ``KEPT_DAYS``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from libs.common.clock import Clock
from libs.common.db import Database
from libs.common.lease import Guard
from services.scanner import metrics
from services.scanner.signals.measures import DAY_MS
from services.scanner.signals.text_store import TextStore
from services.scanner.signals.texts import USUAL_DAYS, Document

TEXTS_MAX = 50_000
KEPT_DAYS = USUAL_DAYS + 10
PRUNE_MS = DAY_MS


class KeptTexts:
    """See the module's text. ``load`` before anything else."""

    def __init__(self, database: Database, store: TextStore, clock: Clock, guard: Guard) -> None:
        self._database = database
        self._store = store
        self._clock = clock
        self._guard = guard
        self._lock = asyncio.Lock()
        self._loaded = False
        self._pruned_ms = 0
        self._documents: list[Document] = []

    async def documents(self) -> list[Document]:
        """Every text, newest last; the same list while nothing came."""
        await self._load()
        return self._documents

    async def add(self, documents: Sequence[Document], way: str) -> int:
        """Take texts that came by a ``way``; how many were new."""
        await self._load()
        now_ms = self._clock.now_ms()
        oldest_ms = now_ms - KEPT_DAYS * DAY_MS
        given = {
            one.id: msgspec.structs.replace(one, published_ms=min(one.published_ms, now_ms))
            for one in reversed(documents)
            if one.published_ms >= oldest_ms
        }
        if not given:
            return 0
        async with self._lock:
            async with self._database.transaction() as tx:
                await self._guard.check(tx)
                new = await self._store.add_texts(tx, list(given.values()))
                if now_ms - self._pruned_ms >= PRUNE_MS:
                    await self._store.drop_texts(tx, oldest_ms)
            if now_ms - self._pruned_ms >= PRUNE_MS:
                self._pruned_ms = now_ms
            if new:
                came = sorted((given[id_] for id_ in new), key=lambda one: one.published_ms)
                held = [one for one in self._documents if one.published_ms >= oldest_ms]
                self._documents = [*held, *came][-TEXTS_MAX:]
        metrics.texts_taken.labels(way).inc(len(new))
        return len(new)

    async def _load(self) -> None:
        if self._loaded:
            return
        async with self._lock:
            if not self._loaded:
                since_ms = self._clock.now_ms() - KEPT_DAYS * DAY_MS
                async with self._database.connection() as connection:
                    newest = await self._store.texts(connection, since_ms, TEXTS_MAX)
                self._documents = newest[::-1]
                self._loaded = True
