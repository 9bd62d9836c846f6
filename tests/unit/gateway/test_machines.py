"""Limits across machines: calls at gateways with tables of their own count as if there were one table."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.bus_memory import MemoryBus
from libs.common.clock import ManualClock
from services.gateway.limits.limiter import Limiter
from services.gateway.limits.machines import SILENT_S, Machines
from services.gateway.limits.shared import SharedWindows
from services.gateway.limits.spans import SharedSpans
from services.gateway.limits.tables import Bucket, Tables
from services.gateway.limits.windows import FRESH, hit, rule_of
from tests.conftest import wait_until

START = datetime(2026, 1, 31, 12, 0, 5, tzinfo=UTC)
RATE = rule_of(60, 60_000)
BURST = rule_of(20, 1_000)


class Machine(NamedTuple):
    """A gateway process on a machine of its own."""

    limiter: Limiter
    tables: Tables
    asked: list[str]


@asynccontextmanager
async def machines(
    folder: Path, bus: MemoryBus, clock: ManualClock, count: int
) -> AsyncIterator[list[Machine]]:
    """So many machines that have heard of one another; the first came first."""
    made: list[Machine] = []
    for number in range(count):
        place = folder / str(number)
        windows, spans = SharedWindows(place / "limits", clock), SharedSpans(place / "spans", clock)
        asked: list[str] = []
        tables = Tables(windows, spans)
        made.append(Machine(Limiter(tables, bus, clock, on_asked=asked.append), tables, asked))
        clock.advance(0.001)
        await made[-1].limiter.start()

    async def agreed() -> bool:
        return [m.limiter.here for m in made] == [True] + [False] * (count - 1)

    await wait_until(agreed)
    try:
        yield made
    finally:
        for machine in made:
            await machine.limiter.stop()


def scan(who: str) -> tuple[Bucket, Bucket]:
    """A burst and a rate, as the scan surface has them."""
    return Bucket(f"burst|{who}", BURST, shown=False), Bucket(f"rate|{who}", RATE)


async def test_parallel_calls_at_three_machines_get_exactly_the_limit(tmp_path: Path) -> None:
    clock, bus = ManualClock(START), MemoryBus()
    async with machines(tmp_path, bus, clock, 3) as made:
        taken = 0
        for _ in range(5):  # each second a burst at all of them at once
            calls = [made[n % 3].limiter.count(scan("a")) for n in range(99)]
            taken += sum(counted.taken for counted in await asyncio.gather(*calls))
            clock.advance(1)
        assert taken == 60
        refused = await made[2].limiter.count(scan("a"))
        assert (refused.taken, refused.remaining) == (False, 0)
        assert refused.refused_until_ms == refused.resets_ms
        assert made[2].limiter.look(scan("a")).remaining == 0  # who only looks is told the same
    await bus.close()


async def test_a_refusal_is_asked_for_once(tmp_path: Path) -> None:
    clock, bus = ManualClock(START), MemoryBus()
    bucket = (Bucket("rate|b", rule_of(2, 60_000)),)
    async with machines(tmp_path, bus, clock, 2) as (_, other):
        assert [(await other.limiter.count(bucket)).taken for _ in range(9)] == [True] * 2 + [False] * 7
        assert len(other.asked) == 3
        clock.advance(60)
        assert (await other.limiter.count(bucket)).taken
    await bus.close()


async def test_when_the_machine_that_counts_goes_away_the_next_one_does(tmp_path: Path) -> None:
    clock, bus = ManualClock(START), MemoryBus()
    bucket = (Bucket("rate|c", rule_of(3, 60_000)),)
    async with machines(tmp_path, bus, clock, 3) as (first, second, third):
        await third.limiter.count(bucket)
        await first.limiter.stop()
        taken = [(await m.limiter.count(bucket)).taken for m in (third, second, third, second, third)]
        assert taken == [True, True, True, False, False]  # from nothing, and together
        assert second.limiter.here and not third.limiter.here
    await bus.close()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 20_000)), max_size=60))
def test_any_calls_anywhere_count_as_in_one_table(
    tmp_path_factory: pytest.TempPathFactory, calls: list[tuple[int, int, int]]
) -> None:
    async def run() -> None:
        clock, bus = ManualClock(START), MemoryBus()
        rule, states = rule_of(3, 60_000), dict.fromkeys(range(3), FRESH)
        async with machines(tmp_path_factory.mktemp("machines"), bus, clock, 3) as made:
            for machine, key, gap_ms in calls:
                clock.advance(gap_ms / 1000)
                states[key], expected = hit(states[key], rule, clock.now_ms())
                counted = await made[machine].limiter.count((Bucket(f"key {key}", rule),))
                assert (counted.taken, counted.remaining, counted.resets_ms) == expected
        await bus.close()

    asyncio.run(run())


@given(
    st.dictionaries(st.integers(1, 99), st.integers(0, 5), min_size=1, max_size=6),
    st.randoms(use_true_random=False),
)
def test_all_agree_on_the_machine_that_counts(since: dict[int, int], random: object) -> None:
    first = min(since, key=lambda machine: (since[machine], machine))
    for own, came in since.items():
        others = [machine for machine in since if machine != own]
        random.shuffle(others)  # type: ignore[attr-defined]
        known = Machines(own, came)
        for machine in others:
            assert known.heard(machine, since[machine], 0.0) and not known.heard(machine, since[machine], 0.0)
        assert known.counting == (None if own == first else first)
        known.look(SILENT_S)
        assert known.counting == (None if own == first else first)
        known.look(SILENT_S + 0.1)
        assert known.counting is None


def test_a_process_that_starts_again_takes_its_machines_beginning_from_its_siblings() -> None:
    known = Machines(7, 2_000)
    known.heard(8, 1_500, 0.0)
    assert known.counting == 8
    known.heard(7, 1_000, 0.0)
    assert (known.counting, known.since_ms) == (None, 1_000)
