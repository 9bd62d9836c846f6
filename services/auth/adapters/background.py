"""Work that an answer must not wait for, since its time would tell something."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

log = structlog.get_logger()

TASKS_MAX = 200


class Background:
    """A bounded crowd of tasks; what does not fit is dropped and said."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def run(self, what: str, work: Coroutine[Any, Any, None]) -> None:
        """Begin now, answer before it ends."""
        if len(self._tasks) >= TASKS_MAX:
            work.close()
            log.warning("background work dropped", what=what, waiting=len(self._tasks))
            return
        task = asyncio.create_task(work, name=what)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("background work failed", what=task.get_name(), error=str(task.exception()))

    async def close(self) -> None:
        """Wait for what is under way, within a bound."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)
