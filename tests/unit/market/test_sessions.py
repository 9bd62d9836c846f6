"""When a market is open, against a walk through the minutes of the week."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.errors import InvalidData
from libs.common.messages.market import Instrument, SessionDay, SessionSpan
from services.market.builtins import FOREX_WEEK
from services.market.sessions import is_open, market_state, read_sessions, shown

SUNDAY = datetime(2026, 3, 1, tzinfo=UTC)
TIMES = st.integers(0, 24 * 60)
SPANS = st.tuples(st.integers(0, 24 * 60 - 1), TIMES).filter(lambda span: span != (0, 0))


def span_of(opens: int, closes: int) -> dict[str, int]:
    return {
        "open_hour": opens // 60,
        "open_min": opens % 60,
        "close_hour": closes // 60,
        "close_min": closes % 60,
    }


@given(
    st.lists(st.lists(SPANS, max_size=3), min_size=7, max_size=7),
    st.integers(0, 7 * 24 * 60 - 1),
    st.booleans(),
)
def test_a_market_is_open_in_exactly_the_minutes_of_its_spans(
    week: list[list[tuple[int, int]]], minute: int, plain: bool
) -> None:
    minutes: set[int] = set()
    for day, spans in enumerate(week):
        for opens, closes in spans:
            length = closes - opens if closes > opens else closes + 24 * 60 - opens
            minutes |= {(day * 1440 + opens + i) % (7 * 1440) for i in range(length)}
    given_days = [[span_of(*s) for s in day] for day in week]
    sessions = read_sessions(given_days if plain else [{"trade": day} for day in given_days])
    at = SUNDAY + timedelta(minutes=minute, seconds=59)
    assert is_open(sessions, at) == (minute in minutes)


def test_none_is_always_open_and_seven_empty_days_never() -> None:
    assert is_open(None, SUNDAY)
    empty = read_sessions([[]] * 7)
    assert not any(is_open(empty, SUNDAY + timedelta(hours=h)) for h in range(7 * 24))


@pytest.mark.parametrize(
    ("at", "open_"),
    [
        (datetime(2026, 3, 1, 21, 59, 59, tzinfo=UTC), False),  # Sunday
        (datetime(2026, 3, 1, 22, 0, tzinfo=UTC), True),
        (datetime(2026, 3, 4, 0, 0, tzinfo=UTC), True),
        (datetime(2026, 3, 6, 21, 59, 59, tzinfo=UTC), True),  # Friday
        (datetime(2026, 3, 6, 22, 0, tzinfo=UTC), False),
        (datetime(2026, 3, 7, 12, 0, tzinfo=UTC), False),
    ],
)
def test_the_forex_week_runs_from_sunday_to_friday_22_utc(at: datetime, open_: bool) -> None:
    assert is_open(FOREX_WEEK, at) is open_


def test_the_state_says_why_a_market_is_closed() -> None:
    assert market_state(Instrument(symbol="A"), SUNDAY) == (1, 0)
    assert market_state(Instrument(symbol="A", sessions=FOREX_WEEK), SUNDAY) == (0, 3)
    assert market_state(Instrument(symbol="A", trade=0), SUNDAY) == (0, 4)


def test_seven_days_of_three_spans_are_shown() -> None:
    days = shown(None)
    assert [len(day.trade) for day in days] == [3] * 7
    assert days[0].trade[0] == SessionSpan(close_hour=24)
    assert shown((SessionDay(),) * 7)[0].trade == (SessionSpan(),) * 3


@pytest.mark.parametrize(
    "broken",
    [
        7,
        [],
        [[]] * 8,
        [[{"open_hour": 24, "close_hour": 1}]] + [[]] * 6,
        [[{"open_min": 60, "close_hour": 1}]] + [[]] * 6,
        [[{"close_hour": 24, "close_min": 1}]] + [[]] * 6,
        [[{"close_hour": -1}]] + [[]] * 6,
        [[span_of(1, 2)] * 4] + [[]] * 6,
        [{"trades": []}] * 7,
        ["closed"] * 7,
    ],
)
def test_what_is_no_week_of_sessions_is_refused(broken: object) -> None:
    with pytest.raises(InvalidData):
        read_sessions(broken)
