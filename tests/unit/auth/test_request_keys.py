"""What a known key means, at every moment of its life."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.auth.request_keys import KEPT_MS, LEASE_MS, HeldRequest, Verdict, judge, next_lease

SAME, OTHER = b"s" * 32, b"o" * 32
START = 1_000_000


def held(*, done: bool = False, lease_ms: int = START + LEASE_MS) -> HeldRequest:
    return HeldRequest(
        fingerprint=SAME,
        done=done,
        lease_ms=lease_ms,
        created_ms=START,
        status=200,
        content_type="application/json",
        headers={},
        body=b"{}",
    )


def test_an_answered_key_is_replayed_for_a_day_to_the_millisecond() -> None:
    assert judge(held(done=True), SAME, START) is Verdict.REPLAY
    assert judge(held(done=True), SAME, START + KEPT_MS - 1) is Verdict.REPLAY
    assert judge(held(done=True), SAME, START + KEPT_MS) is Verdict.AGAIN
    assert judge(held(done=True), OTHER, START + KEPT_MS) is Verdict.AGAIN


def test_an_unanswered_key_is_in_flight_until_its_lease_is_over() -> None:
    assert judge(held(), SAME, START + LEASE_MS - 1) is Verdict.IN_FLIGHT
    assert judge(held(), SAME, START + LEASE_MS) is Verdict.AGAIN


@given(st.booleans(), st.integers(0, KEPT_MS - 1))
def test_another_request_is_a_mismatch_as_long_as_the_key_counts(done: bool, after_ms: int) -> None:
    assert judge(held(done=done), OTHER, START + after_ms) is Verdict.MISMATCH


@given(st.integers(0, 2**42), st.integers(0, 2**42), st.integers(1, KEPT_MS))
def test_a_lease_names_its_holder(before_ms: int, now_ms: int, lease_ms: int) -> None:
    after = next_lease(held(lease_ms=before_ms), now_ms, lease_ms)
    assert after > before_ms
    assert after >= now_ms + lease_ms == next_lease(None, now_ms, lease_ms)
