"""How many wrong passwords an address may give, beside a simulation that keeps every second."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.auth.throttle import (
    ADDRESS_MAX,
    CLOSED_MS_MAX,
    MEMORY_MS,
    SAME_MAX,
    WINDOW_MS,
    Failure,
    network_of,
    wait_s,
)

MINUTE_MS = 60_000


def closed_until(times_ms: list[int], allowed: int) -> int:
    """The rule as it is written: cut the failures into closings, each the first run of ``allowed`` that fits
    into fifteen minutes; the n-th closing lasts 15 min × 2^n, at most eight hours."""
    until_ms, begin, closings = 0, 0, 0
    while True:
        ends = (
            end
            for end in range(begin + allowed, len(times_ms) + 1)
            if times_ms[end - 1] - times_ms[end - allowed] < WINDOW_MS
        )
        end = next(ends, None)
        if end is None:
            return until_ms
        until_ms = times_ms[end - 1] + min(WINDOW_MS * 2**closings, CLOSED_MS_MAX)
        begin, closings = end, closings + 1


def free_at(failures: list[Failure], now_ms: int) -> bool:
    known = sorted(f for f in failures if f.at_ms > now_ms - MEMORY_MS)
    everything = closed_until([f.at_ms for f in known], ADDRESS_MAX)
    same = closed_until([f.at_ms for f in known if f.same], SAME_MAX)
    return now_ms >= max(everything, same)


# Dense enough that both limits are met often, and apart enough that some have left the window.
failures_lists = st.lists(st.tuples(st.integers(0, 40), st.booleans()), min_size=0, max_size=140).map(
    lambda made: sorted((Failure(s * WINDOW_MS // 30, same) for s, same in made), reverse=True)
)


@given(failures_lists, st.integers(0, 6 * WINDOW_MS))
def test_the_wait_ends_exactly_when_a_try_may_be_made(failures: list[Failure], later_ms: int) -> None:
    now_ms = (failures[0].at_ms if failures else 0) + later_ms
    wait = wait_s(failures, now_ms)
    assert isinstance(wait, int)
    assert (wait == 0) == free_at(failures, now_ms)
    if wait:
        assert free_at(failures, now_ms + wait * 1000)
        assert not free_at(failures, now_ms + (wait - 1) * 1000)


def test_each_closing_lasts_twice_as_long_up_to_eight_hours() -> None:
    failures: list[Failure] = []
    now_ms, waits = 0, []
    for _ in range(8):
        failures += [Failure(now_ms, True)] * SAME_MAX
        waits.append(wait_s(failures[::-1], now_ms) // 60)
        now_ms += waits[-1] * MINUTE_MS
    assert waits[:6] == [15, 30, 60, 120, 240, 480]
    assert max(waits) == 480


def test_a_failure_counts_for_less_than_a_quarter_of_an_hour() -> None:
    nine = [Failure(0, True)] * (SAME_MAX - 1)
    assert wait_s([Failure(WINDOW_MS, True), *nine], WINDOW_MS) == 0
    assert wait_s([Failure(WINDOW_MS - 1, True), *nine], WINDOW_MS - 1) == 900


def test_a_day_later_everything_is_forgotten() -> None:
    failures = [Failure(0, True)] * 20
    assert wait_s(failures, 0) == 1800
    later = [Failure(MEMORY_MS, True)] * 10
    assert wait_s(later + failures, MEMORY_MS) == 900


@pytest.mark.parametrize(
    ("at_ms", "now_ms", "wait"),
    [(0, 0, 900), (0, 1, 900), (0, 1000, 899), (0, WINDOW_MS - 1, 1), (0, WINDOW_MS, 0), (5000, 65_000, 840)],
)
def test_ten_wrong_passwords_at_once_close_the_door_for_fifteen_minutes(
    at_ms: int, now_ms: int, wait: int
) -> None:
    assert wait_s([Failure(at_ms, True)] * 10, now_ms) == wait


def test_the_wait_begins_with_the_failure_that_closed_the_door() -> None:
    failures = [Failure(n * 1000, True) for n in range(9, -1, -1)]
    assert wait_s(failures, 20_000) == 900 - 20 + 9


def test_the_tenth_wrong_password_for_an_account_and_the_fiftieth_of_an_address_close_the_door() -> None:
    same = [Failure(n, True) for n in range(20, 0, -1)]
    others = [Failure(n, False) for n in range(60, 0, -1)]
    assert wait_s(same[:9], 100) == 0
    assert wait_s(same[:10], 100) > 0
    assert wait_s(others[:49], 100) == 0
    assert wait_s(others[:50], 100) > 0


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.2", "127.0.0.2"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("nonsense", "nonsense"),
        ("", ""),
    ],
)
def test_what_counts_as_one_address(address: str, network: str) -> None:
    assert network_of(address) == network


@given(st.ip_addresses())
def test_a_network_counts_as_itself(address: object) -> None:
    network = network_of(str(address))
    assert network_of(network.removesuffix("/64")) == network
