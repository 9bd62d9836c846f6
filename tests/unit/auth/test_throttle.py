"""How many wrong passwords an address may give, beside a simulation that keeps every second."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.auth.throttle import ADDRESS_MAX, SAME_MAX, WINDOW_MS, Failure, network_of, wait_s


def free_at(failures: list[Failure], now_ms: int) -> bool:
    """The rule as it is written: fewer than the allowed number within the last fifteen minutes."""
    recent = [f for f in failures if now_ms - WINDOW_MS < f.at_ms <= now_ms]
    return len(recent) < ADDRESS_MAX and sum(f.same for f in recent) < SAME_MAX


# Dense enough that both limits are met often, and apart enough that some have left the window.
failures_lists = st.lists(st.tuples(st.integers(0, 40), st.booleans()), min_size=0, max_size=90).map(
    lambda made: sorted((Failure(s * WINDOW_MS // 30, same) for s, same in made), reverse=True)
)


@given(failures_lists, st.integers(0, WINDOW_MS))
def test_the_wait_ends_exactly_when_a_try_may_be_made(failures: list[Failure], later_ms: int) -> None:
    now_ms = (failures[0].at_ms if failures else 0) + later_ms
    wait = wait_s(failures, now_ms)
    assert isinstance(wait, int)
    assert (wait == 0) == free_at(failures, now_ms)
    if wait:
        assert free_at(failures, now_ms + wait * 1000)
        assert not free_at(failures, now_ms + (wait - 1) * 1000)


@pytest.mark.parametrize(
    ("at_ms", "now_ms", "wait"),
    [(0, 0, 900), (0, 1, 900), (0, 1000, 899), (0, WINDOW_MS - 1, 1), (0, WINDOW_MS, 0), (5000, 65_000, 840)],
)
def test_ten_wrong_passwords_at_once_close_the_door_for_fifteen_minutes(
    at_ms: int, now_ms: int, wait: int
) -> None:
    assert wait_s([Failure(at_ms, True)] * 10, now_ms) == wait


def test_the_wait_is_that_of_the_tenth_newest_failure() -> None:
    failures = [Failure(n * 1000, True) for n in range(19, -1, -1)]
    assert wait_s(failures, 20_000) == 900 - 20 + 10


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
