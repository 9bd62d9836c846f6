"""Quiet hours and digests beside an oracle that walks minute by minute, across midnight and clock changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.notifier.gates import Digest, Gate, Quiet, open_at_ms
from services.notifier.wallclock import MINUTE_MS, UnknownZone, next_at, zone

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Pacific/Apia",
    "Africa/Casablanca",
    "Asia/Kathmandu",
]
START = datetime(2024, 1, 1, tzinfo=UTC)
MINUTES = int(timedelta(days=3 * 366) / timedelta(minutes=1))
# Around changes of the clock, where the mistakes live.
EDGES = [
    datetime(2024, 3, 31, 0, 30, tzinfo=UTC),  # Berlin, forward
    datetime(2024, 10, 27, 0, 15, tzinfo=UTC),  # Berlin, back
    datetime(2024, 3, 10, 6, 45, tzinfo=UTC),  # New York, forward
    datetime(2024, 11, 3, 5, 10, tzinfo=UTC),  # New York, back
    datetime(2024, 4, 6, 14, 50, tzinfo=UTC),  # Lord Howe, back by half an hour
    datetime(2024, 10, 5, 15, 10, tzinfo=UTC),  # Lord Howe, forward by half an hour
]

moments = st.one_of(
    st.integers(0, MINUTES).map(lambda m: START + timedelta(minutes=m)),
    st.builds(lambda edge, m: edge + timedelta(minutes=m), st.sampled_from(EDGES), st.integers(-1500, 120)),
)
seconds = st.integers(0, 59_999)
minutes = st.integers(0, 1439)


def ms_of(moment: datetime) -> int:
    return int(moment.timestamp()) * 1000


def wall_minute(at_ms: int, where: ZoneInfo) -> int:
    shown = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(where)
    return shown.hour * 60 + shown.minute


def slow_next_at(now_ms: int, minute: int, where: ZoneInfo) -> int:
    """Walk minute by minute until the wall shows it, or has jumped from before it to after it."""
    at = (now_ms // MINUTE_MS + 1) * MINUTE_MS
    for _ in range(3 * 1440):
        before = datetime.fromtimestamp((at - MINUTE_MS) / 1000, UTC).astimezone(where).replace(tzinfo=None)
        after = datetime.fromtimestamp(at / 1000, UTC).astimezone(where).replace(tzinfo=None)
        if after.hour * 60 + after.minute == minute:
            return at
        step = before + timedelta(minutes=1)
        while step <= after:  # nothing to walk where the clock went back
            if step.hour * 60 + step.minute == minute:
                return at
            step += timedelta(minutes=1)
        at += MINUTE_MS
    raise AssertionError("the wall never showed it")


@given(moment=moments, offset_ms=seconds, minute=minutes, name=st.sampled_from(ZONES))
@example(moment=EDGES[0], offset_ms=0, minute=150, name="Europe/Berlin")
@example(moment=EDGES[1], offset_ms=0, minute=150, name="Europe/Berlin")
@example(moment=EDGES[3], offset_ms=0, minute=60, name="America/New_York")
def test_the_next_time_on_the_wall_is_the_one_found_by_walking(
    moment: datetime, offset_ms: int, minute: int, name: str
) -> None:
    now_ms = ms_of(moment) + offset_ms
    assert next_at(now_ms, minute, ZoneInfo(name)) == slow_next_at(now_ms, minute, ZoneInfo(name))


@given(moment=moments, offset_ms=seconds, start=minutes, end=minutes, name=st.sampled_from(ZONES))
def test_quiet_hours_hold_until_the_first_minute_that_is_not_quiet(
    moment: datetime, offset_ms: int, start: int, end: int, name: str
) -> None:
    where = ZoneInfo(name)
    quiet = Quiet(start, end)
    now_ms = ms_of(moment) + offset_ms
    found = open_at_ms(Gate(where, quiet), created_ms=now_ms, now_ms=now_ms, level=10)
    if not quiet.holds(wall_minute(now_ms, where)):
        assert found == now_ms
        return
    assert found == slow_next_at(now_ms, end, where)
    at = (now_ms // MINUTE_MS + 1) * MINUTE_MS
    while at < found:
        assert quiet.holds(wall_minute(at, where))
        at += MINUTE_MS


@given(start=minutes, end=minutes, minute=minutes)
def test_a_span_of_the_day_holds_what_walking_from_its_start_meets(start: int, end: int, minute: int) -> None:
    inside, at = set(), start
    while at != end:
        inside.add(at)
        at = (at + 1) % 1440
    assert Quiet(start, end).holds(minute) == (minute in inside)


@given(moment=moments, level=st.integers(20, 60), name=st.sampled_from(ZONES))
def test_what_is_urgent_is_never_held(moment: datetime, level: int, name: str) -> None:
    gate = Gate(ZoneInfo(name), Quiet(0, 1439), Digest.DAILY)
    now_ms = ms_of(moment)
    assert open_at_ms(gate, created_ms=now_ms, now_ms=now_ms, level=level) == now_ms


@given(moment=moments, age_min=st.integers(0, 3000), name=st.sampled_from(ZONES))
def test_a_daily_digest_comes_at_eight_on_the_wall_after_what_it_tells(
    moment: datetime, age_min: int, name: str
) -> None:
    where = ZoneInfo(name)
    now_ms = ms_of(moment)
    created_ms = now_ms - age_min * MINUTE_MS
    found = open_at_ms(Gate(where, None, Digest.DAILY), created_ms=created_ms, now_ms=now_ms, level=10)
    assert found == max(now_ms, slow_next_at(created_ms, 480, where))


@given(created=st.integers(0, 10**12), age=st.integers(0, 10**7))
def test_an_hourly_digest_comes_at_the_next_full_hour(created: int, age: int) -> None:
    found = open_at_ms(Gate(UTC, None, Digest.HOURLY), created_ms=created, now_ms=created + age, level=10)
    hours = created // 3_600_000 * 3_600_000 + 3_600_000
    assert found == max(hours, created + age)


@pytest.mark.parametrize(
    "name", ["Mars/Olympus", "", "../../etc/passwd", "/etc/passwd", "Europe", "a\x00b", "x" * 300]
)
def test_a_zone_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(UnknownZone):
        zone(name)
