"""A tool call on its way: how far it is, and that it may be stopped.

What can be stopped is waiting for the owner of a call that changes nothing: then nothing is charged, since
metering gives its hold back for every refusal. An order or an alert that was asked for is never given up
halfway: nobody would know whether it was taken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from libs.common.errors import AppError
from libs.common.subjects import Command

BEAT_S = 1.0
WHOLE = 100.0


class CallStopped(AppError):
    """Whoever asked takes it back, and nothing was changed: nothing is charged, and nobody is told."""

    code = "CALL_STOPPED"
    http_status = 499


Report = Callable[[float, float, str], Awaitable[None]]


class Watch:
    """One call. ``report`` takes how much of the time it may take has gone (0 to 100), and words for people;
    None when nobody wants to know."""

    def __init__(self) -> None:
        self.report: Report | None = None
        self._stopped = asyncio.Event()
        self._asking: asyncio.Future[bytes] | None = None

    def stop(self) -> None:
        """Whoever asked wants no answer any more."""
        self._stopped.set()
        if self._asking is not None:
            self._asking.cancel()

    async def asked(self, command: Command[Any, Any], asking: Coroutine[Any, Any, bytes]) -> bytes:
        """The owner's answer to ``command``; CallStopped when nobody wants it any more and nothing was
        changed. Tells how far it is meanwhile."""
        if self._stopped.is_set():
            asking.close()
            raise CallStopped
        task = asyncio.ensure_future(asking)
        if not command.effect:
            self._asking = task
        beats = asyncio.ensure_future(self._beat(command)) if self.report is not None else None
        try:
            answer = await task
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if self._stopped.is_set() and not (current is not None and current.cancelling()):
                raise CallStopped from None
            raise  # this process ends
        finally:
            self._asking = None
            if beats is not None:
                beats.cancel()
        if self.report is not None:
            await self.report(WHOLE, WHOLE, f"{command.owner} has answered")
        return answer

    async def _beat(self, command: Command[Any, Any]) -> None:
        report, seconds = self.report, 0.0
        if report is None:
            return
        await report(0.0, WHOLE, f"{command.owner} was asked")
        while True:
            await asyncio.sleep(BEAT_S)
            seconds += BEAT_S
            part = min(seconds / command.timeout_s, 0.99)
            words = f"{command.owner} is at it: {seconds:g} s of at most {command.timeout_s:g} s"
            await report(part * WHOLE, WHOLE, words)


class Watches:
    """The calls under way of one process, by who asks and the number they gave the call."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], list[Watch]] = {}

    @contextmanager
    def known(self, holder: str, number: str, watch: Watch) -> Iterator[None]:
        """While this lasts, the call may be stopped by its number."""
        key = (holder, number)
        self._known.setdefault(key, []).append(watch)
        try:
            yield
        finally:
            self._known[key].remove(watch)
            if not self._known[key]:
                del self._known[key]

    def stop(self, holder: str, number: str) -> None:
        """Stop that call. Clients count from one, each by itself: where two calls of a holder have the same
        number nobody can say which is meant, and neither is stopped."""
        found = self._known.get((holder, number), [])
        if len(found) == 1:
            found[0].stop()
