"""The intake: asking the anchor's sources, polling the source of pools, moving the sample, the desk's beat.

Lifecycle: ``start`` begins the tasks, ``stop`` ends them and stores what is left. Each round catches what
goes wrong in it, counts it, and waits before the next: a source can be away for as long as it likes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog

from libs.common.clock import Clock
from libs.common.errors import AppError
from services.pricing import metrics, sample
from services.pricing.desk import SAMPLE, Desk
from services.pricing.oracle import SourcePrice
from services.pricing.sources import AnchorSource, PoolGraph, PoolSource, SourceFailed
from services.pricing.tokens import GraphInvalid

log = structlog.get_logger()

BEAT_S = 1.0
ASK_S_MAX = 10.0


class Intake:
    """Keeps a desk going. ``quotes`` gives the house's mid prices where the sample follows them."""

    def __init__(
        self,
        desk: Desk,
        clock: Clock,
        *,
        anchors: Sequence[AnchorSource],
        anchor_poll_s: float,
        pools: PoolSource | None,
        pools_name: str,
        pools_poll_s: float,
        quotes: Callable[[], Mapping[str, float]] | None,
    ) -> None:
        self._desk = desk
        self._clock = clock
        self._anchors = tuple(anchors)
        self._anchor_poll_s = anchor_poll_s
        self._pools = pools
        self._pools_name = pools_name
        self._pools_poll_s = pools_poll_s
        self._quotes = quotes
        self._tasks: list[asyncio.Task[None]] = []
        self.pools_error = ""

    async def start(self) -> None:
        """One round of each at once, so that the first answer is whole; then on and on."""
        await self.ask_anchors()
        await self._once("pools", self._look_at_pools)
        await self._once("beat", self._beat)
        self._begin("anchors", self.ask_anchors, self._anchor_poll_s)
        self._begin("beat", self._beat, BEAT_S)
        if self._pools is not None:
            self._begin("pools", self._look_at_pools, self._pools_poll_s)

    async def stop(self) -> None:
        """End the rounds and store the bars under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            await self._desk.keep_bars(self._clock.now_ms(), everything=True)
        except AppError as e:
            log.warning("the last bars were not stored", error=str(e))

    def _begin(self, name: str, act: Callable[[], Awaitable[None]], every_s: float) -> None:
        async def run() -> None:
            while True:
                await asyncio.sleep(every_s)
                await self._once(name, act)

        self._tasks.append(asyncio.create_task(run(), name=f"pricing {name}"))

    async def _once(self, name: str, act: Callable[[], Awaitable[None]]) -> None:
        try:
            await act()
        except Exception:
            log.exception("round failed", round=name)

    # ── the rounds ────────────────────────────────────────────────────────────────────────────────

    async def ask_anchors(self) -> None:
        """Ask every source whose circuit is closed, all at once."""
        now_ms = self._clock.now_ms()
        remote = [source.name for source in self._anchors if source.remote]
        let = set(self._desk.oracle.to_ask(remote, now_ms))
        asked = [source for source in self._anchors if not source.remote or source.name in let]
        answers = await asyncio.gather(*(self._ask(source) for source in asked))
        said = [answer for answer in answers if isinstance(answer, SourcePrice)]
        errors = {
            source.name: answer
            for source, answer in zip(asked, answers, strict=True)
            if isinstance(answer, str)
        }
        self._desk.heard(said, errors)

    async def _ask(self, source: AnchorSource) -> SourcePrice | str:
        """The source's price, or what went wrong."""
        try:
            async with asyncio.timeout(ASK_S_MAX):
                return SourcePrice(source.name, await source.price(), source.priority)
        except (SourceFailed, TimeoutError) as e:
            return str(e) or "did not answer in time"

    async def _look_at_pools(self) -> None:
        if self._pools is None:
            return
        try:
            graph = await self._pools.fetch()
            if graph is not None:
                await self._desk.take(graph, self._pools_name)
            self.pools_error = ""
        except (SourceFailed, GraphInvalid) as e:
            metrics.SOURCE_FAILURES.labels("pools").inc()
            if str(e) != self.pools_error:
                log.warning("the source of pools gives no graph", error=str(e))
            self.pools_error = str(e)

    async def _beat(self) -> None:
        await self._move_sample()
        await self._desk.beat()

    async def _move_sample(self) -> None:
        """Let the sample's reserves follow the quotes, until another graph is in force."""
        if self._quotes is None or self._desk.origin not in ("", SAMPLE):
            return
        quotes = self._quotes()
        if sample.SYMBOLS[0] in quotes:
            pools = sample.pools(quotes, self._clock.now_ms())
            held = {side for pool in pools for side in (pool.a, pool.b)}
            tokens = [token for token in sample.tokens() if token.id in held or token.lp_pool]
            await self._desk.take(PoolGraph(tokens, pools, sample.ANCHOR_ID), SAMPLE)
