"""Auth is told of every change of a tier, also of one that comes while it is told of the one before."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from libs.common.db import Database
from services.billing.plan_store import PlanStore

NOW = 1_790_000_000_000


async def test_a_change_that_comes_while_another_is_told_stays_due(
    database: Callable[[str], Awaitable[Database]],
) -> None:
    pool, plans = await database("billing"), PlanStore()

    async def changed(due_ms: int) -> None:
        async with pool.transaction() as tx:
            await plans.tier_due(tx, 7, due_ms)

    async def due(now_ms: int) -> list[int]:
        async with pool.connection() as db:
            return [change for person, change in await plans.tiers_due(db, now_ms, 10) if person == 7]

    async def told(change: int, next_ms: int) -> None:
        async with pool.transaction() as tx:
            await plans.tier_told(tx, 7, change, next_ms)

    await changed(NOW)
    (first,) = await due(NOW)
    await changed(NOW)  # while the first is told; at the same moment, as far as the clock can tell
    await told(first, 0)
    (second,) = await due(NOW)
    assert second != first
    await told(first, 0)  # again, by another process
    assert await due(NOW) == [second]
    await told(second, NOW + 1_000)  # its tier changes by itself later
    assert await due(NOW) == []
    (third,) = await due(NOW + 1_000)
    await changed(NOW + 500)
    await told(third, 0)
    (last,) = await due(NOW + 500)
    await told(last, 0)
    assert await due(NOW + 10_000) == []
