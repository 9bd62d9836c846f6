"""Affiliates' shares: how much, for how long, and what is shown of who came."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.plans import BUILT_IN, read_plans
from services.billing.affiliates import make_code, mask, read_code, share_of
from tests.oracles.billing import plus_months

RULES = read_plans(BUILT_IN.read_bytes()).affiliate
JOINED = 1_740_700_800_000  # 2025-02-28
DAY = 86_400_000


@given(st.integers(0, 10**12), st.integers(0, 500 * DAY))
def test_a_fifth_of_what_is_paid_in_twelve_months_rounded_down(paid: int, after_ms: int) -> None:
    share = share_of(RULES, paid_micros=paid, joined_ms=JOINED, paid_ms=JOINED + after_ms)
    if JOINED + after_ms >= plus_months(JOINED, 12) or paid < 5:
        assert share is None
    else:
        assert share is not None
        assert 0 <= paid - 5 * share.micros < 5
        assert share.approves_ms == JOINED + after_ms + 30 * DAY


@given(st.text(min_size=1))
def test_a_code_is_read_as_it_was_made(entropy: str) -> None:
    code = make_code(entropy)
    assert len(code) == 8 and code.isalnum() and code == code.upper()
    assert read_code(f" {code.lower()} ") == code


@pytest.mark.parametrize("text", ["", "SHORT", "ABCDEFGHJ", "ABCDEFG0", "ABCDEFGI", "ABCD-FGH", "ÄBCDEFGH"])
def test_what_can_be_no_code_is_none(text: str) -> None:
    assert read_code(text) is None


@pytest.mark.parametrize(
    ("email", "shown"),
    [
        ("ada@example.com", "a***@e***.com"),
        ("b@x.co.uk", "b***@x***.uk"),
        ("c@host", "c***@***.host"),
        ("", "***"),
    ],
)
def test_a_referrer_sees_that_somebody_came_not_who(email: str, shown: str) -> None:
    assert mask(email) == shown
