"""Plans as spans: what is bought is had, for as long as was paid, whatever order it comes in."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.plans import BUILT_IN, read_plans
from services.billing.subscriptions import Span, after_period, buy, next_change, refund, tier_at
from tests.oracles.billing import covered, plus_months

PLANS = read_plans(BUILT_IN.read_bytes())
START = 1_790_000_000_000
DAY = 86_400_000
names = st.sampled_from(["go", "plus", "pro"])
periods = st.sampled_from(["month", "year"])


def span(number: int, plan: str, period: str) -> Span:
    price = PLANS.tiers[plan].price_micros(period)
    return Span(f"s{number}", 1, f"p{number}", plan, period, price, 0, 0)


def bought(spans: list[Span], new: Span, now_ms: int) -> list[Span]:
    change = buy(spans, new, now_ms)
    moved = {s.id: s for s, _ in change.moved}
    return sorted([*(moved.get(s.id, s) for s in spans), change.bought], key=lambda s: s.starts_ms)


@given(st.integers(START, START + 10**12), periods)
def test_a_period_ends_on_the_same_day_of_the_month_or_its_last(ms: int, period: str) -> None:
    assert after_period(ms, period) == plus_months(ms, 12 if period == "year" else 1)


def test_an_upgrade_begins_at_once_and_what_is_left_buys_more_of_it() -> None:
    spans = bought([], span(1, "go", "month"), START)
    length = spans[0].ends_ms - START
    half = START + length // 2
    spans = bought(spans, span(2, "pro", "month"), half)
    assert tier_at(spans, half)[0] == "pro"
    extra = tier_at(spans, half)[1] - after_period(half, "month")
    whole = after_period(half, "month") - half
    left = 9_000_000 * (length - length // 2) // length
    assert extra == left * whole // 49_000_000


def test_the_same_plan_follows_itself_and_a_lower_one_waits() -> None:
    spans = bought([], span(1, "plus", "month"), START)
    spans = bought(spans, span(2, "plus", "year"), START + DAY)
    assert tier_at(spans, START + DAY) == ("plus", after_period(after_period(START, "month"), "year"))
    spans = bought(spans, span(3, "go", "month"), START + 2 * DAY)
    end = tier_at(spans, START)[1]
    assert tier_at(spans, end) == ("go", after_period(end, "month"))
    assert next_change(spans, START) == after_period(START, "month")


def test_a_refund_ends_its_span_and_what_waited_comes_forward() -> None:
    spans = bought([], span(1, "pro", "month"), START)
    spans = bought(spans, span(2, "go", "month"), START)
    now = START + 10 * DAY
    moved = {s.id: s for s, _ in refund(spans, spans[0], now)}
    spans = [moved.get(s.id, s) for s in spans]
    assert tier_at(spans, now)[0] == "go"
    begins = after_period(START, "month")
    assert spans[1].ends_ms - spans[1].starts_ms == after_period(begins, "month") - begins
    assert refund(spans, spans[0], now + DAY) == ()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60), names, periods), min_size=1, max_size=6))
def test_what_was_bought_is_had_at_once_or_after_something_better(orders: list[tuple[int, str, str]]) -> None:
    spans: list[Span] = []
    now = START
    for number, (days, plan, period) in enumerate(orders):
        now += days * DAY
        before = [(s.plan, s.starts_ms, s.ends_ms) for s in spans]
        spans = bought(spans, span(number, plan, period), now)
        after = [(s.plan, s.starts_ms, s.ends_ms) for s in spans]
        tier, until = tier_at(spans, now)
        assert tier == covered(after, now)
        assert until > now and covered(after, until - 1) == tier
        assert covered(after, until) != tier
        # Nobody loses a better tier by buying.
        rank = {"free": 0, "go": 1, "plus": 2, "pro": 3}
        assert rank[tier] >= max(rank[covered(before, now)], rank[plan] if not before else 0)
        assert all(s.ends_ms >= s.starts_ms for s in spans)
        # What was paid for is worth its price: no plan is longer than the money in it.
        assert all(s.worth(s.starts_ms) <= s.price_micros for s in spans)


@pytest.mark.parametrize("at", ["starts_ms", "ends_ms"])
def test_what_is_left_of_a_span_is_its_share(at: str) -> None:
    one = replace(span(1, "go", "month"), starts_ms=START, ends_ms=START + 30 * DAY)
    expected = {"starts_ms": one.price_micros, "ends_ms": 0}[at]
    assert one.worth(getattr(one, at)) == expected
    assert one.worth(START + 10 * DAY) == 6_000_000
    assert one.worth(START - DAY) == one.price_micros
