"""Listens for codes that people send to the Telegram bot, while any binding waits for one.

Telegram lets one caller at a time fetch a bot's messages, so several notifiers take turns by chance: whoever
is refused waits and asks again.
"""

from __future__ import annotations

import asyncio

import structlog

from services.notifier.binding import Binder
from services.notifier.channels.outbound import CallRefused, NoAnswer, NotSent
from services.notifier.channels.telegram import TelegramChannel

log = structlog.get_logger()

LOOK_S = 15.0
RETRY_S = 3.0
PAUSE_S = 0.5


class TelegramListener:
    """Idle unless a code is awaited (``awaited`` is set then): then one long poll after the other."""

    def __init__(self, telegram: TelegramChannel, binder: Binder, awaited: asyncio.Event) -> None:
        self._telegram = telegram
        self._binder = binder
        self._awaited = awaited
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin, where there is a bot."""
        if self._telegram.is_on:
            self._task = asyncio.create_task(self._run(), name="telegram listener")

    async def stop(self) -> None:
        """Listen no more. What was heard and not answered is heard again."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            self._awaited.clear()
            try:
                if await self._binder.is_awaited("telegram"):
                    await self._listen()
                    continue
            except (CallRefused, NotSent, NoAnswer) as e:
                log.warning("telegram bot does not hear", reason=str(e))
                await asyncio.sleep(RETRY_S)
                continue
            except Exception as e:
                log.warning("telegram listener failed", error=f"{type(e).__name__}: {e}")
                await asyncio.sleep(RETRY_S)
                continue
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._awaited.wait()
            except TimeoutError:
                pass

    async def _listen(self) -> None:
        heard = await self._telegram.listen()
        if not heard:
            await asyncio.sleep(PAUSE_S)  # a poll that comes back at once must not spin
        for told in heard:
            bound = await self._binder.heard(told)
            if bound is not None:
                log.info("telegram chat bound", recipient=bound)
