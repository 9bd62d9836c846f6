"""Is the stack able to work? Every service that it was told to run is asked, side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from libs.common.bus import Bus
from libs.common.clock import Clock
from libs.common.errors import AppError
from libs.common.messages.house import HealthAsk
from libs.common.subjects import health_of
from services.gateway.endpoints.house import Readiness

FRESH_S = 0.2  # what was asked a moment ago is not asked again: probes cost the services nothing
OWN = "gateway"
TRAFFIC = ("auth",)

Problems = Callable[[], Awaitable[list[str]]]


def services_of(setting: str) -> tuple[str, ...]:
    """The services the stack was told to run; every installed one where nothing was said."""
    named = tuple(name.strip() for name in setting.split(",") if name.strip())
    if named:
        return named
    return tuple(sorted(path.parent.name for path in Path(__file__).parents[1].glob("*/__main__.py")))


class Health:
    """Asks and remembers for a moment."""

    def __init__(self, bus: Bus, services: Sequence[str], own: Problems, clock: Clock) -> None:
        self._bus = bus
        self._services = tuple(services)
        self._own = own
        self._clock = clock
        self._asked: dict[bool, tuple[float, Readiness]] = {}
        self._asking: dict[bool, asyncio.Task[Readiness]] = {}

    async def readiness(self, *, traffic: bool) -> Readiness:
        """``traffic``: only what a load balancer needs to know (the bus, and auth)."""
        asked = self._asked.get(traffic)
        if asked is not None and self._clock.monotonic_s() - asked[0] < FRESH_S:
            return asked[1]
        task = self._asking.get(traffic)
        if task is None:
            task = self._asking[traffic] = asyncio.create_task(self._ask(traffic))
            task.add_done_callback(lambda done: self._asking.pop(traffic, None))
        return await asyncio.shield(task)

    async def _ask(self, traffic: bool) -> Readiness:
        wanted = TRAFFIC if traffic else tuple(name for name in self._services if name != OWN)
        answers = await asyncio.gather(*(self._ask_one(name) for name in wanted))
        services = {OWN: await self._own(), **dict(zip(wanted, answers, strict=True))}
        problems = [f"{name}: {text}" for name, texts in services.items() for text in texts]
        found = Readiness(ready=not problems, problems=problems, services=services)
        self._asked[traffic] = self._clock.monotonic_s(), found
        return found

    async def _ask_one(self, name: str) -> list[str]:
        try:
            return list((await self._bus.request(health_of(name), HealthAsk())).problems)
        except AppError as e:
            return [str(e)]
