"""Nothing of a command waits for the garbage collector: what that has looked at once is kept for ever."""

from __future__ import annotations

import gc

from libs.common.errors import AppError
from tests.integration.trading.stage import Stage

CALLS = 40


async def test_neither_acks_nor_refusals_leave_cycles_behind(stage: Stage) -> None:
    await stage.account()

    async def calls(volume: int) -> int:
        refused = 0
        for _ in range(CALLS):
            try:
                await stage.buy(volume=volume)
            except AppError:
                refused += 1
        return refused

    async def garbage_of(volume: int, refused: int) -> int:
        assert await calls(volume) == refused
        gc.collect()
        gc.disable()
        try:
            await calls(volume)
            return gc.collect()
        finally:
            gc.enable()

    assert await garbage_of(1, 0) < CALLS
    assert await garbage_of(10**9, CALLS) < CALLS
    assert await garbage_of(-1, CALLS) < CALLS
