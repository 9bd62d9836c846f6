"""The exporter: asked by Prometheus, it asks the house's servers and answers with what they say.

Nothing is polled between scrapes: a house nobody watches pays nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from libs.common.telemetry import Probes

Source = Callable[[], Awaitable[Sequence[Metric]]]


class Exporter(Collector):
    """Serves ``/metrics`` with what ``sources`` say at each scrape."""

    def __init__(self, port: int, sources: Sequence[Source], host: str = "127.0.0.1") -> None:
        self._sources = tuple(sources)
        self._found: list[Metric] = []
        registry = CollectorRegistry()
        registry.register(self)
        self._probes = Probes(port, _nothing_wrong, host, registry=registry, before=self._ask)

    async def start(self) -> None:
        """Listen; ConfigInvalid says why the port can't be had."""
        await self._probes.start()

    async def stop(self) -> None:
        """Stop listening."""
        await self._probes.stop()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._probes.port

    def collect(self) -> Iterable[Metric]:
        """What the sources said last."""
        return self._found

    async def _ask(self) -> None:
        answers = await asyncio.gather(*(source() for source in self._sources))
        self._found = [metric for answer in answers for metric in answer]


async def _nothing_wrong() -> tuple[str, ...]:
    return ()
