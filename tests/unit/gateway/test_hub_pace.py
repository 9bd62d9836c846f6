"""When to flush: the curve from demand to interval, and the bound of the cost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.pace import Pace, PaceLimits


def steady(
    *, rate: float, write_s: float, sockets: int, per_frame: float = 1.0, seconds: float = 5.0
) -> tuple[Pace, float]:
    """Flush as the pace says at ``rate`` frames/s, each for a share of the sockets; the settled CPU share."""
    pace, now_s, spent_s = Pace(PaceLimits()), 0.0, 0.0
    pace.flushed(now_s=now_s, cost_s=0.0, writes=0, deliveries=0)
    while now_s < seconds:
        steps = pace.steps
        wait_s = max(pace.interval_s / steps, 1.0 / rate)
        now_s += wait_s
        writes = min(sockets, sockets * per_frame * rate * wait_s * steps) / steps
        cost_s = writes * write_s
        if now_s > seconds / 2:
            spent_s += cost_s
        frames = round(rate * wait_s * sockets * per_frame)
        pace.flushed(now_s=now_s, cost_s=cost_s, writes=round(writes), deliveries=frames)
    return pace, spent_s / (seconds / 2)


def test_a_quiet_house_never_waits() -> None:
    pace, _ = steady(rate=20.0, write_s=6e-6, sockets=10)
    assert pace.interval_s < 0.001


@pytest.mark.parametrize("write_s", [2e-6, 4.5e-6, 8e-6])
def test_one_symbol_for_a_thousand_sockets_goes_out_tick_by_tick(write_s: float) -> None:
    pace, _ = steady(rate=100.0, write_s=write_s, sockets=1000)
    assert pace.interval_s < 0.010


@pytest.mark.parametrize("write_s", [2e-6, 6e-6, 12e-6])
def test_heavy_demand_waits_as_long_as_is_allowed_and_costs_a_fraction(write_s: float) -> None:
    pace, share = steady(rate=1000.0, write_s=write_s, sockets=1000, per_frame=0.2)
    assert pace.interval_s == pytest.approx(PaceLimits().interval_s_max, rel=0.02)
    assert share < 0.2 * 1000 * 1000 * write_s / 4  # of what one write per frame would take


def test_few_sockets_that_hear_much_wait_no_longer_than_pays() -> None:
    pace, _ = steady(rate=20_000.0, write_s=6e-6, sockets=100)
    assert pace.interval_s == pytest.approx(0.005, rel=0.1)


def test_a_slow_machine_is_not_driven_above_the_bound() -> None:
    pace, share = steady(rate=50.0, write_s=40e-6, sockets=1000)
    assert pace.interval_s > 0.040
    assert share <= PaceLimits().busy_share_max + 0.05


def test_very_many_sockets_stretch_the_interval() -> None:
    pace, share = steady(rate=1000.0, write_s=6e-6, sockets=10_000, per_frame=0.2)
    assert pace.interval_s > PaceLimits().interval_s_max
    assert share <= PaceLimits().busy_share_max + 0.05


def test_demand_that_ends_lets_the_interval_fall_back_to_nothing() -> None:
    pace, _ = steady(rate=1000.0, write_s=6e-6, sockets=1000, per_frame=0.2)
    now_s = 5.0
    for _ in range(40):
        now_s += 0.2
        pace.flushed(now_s=now_s, cost_s=6e-6, writes=1, deliveries=1)
    assert pace.interval_s < 0.001


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
def test_whatever_is_measured_the_interval_is_bounded(
    flushes: list[tuple[float, float, int, int]],
) -> None:
    limits = PaceLimits()
    pace, now_s = Pace(limits), 0.0
    for wait_s, cost_s, writes, deliveries in flushes:
        now_s += wait_s
        pace.flushed(now_s=now_s, cost_s=cost_s, writes=writes, deliveries=deliveries)
        assert 0.0 <= pace.interval_s <= limits.stretched_s_max
        assert pace.rate >= 0.0
