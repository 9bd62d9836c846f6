"""When a batch of the meter waits for more: where several come at once, never for a caller alone."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from libs.common.clock import ManualClock
from services.billing.meter import Hold, Outcome
from services.billing.writer import LINGER_CALLS, Batcher, Ground

WRITE_S = 0.002


class Table:
    """A batcher whose writes take two milliseconds of a clock that only they move."""

    def __init__(self) -> None:
        nothing: Any = None
        self.clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
        self.batcher = Batcher(Ground(nothing, nothing, self.clock, nothing, nothing))
        self.sizes: list[int] = []
        self.waited: list[bool] = []
        expects, batcher = self.batcher._expects_more, self.batcher

        def expects_more() -> bool:
            self.waited.append(expects())
            return self.waited[-1]

        async def write(batch: Any) -> None:
            self.sizes.append(len(batch))
            for _ in range(5):  # meanwhile others come
                await asyncio.sleep(0)
            self.clock.advance(WRITE_S)
            for _, future in batch:
                future.set_result(Outcome(1, 1))

        batcher._expects_more = expects_more  # type: ignore[method-assign]
        batcher._write = write  # type: ignore[method-assign]

    async def run(self, callers: int, calls: int) -> None:
        """So many callers, each with so many calls in a row."""
        running = asyncio.create_task(self.batcher.run())

        async def caller() -> None:
            for _ in range(calls):
                await self.batcher.do(Hold("id", "POST /x", "w", 1, 1))

        await asyncio.gather(*(caller() for _ in range(callers)))
        self.batcher.stop()
        await running


async def test_a_caller_alone_waits_for_nobody() -> None:
    table = Table()
    await table.run(callers=1, calls=100)
    assert table.sizes == [1] * 100 and not any(table.waited)


async def test_many_at_once_are_written_together_and_a_large_batch_does_not_wait() -> None:
    table = Table()
    await table.run(callers=4 * LINGER_CALLS, calls=5)
    assert sum(table.sizes) == 4 * LINGER_CALLS * 5
    assert max(table.sizes) >= LINGER_CALLS and len(table.sizes) <= 20
    assert sum(table.waited) <= 2


async def test_a_stream_of_callers_is_waited_for() -> None:
    table = Table()
    running = asyncio.create_task(table.batcher.run())
    calls = []
    for _ in range(200):  # a thousand a second, none of them after another
        calls.append(asyncio.create_task(table.batcher.do(Hold("id", "POST /x", "w", 1, 1))))
        table.clock.advance(0.001)
        await asyncio.sleep(0)
    await asyncio.gather(*calls)
    table.batcher.stop()
    await running
    assert any(table.waited) and sum(table.sizes) == 200
