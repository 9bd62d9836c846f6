"""The rate algorithm beside a slow oracle: a bucket of tokens refilled in exact fractions."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from services.notifier.rates import Rate, allowed_at_ms, taken

rates = st.builds(
    Rate,
    count=st.sampled_from([1, 2, 5, 10, 20, 25]),
    window_s=st.sampled_from([1, 2, 5, 60]),
    burst=st.integers(1, 12),
)


class Bucket:
    """A token bucket: full at the start, one token per interval, never more than the burst."""

    def __init__(self, rate: Rate) -> None:
        self.interval = Fraction(rate.window_s) * 1000 / rate.count
        self.burst = rate.burst
        self.tokens = Fraction(rate.burst)
        self.at = Fraction(0)

    def is_allowed(self, now_ms: int) -> bool:
        self.tokens = min(Fraction(self.burst), self.tokens + (now_ms - self.at) / self.interval)
        self.at = Fraction(now_ms)
        return self.tokens >= 1

    def take(self) -> None:
        self.tokens -= 1


@given(rate=rates, gaps=st.lists(st.integers(0, 4000), max_size=60))
def test_it_lets_through_exactly_what_a_bucket_of_tokens_does(rate: Rate, gaps: list[int]) -> None:
    bucket, tat_ms, now_ms = Bucket(rate), 0.0, 0
    for gap in gaps:
        now_ms += gap
        allowed = allowed_at_ms(tat_ms, now_ms, rate) <= now_ms
        if bucket.is_allowed(now_ms) != allowed:
            # Floats may differ from fractions by the last bit, never by a millisecond.
            assert abs(allowed_at_ms(tat_ms, now_ms, rate) - now_ms) <= 1
            return
        if allowed:
            tat_ms = taken(tat_ms, now_ms, rate)
            bucket.take()


@given(rate=rates, start_ms=st.integers(0, 2**42))
def test_who_waits_as_told_is_let_through_and_never_beyond_the_rate(rate: Rate, start_ms: int) -> None:
    tat_ms, now_ms = 0.0, start_ms
    for sent in range(1, rate.burst + rate.count * 2):
        now_ms = allowed_at_ms(tat_ms, now_ms, rate)
        assert allowed_at_ms(tat_ms, now_ms, rate) == now_ms
        tat_ms = taken(tat_ms, now_ms, rate)
        assert sent <= rate.burst + (now_ms - start_ms) / rate.interval_ms + 1e-6 * sent + 1e-3


def test_a_burst_goes_at_once_and_the_next_one_waits_an_interval() -> None:
    rate = Rate(2, 1, burst=3)
    tat_ms = 0.0
    for _ in range(3):
        assert allowed_at_ms(tat_ms, 10_000, rate) == 10_000
        tat_ms = taken(tat_ms, 10_000, rate)
    assert allowed_at_ms(tat_ms, 10_000, rate) == 10_500
