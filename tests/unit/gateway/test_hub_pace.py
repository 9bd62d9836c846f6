"""When to flush: the curve from load to interval."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.pace import Pace, PaceLimits


def steady(
    *, rate: float, cost_s: float, sockets: int, per_frame: float = 1.0, seconds: float = 5.0
) -> tuple[Pace, float]:
    """Flush as the pace says at ``rate`` frames/s for ``sockets``; the pace, and its settled CPU share."""
    pace, now_s, spent_s = Pace(PaceLimits()), 0.0, 0.0
    pace.flushed(now_s=now_s, cost_s=0.0, writes=0, deliveries=0)
    while now_s < seconds:
        wait_s = max(pace.interval_s, 1.0 / rate)
        now_s += wait_s
        frames = rate * wait_s
        writes = int(min(sockets, sockets * per_frame * frames))
        if now_s > seconds / 2:
            spent_s += writes * cost_s
        pace.flushed(
            now_s=now_s, cost_s=writes * cost_s, writes=writes, deliveries=int(frames * sockets * per_frame)
        )
    return pace, spent_s / (seconds / 2)


def test_a_quiet_house_never_waits() -> None:
    pace, _ = steady(rate=20.0, cost_s=6e-6, sockets=10)
    assert pace.interval_s == 0.0


def test_a_thousand_sockets_with_one_slow_symbol_wait_little() -> None:
    pace, _ = steady(rate=100.0, cost_s=4.5e-6, sockets=1000)
    assert 0.0 < pace.interval_s < 0.010


def test_heavy_load_waits_as_long_as_is_allowed_and_costs_a_quarter() -> None:
    pace, share = steady(rate=1000.0, cost_s=6e-6, sockets=1000, per_frame=0.2)
    assert pace.interval_s == pytest.approx(PaceLimits().interval_s_max)
    assert pace.load == pytest.approx(1.2, rel=0.05)
    assert share < 0.25


def test_a_flush_longer_than_its_interval_leaves_room_for_others() -> None:
    pace, share = steady(rate=1000.0, cost_s=6e-6, sockets=10_000, per_frame=0.2)
    assert pace.interval_s > PaceLimits().interval_s_max
    assert share <= PaceLimits().busy_share_max + 0.05


def test_load_that_ends_lets_the_interval_fall_back_to_nothing() -> None:
    pace, _ = steady(rate=1000.0, cost_s=6e-6, sockets=1000, per_frame=0.2)
    now_s = 5.0
    for _ in range(40):
        now_s += 0.2
        pace.flushed(now_s=now_s, cost_s=6e-6, writes=1, deliveries=1)
    assert pace.interval_s == 0.0


@given(
    st.lists(
        st.tuples(
            st.floats(0.0, 10.0),
            st.floats(0.0, 1.0),
            st.integers(0, 100_000),
            st.integers(0, 10_000_000),
        ),
        max_size=50,
    )
)
def test_whatever_is_measured_the_interval_is_bounded_by_the_limit_or_the_cost(
    flushes: list[tuple[float, float, int, int]],
) -> None:
    limits = PaceLimits()
    pace, now_s, dearest_s = Pace(limits), 0.0, 0.0
    for wait_s, cost_s, writes, deliveries in flushes:
        now_s += wait_s
        dearest_s = max(dearest_s, cost_s)
        pace.flushed(now_s=now_s, cost_s=cost_s, writes=writes, deliveries=deliveries)
        assert 0.0 <= pace.interval_s <= max(limits.interval_s_max, dearest_s / limits.busy_share_max)
        assert pace.load >= 0.0
