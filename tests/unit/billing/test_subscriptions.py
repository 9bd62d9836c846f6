"""Plans as spans: what is bought is had, for as long as was paid, whatever order it comes in."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.plans import BUILT_IN, read_plans
from services.billing.subscriptions import Span, after_period, buy, next_change, refund, tier_at
from tests.oracles.billing import PlainPlans, covered, plus_months

PLANS = read_plans(BUILT_IN.read_bytes())
START = 1_790_000_000_000
DAY = 86_400_000
NEAR_MS = 60_000  # a micro of a cheap plan is 0.3 s, and shares of shares are rounded down each time
names = st.sampled_from(["go", "plus", "pro"])
periods = st.sampled_from(["month", "year"])


def span(number: int, plan: str, period: str) -> Span:
    price = PLANS.tiers[plan].price_micros(period)
    return Span(f"s{number}", 1, f"p{number}", plan, period, price, 0, 0, price)


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
        # What is left is worth no more than what was paid.
        alive = [s for s in spans if not s.carried_into]
        assert sum(s.worth(now) for s in alive) <= sum(s.price_micros for s in spans)


@pytest.mark.parametrize("at", ["starts_ms", "ends_ms"])
def test_what_is_left_of_a_span_is_its_share(at: str) -> None:
    one = replace(span(1, "go", "month"), starts_ms=START, ends_ms=START + 30 * DAY)
    expected = {"starts_ms": one.price_micros, "ends_ms": 0}[at]
    assert one.worth(getattr(one, at)) == expected
    assert one.worth(START + 10 * DAY) == 6_000_000
    assert one.worth(START - DAY) == one.price_micros


def test_what_an_upgrade_took_along_goes_back_with_its_payment() -> None:
    """Go for a year is upgraded to Pro at once, then Go is paid back: the time it bought of Pro goes, too."""
    spans = bought([], span(1, "go", "year"), START)
    spans = bought(spans, span(2, "pro", "month"), START)
    month = after_period(START, "month")
    assert tier_at(spans, START)[1] == month + 90_000_000 * (month - START) // 49_000_000
    moved = {s.id: s for s, _ in refund(spans, spans[0], START)}
    spans = [moved.get(s.id, s) for s in spans]
    assert tier_at(spans, START)[0] == "pro" and abs(tier_at(spans, START)[1] - month) <= 1
    moved = {s.id: s for s, _ in refund(spans, spans[1], START)}
    assert tier_at([moved.get(s.id, s) for s in spans], START)[0] == "free"


def test_an_upgrade_that_is_paid_back_leaves_the_time_older_money_has_bought() -> None:
    spans = bought([], span(1, "go", "year"), START)
    spans = bought(spans, span(2, "pro", "month"), START)
    moved = {s.id: s for s, _ in refund(spans, spans[1], START)}
    spans = [moved.get(s.id, s) for s in spans]
    month = after_period(START, "month") - START
    assert tier_at(spans, START)[0] == "pro"
    assert abs(tier_at(spans, START)[1] - START - 90_000_000 * month // 49_000_000) <= 1


def test_two_upgrades_in_a_row_take_all_of_the_money_along() -> None:
    spans: list[Span] = []
    for number, plan in enumerate(("go", "plus", "pro")):
        spans = bought(spans, span(number, plan, "month"), START)
    month = after_period(START, "month") - START
    assert abs(tier_at(spans, START)[1] - START - month * (49 + 19 + 9) // 49) <= 1_000


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 45), st.one_of(st.tuples(names, periods), st.integers(0, 7))), max_size=10
    )
)
def test_purchases_and_refunds_in_any_order_leave_what_the_money_left_buys(
    acts: list[tuple[int, tuple[str, str] | int]],
) -> None:
    spans: list[Span] = []
    plain, now, refunded = PlainPlans(), START, set[int]()
    for days, act in acts:
        now += days * DAY
        if isinstance(act, tuple):
            plan, period = act
            new = span(len(spans), plan, period)
            spans = sorted(bought(spans, new, now), key=lambda s: int(s.id[1:]))
            plain.buy(new.id, plan, new.price_micros, 12 if period == "year" else 1, now)
        elif act < len(spans) and act not in refunded:
            refunded.add(act)
            moved = {s.id: s for s, _ in refund(spans, spans[act], now)}
            spans = [moved.get(s.id, s) for s in spans]
            plain.refund(f"s{act}", now)
        plain.pass_to(now)
        ours = sorted((s.starts_ms, s.ends_ms, s.plan) for s in spans if s.ends_ms > now)
        theirs = sorted((int(s.starts), int(s.ends), s.plan) for s in plain.spans)
        near = [(e, p) for b, e, p in ours if e - max(b, now) > NEAR_MS]
        expected = [(e, p) for b, e, p in theirs if e - max(b, now) > NEAR_MS]
        assert [p for _, p in near] == [p for _, p in expected]
        assert all(abs(e - f) <= NEAR_MS for (e, _), (f, _) in zip(near, expected, strict=True))
    if len(refunded) == len(spans):
        assert tier_at(spans, now + NEAR_MS)[0] == "free"
