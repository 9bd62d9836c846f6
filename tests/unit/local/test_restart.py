"""The delay before a crashed process is tried again."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from deploy.local.restart import RestartPolicy
from libs.common.clock import ManualClock


def crash_after(policy: RestartPolicy, clock: ManualClock, seconds: float) -> float:
    policy.started()
    clock.advance(seconds)
    return policy.delay_s()


def a_clock() -> ManualClock:
    return ManualClock(datetime(2026, 1, 1, tzinfo=UTC))


def test_the_delay_doubles_from_half_a_second_to_thirty() -> None:
    clock = a_clock()
    policy = RestartPolicy(clock)
    assert [crash_after(policy, clock, 1) for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_a_minute_of_health_starts_the_delay_again() -> None:
    clock = a_clock()
    policy = RestartPolicy(clock)
    delays = [crash_after(policy, clock, seconds) for seconds in (1, 1, 59.9, 60, 1)]
    assert delays == [0.5, 1, 2, 0.5, 1]


def test_a_process_that_never_started_counts_as_crashed() -> None:
    policy = RestartPolicy(a_clock())
    assert [policy.delay_s(), policy.delay_s()] == [0.5, 1]


@given(st.lists(st.floats(0, 200), max_size=2_000))
def test_the_delay_stays_between_its_bounds_for_ever(runs: list[float]) -> None:
    clock = a_clock()
    policy = RestartPolicy(clock)
    for seconds in runs:
        assert 0.5 <= crash_after(policy, clock, seconds) <= 30
